// Everpool core: how long to wait before trying again.
// SPDX-License-Identifier: BSL-1.0
//
// The first retry is immediate: most failures are single, and a pool with one worker less serves
// nobody. After that the bound doubles, and the delay is drawn between 0 and the bound ("full
// jitter"), so that workers which failed together do not come back together. A long healthy spell
// starts it over; a short one does not, else a worker that crashes a second after each start would
// be restarted at full speed for ever.
#pragma once

#include "everpool/core/prng.hpp"
#include "everpool/time.hpp"

#include <cstdint>

namespace everpool::core {

/// The longest delay after this many failures: 0, 0, min, 2 min, 4 min ... max.
/// (After no failure and after the first one there is none.)
constexpr Duration backoff_bound(Duration min, Duration max, std::uint32_t failures) noexcept {
    if (failures <= 1) return Duration{};
    Duration bound = min;
    for (std::uint32_t i = 2; i < failures && bound < max; ++i)
        bound = bound > max - bound ? max : bound + bound;
    return bound < max ? bound : max;
}

class Backoff {
public:
    constexpr Backoff(Duration min, Duration max, Duration healthy_after) noexcept
        : min_(min), max_(max), healthy_after_(healthy_after) {}

    /// It failed again: how long to wait now.
    constexpr Duration next_delay(Prng& prng) noexcept {
        if (failures_ < 1'000'000) ++failures_;
        const Duration bound = backoff_bound(min_, max_, failures_);
        return Duration(
            static_cast<Duration::rep>(prng.below(static_cast<std::uint64_t>(bound.count()) + 1)));
    }

    /// It had worked for this long before it failed.
    constexpr void on_healthy_spell(Duration spell) noexcept {
        if (spell >= healthy_after_) failures_ = 0;
    }

    [[nodiscard]] constexpr std::uint32_t failures() const noexcept { return failures_; }

private:
    Duration min_, max_, healthy_after_;
    std::uint32_t failures_{0};
};

} // namespace everpool::core
