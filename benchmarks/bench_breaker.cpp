// What a circuit breaker adds to each call.
// SPDX-License-Identifier: BSL-1.0
//
// `closed` is try_acquire() and record() of a success; `reject` is try_acquire() of an open
// breaker. The time is passed in, as a caller has read the clock already; the floor clock_read says
// what that costs. Time moves by 100 ns per call, so that slices roll over as they do in earnest.
//
// With two threads, `closed_two_threads` gives each a lane of its own, as the manual advises;
// `closed_two_threads/one_lane` shows what it costs not to. The time is per call of one thread.
//
// The counter `allocs` is allocations per operation.
#include "allocation_count.hpp"
#include "everpool/circuit_breaker.hpp"

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace {

using namespace everpool;
using namespace std::chrono_literals;

constexpr Duration call_interval = 100ns;

template <class Step>
void measure(benchmark::State& state, Step step) {
    bench::measure(state, step, 1000);
}

// --- floors --------------------------------------------------------------------------------------

std::atomic<std::uint64_t> shared_word{0};

void floor_atomic_load(benchmark::State& state) {
    measure(state, [] { benchmark::DoNotOptimize(shared_word.load(std::memory_order_acquire)); });
}

void floor_fetch_add(benchmark::State& state) {
    measure(state,
            [] { benchmark::DoNotOptimize(shared_word.fetch_add(1, std::memory_order_relaxed)); });
}

void floor_clock_read(benchmark::State& state) {
    measure(state, [] { benchmark::DoNotOptimize(std::chrono::steady_clock::now()); });
}

// --- ours ----------------------------------------------------------------------------------------

void call(CircuitBreaker& breaker, TimePoint& now, std::size_t lane) {
    now += call_interval;
    if (auto permit = breaker.try_acquire(now, lane)) permit.record(Outcome::success, now);
}

void closed(benchmark::State& state) {
    CircuitBreaker breaker;
    TimePoint now{1h};
    measure(state, [&] { call(breaker, now, 0); });
    if (breaker.stats(now).totals.successes < static_cast<std::uint64_t>(state.iterations()))
        state.SkipWithError("calls were lost");
}

void closed_count_window(benchmark::State& state) {
    CircuitBreaker breaker(CircuitBreakerConfig{.window_calls = 100});
    TimePoint now{1h};
    measure(state, [&] { call(breaker, now, 0); });
}

void closed_failure(benchmark::State& state) {
    // Every other call fails: each failure is judged, and the breaker stays closed by its limit.
    CircuitBreaker breaker(CircuitBreakerConfig{.failure_rate_limit = 0.9});
    TimePoint now{1h};
    measure(state, [&] {
        call(breaker, now, 0);
        now += call_interval;
        breaker.try_acquire(now).record(Outcome::failure, now);
    });
    if (breaker.state() != BreakerState::closed) state.SkipWithError("it opened");
}

void closed_two_threads(benchmark::State& state, bool has_own_lane) {
    static CircuitBreaker breaker;
    const auto self = static_cast<std::size_t>(state.thread_index());
    TimePoint now{1h};
    measure(state, [&] { call(breaker, now, has_own_lane ? self : 0); });
}

void reject(benchmark::State& state) {
    CircuitBreaker breaker;
    TimePoint now{1h};
    breaker.trip(now);
    std::uint64_t admitted = 0;
    measure(state, [&] { admitted += breaker.try_acquire(now) ? 1 : 0; });
    if (admitted != 0) state.SkipWithError("an open breaker admitted a call");
}

BENCHMARK(floor_atomic_load)->Name("floor/atomic_load");
BENCHMARK(floor_fetch_add)->Name("floor/fetch_add");
BENCHMARK(floor_fetch_add)->Name("floor/fetch_add_two_threads")->Threads(2)->UseRealTime();
BENCHMARK(floor_clock_read)->Name("floor/clock_read");
BENCHMARK(closed)->Name("everpool/breaker/closed");
BENCHMARK(closed_count_window)->Name("everpool/breaker/closed_count_window");
BENCHMARK(closed_failure)->Name("everpool/breaker/closed_success_and_failure");
BENCHMARK(reject)->Name("everpool/breaker/reject");
BENCHMARK_CAPTURE(closed_two_threads, own_lane, true)
    ->Name("everpool/breaker/closed_two_threads")
    ->Threads(2)
    ->UseRealTime();
BENCHMARK_CAPTURE(closed_two_threads, one_lane, false)
    ->Name("everpool/breaker/closed_two_threads/one_lane")
    ->Threads(2)
    ->UseRealTime();

} // namespace
