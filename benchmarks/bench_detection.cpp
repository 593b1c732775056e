// What it costs to watch a worker: one pong, one run time.
// SPDX-License-Identifier: BSL-1.0
//
// Both come with each ping and each operation of each worker. The floor is the least that anything
// must do that takes a time: read a clock.
//
// The counter `allocs` is allocations per operation.
#include "allocation_count.hpp"
#include "everpool/core/latency_drift.hpp"
#include "everpool/core/phi_accrual.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/variates.hpp"

#include <benchmark/benchmark.h>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using namespace everpool;
using namespace std::chrono_literals;

constexpr std::size_t prepared_count = 4096;

/// Log-normal about 20 ms, drawn beforehand.
std::vector<Duration> make_durations() {
    core::Prng prng(1);
    std::vector<Duration> durations;
    for (std::size_t i = 0; i < prepared_count; ++i)
        durations.push_back(Duration(
            static_cast<Duration::rep>(20e6 * std::exp(0.2 * core::normal_variate(prng)))));
    return durations;
}

using bench::measure;

void floor_clock(benchmark::State& state) {
    measure(state, [] { benchmark::DoNotOptimize(std::chrono::steady_clock::now()); });
}

void heartbeat(benchmark::State& state) {
    core::PhiAccrual detector;
    const std::vector<Duration> durations = make_durations();
    TimePoint now{1h};
    detector.watch(now);
    std::size_t i = 0;
    measure(state, [&] {
        detector.on_heartbeat(now += durations[i++ % prepared_count]);
        benchmark::DoNotOptimize(detector.deadline());
    });
}

void run_time(benchmark::State& state) {
    core::LatencyDrift drift;
    const std::vector<Duration> durations = make_durations();
    TimePoint now{1h};
    std::size_t i = 0;
    measure(state, [&] {
        benchmark::DoNotOptimize(drift.add(durations[i++ % prepared_count], now += 1s));
    });
}

} // namespace

BENCHMARK(floor_clock)->Name("floor/steady_clock_now");
BENCHMARK(heartbeat)->Name("everpool/phi_accrual/heartbeat_and_deadline");
BENCHMARK(run_time)->Name("everpool/latency_drift/add");
