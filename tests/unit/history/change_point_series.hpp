// Series of latencies of which it is known when they changed: seeded, so that all have the same.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/prng.hpp"

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace everpool::test {

/// One number of a standard normal distribution, the polar way.
inline double normal(core::Prng& prng) {
    for (;;) {
        const double u = static_cast<double>(prng.next() >> 11) * 0x1p-52 - 1;
        const double v = static_cast<double>(prng.next() >> 11) * 0x1p-52 - 1;
        const double s = u * u + v * v;
        if (s > 0 && s < 1) return u * std::sqrt(-2 * std::log(s) / s);
    }
}

struct LabelledSeries {
    std::vector<double> values;
    /// The change lies in [begin, end); none if both are 0.
    std::size_t change_begin{0}, change_end{0};

    [[nodiscard]] bool has_change() const noexcept { return change_end != 0; }
};

struct SeriesKind {
    std::string name;
    double step{0};      ///< relative to the level before
    bool is_ramp{false}; ///< the step is spread over 40 values
    bool has_spikes{false};
};

inline const std::vector<SeriesKind> series_kinds{
    {.name = "step 5 %", .step = 0.05},
    {.name = "step 10 %", .step = 0.10},
    {.name = "step 25 %", .step = 0.25},
    {.name = "ramp 25 %", .step = 0.25, .is_ramp = true},
    {.name = "spikes", .has_spikes = true},
    {.name = "step 25 % among spikes", .step = 0.25, .has_spikes = true},
    {.name = "pure noise"}};

/// 200 values about 20 ms, with log-normal noise of the given coefficient of variation. A change
/// comes up or down, somewhere in the middle half. Spikes: 3 % of the values, three to ten times as
/// large.
inline LabelledSeries make_series(const SeriesKind& kind, double noise, std::uint64_t seed) {
    constexpr std::size_t count = 200, ramp_count = 40;
    core::Prng prng(seed);
    LabelledSeries series;
    double factor = 1;
    if (kind.step > 0) {
        series.change_begin = 50 + prng.below(100);
        series.change_end = series.change_begin + (kind.is_ramp ? ramp_count : 1);
        factor = prng.ratio(1, 2) ? 1 + kind.step : 1 / (1 + kind.step);
    }
    for (std::size_t i = 0; i < count; ++i) {
        double progress = series.has_change() && i >= series.change_begin ? 1 : 0;
        if (kind.is_ramp && progress > 0 && i < series.change_end)
            progress = static_cast<double>(i - series.change_begin) / ramp_count;
        double value = 20 * std::pow(factor, progress) * std::exp(noise * normal(prng));
        if (kind.has_spikes && prng.ratio(3, 100)) value *= 3 + static_cast<double>(prng.below(8));
        series.values.push_back(value);
    }
    return series;
}

} // namespace everpool::test
