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

#include <chrono>
#include <cstdint>

namespace everpool::core {

/// The longest delay after this many failures: 0, 0, min, 2 min, 4 min ... max.
/// (After no failure and after the first one there is none.)
constexpr Duration backoff_bound(Duration min, Duration max, std::uint32_t failures) noexcept {
    if (failures <= 1 || min <= Duration{}) return Duration{};
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

    constexpr void reset() noexcept { failures_ = 0; }

    [[nodiscard]] constexpr std::uint32_t failures() const noexcept { return failures_; }

private:
    Duration min_, max_, healthy_after_;
    std::uint32_t failures_{0};
};

/// How the bound of a RetryDelay grows. Fibonacci (1 1 2 3 5 8 ...) grows by 1.6 instead of 2: for
/// peers that recover in steps of seconds, where doubling would soon sleep through the recovery.
enum class BackoffShape : std::uint8_t { exponential, fibonacci };

/// The longest delay before retry 1, 2, 3 ...: min, 2 min, 4 min ... or min, min, 2 min, 3 min,
/// 5 min ... up to max. Retry 0 is the first attempt, and waits for nothing.
constexpr Duration retry_bound(BackoffShape shape, Duration min, Duration max,
                               std::uint32_t retry) noexcept {
    if (retry == 0 || min <= Duration{}) return Duration{};
    if (shape == BackoffShape::exponential)
        return backoff_bound(min, max, retry < UINT32_MAX ? retry + 1 : retry);
    Duration previous{}, bound{min};
    for (std::uint32_t i = 1; i < retry && bound < max; ++i) {
        const Duration sum = bound > max - previous ? max : bound + previous;
        previous = bound;
        bound = sum;
    }
    return bound < max ? bound : max;
}

/// How long the caller of a failing peer waits before it asks again: the delay is drawn between 0
/// and retry_bound() ("full jitter"). If the peer has said when it wants to be asked again, that is
/// kept: the delay is at least `retry_after` (itself limited, or a broken peer could put us off for
/// ever), and the jitter comes on top, or everybody who was told the same would come back together.
struct RetryDelay {
    Duration min{std::chrono::milliseconds{100}};      ///< bound of the first retry; > 0
    Duration max{std::chrono::seconds{20}};            ///< bound of all later ones; >= min
    Duration retry_after_max{std::chrono::minutes{1}}; ///< a longer retry_after is cut to this
    BackoffShape shape{BackoffShape::exponential};

    /// Before the given retry, from 1.
    [[nodiscard]] constexpr Duration delay(std::uint32_t retry, Prng& prng,
                                           Duration retry_after = {}) const noexcept {
        const Duration bound = retry_bound(shape, min, max, retry);
        const auto drawn =
            static_cast<Duration::rep>(prng.below(static_cast<std::uint64_t>(bound.count()) + 1));
        if (retry_after <= Duration{}) return Duration(drawn);
        const Duration asked = retry_after < retry_after_max ? retry_after : retry_after_max;
        return asked > Duration::max() - Duration(drawn) ? Duration::max()
                                                         : asked + Duration(drawn);
    }
};

} // namespace everpool::core
