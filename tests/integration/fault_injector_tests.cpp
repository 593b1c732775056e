// Faults on order, to real browsers under load: no answer lost, none twice, none wrong, and the
// worker comes back.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/failure_classification.hpp"
#include "everpool/fault_injector.hpp"
#include "everpool/recovery_manager.hpp"
#include "support/busy_customer.hpp"
#include "support/catch.hpp"
#include "support/pool_under_test.hpp"
#include "support/test_models.hpp"

#include <boost/asio/use_future.hpp>

#include <cstdlib>
#include <filesystem>
#include <tuple>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using Kind = PoolEvent::Kind;

namespace {

ResourcePoolConfig pool_of(const BrowserSpec& browser, const ModelSamples& model,
                           std::vector<Provider> providers) {
    ResourcePoolConfig config;
    config.browsers = {browser};
    config.browsers.at(0).count = 2;
    config.models = {spec_of(model, ModelFamily::text, std::move(providers))};
    // One pool suffers many faults in a row here, which are no sign that it should be left alone.
    config.restart_delay_min = config.restart_delay_max = 10ms;
    return config;
}

/// A pool that is broken again and again while a customer asks it.
class Drill {
public:
    Drill(const BrowserSpec& browser, std::vector<Provider> providers, Duration start_timeout = 60s)
        : test_(with(pool_of(browser, model_, std::move(providers)), start_timeout)) {
        test_.start();
        customer_ = std::make_unique<BusyCustomer>(test_, model_, 8);
        REQUIRE(customer_->is_served());
    }
    ~Drill() {
        customer_.reset();
        test_.stop();
    }

    [[nodiscard]] PoolUnderTest& test() noexcept { return test_; }

    std::pair<error_code, FaultReport> inject(const FaultOrder& order) {
        return test_.inject(order);
    }

    /// Injects, and waits until a worker that was lost is ready again, and callers are served.
    void survive(const FaultOrder& order) {
        INFO(name_of(order.fault) << ' ' << name_of(order.intensity));
        const std::size_t lost_before = test_.count_of(Kind::worker_lost);
        const auto [ec, report] = inject(order);
        INFO(report.text << ' ' << report.diagnostics.text());
        REQUIRE_FALSE(ec);
        CHECK_FALSE(report.text.empty());
        test_.wait_until(
            [&](const std::vector<PoolEvent>& events) { return is_back(events, lost_before); });
        is_served();
    }

    /// Injects what no recovery need notice.
    void endure(const FaultOrder& order) {
        INFO(name_of(order.fault) << ' ' << name_of(order.intensity));
        const auto [ec, report] = inject(order);
        INFO(report.diagnostics.text());
        REQUIRE_FALSE(ec);
        is_served();
    }

    void is_served(std::uint64_t answers = 20) {
        const bool is_fine = customer_->is_served(answers);
        INFO(customer_->trouble());
        CHECK(is_fine);
    }

private:
    static ResourcePoolConfig with(ResourcePoolConfig config, Duration start_timeout) {
        // Of a page as well: how soon it is back is scenario_recovery's to measure.
        config.start_timeout = config.page_start_timeout = start_timeout;
        return config;
    }

    /// More losses than before, and each worker that was ever lost has become ready since.
    static bool is_back(const std::vector<PoolEvent>& events, std::size_t lost_before) {
        std::size_t lost = 0;
        std::array<bool, 2> is_ready{true, true};
        for (const PoolEvent& event : events) {
            if (event.kind == Kind::worker_lost) {
                ++lost;
                is_ready.at(event.worker.value) = false;
            }
            if (event.kind == Kind::worker_ready) is_ready.at(event.worker.value) = true;
        }
        return lost > lost_before && is_ready[0] && is_ready[1];
    }

    const ModelSamples model_ = samples_of("mlp");
    PoolUnderTest test_;
    std::unique_ptr<BusyCustomer> customer_;
};

BrowserSpec of(BrowserType type) {
    BrowserSpec out;
    out.type = type;
    return out;
}

constexpr FaultOrder on_first(Fault fault, FaultIntensity intensity = FaultIntensity::severe) {
    return {.fault = fault, .worker = WorkerId{0}, .intensity = intensity};
}

const std::vector<Provider> wasm{Provider::wasm}, webgpu{Provider::webgpu};

} // namespace

// In the long form is what scenario_recovery has in ctest: all of Chromium's, six of Firefox's.
TEST_CASE("faults that end something cost no answer", "[.long]") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    Drill drill(of(type), wasm);
    for (const Fault fault :
         {Fault::page_reload, Fault::page_navigate, Fault::socket_drop, Fault::page_crash,
          Fault::renderer_kill, Fault::browser_kill, Fault::all_browsers_kill})
        drill.survive(on_first(fault));
    if (type == BrowserType::chromium) drill.survive(on_first(Fault::network_service_kill));
}

TEST_CASE("a page that dies is reloaded, and the second sign of its death is no second failure") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    Drill drill(of(type), wasm);
    for (int i = 0; i < 4; ++i) drill.survive(on_first(Fault::renderer_kill));
    RecoveryManager recovery{drill.test().pool()};
    for (const RecoveryRecord& record : recovery.snapshot().last) {
        INFO(record.text());
        REQUIRE(record.path.size() == 1);
        CHECK(record.path[0].rung == RecoveryRung::reload_page);
    }
}

TEST_CASE("faults that hang something are found, and cost no answer", "[.long]") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    Drill drill(of(type), wasm);
    for (const Fault fault :
         {Fault::main_loop, Fault::worker_loop, Fault::renderer_stop, Fault::browser_stop})
        drill.survive(on_first(fault));
    if (type == BrowserType::chromium) drill.survive(on_first(Fault::network_service_stop));
}

TEST_CASE("a fault that passes by itself is waited out") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    Drill drill(of(type), wasm);
    using enum FaultIntensity;
    for (const Fault fault :
         {Fault::main_loop, Fault::worker_loop, Fault::renderer_stop, Fault::browser_stop})
        drill.endure(on_first(fault, mild));
    drill.endure(on_first(Fault::slow, mild));
    CHECK(drill.test().count_of(Kind::worker_lost) == 0);
    drill.endure(on_first(Fault::slow, moderate));
}

TEST_CASE("a page that hardly runs any more is found by how long its answers take", "[.long]") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    Drill drill(of(type), wasm);
    const auto known = std::chrono::steady_clock::now() + 6s; // how long they usually take
    while (std::chrono::steady_clock::now() < known) drill.is_served(100);
    drill.survive(on_first(Fault::slow));
    const PoolEvent lost = drill.test().wait_for(
        [](const PoolEvent& event) { return event.kind == Kind::worker_lost; });
    CHECK(lost.detail == "slow");
}

TEST_CASE("a launch that fails is tried again", "[.long]") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    Drill drill(of(type), wasm, 8s);
    FaultOrder order = on_first(Fault::launch_failure);
    using enum LaunchFailure;
    for (const LaunchFailure how : {bad_path, crash_at_start}) {
        order.launch_failure = how;
        drill.survive(order);
    }
    order.launch_failure = never_answers;
    order.intensity = FaultIntensity::mild;
    drill.survive(order);
}

TEST_CASE("a fault that strikes a recovery is recovered from as well", "[.long]") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    Drill drill(of(type), wasm);
    drill.survive(on_first(Fault::cascade, FaultIntensity::mild));
    drill.survive(on_first(Fault::cascade));
}

TEST_CASE("a page that takes all memory costs no answer", "[.long]") {
    Drill drill(of(BrowserType::chromium), wasm);
    drill.endure(on_first(Fault::oom, FaultIntensity::mild));
    drill.survive(on_first(Fault::oom));
}

TEST_CASE("the loss of the GPU costs no answer, the twelfth time as the first", "[.long]") {
    Drill drill(of(BrowserType::chromium), webgpu);
    drill.survive(on_first(Fault::gpu_kill));
    drill.survive(on_first(Fault::device_destroy));
    drill.survive(on_first(Fault::gpu_kill_repeated));
    CHECK(drill.test().count_of(Kind::worker_lost) >= 14);
}

TEST_CASE("a device that is destroyed costs no answer in Firefox", "[.long]") {
    Drill drill(of(BrowserType::firefox), webgpu);
    drill.survive(on_first(Fault::device_destroy));
}

TEST_CASE("an endless shader is found by its deadline, and no browser is restarted for it",
          "[.long]") {
    Drill drill(of(BrowserType::chromium), webgpu);
    const auto browsers = [&] {
        std::vector<int> out;
        for (const WorkerSnapshot& worker : drill.test().pool().snapshot().workers)
            out.push_back(worker.process_id);
        return out;
    };
    const std::vector<int> before = browsers();
    drill.survive(on_first(Fault::gpu_hang));
    const PoolEvent lost = drill.test().wait_for(
        [](const PoolEvent& event) { return event.kind == Kind::worker_lost; });
    CHECK(lost.detail == "gpu_hung");
    CHECK(browsers() == before);
}

TEST_CASE("the loss of a WebNN context costs no answer") {
    const char* browser = std::getenv("EVERPOOL_WEBNN_BROWSER");
    if (browser == nullptr || !std::filesystem::exists(browser)) {
        SUCCEED("no browser with WebNN is here");
        return;
    }
    BrowserSpec spec = of(BrowserType::chromium);
    spec.executable = browser;
    Drill drill(spec, {Provider::webnn});
    drill.survive(on_first(Fault::context_lost));
    drill.survive(on_first(Fault::gpu_kill));
}

TEST_CASE("a page that gives wrong numbers does so until it is recovered") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config = pool_of(of(type), mlp, wasm);
    config.browsers.at(0).count = 1;
    PoolUnderTest test(config);
    test.start();
    const auto difference = [&] {
        const Answer answer = test.run(Request::inference("mlp", mlp.samples[1].inputs));
        REQUIRE_FALSE(answer.ec);
        return largest_difference(answer.result.outputs, mlp.samples[1].outputs);
    };
    CHECK(difference() <= 1e-4);
    REQUIRE_FALSE(test.inject(on_first(Fault::wrong_answer, FaultIntensity::moderate)).first);
    // It takes effect a moment later; once it has, no answer is right any more.
    for (int i = 0; i < 1000 && difference() <= 1e-3; ++i) {}
    for (int i = 0; i < 10; ++i) CHECK(difference() > 1e-3);

    RecoveryManager recovery{test.pool()};
    (void)recovery
        .async_recover(WorkerId{0}, categorize_browser_failure(WrongAnswer{}, {}),
                       boost::asio::use_future)
        .get();
    CHECK(difference() <= 1e-4);
    test.stop();
}

TEST_CASE("what cannot be done is refused with the reason") {
    Drill drill(of(BrowserType::firefox), wasm);
    for (const Fault fault : {Fault::gpu_kill, Fault::gpu_kill_repeated, Fault::context_lost,
                              Fault::network_service_kill, Fault::network_service_stop}) {
        INFO(name_of(fault));
        const auto [ec, report] = drill.inject(on_first(fault));
        CHECK(ec == Errc::invalid_request);
        CHECK(report.diagnostics.message.find("worker 0 is a firefox, which has no") == 0);
        CHECK(report.processes.empty());
    }
    const auto [host, why] = drill.inject(on_first(Fault::host_kill));
    CHECK(host == Errc::invalid_request);
    CHECK(why.diagnostics.message.find("host") != std::string::npos);
    const auto [nobody, none] = drill.inject({.fault = Fault::browser_kill, .worker = WorkerId{7}});
    CHECK(nobody == Errc::invalid_request);
    CHECK(drill.test().count_of(Kind::worker_lost) == 0);
}

TEST_CASE("a pool that does not run is not broken") {
    const auto mlp = samples_of("mlp");
    PoolUnderTest test(pool_of(of(BrowserType::chromium), mlp, wasm));
    CHECK(test.inject(on_first(Fault::browser_kill)).first == Errc::pool_not_running);
}
