// Everpool history: several series taken together.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/dd_sketch.hpp"
#include "everpool/history/estimate_rate.hpp"
#include "everpool/history/series.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace everpool::history {

/// Collects series, and sums them up.
class Group {
public:
    void add(const SeriesNumbers& numbers, HistoryWindow window, TimePoint now) {
        const core::SlidingSketch::Counts counts = numbers.durations.counts(window, now);
        counts_.merge(counts);
        if (counts.successes != 0) sketch_.merge(numbers.durations.sketch(window, now));
    }
    [[nodiscard]] bool is_empty() const noexcept {
        return counts_.successes + counts_.failures == 0;
    }
    [[nodiscard]] GroupStats stats(std::string name) const {
        GroupStats stats{.name = std::move(name),
                         .successes = counts_.successes,
                         .failures = counts_.failures,
                         .success_rate = estimate_rate(static_cast<double>(counts_.successes),
                                                       static_cast<double>(counts_.failures))};
        if (counts_.successes == 0) return stats;
        const auto duration = [](double nanoseconds) {
            return Duration(static_cast<Duration::rep>(std::min(nanoseconds + 0.5, 9e18)));
        };
        stats.average = duration(counts_.sum / static_cast<double>(counts_.successes));
        stats.min = duration(counts_.min);
        stats.max = duration(counts_.max);
        stats.p50 = duration(sketch_.quantile(0.5));
        stats.p95 = duration(sketch_.quantile(0.95));
        stats.p99 = duration(sketch_.quantile(0.99));
        return stats;
    }

private:
    core::SlidingSketch::Counts counts_;
    core::DdSketch sketch_;
};

} // namespace everpool::history
