// When a circuit breaker opens.
// SPDX-License-Identifier: BSL-1.0
#include "breaker_rig.hpp"

using namespace everpool;
using namespace everpool::test;

namespace {

/// The others are switched off, so that the rule under test decides alone.
CircuitBreakerConfig rate_only() {
    CircuitBreakerConfig config = plain();
    config.consecutive_failures = 0;
    return config;
}

bool opens_after(int successes, int failures, CircuitBreakerConfig config = rate_only()) {
    BreakerRig rig(config);
    rig.calls(successes, Outcome::success);
    rig.calls(failures, Outcome::failure);
    return rig.state() == BreakerState::open;
}

} // namespace

TEST_CASE("with few calls the breaker decides by this table: four straight failures, not one") {
    // Least failures that open it after so many successes; one failure less does not.
    const struct {
        int successes, failures;
    } table[] = {{0, 4}, {1, 6}, {2, 8}, {3, 9}, {4, 11}, {5, 12}, {10, 19}, {20, 32}, {100, 125}};
    for (const auto& row : table) {
        CAPTURE(row.successes, row.failures);
        CHECK(opens_after(row.successes, row.failures));
        CHECK_FALSE(opens_after(row.successes, row.failures - 1));
    }
}

TEST_CASE("the table in the header is what is computed") {
    const double table[6][4] = {{0.750, 0.500, 0.313, 0.188}, {0.875, 0.688, 0.500, 0.344},
                                {0.938, 0.813, 0.656, 0.500}, {0.969, 0.891, 0.773, 0.637},
                                {0.984, 0.938, 0.855, 0.746}, {0.992, 0.965, 0.910, 0.828}};
    for (int failures = 1; failures <= 6; ++failures)
        for (int successes = 0; successes <= 3; ++successes) {
            CAPTURE(failures, successes);
            CircuitBreakerConfig config = rate_only();
            config.confidence = 0.999; // it stays closed, so that it can be asked
            BreakerRig rig(config);
            rig.calls(successes, Outcome::success);
            rig.calls(failures, Outcome::failure);
            CHECK(rig.stats().failing_probability ==
                  Approx(table[failures - 1][successes]).margin(0.00051));
        }
}

TEST_CASE("one failure does not open it, however alone it is") {
    BreakerRig rig;
    CHECK(rig.call(Outcome::failure));
    CHECK(rig.state() == BreakerState::closed);
    CHECK(rig.stats().failure_rate == 1.0);
}

TEST_CASE("a prior that expects success needs more failures") {
    CircuitBreakerConfig config = rate_only();
    config.prior_successes = 5;
    CHECK_FALSE(opens_after(0, 10, config));
    CHECK(opens_after(0, 11, config));
}

TEST_CASE("many calls at half the limit never open it, a few above the limit do") {
    BreakerRig rig(rate_only());
    for (int i = 0; i < 20'000; ++i)
        REQUIRE(rig.call(i % 4 == 0 ? Outcome::failure : Outcome::success));
    CHECK(rig.state() == BreakerState::closed);
    int failures = 0;
    while (failures < 10'000 && rig.call(Outcome::failure)) ++failures;
    CHECK(failures < 3'000);
    CHECK(rig.diary() == "closed>open failure_rate");
}

TEST_CASE("five failures in a row open it after any number of successes") {
    BreakerRig rig;
    rig.calls(10'000, Outcome::success);
    rig.calls(4, Outcome::failure);
    CHECK(rig.state() == BreakerState::closed);
    CHECK(rig.stats().failures_in_a_row == 4);
    rig.calls(1, Outcome::failure);
    CHECK(rig.diary() == "closed>open consecutive_failures");
}

TEST_CASE("a success between them ends the row") {
    BreakerRig rig;
    rig.calls(100, Outcome::success);
    for (int i = 0; i < 5; ++i) {
        rig.calls(4, Outcome::failure);
        rig.calls(1, Outcome::success);
        CHECK(rig.stats().failures_in_a_row == 0);
    }
    CHECK(rig.state() == BreakerState::closed);
}

TEST_CASE("a fatal outcome opens it at once") {
    BreakerRig rig;
    rig.calls(1000, Outcome::success);
    rig.calls(1, Outcome::fatal);
    CHECK(rig.diary() == "closed>open fatal_outcome");
}

TEST_CASE("an ignored outcome is as if the call had not been made") {
    BreakerRig rig;
    rig.calls(3, Outcome::failure);
    rig.calls(50, Outcome::ignored);
    CHECK(rig.stats().window == CallCounts{.failures = 3});
    CHECK(rig.stats().failures_in_a_row == 3);
    CHECK(rig.stats().ignored == 50);
    rig.calls(1, Outcome::failure);
    CHECK(rig.state() == BreakerState::open);
}

TEST_CASE("slow answers open it when there are clearly too many") {
    CircuitBreakerConfig config = plain();
    config.slow_call_duration = 2s;
    BreakerRig rig(config);
    rig.calls(100, Outcome::success, 1999ms);
    CHECK(rig.slow_calls == 0);
    rig.breaker.reset(rig.now);
    rig.changes.clear();
    rig.calls(12, Outcome::success, 2s);
    CHECK(rig.state() == BreakerState::closed);
    CHECK(rig.stats().slow_rate == 1.0);
    rig.calls(1, Outcome::success, 2s);
    CHECK(rig.diary() == "closed>open slow_rate");
    CHECK(rig.slow_calls == 13);
}

TEST_CASE("the duration is that of the permit, unless its holder knows better") {
    CircuitBreakerConfig config = plain();
    config.slow_call_duration = 2s;
    BreakerRig rig(config);
    auto long_call = rig.acquire();
    auto queued_call = rig.acquire();
    rig.now += 2s;
    long_call.record(Outcome::success, rig.now);
    queued_call.record(Outcome::success, rig.now, 100ms);
    CHECK(rig.stats().window == CallCounts{.successes = 2, .slow = 1});
}

TEST_CASE("what is older than the window is forgotten, slice by slice") {
    CircuitBreakerConfig config = rate_only();
    config.window = 60s;
    BreakerRig rig(config);
    rig.calls(3, Outcome::failure);
    rig.now += 52s; // a slice lasts at most an eighth of the window
    CHECK(rig.stats().window.failures == 3);
    rig.now += 17s;
    CHECK(rig.stats().window.failures == 0);
    rig.calls(3, Outcome::failure);
    CHECK(rig.state() == BreakerState::closed);
    CHECK(rig.stats().totals.failures == 6);
}

TEST_CASE("a window of calls holds exactly the last so many, however old") {
    CircuitBreakerConfig config = rate_only();
    config.window_calls = 20;
    BreakerRig rig(config);
    rig.calls(7, Outcome::success);
    rig.now += 24h;
    rig.calls(2, Outcome::failure);
    CHECK(rig.stats().window == CallCounts{.successes = 7, .failures = 2});
    rig.calls(11, Outcome::success);
    CHECK(rig.stats().window == CallCounts{.successes = 18, .failures = 2});
    rig.calls(7, Outcome::success); // drives out successes
    CHECK(rig.stats().window == CallCounts{.successes = 18, .failures = 2});
    rig.calls(2, Outcome::success); // drives out the failures
    CHECK(rig.stats().window == CallCounts{.successes = 20});
    CHECK(rig.stats().totals == CallCounts{.successes = 27, .failures = 2});
}

TEST_CASE("a slice that is full is halved: rates stay, and the totals miss nothing") {
    BreakerRig rig(rate_only());
    for (int i = 0; i < 100'000; ++i)
        REQUIRE(rig.call(i % 4 == 0 ? Outcome::failure : Outcome::success));
    CHECK(rig.stats().window.calls() < 5'000);
    CHECK(rig.stats().failure_rate == Approx(0.25).margin(0.01));
    CHECK(rig.stats().totals == CallCounts{.successes = 75'000, .failures = 25'000});
}

TEST_CASE("lanes are added up") {
    BreakerRig rig(rate_only());
    for (std::size_t lane = 0; lane < 4; ++lane) {
        auto permit = rig.breaker.try_acquire(rig.now, lane);
        REQUIRE(permit);
        permit.record(Outcome::failure, rig.now);
    }
    CHECK(rig.diary() == "closed>open failure_rate");
}
