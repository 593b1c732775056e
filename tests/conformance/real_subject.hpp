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

#include <chrono>
#include <cstdint>
#include <optional>
#include <thread>
#include <vector>

namespace everpool::tests {

class RealSubject final : public WorkerSubject, io::BridgeListener {
public:
    explicit RealSubject(BrowserType type) : worker_{WorkerId{0}, {spec_of(type)}, surroundings_} {
        REQUIRE_FALSE(bridge_.listen());
        bridge_.add_model("mlp", mlp_.file);
        bridge_.add_module("busy", busy_.file());
        Diagnostics why;
        REQUIRE_FALSE(models_.check_files(why));
    }

    void perform(const core::Action& action) override {
        std::visit(
            [this](const auto& one) {
                if constexpr (requires { this->on(one); }) on(one);
            },
            action);
    }

    bool strike(Trouble trouble) override {
        using enum Trouble;
        switch (trouble) {
        case compute_hangs: return hang(Fault::worker_loop, wire::Channel::data);
        case page_hangs: return hang(Fault::main_loop, wire::Channel::control);
        case page_stops: return signal({io::BrowserPart::page}, io::ProcessSignal::stop);
        case network_stops: return signal({io::BrowserPart::network}, io::ProcessSignal::stop);
        case browser_stops: // of others it stops the network as well
            return is_chromium_family(worker_.spec().type) &&
                   signal({io::BrowserPart::browser}, io::ProcessSignal::stop);
        case all_stops:
            return signal({io::BrowserPart::browser, io::BrowserPart::network,
                           io::BrowserPart::page, io::BrowserPart::gpu},
                          io::ProcessSignal::stop);
        case page_dies: return signal({io::BrowserPart::page}, io::ProcessSignal::kill);
        case browser_dies: return signal({io::BrowserPart::browser}, io::ProcessSignal::kill);
        case memory_ends: // none that every engine and machine can be made to have; what pages and
        case device_goes: // drivers make of these is tested in tests/web and tests/integration
        case context_goes:
        case software_only:
        case slows_down: break;
        }
        return false;
    }

    bool wait_until(const std::function<bool()>& is_so, Duration limit) override {
        return tests::run_until(context_, is_so, limit);
    }

private:
    /// Computes, and does nothing else, for a fifth of a second.
    class BusyModule : public ModuleFile {
    public:
        BusyModule()
            : ModuleFile("busy", R"(
                export async function run() {
                    const end = performance.now() + 200;
                    while (performance.now() < end) {}
                    return { outputs: {} };
                })") {}
    };

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
    void on(const core::StartWorker& one) { worker_.start(one); }
    void on(const core::StopWorker& one) { worker_.stop(one.generation, one.graceful); }
    void on(const core::LoadModel& one) { worker_.load_model(one.model); }
    void on(const core::WarmUpModel& one) { worker_.warm_up_model(one.model); }
    void on(const core::SendPing& one) { worker_.ping(one.channel, one.sequence); }
    void on(const core::AskControl& one) { worker_.ask_control(one.question, one.sequence); }
    void on(const core::Dispatch& one) {
        wire::Run run;
        run.id = one.request.value;
        run.attempt = one.attempt;
        run.operation = "busy";
        run.module_url = io::Bridge::module_path("busy");
        REQUIRE_FALSE(bridge_.send(WorkerId{0}, wire::Channel::data, run));
    }
    void on(const core::SendCancel& one) {
        REQUIRE_FALSE(bridge_.send(WorkerId{0}, wire::Channel::data,
                                   wire::Cancel{one.request.value, one.attempt}));
    }

    void on_hello(WorkerId, Generation generation, wire::Channel channel,
                  wire::Hello hello) override {
        if (is_current(generation)) worker_.on_hello(channel, std::move(hello));
    }
    void on_message(WorkerId id, Generation generation, wire::Channel channel,
                    wire::Message message) override {
        if (!is_current(generation)) return;
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
    bool signal(const std::vector<io::BrowserPart>& parts, io::ProcessSignal what) {
        std::vector<int> struck;
        for (const io::BrowserPart part : parts)
            for (const int process : worker_.processes(part))
                if (io::send_signal(process, what)) struck.push_back(process);
        if (what == io::ProcessSignal::stop)
            for (const int process : struck) {
                const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{20};
                while (!is_stopped(process) && std::chrono::steady_clock::now() < end)
                    std::this_thread::yield();
            }
        return !struck.empty();
    }

    /// By a loop without end, which begins some time after the page has been told.
    bool hang(Fault fault, wire::Channel channel) {
        bool is_taken = false;
        worker_.execute(facade::script_of(fault, FaultIntensity::severe),
                        [&](error_code ec, const Diagnostics&) { is_taken = !ec; });
        if (!wait_until([&] { return is_taken; }, 20s)) return false;
        for (std::uint64_t sequence = 1'000'000; sequence < 1'000'100; ++sequence) {
            worker_.ping(channel, sequence);
            if (!comes(core::PongArrived{WorkerId{0}, worker_.generation(), channel, sequence},
                       500ms))
                return true;
        }
        return false;
    }

    boost::asio::io_context context_{1};
    boost::asio::any_io_executor strand_{boost::asio::make_strand(context_)};
    io::BrowserNest nest_;
    io::Bridge bridge_{
        strand_, {.frame_bytes_max = 1 << 20, .write_queue_bytes_max = 1 << 20}, *this};
    BusyModule busy_;
    ModelSamples mlp_ = samples_of("mlp");
    facade::ModelRegistry models_{{ModelSpec{
        .name = "mlp",
        .file = mlp_.file,
        .providers = {Provider::wasm},
        .warm_up = WarmUp{mlp_.samples.at(0).inputs, mlp_.outputs, mlp_.samples.at(0).outputs}}}};
    facade::WorkerSurroundings surroundings_{
        strand_,         nest_, bridge_,
        models_,         2s,    [this](const core::Event& event) { events_.push_back(event); },
        [](PoolEvent) {}};
    facade::WorkerDriver worker_;
};

} // namespace everpool::tests
