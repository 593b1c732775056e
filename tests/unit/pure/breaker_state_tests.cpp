// The states that one asks for, what a breaker tells, and what it remembers.
// SPDX-License-Identifier: BSL-1.0
#include "breaker_rig.hpp"

#include <functional>
#include <limits>
#include <type_traits>

using namespace everpool;
using namespace everpool::test;

TEST_CASE("forced open, nothing passes until somebody says otherwise") {
    BreakerRig rig;
    rig.breaker.force_open(rig.now);
    rig.now += 1000h;
    auto permit = rig.acquire();
    CHECK_FALSE(permit);
    CHECK(permit.rejection() == Rejection::forced_open);
    CHECK(permit.retry_at() == never);
    CHECK(rig.stats().admitted_percent == 0);
    rig.breaker.reset(rig.now);
    CHECK(rig.call(Outcome::success));
}

TEST_CASE("disabled, everything passes and is counted, nothing is judged") {
    BreakerRig rig;
    rig.breaker.disable(rig.now);
    rig.calls(100, Outcome::fatal);
    CHECK(rig.state() == BreakerState::disabled);
    CHECK(rig.stats().totals.failures == 100);
}

TEST_CASE(
    "metrics-only tells when it would have opened, once per spell, and lets everything pass") {
    BreakerRig rig;
    rig.breaker.observe_only(rig.now);
    rig.changes.clear();
    rig.calls(4, Outcome::failure);
    CHECK(rig.diary() == "metrics_only>metrics_only failure_rate (dry run)");
    rig.calls(3, Outcome::failure);
    CHECK(rig.changes.size() == 1);
    CHECK(rig.stats().would_have_opened == 1);
    CHECK(rig.stats().opened == 0);
    CHECK(rig.rejects.empty());
}

TEST_CASE("a reset forgets what was held against the peer, from any state") {
    for (const auto enter : {&CircuitBreaker::force_open, &CircuitBreaker::disable,
                             &CircuitBreaker::observe_only, &CircuitBreaker::reset}) {
        BreakerRig rig;
        rig.calls(3, Outcome::failure);
        (rig.breaker.*enter)(rig.now);
        rig.breaker.reset(rig.now);
        CHECK(rig.state() == BreakerState::closed);
        CHECK(rig.stats().strikes == 0);
        rig.calls(3, Outcome::failure);
        CHECK(rig.state() == BreakerState::closed);
    }
}

TEST_CASE("a rejection says why and until when") {
    BreakerRig rig;
    rig.calls(4, Outcome::failure);
    rig.now += 10s;
    auto permit = rig.acquire();
    CHECK(permit.rejection() == Rejection::open);
    CHECK(permit.retry_at() >= rig.now + 20s);
    CHECK(permit.retry_at() <= rig.now + 20s + tick);
    CHECK(rig.rejects == std::vector{Rejection::open});
    CHECK(rig.stats().rejected == 1);
    permit.record(Outcome::failure, rig.now); // no call was made, so there is nothing to record
    CHECK(rig.stats().totals.failures == 4);
}

TEST_CASE("a permit is recorded once") {
    BreakerRig rig;
    auto permit = rig.acquire();
    CHECK(permit.deadline() == rig.now + 60s);
    permit.record(Outcome::success, rig.now);
    CHECK_FALSE(permit);
    permit.record(Outcome::failure, rig.now);
    permit.drop();
    CHECK(rig.stats().totals == CallCounts{.successes = 1});
    CHECK(rig.stats().abandoned == 0);
    static_assert(!std::is_copy_constructible_v<CircuitBreaker::Permit>);
    static_assert(std::is_nothrow_move_constructible_v<CircuitBreaker::Permit>);
}

TEST_CASE("a permit that is assigned over is given back first") {
    BreakerRig rig;
    rig.open_and_wait();
    auto permit = rig.acquire();
    permit = rig.acquire();
    CHECK(rig.stats().probes_under_way == 1);
    CHECK(rig.stats().abandoned == 1);
}

TEST_CASE("changes are numbered by their epoch") {
    BreakerRig rig;
    rig.recover();
    rig.breaker.force_open(rig.now);
    REQUIRE(rig.changes.size() == 4);
    for (std::uint32_t i = 0; i < 4; ++i) CHECK(rig.changes[i].epoch == i + 1);
    CHECK(rig.stats().epoch == 4);
}

TEST_CASE("what it remembers survives a restart of the host") {
    BreakerRig before;
    before.recover();
    before.breaker.trip(before.now);
    before.now += 20s;
    const CircuitBreakerMemory memory = before.breaker.memory(before.now);
    CHECK(memory.state == BreakerState::open);
    CHECK(memory.strikes == 2);

    BreakerRig after; // another clock
    after.now = TimePoint{5000h};
    after.breaker.restore(memory, after.now);
    CHECK_FALSE(after.acquire());
    after.now += 40s - 2 * tick;
    CHECK_FALSE(after.acquire());
    after.now += 3 * tick;
    after.calls(1, Outcome::failure);
    CHECK(after.stats().strikes == 3); // it goes on doubling where it was
}

TEST_CASE("half-open is remembered as open with its time over, as its probes are lost") {
    BreakerRig before;
    before.open_and_wait();
    auto probe = before.acquire();
    const auto memory = before.breaker.memory(before.now);
    CHECK(memory == CircuitBreakerMemory{BreakerState::open, 1, 0s});
    BreakerRig after;
    after.breaker.restore(memory, after.now);
    after.now += tick;
    after.calls(3, Outcome::success);
    CHECK(after.state() == BreakerState::closed);
}

TEST_CASE("each state comes back from what is remembered of it") {
    const auto copy_of = [](BreakerRig& before) {
        BreakerRig after(before.breaker.config());
        after.breaker.restore(before.breaker.memory(before.now), after.now);
        CHECK(after.breaker.memory(after.now).strikes == before.stats().strikes);
        return after.state();
    };
    using Change = void (CircuitBreaker::*)(TimePoint) noexcept;
    const std::pair<BreakerState, Change> asked[] = {
        {BreakerState::closed, &CircuitBreaker::reset},
        {BreakerState::forced_open, &CircuitBreaker::force_open},
        {BreakerState::disabled, &CircuitBreaker::disable},
        {BreakerState::metrics_only, &CircuitBreaker::observe_only}};
    for (const auto& [state, change] : asked) {
        BreakerRig rig;
        (rig.breaker.*change)(rig.now);
        CHECK(copy_of(rig) == state);
    }
    BreakerRig rig{CircuitBreakerConfig{}}; // with a ramp
    rig.recover();
    CHECK(copy_of(rig) == BreakerState::ramping);
}

TEST_CASE("a half-open state that somebody has written down is what memory() makes of it") {
    BreakerRig rig;
    rig.breaker.restore({BreakerState::half_open, 2, 40s}, rig.now);
    CHECK(rig.state() == BreakerState::open);
    CHECK(rig.stats().strikes == 2);
    rig.calls(3, Outcome::success); // its open time is over
    CHECK(rig.state() == BreakerState::closed);
}

TEST_CASE("a memory that was damaged on the way is refused or cut, never believed") {
    BreakerRig rig;
    CHECK_THROWS_AS(rig.breaker.restore({static_cast<BreakerState>(7)}, rig.now),
                    std::invalid_argument);
    CHECK_THROWS_AS(rig.breaker.restore({static_cast<BreakerState>(200)}, rig.now),
                    std::invalid_argument);
    rig.breaker.restore({BreakerState::open, 4'000'000'000, Duration::max()}, rig.now);
    CHECK(rig.stats().strikes == core::BreakerWord::strikes_max);
    CHECK(rig.stats().remaining <= 5min + tick);
    rig.breaker.restore({BreakerState::open, 0, Duration::min()}, rig.now);
    CHECK(rig.stats().remaining == 0s);
}

TEST_CASE("what a listener is told has a name that can be logged") {
    CHECK(name_of(Outcome::fatal) == "fatal");
    CHECK(name_of(Rejection::probes_taken) == "probes_taken");
    CHECK(name_of(BreakerReason::probes_overdue) == "probes_overdue");
    CHECK(name_of(BreakerState::metrics_only) == "metrics_only");
    CHECK(name_of(static_cast<Rejection>(99)) == "unrecognised");
}

TEST_CASE("a member out of its range is named") {
    using Change = std::function<void(CircuitBreakerConfig&)>;
    const std::pair<const char*, Change> mistakes[] = {
        {"consecutive_failures", [](auto& c) { c.consecutive_failures = 1001; }},
        {"failure_rate_limit", [](auto& c) { c.failure_rate_limit = 0; }},
        {"failure_rate_limit", [](auto& c) { c.failure_rate_limit = 1; }},
        {"failure_rate_limit",
         [](auto& c) { c.failure_rate_limit = std::numeric_limits<double>::quiet_NaN(); }},
        {"confidence", [](auto& c) { c.confidence = 0.4; }},
        {"confidence", [](auto& c) { c.confidence = 1; }},
        {"prior_failures", [](auto& c) { c.prior_failures = 0; }},
        {"prior_successes", [](auto& c) { c.prior_successes = 1001; }},
        {"slow_call_duration", [](auto& c) { c.slow_call_duration = 0s; }},
        {"slow_rate_limit", [](auto& c) { c.slow_rate_limit = 1; }},
        {"window ", [](auto& c) { c.window = 0s; }},
        {"window ", [](auto& c) { c.window = 25h; }},
        {"window_calls", [](auto& c) { c.window_calls = 1025; }},
        {"open_time ", [](auto& c) { c.open_time = 0s; }},
        {"open_time_max", [](auto& c) { c.open_time_max = 29s; }},
        {"jitter_percent", [](auto& c) { c.jitter_percent = 101; }},
        {"healthy_after", [](auto& c) { c.healthy_after = -1s; }},
        {"half_open_probes", [](auto& c) { c.half_open_probes = 0; }},
        {"half_open_probes", [](auto& c) { c.half_open_probes = 1001; }},
        {"half_open_successes", [](auto& c) { c.half_open_successes = 4; }},
        {"half_open_successes", [](auto& c) { c.half_open_successes = 0; }},
        {"half_open_max_wait", [](auto& c) { c.half_open_max_wait = 0s; }},
        {"ramp", [](auto& c) { c.ramp = 25h; }},
        {"call_timeout", [](auto& c) { c.call_timeout = 0s; }},
        {"lane_count", [](auto& c) { c.lane_count = 0; }},
        {"lane_count", [](auto& c) { c.lane_count = 65; }},
    };
    for (const auto& [member, change] : mistakes) {
        CircuitBreakerConfig config;
        change(config);
        CAPTURE(member);
        CHECK_THROWS_WITH(CircuitBreaker(config),
                          Catch::Contains(std::string("CircuitBreakerConfig::") + member));
    }
    CHECK_NOTHROW(CircuitBreaker());
}
