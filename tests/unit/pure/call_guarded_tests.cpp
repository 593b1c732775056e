// SPDX-License-Identifier: BSL-1.0
#include "breaker_rig.hpp"
#include "everpool/call_guarded.hpp"

#include <stdexcept>

using namespace everpool;
using namespace everpool::test;

namespace {

const auto judge = judged_by([](int status) { return outcome_if(status < 500); },
                             [](std::exception_ptr error) {
                                 try {
                                     std::rethrow_exception(error);
                                 } catch (const std::invalid_argument&) {
                                     return Outcome::ignored;
                                 } catch (...) {
                                     return Outcome::failure;
                                 }
                             });

} // namespace

TEST_CASE("a predicate over results decides which answers are failures") {
    BreakerRig rig;
    const auto call = [&](int status) {
        return call_guarded(
            rig.breaker, [&] { return rig.now; }, judge, [&] { return status; });
    };
    CHECK(call(200) == 200);
    CHECK(call(404) == 404);
    for (int i = 0; i < 5; ++i) CHECK(call(503) == 503);
    CHECK(rig.state() == BreakerState::open);
    CHECK_FALSE(call(200));
    CHECK(rig.stats().totals == CallCounts{.successes = 2, .failures = 5});
}

TEST_CASE("a predicate over errors decides which exceptions are; all of them are thrown on") {
    BreakerRig rig;
    const auto call = [&](auto error) {
        return call_guarded(
            rig.breaker, [&] { return rig.now; }, judge, [&]() -> int { throw error; });
    };
    CHECK_THROWS_AS(call(std::invalid_argument("mine")), std::invalid_argument);
    CHECK_THROWS_AS(call(std::runtime_error("theirs")), std::runtime_error);
    CHECK(rig.stats().ignored == 1);
    CHECK(rig.stats().totals.failures == 1);
}

TEST_CASE("a call that returns nothing has succeeded if it has not thrown") {
    BreakerRig rig;
    const auto call = [&](bool is_good) {
        return call_guarded(
            rig.breaker, [&] { return rig.now; }, judge,
            [&] {
                if (!is_good) throw std::runtime_error("theirs");
            });
    };
    CHECK(call(true));
    CHECK(rig.stats().totals == CallCounts{.successes = 1});
    CHECK_THROWS_AS(call(false), std::runtime_error);
    CHECK(rig.stats().totals == CallCounts{.successes = 1, .failures = 1});
    rig.breaker.force_open(rig.now);
    CHECK_FALSE(call(true));
}

TEST_CASE("a predicate that throws costs a permit and nothing else") {
    BreakerRig rig;
    const auto confused = judged_by([](int) -> Outcome { throw std::logic_error("confused"); },
                                    [](std::exception_ptr) { return Outcome::failure; });
    CHECK_THROWS_AS(call_guarded(
                        rig.breaker, [&] { return rig.now; }, confused, [] { return 1; }),
                    std::logic_error);
    CHECK(rig.stats().abandoned == 1);
    CHECK(rig.stats().totals == CallCounts{});
}

TEST_CASE("the call's time is measured by the clock that is passed") {
    CircuitBreakerConfig config = plain();
    config.slow_call_duration = 1s;
    BreakerRig rig(config);
    (void)call_guarded(
        rig.breaker, [&] { return rig.now; }, judge,
        [&] {
            rig.now += 2s;
            return 200;
        });
    CHECK(rig.slow_calls == 1);
}

TEST_CASE("of a pool's errors, losses are fatal, the caller's own mistakes say nothing") {
    CHECK(outcome_of(Errc::ok) == Outcome::success);
    CHECK(outcome_of(Errc::worker_lost) == Outcome::fatal);
    CHECK(outcome_of(Errc::device_lost) == Outcome::fatal);
    CHECK(outcome_of(Errc::outcome_unknown) == Outcome::fatal);
    CHECK(outcome_of(Errc::deadline_exceeded) == Outcome::failure);
    CHECK(outcome_of(Errc::worker_unresponsive) == Outcome::failure);
    CHECK(outcome_of(Errc::model_rejected) == Outcome::failure);
    CHECK(outcome_of(Errc::operation_failed) == Outcome::failure);
    CHECK(outcome_of(Errc::invalid_input) == Outcome::ignored);
    CHECK(outcome_of(Errc::cancelled) == Outcome::ignored);
    CHECK(outcome_of(Errc::queue_full) == Outcome::ignored);
}
