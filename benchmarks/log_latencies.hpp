// How long each of many took.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace bench {

using Clock = std::chrono::steady_clock;

inline double microseconds(Clock::duration duration) {
    return std::chrono::duration<double, std::micro>(duration).count();
}

/// \pre values is not empty; sorts a part of it
inline double quantile(std::vector<float>& values, double q) {
    const auto place = static_cast<std::size_t>(q * static_cast<double>(values.size()));
    const auto nth =
        values.begin() + static_cast<std::ptrdiff_t>(std::min(values.size() - 1, place));
    std::nth_element(values.begin(), nth, values.end());
    return static_cast<double>(*nth);
}

inline void count_quantiles(benchmark::State& state, std::vector<float>& microseconds) {
    if (microseconds.empty()) return;
    state.counters["p50_us"] = quantile(microseconds, 0.50);
    state.counters["p99_us"] = quantile(microseconds, 0.99);
    state.counters["max_us"] = static_cast<double>(*std::ranges::max_element(microseconds));
}

/// Times each iteration as well: one look at the clock for each.
template <class Step>
void measure(benchmark::State& state, Step step) {
    constexpr std::size_t latencies_max = std::size_t{1} << 22;
    std::vector<float> latencies;
    latencies.reserve(latencies_max);
    auto begin = Clock::now();
    for (auto _ : state) {
        step();
        const auto end = Clock::now();
        if (latencies.size() < latencies_max)
            latencies.push_back(static_cast<float>(microseconds(end - begin)));
        begin = end;
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
    count_quantiles(state, latencies);
}

} // namespace bench
