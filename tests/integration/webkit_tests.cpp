// Pools whose workers are controlled by WebDriver, or turn to it: WebKitGTK, and a browser at an
// endpoint.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/answering_threads.hpp"
#include "everpool/recovery_manager.hpp"
#include "io/browser.hpp"
#include "io/linux/named_threads.hpp"
#include "support/all_models.hpp"
#include "support/catch.hpp"
#include "support/driver_process.hpp"
#include "support/pool_under_test.hpp"
#include "support/temporary_directory.hpp"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using Kind = PoolEvent::Kind;

namespace {

/// CTest reads the words and counts a skipped test as one.
bool is_webkit_here() {
    BrowserSpec webkit;
    webkit.type = BrowserType::webkit;
    error_code ec;
    Diagnostics diagnostics;
    (void)io::find_browser(webkit, ec, diagnostics);
    if (ec) std::printf("skipped: %s\n", diagnostics.text().c_str());
    return !ec;
}

bool is_chromedriver_here() {
    const bool is_there =
        std::filesystem::exists(chromedriver) && std::filesystem::exists(headless_shell);
    if (!is_there) std::puts("skipped: there is no chromedriver");
    return is_there;
}

BrowserSpec webkit_spec() {
    BrowserSpec out;
    out.type = BrowserType::webkit;
    return out;
}

ResourcePoolConfig pool_of(BrowserSpec browser, const ModelSamples& model) {
    ResourcePoolConfig config;
    config.browsers = {std::move(browser)};
    config.models = {spec_of(model, ModelFamily::text)};
    return config;
}

/// 40 inferences, 4 at a time; `fail` is called after 10 answers. All must be right.
template <class Fail>
void run_through(PoolUnderTest& test, const ModelSamples& model, Fail fail) {
    constexpr std::size_t count = 40, outstanding = 4;
    std::vector<std::future<Answer>> answers;
    for (std::size_t i = 0; i < count + outstanding; ++i) {
        if (i < count)
            answers.push_back(test.submit(
                Request::inference(model.name, model.samples[i % model.samples.size()].inputs)));
        if (i < outstanding) continue;
        const std::size_t done = i - outstanding;
        const Answer answer = answers[done].get();
        INFO(answer.result.diagnostics.text());
        REQUIRE_FALSE(answer.ec);
        const auto& expected = model.samples[done % model.samples.size()].outputs;
        CHECK(largest_difference(answer.result.outputs, expected) <= tolerance);
        if (done == 10) fail();
    }
}

/// Once more here, then on another machine: whatever else is installed here is passed over.
class HereThenElsewhere final : public BrowserRecoveryStrategy {
public:
    [[nodiscard]] std::string_view name() const noexcept override { return "here_then_elsewhere"; }
    [[nodiscard]] std::optional<RecoveryRung> next(const RecoverySituation& now) const override {
        return now.tries(RecoveryRung::restart_browser) == 0 ? RecoveryRung::restart_browser
                                                             : RecoveryRung::other_machine;
    }
};

/// Another way to that browser, which can be taken away.
void write_way_to(const std::filesystem::path& browser, const std::filesystem::path& way) {
    std::ofstream(way) << "#!/bin/sh\nexec '" << browser.string() << "' \"$@\"\n";
    std::filesystem::permissions(way, std::filesystem::perms::owner_all);
}

/// A worker that has been recovered.
bool is_back(const PoolEvent& event) {
    return event.kind == Kind::worker_ready && event.generation > Generation{1};
}

} // namespace

TEST_CASE("WebKit echoes, and answers every model rightly on WASM") {
    if (!is_webkit_here()) return;
    // Neither WebGPU nor WebNN is there; the worker finds out and says what it used.
    check_all_models(webkit_spec(), {Provider::webgpu, Provider::webnn, Provider::wasm},
                     Provider::wasm);
    const auto mlp = samples_of("mlp");
    PoolUnderTest test(pool_of(webkit_spec(), mlp));
    test.start();
    const Tensor sent = Tensor::of<float>("x", {3}, {1, 2, 3});
    const Answer answer = test.run(Request::echo({sent}));
    INFO(answer.result.diagnostics.text());
    REQUIRE_FALSE(answer.ec);
    CHECK(largest_difference(answer.result.outputs, {sent}) == 0);
    test.stop();
}

TEST_CASE("a WebKit whose page crashes comes back with a new browser, and loses no answer") {
    if (!is_webkit_here()) return;
    const auto mlp = samples_of("mlp");
    PoolUnderTest test(pool_of(webkit_spec(), mlp));
    test.start();
    const int before = test.pool().snapshot().workers.at(0).process_id;
    run_through(test, mlp, [&] { test.pool().crash_page(WorkerId{0}); });
    const PoolEvent lost =
        test.wait_for([](const PoolEvent& event) { return event.kind == Kind::worker_lost; });
    REQUIRE(lost.failure);
    CHECK(lost.failure->message.find("page process died") != std::string::npos); // not the driver's
    (void)test.wait_for(is_back);
    CHECK(test.pool().snapshot().workers.at(0).process_id != before);
    run_through(test, mlp, [] {});
    test.stop();
}

TEST_CASE(
    "a WebKit's page that hangs is replaced in the same browser, and its process does not stay") {
    if (!is_webkit_here()) return;
    const auto mlp = samples_of("mlp");
    PoolUnderTest test(pool_of(webkit_spec(), mlp));
    test.start();
    const int driver = test.pool().snapshot().workers.at(0).process_id;
    // Not one that is kept ready for the next page.
    std::vector<int> pages = io::members_of_group(driver);
    std::erase_if(pages, [](int process) {
        return proc_file(process, "cmdline").find("WebKitWebProcess") == std::string::npos ||
               !io::has_thread(process, browser::compute_thread(BrowserEngine::webkit));
    });
    REQUIRE(pages.size() == 1);
    run_through(test, mlp, [&] {
        for (const int page : pages) REQUIRE(::kill(page, SIGSTOP) == 0);
    });
    (void)test.wait_for(is_back);
    const auto recoveries = RecoveryManager{test.pool()}.snapshot().last;
    REQUIRE(recoveries.size() == 1);
    CHECK(recoveries[0].cause == "page_hung");
    CHECK(recoveries[0].path.back().rung == RecoveryRung::new_page);
    CHECK(test.pool().snapshot().workers.at(0).process_id == driver);
    const auto is_gone = [](int page) { return proc_file(page, "cmdline").empty(); };
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (!std::ranges::all_of(pages, is_gone) && std::chrono::steady_clock::now() < end)
        run_through(test, mlp, [] {});
    CHECK(std::ranges::all_of(pages, is_gone));
    test.stop();
}

TEST_CASE("a WebKit that is killed comes back, and leaves nothing in the end") {
    if (!is_webkit_here()) return;
    const auto mlp = samples_of("mlp");
    std::vector<int> processes;
    {
        PoolUnderTest test(pool_of(webkit_spec(), mlp));
        test.start();
        const int driver = test.pool().snapshot().workers.at(0).process_id;
        std::vector<int> browsers = io::members_of_group(driver);
        std::erase_if(browsers, [&](int process) {
            return proc_file(process, "cmdline").find("MiniBrowser") == std::string::npos;
        });
        REQUIRE(browsers.size() == 1);
        run_through(test, mlp, [&] { REQUIRE(::kill(browsers[0], SIGKILL) == 0); });
        (void)test.wait_for(is_back);
        // Its page dies with it, and that is not what is told. (Its connections may be first.)
        const PoolEvent lost =
            test.wait_for([](const PoolEvent& event) { return event.kind == Kind::worker_lost; });
        CHECK(lost.detail != "page_crashed");
        const auto recoveries = RecoveryManager{test.pool()}.snapshot().last;
        REQUIRE(recoveries.size() == 1);
        CHECK(recoveries[0].cause == "process_exited");
        CHECK(recoveries[0].path.back().rung == RecoveryRung::restart_browser);
        processes = processes_of(nest_of(test.pool().snapshot().workers.at(0).process_id));
        REQUIRE_FALSE(processes.empty());
        run_through(test, mlp, [] {});
        test.stop();
    }
    for (const int process : processes) {
        CAPTURE(process);
        CHECK(proc_file(process, "cmdline").empty());
    }
}

TEST_CASE("a pool works through a WebDriver endpoint, and recovers there") {
    if (!is_chromedriver_here()) return;
    DriverProcess driver;
    const auto mlp = samples_of("mlp");
    {
        PoolUnderTest test(pool_of(driver.spec(), mlp));
        test.start();
        const Tensor sent = Tensor::of<float>("x", {3}, {1, 2, 3});
        CHECK_FALSE(test.run(Request::echo({sent})).ec);
        run_through(test, mlp, [&] { test.pool().crash_page(WorkerId{0}); });
        (void)test.wait_for(is_back);
        run_through(test, mlp, [&] {
            for (const int process : driver.browsers()) ::kill(process, SIGKILL);
        });
        test.stop();
    }
    CHECK(driver.browsers().empty());
}

TEST_CASE("a worker whose browser cannot be started any more goes on at an endpoint") {
    if (!is_chromedriver_here()) return;
    DriverProcess driver;
    const TemporaryDirectory directory;
    const std::filesystem::path way = directory.path / "browser";
    write_way_to(headless_shell, way);
    BrowserSpec here;
    here.executable = way;
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config = pool_of(here, mlp);
    config.remote_alternatives = {driver.spec()};
    config.fault_tolerance.recovery_strategy = RecoveryStrategy::custom;
    config.fault_tolerance.custom_strategy = std::make_shared<HereThenElsewhere>();
    {
        PoolUnderTest test(config);
        test.start();
        CHECK(driver.browsers().empty());
        const int before = test.pool().snapshot().workers.at(0).process_id;
        run_through(test, mlp, [&] {
            std::filesystem::remove(way);
            REQUIRE(::kill(before, SIGKILL) == 0);
        });
        (void)test.wait_for(is_back);
        CHECK_FALSE(driver.browsers().empty());
        CHECK(test.pool().snapshot().workers.at(0).process_id == 0); // not this host's
        RecoveryManager recovery(test.pool());
        const auto last = recovery.snapshot().last;
        REQUIRE(last.size() == 1);
        INFO(last.front().text());
        CHECK(last.front().outcome == RecoveryOutcome::recovered);
        CHECK(last.front().path.back().rung == RecoveryRung::other_machine);
        run_through(test, mlp, [] {});
        test.stop();
    }
    CHECK(driver.browsers().empty());
}
