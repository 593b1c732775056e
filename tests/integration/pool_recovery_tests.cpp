// How a pool recovers: by which rung, with which settings, and what it says of the failure.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/failure_classification.hpp"
#include "everpool/recovery_manager.hpp"
#include "io/linux/process_group.hpp"
#include "support/catch.hpp"
#include "support/one_rung.hpp"
#include "support/pool_under_test.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/use_future.hpp>

#include <signal.h>

#include <future>

using namespace everpool;
using namespace everpool::tests;
using Kind = PoolEvent::Kind;

namespace {

/// The worker is ready again, in a later life than that one.
PoolEvent wait_until_ready(PoolUnderTest& test, Generation lost) {
    return test.wait_for([&](const PoolEvent& event) {
        return event.kind == Kind::worker_ready && event.generation > lost;
    });
}

std::string command_line(PoolUnderTest& test) {
    return io::command_line_of(test.pool().snapshot().workers.at(0).process_id);
}

/// A pool that has one way only to recover a worker.
ResourcePoolConfig that_adjusts() {
    ResourcePoolConfig out;
    out.fault_tolerance.recovery_strategy = RecoveryStrategy::custom;
    out.fault_tolerance.custom_strategy = std::make_shared<OneRung>(RecoveryRung::restart_adjusted);
    return out;
}

} // namespace

TEST_CASE("a restart with adjusted settings has them, milder ones first") {
    PoolUnderTest test(that_adjusts());
    test.start();
    RecoveryManager recovery(test.pool());
    const BrowserFailure failure = categorize_browser_failure(LatencyDrift{}, {});
    const std::string mild = "--disable-gpu-vsync", strong = "--enable-low-end-device-mode";
    CHECK(command_line(test).find(mild) == std::string::npos);
    for (const bool is_second : {false, true}) {
        const RecoveryRecord record =
            recovery.async_recover(WorkerId{0}, failure, boost::asio::use_future).get();
        CHECK(record.outcome == RecoveryOutcome::recovered);
        REQUIRE(record.path.size() == 1);
        CHECK(record.path.at(0).rung == RecoveryRung::restart_adjusted);
        CHECK(command_line(test).find(mild) != std::string::npos);
        CHECK((command_line(test).find(strong) != std::string::npos) == is_second);
    }
    const RecoverySnapshot snapshot = recovery.snapshot();
    CHECK(snapshot.strategy == "one_rung");
    CHECK(snapshot.of(RecoveryStrategy::custom).successes == 2);
    test.stop();
}

// Against a lost GPU the first set of Chromium's settings is empty, and would change nothing.
TEST_CASE("the first restart with adjusted settings after a lost GPU is on the processor") {
    PoolUnderTest test(that_adjusts());
    test.start();
    RecoveryManager recovery(test.pool());
    const RecoveryRecord record =
        recovery
            .async_recover(WorkerId{0}, categorize_browser_failure(DeviceLost{}, {}),
                           boost::asio::use_future)
            .get();
    REQUIRE(record.path.size() == 1);
    CHECK(record.path.at(0).rung == RecoveryRung::restart_adjusted);
    CHECK(command_line(test).find("--use-webgpu-adapter=swiftshader") != std::string::npos);
    test.stop();
}

TEST_CASE("a failure is classified, and is known again by its fingerprint") {
    PoolUnderTest test(ResourcePoolConfig{});
    test.start();
    std::vector<BrowserFailure> failures;
    for (int i = 0; i < 2; ++i) {
        const Generation generation = test.pool().snapshot().workers.at(0).generation;
        REQUIRE(::kill(test.pool().snapshot().workers.at(0).process_id, SIGKILL) == 0);
        const PoolEvent lost = test.wait_for([&](const PoolEvent& event) {
            return event.kind == Kind::worker_lost && event.generation == generation;
        });
        REQUIRE(lost.failure);
        failures.push_back(*lost.failure);
        (void)wait_until_ready(test, generation);
    }
    // Its connections may close before its exit is seen; whichever came first is what is told.
    for (const BrowserFailure& failure : failures) {
        CAPTURE(failure.message);
        const bool has_crashed = failure.category == BrowserFailureCategory::crash;
        CHECK((has_crashed || failure.category == BrowserFailureCategory::connection));
        CHECK(failure.fingerprint.value != 0);
        CHECK(failure.message.find("chromium") != std::string::npos);
    }
    if (failures[0].evidence == failures[1].evidence)
        CHECK(failures[0].fingerprint == failures[1].fingerprint);
    const FailureContext elsewhere{.browser = BrowserType::chromium, .version = "1.0"};
    CHECK(categorize_browser_failure(failures[0].evidence, elsewhere).fingerprint ==
          failures[0].fingerprint);
    test.stop();
}

TEST_CASE("who cancels its wait for a recovery is told so, and the recovery goes on") {
    PoolUnderTest test(ResourcePoolConfig{});
    test.start();
    RecoveryManager recovery(test.pool());
    const Generation before = test.pool().snapshot().workers.at(0).generation;
    boost::asio::cancellation_signal signal;
    std::promise<error_code> told;
    recovery.async_recover(
        WorkerId{0}, categorize_browser_failure(ProcessExited{}, {}),
        boost::asio::bind_cancellation_slot(
            signal.slot(), [&](error_code ec, const RecoveryRecord&) { told.set_value(ec); }));
    signal.emit(boost::asio::cancellation_type::terminal);
    CHECK(told.get_future().get() == Errc::cancelled);
    (void)wait_until_ready(test, before);
    CHECK(recovery.snapshot().total.successes == 1);
    test.stop();
}
