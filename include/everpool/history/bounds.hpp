// Everpool history: what a measurement and a time can be.
// SPDX-License-Identifier: BSL-1.0
//
// Metrics come from pages and their clocks. One that is no number would make every average of its
// series no number for ever, and one that is too large the sums behind them infinite.
#pragma once

#include "everpool/performance_history.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <cstdint>

namespace everpool::history {

inline constexpr Duration::rep duration_max = (Duration::rep{1} << 62) - 1; ///< 146 years
inline constexpr std::uint64_t memory_bytes_max = (std::uint64_t{1} << 48) - 1;
inline constexpr float throughput_max = 1e12F;

/// Are all of them possible? A sign bit or the bit below it is one in the union of all, too.
constexpr bool is_possible(const OperationMetrics& metrics) noexcept {
    const auto bits = static_cast<std::uint64_t>(
        metrics.duration.count() | metrics.queue.count() | metrics.transfer.count() |
        metrics.compute.count() | metrics.worker_age.count());
    return bits >> 62 == 0 && metrics.memory_bytes <= memory_bytes_max && metrics.throughput >= 0 &&
           metrics.throughput <= throughput_max;
}

/// The nearest that is possible; 0, which is "not known", for what is no number.
constexpr OperationMetrics make_possible(OperationMetrics metrics) noexcept {
    for (Duration* duration : {&metrics.duration, &metrics.queue, &metrics.transfer,
                               &metrics.compute, &metrics.worker_age})
        *duration = std::clamp(*duration, Duration{}, Duration(duration_max));
    metrics.memory_bytes = std::min(metrics.memory_bytes, memory_bytes_max);
    metrics.throughput =
        metrics.throughput >= 0 ? std::min(metrics.throughput, throughput_max) : 0.0F;
    return metrics;
}

/// `now - age`, but not before the beginning of time; `now` if the age is negative. Who wants all
/// there is asks for Duration::max().
constexpr TimePoint earlier(TimePoint now, Duration age) noexcept {
    if (age <= Duration{}) return now;
    return now < TimePoint::min() + age ? TimePoint::min() : now - age;
}

} // namespace everpool::history
