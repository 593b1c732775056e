// Everpool: the two time types that every decision takes as arguments.
// SPDX-License-Identifier: BSL-1.0
//
// Decisions never read a clock: the drivers pass `TimePoint`s in, the simulator invents them. The
// clock is named only for its type; it is monotonic, so a changed wall clock disturbs nothing.
#pragma once

#include <chrono>

namespace everpool {

using Duration = std::chrono::nanoseconds;
using TimePoint = std::chrono::time_point<std::chrono::steady_clock, Duration>;

/// "Never": later than any deadline. Arithmetic on it would overflow, so compare it first.
inline constexpr TimePoint never = TimePoint::max();

/// `now + delay`, saturating at `never`; for any `now`, as a simulation's clock may begin before
/// its epoch. \pre the result is not before TimePoint::min()
constexpr TimePoint later(TimePoint now, Duration delay) noexcept {
    return delay > Duration::zero() && now > never - delay ? never : now + delay;
}

} // namespace everpool
