// A breaker under real threads: for ThreadSanitizer, and for what must add up in the end.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/circuit_breaker.hpp"
#include "everpool/core/prng.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

using namespace everpool;
using namespace std::chrono_literals;

namespace {

constexpr int thread_count = 4;
constexpr int calls_per_thread = 20'000;

/// What one thread has done, to be compared with what the breaker says.
struct Tally {
    std::uint64_t successes{0}, failures{0}, ignored{0}, dropped{0}, rejected{0};
};

/// Time that all threads move on, each a little ahead of or behind the others.
class SharedTime {
public:
    TimePoint next(core::Prng& prng) {
        const auto step = static_cast<Duration::rep>(prng.below(200'000));
        const auto now = nanoseconds_.fetch_add(step, std::memory_order_relaxed) + step;
        return TimePoint{1h} + Duration(now) + Duration(prng.below(2'000'000));
    }

private:
    std::atomic<Duration::rep> nanoseconds_{0};
};

void call_often(CircuitBreaker& breaker, SharedTime& time, std::size_t self, Tally& tally) {
    core::Prng prng(self + 1);
    std::vector<CircuitBreaker::Permit> held; // some results are late
    for (int i = 0; i < calls_per_thread; ++i) {
        CircuitBreaker::Permit permit = breaker.try_acquire(time.next(prng), self);
        if (!permit) {
            ++tally.rejected;
        } else if (prng.ratio(1, 8)) {
            held.push_back(std::move(permit));
        } else if (prng.ratio(1, 50)) {
            permit.drop();
            ++tally.dropped;
        } else if (prng.ratio(1, 50)) {
            permit.record(Outcome::ignored, time.next(prng));
            ++tally.ignored;
        } else {
            const bool is_bad_spell = i / 500 % 2 == 1;
            const bool is_failure = prng.ratio(is_bad_spell ? 7 : 1, 10);
            ++(is_failure ? tally.failures : tally.successes);
            permit.record(is_failure ? Outcome::failure : Outcome::success, time.next(prng));
        }
        if (held.size() > 20) {
            held.front().record(Outcome::success, time.next(prng));
            ++tally.successes;
            held.erase(held.begin());
        }
        if (prng.ratio(1, 1000)) breaker.trip(time.next(prng));
        if (prng.ratio(1, 1000)) breaker.reset(time.next(prng));
        if (prng.ratio(1, 200)) (void)breaker.stats(time.next(prng));
    }
    tally.dropped += held.size();
}

void add_up(CircuitBreakerConfig config) {
    std::atomic<std::uint64_t> change_count{0}, reject_count{0}, opened{0};
    CircuitBreaker breaker(config, {.on_change =
                                        [&](const BreakerChange& change) {
                                            ++change_count;
                                            if (change.to == BreakerState::open &&
                                                change.from != BreakerState::open)
                                                ++opened;
                                        },
                                    .on_reject = [&](Rejection, TimePoint) { ++reject_count; }});
    SharedTime time;
    std::vector<Tally> tallies(thread_count);
    std::barrier start(thread_count);
    std::vector<std::thread> threads;
    for (std::size_t self = 0; self < thread_count; ++self)
        threads.emplace_back([&, self] {
            start.arrive_and_wait();
            call_often(breaker, time, self, tallies[self]);
        });
    for (std::thread& thread : threads) thread.join();

    Tally sum;
    for (const Tally& tally : tallies) {
        sum.successes += tally.successes;
        sum.failures += tally.failures;
        sum.ignored += tally.ignored;
        sum.dropped += tally.dropped;
        sum.rejected += tally.rejected;
    }
    const CircuitBreakerStats stats = breaker.stats(TimePoint{2h});
    CHECK(stats.totals.successes == sum.successes);
    CHECK(stats.totals.failures == sum.failures);
    CHECK(stats.ignored == sum.ignored);
    CHECK(stats.abandoned == sum.dropped);
    CHECK(stats.rejected == sum.rejected);
    CHECK(reject_count == sum.rejected);
    CHECK(stats.opened == opened);
    // Each change but the end of a ramp begins an epoch, and is told once.
    CHECK(stats.epoch <= change_count);
    CHECK(stats.opened > 10); // it has been through all of it many times
    CHECK(sum.successes > calls_per_thread / 10);
    CHECK(sum.rejected > 0);
}

} // namespace

TEST_CASE("whatever four threads do at once, nothing is lost and nothing counted twice") {
    CircuitBreakerConfig config;
    config.window = 100ms;
    config.open_time = 2ms;
    config.open_time_max = 10ms;
    config.ramp = 5ms;
    config.half_open_max_wait = 20ms;
    config.healthy_after = 10ms;
    SECTION("a lane for each thread") { add_up(config); }
    SECTION("one lane for all") {
        config.lane_count = 1;
        add_up(config);
    }
    SECTION("a window of calls") {
        config.window_calls = 50;
        add_up(config);
    }
}

TEST_CASE("threads that ask together for probes get exactly as many as there are, each time") {
    CircuitBreakerConfig config;
    config.open_time = 1s;
    config.open_time_max = 1s;
    config.ramp = 0s;
    CircuitBreaker breaker(config);
    std::atomic<int> admitted{0};
    TimePoint now{1h};
    constexpr int rounds = 2'000;
    int phase = 0, wrong = 0;
    std::barrier gate(thread_count, [&]() noexcept {
        if (++phase % 2 == 0) { // all have asked
            wrong += admitted == 3 ? 0 : 1;
            return;
        }
        admitted = 0;
        now += 10s;
        breaker.trip(now);
        now += 2s;
    });
    std::vector<std::thread> threads;
    for (std::size_t self = 0; self < thread_count; ++self)
        threads.emplace_back([&] {
            for (int round = 0; round < rounds; ++round) {
                gate.arrive_and_wait();
                auto permit = breaker.try_acquire(now);
                if (permit) ++admitted;
                gate.arrive_and_wait(); // everybody holds on to what he has
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(phase == 2 * rounds);
    CHECK(wrong == 0);
}

// A lock that is held would show as a test that does not end.

TEST_CASE("resilience4j 2151 and 2241: a thread stopped in a listener holds up no other thread") {
    const TimePoint now{1h};
    std::latch is_stopped{3}, may_go_on{1};
    std::atomic<bool> shall_stop{true};
    const auto stop = [&] {
        if (!shall_stop) return;
        is_stopped.count_down();
        may_go_on.wait();
    };
    CircuitBreakerConfig config;
    config.slow_call_duration = 1s;
    CircuitBreaker breaker(config, {.on_change = [&](const BreakerChange&) { stop(); },
                                    .on_reject = [&](Rejection, TimePoint) { stop(); },
                                    .on_slow_call = [&](Duration) { stop(); }});
    auto slow = breaker.try_acquire(now);
    std::vector<std::thread> threads;
    threads.emplace_back([&] { slow.record(Outcome::success, now, 2s); });
    threads.emplace_back([&] { breaker.trip(now); });
    while (breaker.state() != BreakerState::open) std::this_thread::yield();
    threads.emplace_back([&] { (void)breaker.try_acquire(now); });
    is_stopped.wait();

    shall_stop = false;
    CHECK_FALSE(breaker.try_acquire(now));
    CHECK(breaker.stats(now).rejected == 2);
    breaker.reset(now);
    for (int i = 0; i < 4; ++i) breaker.try_acquire(now).record(Outcome::failure, now);
    CHECK(breaker.state() == BreakerState::open);
    may_go_on.count_down();
    for (std::thread& thread : threads) thread.join();
    CHECK(breaker.state() == BreakerState::open);
}

TEST_CASE("gofr 3501: while a probe is being made, others are answered at once") {
    CircuitBreakerConfig config;
    config.half_open_probes = 1;
    config.half_open_successes = 1;
    config.ramp = 0s;
    CircuitBreaker breaker(config);
    TimePoint now{1h};
    breaker.trip(now);
    now += 31s;
    std::latch is_probing{1}, has_answered{1};
    std::thread prober([&] {
        auto probe = breaker.try_acquire(now);
        is_probing.count_down();
        has_answered.wait(); // the peer takes its time
        probe.record(Outcome::success, now);
    });
    is_probing.wait();
    for (int i = 0; i < 100; ++i)
        CHECK(breaker.try_acquire(now).rejection() == Rejection::probes_taken);
    CHECK(breaker.stats(now).probes_under_way == 1);
    has_answered.count_down();
    prober.join();
    CHECK(breaker.state() == BreakerState::closed);
    CHECK(breaker.try_acquire(now));
}
