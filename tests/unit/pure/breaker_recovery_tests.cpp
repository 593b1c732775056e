// How a circuit breaker recovers.
// SPDX-License-Identifier: BSL-1.0
#include "breaker_rig.hpp"
#include "everpool/core/prng.hpp"

#include <algorithm>
#include <vector>

using namespace everpool;
using namespace everpool::test;

TEST_CASE("by default it opens for 30 s, then three probes must all succeed") {
    BreakerRig rig;
    rig.calls(4, Outcome::failure);
    CHECK_FALSE(rig.call(Outcome::success));
    rig.now += 30s;
    CHECK_FALSE(rig.call(Outcome::success)); // never early
    rig.now += tick;
    rig.calls(2, Outcome::success);
    CHECK(rig.state() == BreakerState::half_open);
    rig.calls(1, Outcome::success);
    CHECK(rig.diary() == "closed>open failure_rate, open>half_open open_time_over, "
                         "half_open>closed probes_passed");
    CHECK(rig.stats().window == CallCounts{}); // nothing of the past is held against it
}

TEST_CASE("while half-open no more calls pass than there are probes") {
    BreakerRig rig;
    rig.open_and_wait();
    auto first = rig.acquire(), second = rig.acquire(), third = rig.acquire();
    CHECK((first && second && third));
    auto fourth = rig.acquire();
    CHECK_FALSE(fourth);
    CHECK(fourth.rejection() == Rejection::probes_taken);
    CHECK(rig.stats().probes_under_way == 3);
    first.record(Outcome::success, rig.now);
    CHECK_FALSE(rig.acquire()); // the first has been one of the three
}

TEST_CASE("one failed probe of three opens it again, and for twice as long") {
    BreakerRig rig;
    rig.open_and_wait();
    rig.calls(1, Outcome::success);
    rig.calls(1, Outcome::failure);
    CHECK(rig.changes.back().reason == BreakerReason::probes_failed);
    CHECK(rig.stats().remaining > 59s);
    CHECK(rig.stats().remaining <= 60s + tick);
}

TEST_CASE("a fatal probe opens it at once, though the others could still have made it") {
    CircuitBreakerConfig config = plain();
    config.half_open_probes = 5;
    config.half_open_successes = 3;
    BreakerRig rig(config);
    rig.open_and_wait();
    rig.calls(2, Outcome::success);
    rig.calls(1, Outcome::fatal);
    CHECK(rig.state() == BreakerState::open);
    CHECK(rig.changes.back().reason == BreakerReason::fatal_outcome);
}

TEST_CASE("the open time doubles up to its maximum, and starts over after a healthy spell") {
    BreakerRig rig;
    std::vector<Duration> times;
    for (int i = 0; i < 6; ++i) {
        rig.open_and_wait();
        times.push_back(rig.now - rig.changes.back().at);
        rig.calls(3, Outcome::success);
    }
    const Duration expected[] = {30s, 60s, 120s, 240s, 300s, 300s};
    for (std::size_t i = 0; i < times.size(); ++i) {
        CHECK(times[i] > expected[i]);
        CHECK(times[i] <= expected[i] + 2 * tick);
    }
    CHECK(rig.stats().strikes == 6);

    rig.now += 5min - 1s; // not yet
    rig.open_and_wait();
    CHECK(rig.stats().strikes == 7);
    rig.calls(3, Outcome::success);
    rig.now += 5min + tick;
    rig.breaker.trip(rig.now);
    CHECK(rig.stats().strikes == 1);
    CHECK(rig.stats().remaining <= 30s + tick);
}

TEST_CASE("jitter spreads the open times of breakers that opened together, and is repeatable") {
    Duration low = 1h, high{};
    for (std::uint64_t seed = 0; seed < 500; ++seed) {
        CircuitBreakerConfig config;
        config.seed = seed;
        BreakerRig rig(config), again(config);
        rig.breaker.trip(rig.now);
        again.breaker.trip(again.now);
        CHECK(rig.stats().remaining == again.stats().remaining);
        low = std::min(low, rig.stats().remaining);
        high = std::max(high, rig.stats().remaining);
    }
    CHECK(low >= 24s);
    CHECK(low < 24'100ms);
    CHECK(high > 29'900ms);
    CHECK(high <= 30s + tick);
}

TEST_CASE("after closing, a growing share of the calls passes, evenly spread, the first at once") {
    CircuitBreakerConfig config = plain();
    config.ramp = 30s;
    BreakerRig rig(config);
    rig.recover();
    CHECK(rig.state() == BreakerState::ramping);
    const auto admitted_of = [&](int count) {
        int admitted = 0;
        for (int i = 0; i < count; ++i) admitted += rig.call(Outcome::success) ? 1 : 0;
        return admitted;
    };
    CHECK(rig.call(Outcome::success));
    CHECK(admitted_of(99) == 9);
    CHECK(rig.rejects.back() == Rejection::ramping);
    CHECK(rig.stats().admitted_percent == 10);
    rig.now += 10s + tick;
    CHECK(admitted_of(100) == 25);
    rig.now += 10s;
    CHECK(admitted_of(100) == 50);
    rig.now += 10s;
    CHECK(admitted_of(100) == 100);
    CHECK(rig.state() == BreakerState::closed);
    CHECK(rig.changes.back().reason == BreakerReason::ramp_over);
}

TEST_CASE("a peer that fails during the ramp is judged as if it were closed") {
    CircuitBreakerConfig config = plain();
    config.ramp = 30s;
    BreakerRig rig(config);
    rig.recover();
    auto permit = rig.acquire();
    REQUIRE(permit);
    permit.record(Outcome::fatal, rig.now);
    CHECK(rig.state() == BreakerState::open);
}

TEST_CASE("a call of the ramp counts when it ends after the ramp") {
    CircuitBreakerConfig config = plain();
    config.ramp = 3s;
    BreakerRig rig(config);
    rig.recover();
    auto permit = rig.acquire();
    REQUIRE(permit);
    rig.now += 4s;
    rig.calls(1, Outcome::success);
    CHECK(rig.state() == BreakerState::closed);
    permit.record(Outcome::failure, rig.now);
    CHECK(rig.stats().window.failures == 1);
    CHECK(rig.stats().stale == 0);
}

TEST_CASE("a slow probe does not close a breaker that is there to keep slowness out") {
    CircuitBreakerConfig config = plain();
    config.slow_call_duration = 1s;
    BreakerRig rig(config);
    rig.open_and_wait();
    rig.calls(1, Outcome::success, 2s);
    CHECK(rig.changes.back().reason == BreakerReason::probes_failed);
}

TEST_CASE("a retry-after of the peer is honoured by trip(), up to the longest open time") {
    BreakerRig rig;
    rig.breaker.trip(rig.now, 2min);
    CHECK(rig.stats().remaining >= 2min);
    CHECK(rig.stats().remaining <= 2min + tick);
    CHECK(rig.acquire().retry_at() >= rig.now + 2min);
    rig.breaker.reset(rig.now);
    rig.breaker.trip(rig.now, 1s);
    CHECK(rig.stats().remaining >= 30s);
    rig.breaker.trip(rig.now, Duration::max());
    CHECK(rig.stats().remaining <= 5min + tick);
}

TEST_CASE("asked to open while it is open, it stays so for the longer time, and has one strike") {
    // Ten calls under way come back with the same retry-after: that is one failure, not ten.
    BreakerRig rig;
    for (int i = 0; i < 10; ++i) rig.breaker.trip(rig.now, 2min);
    CHECK(rig.stats().strikes == 1);
    CHECK(rig.stats().opened == 1);
    CHECK(rig.stats().remaining <= 2min + tick);
    CHECK(rig.diary() == "closed>open asked");

    rig.breaker.trip(rig.now, 1s); // no shorter
    CHECK(rig.stats().remaining >= 2min);
    rig.now += 10s;
    rig.breaker.trip(rig.now, 2min); // longer: told, but still the same spell
    CHECK(rig.stats().remaining >= 2min);
    CHECK(rig.stats().strikes == 1);
    CHECK(rig.stats().opened == 1);
    CHECK(rig.diary() == "closed>open asked, open>open asked");
    rig.now += 2min + tick;
    rig.calls(1, Outcome::failure);
    CHECK(rig.stats().strikes == 2);
}

TEST_CASE("a breaker that nobody has asked for two months still lets probes pass") {
    // 52 days is when ticks go round: the worst time to come back is just before.
    for (const auto days : {1, 3, 25, 26, 27, 40, 51, 52, 53, 60, 300}) {
        CAPTURE(days);
        BreakerRig rig;
        rig.breaker.trip(rig.now);
        rig.now += days * 24h;
        CHECK(rig.call(Outcome::success));
    }
}

TEST_CASE("threads whose clocks differ a little do not reopen or skip anything") {
    BreakerRig rig;
    rig.open_and_wait();
    const TimePoint ahead = rig.now, behind = rig.now - 20ms;
    auto probe = rig.breaker.try_acquire(ahead);
    REQUIRE(probe);
    auto other = rig.breaker.try_acquire(behind);
    CHECK(other);
    probe.record(Outcome::success, behind);
    other.record(Outcome::success, ahead);
    CHECK(rig.state() == BreakerState::half_open);
}

TEST_CASE("a clock that is a little behind finds neither a healthy spell nor the end of a ramp") {
    CircuitBreakerConfig config = plain();
    config.ramp = 30s;
    BreakerRig rig(config);
    rig.recover();
    REQUIRE(rig.state() == BreakerState::ramping);
    const TimePoint behind = rig.now - 20ms;
    CHECK(rig.breaker.stats(behind).admitted_percent == 10);
    (void)rig.breaker.try_acquire(behind);
    CHECK(rig.state() == BreakerState::ramping);
    rig.breaker.trip(behind);
    CHECK(rig.stats().strikes == 2);
}

TEST_CASE("a clock that stands before its epoch, or at its end, is a clock like any other") {
    for (const TimePoint now : {TimePoint{}, TimePoint{-1s}, TimePoint{-1000h}, never - 24h}) {
        CAPTURE(now.time_since_epoch().count());
        BreakerRig rig;
        rig.now = now;
        CHECK(rig.acquire().deadline() == now + 60s);
        rig.calls(4, Outcome::failure);
        CHECK(rig.stats().remaining >= 30s);
        CHECK(rig.stats().remaining <= 30s + tick);
        rig.now += 30s + tick;
        rig.calls(3, Outcome::success);
        CHECK(rig.state() == BreakerState::closed);
    }
    BreakerRig rig;
    rig.now = never;
    CHECK(rig.acquire().deadline() == never);
    rig.breaker.trip(rig.now);
    CHECK(rig.acquire().retry_at() == never);
}

TEST_CASE("whatever its clock has done, back and forth, it recovers once the peer is well") {
    core::Prng prng(1);
    const auto below = [&](Duration most) {
        return Duration(static_cast<Duration::rep>(prng.below(most.count())));
    };
    for (int life = 0; life < 500; ++life) {
        CAPTURE(life);
        CircuitBreakerConfig config;
        config.seed = prng.next();
        BreakerRig rig(config);
        rig.now += 10'000h;
        std::vector<CircuitBreaker::Permit> held;
        for (int i = 0; i < 100; ++i) {
            const Duration span = prng.ratio(1, 2) ? Duration(2min) : Duration(3000h);
            rig.now += prng.ratio(1, 2) ? below(span) : -below(span);
            auto permit = rig.acquire();
            if (prng.ratio(1, 3)) held.push_back(std::move(permit));
            else permit.record(prng.ratio(1, 2) ? Outcome::failure : Outcome::success, rig.now);
        }
        // The longest ways: open, or half-open with all probes lost and then open; the ramp.
        const TimePoint end = rig.now + 60s + 5min + 3s + 5s;
        for (; rig.now < end; rig.now += 100ms) (void)rig.call(Outcome::success);
        CHECK(rig.state() == BreakerState::closed);
    }
}
