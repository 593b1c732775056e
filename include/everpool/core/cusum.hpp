// Everpool core: has the level changed? An answer after each value, in a few nanoseconds.
// SPDX-License-Identifier: BSL-1.0
//
// Page's two-sided cumulative sum of standardised residuals: drifts of half a standard deviation
// and more add up, the rest does not. One value counts at most for `clip` deviations, so that a
// single spike is never an alarm. A lasting shift by one deviation is noticed after about 25
// values, and normal noise alarms once in some half a million (Siegmund's approximation). Latencies
// have heavier tails, so an alarm is a reason to look (core/change_points.hpp), not a verdict.
#pragma once

#include <algorithm>
#include <cstdint>

namespace everpool::core {

enum class CusumAlarm : std::uint8_t { none, up, down };

struct Cusum {
    static constexpr double slack = 0.5;      ///< deviations that are not worth noticing
    static constexpr double threshold = 12.0; ///< the sum that is an alarm
    static constexpr double clip = 3.0;       ///< five spikes in a row are needed

    double up{0}, down{0};

    /// \param residual (value - expected) / standard deviation
    CusumAlarm add(double residual) noexcept {
        const double bounded = std::clamp(residual, -clip, clip);
        up = std::max(0.0, up + bounded - slack);
        down = std::max(0.0, down - bounded - slack);
        if (up < threshold && down < threshold) return CusumAlarm::none;
        const CusumAlarm alarm = up >= threshold ? CusumAlarm::up : CusumAlarm::down;
        up = down = 0;
        return alarm;
    }

    friend bool operator==(const Cusum&, const Cusum&) = default;
};

} // namespace everpool::core
