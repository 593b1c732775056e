// What users of other circuit breakers have complained of, and why it cannot happen here.
// SPDX-License-Identifier: BSL-1.0
//
// Each test names the complaint's origin: the project and the number of its issue or pull request.
// Those of ejecting too much (Envoy, istio) are in fleet_guard_tests.cpp, those of locks in
// breaker_schedules_tests.cpp (every interruption) and breaker_stress_tests.cpp (real threads).
#include "breaker_rig.hpp"

using namespace everpool;
using namespace everpool::test;

// --- resilience4j: stuck half-open, leaked permits -----------------------------------------------

TEST_CASE("resilience4j 544: a last probe that ends in an ignored error gives its place back") {
    BreakerRig rig;
    rig.open_and_wait();
    rig.calls(2, Outcome::success);
    for (int i = 0; i < 100; ++i) rig.calls(1, Outcome::ignored);
    CHECK(rig.state() == BreakerState::half_open);
    rig.calls(1, Outcome::success);
    CHECK(rig.state() == BreakerState::closed);
}

TEST_CASE("resilience4j 903: a permit that is dropped unrecorded gives its place back") {
    BreakerRig rig;
    rig.open_and_wait();
    for (int i = 0; i < 100; ++i) {
        auto permit = rig.acquire();
        REQUIRE(permit);
    }
    CHECK(rig.stats().abandoned == 100);
    CHECK(rig.stats().probes_under_way == 0);
    rig.calls(3, Outcome::success);
    CHECK(rig.state() == BreakerState::closed);
}

TEST_CASE("resilience4j 935: probes that hang do not hold it half-open for ever") {
    BreakerRig rig;
    rig.open_and_wait();
    auto first = rig.acquire(), second = rig.acquire(), third = rig.acquire();
    REQUIRE((first && second && third));
    CHECK(first.deadline() <= rig.now + 60s + tick);
    CHECK_FALSE(rig.acquire());
    rig.now += 60s + tick;
    CHECK_FALSE(rig.acquire());
    CHECK(rig.changes.back().reason == BreakerReason::probes_overdue);
    rig.now += rig.stats().remaining + tick;
    rig.calls(3, Outcome::success); // new probes, though the old permits are still out
    CHECK(rig.state() == BreakerState::closed);
    first.record(Outcome::failure, rig.now);
    CHECK(rig.state() == BreakerState::closed);
}

TEST_CASE("resilience4j 994: half-open is left even if no wait was configured") {
    CHECK(CircuitBreakerConfig{}.half_open_max_wait > 0s);
    CircuitBreakerConfig config;
    config.half_open_max_wait = 0s;
    CHECK_THROWS_AS(CircuitBreaker{config}, std::invalid_argument);
}

TEST_CASE("resilience4j 1389: leaked permits of one half-open spell are not missed by the next") {
    BreakerRig rig;
    std::vector<CircuitBreaker::Permit> leaked;
    for (int spell = 0; spell < 20; ++spell) {
        rig.open_and_wait();
        for (int i = 0; i < 3; ++i) leaked.push_back(rig.acquire());
        CHECK(leaked.back());
        rig.now += 61s;
        CHECK_FALSE(rig.acquire());
    }
    rig.now += 10min;
    rig.calls(3, Outcome::success);
    CHECK(rig.state() == BreakerState::closed);
}

TEST_CASE("resilience4j 1432: the switch to half-open lets exactly as many probes pass") {
    CircuitBreakerConfig config = plain();
    config.half_open_probes = 5;
    config.half_open_successes = 5;
    BreakerRig rig(config);
    rig.open_and_wait();
    std::vector<CircuitBreaker::Permit> admitted;
    for (int i = 0; i < 50; ++i)
        if (auto permit = rig.acquire()) admitted.push_back(std::move(permit));
    CHECK(admitted.size() == 5);
}

TEST_CASE("resilience4j 1568: a place that was given back is given once, not twice") {
    BreakerRig rig;
    rig.open_and_wait();
    auto first = rig.acquire(), second = rig.acquire(), third = rig.acquire();
    auto moved = std::move(third);
    moved.drop();
    moved.drop();
    third.drop(); // moved from: nothing
    CHECK(rig.stats().probes_under_way == 2);
    auto fourth = rig.acquire(), fifth = rig.acquire();
    CHECK(fourth);
    CHECK_FALSE(fifth);
}

// --- Polly: results of an earlier epoch ----------------------------------------------------------

TEST_CASE("Polly 223: calls that overhang from before it opened do not decide half-open") {
    BreakerRig rig;
    std::vector<CircuitBreaker::Permit> overhanging;
    for (int i = 0; i < 10; ++i) overhanging.push_back(rig.acquire());
    rig.calls(4, Outcome::failure);
    rig.now += 31s;
    auto probe = rig.acquire();
    REQUIRE(probe);
    rig.changes.clear();
    for (int i = 0; i < 5; ++i) overhanging[i].record(Outcome::success, rig.now); // do not close it
    for (int i = 5; i < 10; ++i) overhanging[i].record(Outcome::fatal, rig.now);  // do not open it
    CHECK(rig.changes.empty()); // nor is anything reported twice
    CHECK(rig.state() == BreakerState::half_open);
    CHECK(rig.stats().probes_under_way == 1);
    CHECK(rig.stats().stale == 10);
    CHECK(rig.stats().totals == CallCounts{.successes = 5, .failures = 9});
}

TEST_CASE("Polly 223: calls that overhang give back no place among the probes, as they have none") {
    BreakerRig rig;
    auto ignored = rig.acquire(), dropped = rig.acquire();
    rig.open_and_wait();
    std::vector<CircuitBreaker::Permit> probes;
    for (int i = 0; i < 3; ++i) probes.push_back(rig.acquire());
    REQUIRE(rig.stats().probes_under_way == 3);
    ignored.record(Outcome::ignored, rig.now);
    dropped.drop();
    CHECK(rig.stats().probes_under_way == 3);
    CHECK_FALSE(rig.acquire());
}

TEST_CASE("Polly 223: failures that arrive after it opened do not open it again or prolong it") {
    BreakerRig rig;
    std::vector<CircuitBreaker::Permit> permits;
    for (int i = 0; i < 20; ++i) permits.push_back(rig.acquire());
    for (auto& permit : permits) permit.record(Outcome::failure, rig.now);
    CHECK(rig.diary() == "closed>open failure_rate");
    CHECK(rig.stats().opened == 1);
    CHECK(rig.stats().remaining <= 30s + tick);
}

TEST_CASE("Polly 216: while the first probe hangs, no further calls than the probes pass") {
    CircuitBreakerConfig config = plain();
    config.half_open_probes = 1;
    config.half_open_successes = 1;
    BreakerRig rig(config);
    rig.open_and_wait();
    auto hanging = rig.acquire();
    REQUIRE(hanging);
    for (int i = 0; i < 59; ++i) {
        rig.now += 1s;
        CHECK_FALSE(rig.acquire());
    }
}

TEST_CASE("Polly 2381 and 254: with a pass ratio, a flaky probe does not cost a whole break") {
    CircuitBreakerConfig config = plain();
    config.half_open_probes = 5;
    config.half_open_successes = 3;
    BreakerRig rig(config);
    rig.open_and_wait();
    rig.calls(2, Outcome::failure);
    rig.calls(3, Outcome::success);
    CHECK(rig.state() == BreakerState::closed);

    rig.open_and_wait();
    rig.calls(2, Outcome::failure);
    rig.calls(2, Outcome::success);
    rig.calls(1, Outcome::failure); // now three successes have become impossible
    CHECK(rig.state() == BreakerState::open);
}

TEST_CASE("Polly, minimum throughput: it opens though the calls are too few for a rate") {
    BreakerRig rig;
    for (int i = 0; i < 4; ++i) {
        rig.calls(1, Outcome::failure);
        rig.now += 10s; // six calls per minute
    }
    CHECK(rig.state() == BreakerState::open);
}

TEST_CASE("Polly 287: the breaker of one caller says nothing to those of others") {
    BreakerRig mine, yours;
    mine.calls(4, Outcome::failure);
    CHECK(mine.state() == BreakerState::open);
    CHECK(yours.state() == BreakerState::closed);
}

// --- others --------------------------------------------------------------------------------------

TEST_CASE("gobreaker 21 and 64: a spell of failures is seen wherever it lies in the window") {
    // With fixed windows, six failures of eight are cut into halves that look harmless.
    for (Duration offset = 0s; offset < 60s; offset += 1s) {
        CircuitBreakerConfig config = plain();
        config.consecutive_failures = 0;
        config.window = 60s;
        BreakerRig rig(config);
        rig.now += offset;
        int failures = 0;
        while (failures < 4 && rig.state() == BreakerState::closed) {
            rig.calls(1, Outcome::failure);
            ++failures;
            rig.now += 12s;
        }
        CAPTURE(offset.count());
        CHECK(rig.state() == BreakerState::open);
    }
}

TEST_CASE("gobreaker, counts never cleared: failures long ago do not add up with those of today") {
    CircuitBreakerConfig config = plain();
    config.consecutive_failures = 0;
    BreakerRig rig(config);
    for (int day = 0; day < 100; ++day) {
        rig.calls(3, Outcome::failure);
        rig.now += 24h;
    }
    CHECK(rig.state() == BreakerState::closed);
}

TEST_CASE("brpc 709: the first peer to recover is not buried under everybody's traffic") {
    BreakerRig rig{[] {
        CircuitBreakerConfig config = plain();
        config.ramp = 3s;
        return config;
    }()};
    rig.recover();
    int admitted = 0;
    for (int i = 0; i < 1000; ++i) admitted += rig.call(Outcome::success) ? 1 : 0;
    CHECK(admitted == 100);
}

TEST_CASE("brpc 1874: it always recovers when the peer does, whatever happened before") {
    BreakerRig rig;
    for (int i = 0; i < 100; ++i) { // a hundred failed recoveries
        rig.open_and_wait();
        rig.calls(1, Outcome::failure);
    }
    rig.now += 5min + tick; // open_time_max
    rig.calls(3, Outcome::success);
    CHECK(rig.state() == BreakerState::closed);
}

TEST_CASE("brpc 2634: a probe is real work, so a peer that answers pings only stays out") {
    // There is no way to close it but by recording what became of admitted calls, or by request.
    BreakerRig rig;
    rig.open_and_wait();
    for (int i = 0; i < 100; ++i) {
        auto ping = rig.acquire(); // says nothing of the work: ignored
        if (ping) ping.record(Outcome::ignored, rig.now);
    }
    CHECK(rig.state() == BreakerState::half_open);
    rig.calls(1, Outcome::failure);
    CHECK(rig.state() == BreakerState::open);
}

TEST_CASE("gofr 3501: a listener may use the breaker, as nothing is locked while it runs") {
    CircuitBreaker* used = nullptr;
    BreakerState seen{};
    bool was_admitted = true;
    const TimePoint now{1h};
    CircuitBreaker breaker(plain(), {.on_change = [&](const BreakerChange&) {
                               seen = used->state();
                               was_admitted = static_cast<bool>(used->try_acquire(now));
                               (void)used->stats(now);
                           }});
    used = &breaker;
    breaker.trip(now);
    CHECK(seen == BreakerState::open);
    CHECK_FALSE(was_admitted);
}

TEST_CASE("go-zero 5011: a call that outlasts the window counts when it ends") {
    CircuitBreakerConfig config = plain();
    config.window = 10s;
    BreakerRig rig(config);
    std::vector<CircuitBreaker::Permit> permits;
    for (int i = 0; i < 4; ++i) permits.push_back(rig.acquire());
    rig.now += 10min;
    for (auto& permit : permits) permit.record(Outcome::failure, rig.now);
    CHECK(rig.state() == BreakerState::open);
}
