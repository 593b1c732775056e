// The main job, end to end, on real browsers: two Chromiums and one Firefox run three models, 600
// inferences at 16 outstanding. After 200 answers a busy browser is killed, after 400 a page is
// crashed. Exit status 0 only if 600 of 600 answers are right, none lost, none twice.
// SPDX-License-Identifier: BSL-1.0
#include "demo_report.hpp"
#include "support/model_samples.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <everpool/everpool.hpp>

#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>

namespace demo {

using namespace everpool;
using Kind = PoolEvent::Kind;

constexpr std::size_t request_total = 600;
constexpr std::size_t outstanding_max = 16;
constexpr std::size_t kill_after = 200;
constexpr std::size_t crash_after = 400;
constexpr double tolerance = 1e-4;
constexpr auto restore_timeout = std::chrono::seconds{60};

using Sample = tests::ModelSample;

struct Model {
    ModelSpec spec; ///< with the first sample as warm-up
    std::vector<Sample> samples;
};

Model load_model(const std::filesystem::path& directory, const char* name, ModelFamily family,
                 std::vector<Provider> providers) {
    tests::ModelSamples about = tests::load_model_samples(directory, name);
    Model model;
    model.spec.name = name;
    model.spec.file = about.file;
    model.spec.family = family;
    model.spec.providers = std::move(providers);
    model.spec.warm_up =
        WarmUp{about.samples.at(0).inputs, about.outputs, about.samples.at(0).outputs};
    model.samples = std::move(about.samples);
    return model;
}

class Demo {
public:
    Demo(boost::asio::io_context& context, const std::filesystem::path& models)
        : models_{load_model(models, "mlp", ModelFamily::text, {Provider::webgpu, Provider::wasm}),
                  load_model(models, "small_cnn", ModelFamily::vision, {Provider::wasm}),
                  load_model(models, "audio_conv", ModelFamily::audio, {Provider::wasm})},
          pool_(context.get_executor(), config()),
          patience_(context) {}

    void start() {
        std::printf("starting 2 Chromium and 1 Firefox, loading 3 models ...\n");
        std::fflush(stdout);
        pool_.async_start([this](error_code ec, StartReport report) {
            if (ec || report.workers_ready < 3) {
                std::fprintf(stderr, "start: %s: %s\n", ec.message().c_str(),
                             report.diagnostics.text().c_str());
                return stop();
            }
            for (std::size_t i = 0; i < outstanding_max; ++i) submit();
        });
    }

    /// True if everything that the demo promises was kept.
    [[nodiscard]] bool report() const {
        report_.print_table();
        Report::print_timeline(faults_);
        std::size_t lost = 0, twice = 0;
        for (const unsigned count : completions_) {
            lost += count == 0;
            twice += count > 1;
        }
        const std::size_t right = answers_ - wrong_ - failed_;
        bool restored = faults_.size() == 2;
        for (const Fault& fault : faults_) restored = restored && fault.restored;
        std::printf("\n%zu of %zu answers right, %zu wrong, %zu failed, %zu lost, %zu twice\n",
                    right, request_total, wrong_, failed_, lost, twice);
        return right == request_total && lost == 0 && twice == 0 && restored;
    }

private:
    ResourcePoolConfig config() {
        ResourcePoolConfig out;
        out.browsers = {{.type = BrowserType::chromium, .count = 2},
                        {.type = BrowserType::firefox, .count = 1}};
        for (const Model& model : models_) out.models.push_back(model.spec);
        out.on_event = [this](const PoolEvent& event) { on_event(event); };
        return out;
    }

    void submit() {
        if (submitted_ == request_total) return;
        const std::size_t number = submitted_++;
        const Model& model = models_[number % models_.size()];
        const Sample& sample = model.samples[number / models_.size() % model.samples.size()];
        pool_.async_run(Request::inference(model.spec.name, sample.inputs),
                        [this, number, &model, &sample](error_code ec, Result result) {
                            on_answer(number, model, sample, ec, result);
                        });
    }

    void on_answer(std::size_t number, const Model& model, const Sample& sample, error_code ec,
                   const Result& result) {
        if (++completions_[number] > 1) return;
        ++answers_;
        const TimePoint now = std::chrono::steady_clock::now();
        for (Fault& fault : faults_)
            if (fault.detected && !fault.first_answer) fault.first_answer = now;
        if (ec) {
            ++failed_;
            std::fprintf(stderr, "request %zu: %s: %s\n", number, ec.message().c_str(),
                         result.diagnostics.text().c_str());
        } else {
            // Outputs that are missing or not numbers make the difference infinite, not small.
            const bool wrong =
                !(tests::largest_difference(result.outputs, sample.outputs) <= tolerance);
            wrong_ += wrong;
            report_.count(model.spec.name, result, wrong);
        }
        report_.progress(answers_, ready_);
        if (answers_ == kill_after) kill_browser();
        if (answers_ == crash_after) crash_page();
        if (answers_ < request_total) return submit();
        patience_.expires_after(restore_timeout);
        patience_.async_wait([this](error_code) { stop(); });
        stop_if_done();
    }

    Fault& begin_fault(const char* what) {
        Fault fault;
        fault.what = what;
        for (const WorkerSnapshot& worker : pool_.snapshot().workers) {
            if (worker.state != WorkerState::ready || worker.in_flight <= fault.in_flight) continue;
            fault.worker = worker.worker;
            fault.browser = worker.browser;
            fault.in_flight = worker.in_flight;
        }
        fault.at = std::chrono::steady_clock::now();
        return faults_.emplace_back(fault);
    }

    void kill_browser() {
        const Fault& fault = begin_fault("SIGKILL of the browser process");
        if (fault.worker.is_none()) return;
        ::kill(pool_.snapshot().workers.at(fault.worker.value).process_id, SIGKILL);
    }

    void crash_page() {
        const Fault& fault = begin_fault("crash of the page");
        if (!fault.worker.is_none()) pool_.crash_page(fault.worker);
    }

    void on_event(const PoolEvent& event) {
        ready_ = 0;
        for (const WorkerSnapshot& worker : pool_.snapshot().workers)
            ready_ += worker.state == WorkerState::ready;
        for (Fault& fault : faults_) {
            if (fault.restored) continue;
            if (event.worker != fault.worker) continue;
            if (event.kind == Kind::worker_lost && !fault.detected) {
                fault.detected = event.at;
                fault.seen_as = event.detail;
            }
            if (event.kind == Kind::worker_ready && fault.detected) fault.restored = event.at;
        }
        if (event.kind == Kind::request_redispatched) note_redispatch();
        if (event.kind == Kind::worker_failed || event.kind == Kind::model_rejected)
            std::fprintf(stderr, "worker %u: %s\n", event.worker.value,
                         event.diagnostics.text().c_str());
        stop_if_done();
    }

    /// The event names the new worker; what is given again was held by the latest one lost.
    void note_redispatch() {
        for (auto fault = faults_.rbegin(); fault != faults_.rend(); ++fault)
            if (fault->detected) {
                ++fault->redispatched;
                return;
            }
    }

    void stop_if_done() {
        if (answers_ < request_total) return;
        for (const Fault& fault : faults_)
            if (!fault.worker.is_none() && !fault.restored) return;
        stop();
    }

    void stop() {
        if (std::exchange(stopping_, true)) return;
        patience_.cancel();
        pool_.async_stop([](error_code) {});
    }

    std::vector<Model> models_;
    ResourcePool pool_;
    boost::asio::steady_timer patience_;
    Report report_{request_total};
    std::vector<Fault> faults_;
    std::vector<unsigned> completions_ = std::vector<unsigned>(request_total);
    std::size_t submitted_{0}, answers_{0}, wrong_{0}, failed_{0}, ready_{0};
    bool stopping_{false};
};

} // namespace demo

int main(int argc, char** argv) try {
    if (argc > 1 && std::strcmp(argv[1], "--help") == 0) {
        std::printf("usage: demo [MODELS]\n\n"
                    "Runs 600 inferences on two Chromiums and one Firefox, kills a browser after\n"
                    "200 answers and crashes a page after 400. Exit status 0 if all are right.\n\n"
                    "MODELS  directory with models.json, default " EVERPOOL_MODELS_DIR "\n");
        return 0;
    }
    boost::asio::io_context context{1};
    demo::Demo demo{context, argc > 1 ? argv[1] : EVERPOOL_MODELS_DIR};
    demo.start();
    context.run();
    return demo.report() ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "demo: %s\n", error.what());
    return 1;
}
