// Conformance: the pool's driver of one worker, with a real browser.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "facade/fault_scripts.hpp"
#include "facade/worker_driver.hpp"
#include "io/bridge.hpp"
#include "io/browser.hpp"
#include "io/linux/process_group.hpp"
#include "support/catch.hpp"
#include "support/module_file.hpp"
#include "support/processes.hpp"
#include "support/run_until.hpp"
#include "support/test_models.hpp"
#include "worker_subject.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace everpool::tests {

class RealSubject final : public WorkerSubject, io::BridgeListener {
public:
    explicit RealSubject(BrowserType type) : worker_{WorkerId{0}, {spec_of(type)}, surroundings_} {
        REQUIRE_FALSE(bridge_.listen());
        Diagnostics why;
        REQUIRE_FALSE(models_.check_files(why));
        for (std::uint32_t i = 0; i < models_.size(); ++i) {
            const ModelSpec& model = models_.at(ModelId{i}).spec;
            bridge_.add_model(model.name, model.file);
        }
        bridge_.add_module("work", work_module_.file());
    }

    void perform(const core::Action& action) override {
        std::visit(
            [this](const auto& one) {
                if constexpr (requires { this->on(one); }) on(one);
            },
            action);
    }

    void set_work(Work work) override { work_ = work; }

    void strike(Trouble trouble) override {
        using enum Trouble;
        using enum io::BrowserPart;
        switch (trouble) {
        case compute_hangs: return hang(Fault::worker_loop, wire::Channel::data);
        case page_hangs: return hang(Fault::main_loop, wire::Channel::control);
        case page_stops: return signal({page}, io::ProcessSignal::stop);
        case network_stops: return signal({network}, io::ProcessSignal::stop);
        case browser_stops: return signal({browser}, io::ProcessSignal::stop);
        case all_stops: return signal({browser, network, page, gpu}, io::ProcessSignal::stop);
        case page_dies: return signal({page}, io::ProcessSignal::kill);
        case browser_dies: return signal({browser}, io::ProcessSignal::kill);
        case memory_ends:
        case device_goes:
        case context_goes:
        case software_only:
        case slows_down: FAIL("only the simulator's worker can be made to have it");
        }
    }

    void prepare(Mishap mishap) override {
        switch (mishap) {
        case Mishap::device_lost: return run_script(Fault::device_destroy);
        case Mishap::wrong_answers: return run_script(Fault::wrong_answer);
        case Mishap::no_browser: return worker_.fail_next_launches(1, LaunchFailure::bad_path);
        case Mishap::failed_start:
            return worker_.fail_next_launches(1, LaunchFailure::crash_at_start);
        case Mishap::hung_start: return worker_.fail_next_launches(1, LaunchFailure::never_answers);
        }
    }

    [[nodiscard]] bool has_webgpu() const override {
        return worker_.capabilities().webgpu.available;
    }
    [[nodiscard]] bool has_network_process() const override {
        return !worker_.processes(io::BrowserPart::network).empty();
    }

    [[nodiscard]] std::string trouble() const override {
        return fmt::format("process {}, version '{}', {} of 2 hellos; {}", worker_.process_id(),
                           worker_.version(), hellos_, worker_.trouble().text());
    }

    bool wait_until(const std::function<bool()>& is_so, Duration limit) override {
        return tests::run_until(context_, is_so, limit);
    }

private:
    /// For so many milliseconds its thread does nothing else; -1: for ever, null: it never ends,
    /// and its thread goes on. One module for all of them: who has run one has it at hand for the
    /// next, which then begins at once.
    static constexpr std::string_view module_text = R"(
        export async function run(inputs, { parameters: { ms } }) {
            if (ms === null) await new Promise(() => {});
            const end = ms < 0 ? Infinity : performance.now() + ms;
            while (performance.now() < end) {}
            return { outputs: {} };
        })";
    static const char* parameters_of(Work work) {
        return work == Work::computes ? R"({"ms": 200})"
               : work == Work::loops  ? R"({"ms": -1})"
                                      : R"({"ms": null})";
    }

    static std::vector<ModelSpec> models_of(const ModelSamples& mlp) {
        const auto spec = [&](const char* name, Provider provider) {
            ModelSpec out;
            out.name = name;
            out.file = mlp.file;
            out.providers = {provider};
            const ModelSample& sample = mlp.samples.at(0);
            out.warm_up = WarmUp{sample.inputs, mlp.outputs, sample.outputs};
            return out;
        };
        ModelSpec broken = spec("broken", Provider::wasm);
        broken.file = models_dir / "corrupt.onnx";
        ModelSpec misjudged = spec("misjudged", Provider::wasm);
        misjudged.warm_up->answer = mlp.samples.at(1).outputs;
        return {spec("mlp", Provider::wasm), std::move(broken), std::move(misjudged),
                spec("gpu", Provider::webgpu)};
    }

    static BrowserSpec spec_of(BrowserType type) {
        BrowserSpec spec;
        spec.type = type;
        error_code ec;
        Diagnostics why;
        spec.executable = io::find_browser(spec, ec, why);
        INFO(why.text());
        REQUIRE_FALSE(ec);
        return spec;
    }

    // --- what the pool's driver does with such an action -----------------------------------------

    [[nodiscard]] bool is_current(Generation generation) const {
        return worker_.generation() == generation;
    }
    void on(const core::StartWorker& one) {
        hellos_ = 0;
        worker_.start(one);
    }
    void on(const core::StopWorker& one) { worker_.stop(one.generation, one.graceful); }
    void on(const core::LoadModel& one) { worker_.load_model(one.model); }
    void on(const core::WarmUpModel& one) { worker_.warm_up_model(one.model); }
    void on(const core::SendPing& one) { worker_.ping(one.channel, one.sequence); }
    void on(const core::AskControl& one) { worker_.ask_control(one.question, one.sequence); }
    void on(const core::Dispatch& one) {
        wire::Run run;
        run.id = one.request.value;
        run.attempt = one.attempt;
        if (work_ == Work::infers) {
            run.operation = "inference";
            run.model = models_.at(gpu_model).spec.name;
            run.tensors = mlp_.samples.at(0).inputs;
        } else {
            run.operation = "work";
            run.module_url = io::Bridge::module_path("work");
            run.parameters = parameters_of(work_);
        }
        REQUIRE_FALSE(bridge_.send(WorkerId{0}, wire::Channel::data, run));
    }
    void on(const core::SendCancel& one) {
        REQUIRE_FALSE(bridge_.send(WorkerId{0}, wire::Channel::data,
                                   wire::Cancel{one.request.value, one.attempt}));
    }

    void on_hello(WorkerId, Generation generation, wire::Channel channel,
                  wire::Hello hello) override {
        if (!is_current(generation)) return;
        ++hellos_;
        worker_.on_hello(channel, std::move(hello));
    }
    void on_message(WorkerId id, Generation generation, wire::Channel channel,
                    wire::Message message) override {
        if (!is_current(generation)) return;
        if (channel == wire::Channel::data) worker_.on_sign_of_life();
        const auto replied = [&](const auto& answer, Errc code) {
            events_.emplace_back(
                core::Replied{id, generation, RequestId{answer.id}, answer.attempt, code});
        };
        if (const auto* result = std::get_if<wire::RunResult>(&message);
            result != nullptr && result->attempt != 0)
            return replied(*result, Errc::ok);
        if (const auto* error = std::get_if<wire::RemoteError>(&message);
            error != nullptr && error->attempt != 0)
            return replied(*error, error->code);
        worker_.on_message(channel, std::move(message));
    }
    void on_closed(WorkerId, Generation generation, wire::Channel channel, error_code ec,
                   std::uint16_t close_code) override {
        if (is_current(generation)) worker_.on_closed(channel, ec, close_code);
    }

    // --- what is done to it ----------------------------------------------------------------------

    /// Returns when it has taken hold: which thread hears of a stop first is the kernel's choice, and
    /// the others go on until that one has got a processor.
    void signal(const std::vector<io::BrowserPart>& parts, io::ProcessSignal what) {
        std::vector<int> struck;
        for (const io::BrowserPart part : parts)
            for (const int process : worker_.processes(part))
                if (io::send_signal(process, what)) struck.push_back(process);
        REQUIRE_FALSE(struck.empty());
        if (what != io::ProcessSignal::stop) return;
        for (const int process : struck) {
            const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
            while (!is_stopped(process) && std::chrono::steady_clock::now() < end)
                std::this_thread::yield();
        }
    }

    /// The page has taken it. What it asks of the compute thread is done some time later.
    void run_script(Fault fault) {
        bool is_taken = false;
        worker_.execute(facade::script_of(fault, FaultIntensity::severe),
                        [&](error_code ec, const Diagnostics&) { is_taken = !ec; });
        REQUIRE(wait_until([&] { return is_taken; }, 20s));
    }

    /// By a loop without end, which begins some time after the page has been told.
    void hang(Fault fault, wire::Channel channel) {
        run_script(fault);
        bool does_answer = true;
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
        for (std::uint64_t sequence = 1'000'000;
             does_answer && std::chrono::steady_clock::now() < end; ++sequence) {
            worker_.ping(channel, sequence);
            does_answer = comes(
                core::PongArrived{WorkerId{0}, worker_.generation(), channel, sequence}, 500ms);
        }
        REQUIRE_FALSE(does_answer);
    }

    boost::asio::io_context context_{1};
    boost::asio::any_io_executor strand_{boost::asio::make_strand(context_)};
    io::BrowserNest nest_;
    io::Bridge bridge_{
        strand_, {.frame_bytes_max = 1 << 20, .write_queue_bytes_max = 1 << 20}, *this};
    ModuleFile work_module_{"work", module_text};
    ModelSamples mlp_ = samples_of("mlp");
    facade::ModelRegistry models_{models_of(mlp_)};
    facade::WorkerSurroundings surroundings_{
        strand_,         nest_, bridge_,
        models_,         2s,    [this](const core::Event& event) { events_.push_back(event); },
        [](PoolEvent) {}};
    facade::WorkerDriver worker_;
    Work work_{Work::computes};
    int hellos_{0}; ///< of this life
};

} // namespace everpool::tests
