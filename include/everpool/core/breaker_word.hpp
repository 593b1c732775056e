// Everpool core: the state of a circuit breaker in one 64-bit word, which is its only authority.
// SPDX-License-Identifier: BSL-1.0
//
//     63      61 60     56 55            32 31                    0
//     | state  | strikes  |     epoch      |         tick         |
//
// Every change of state is one compare-and-swap of the whole word, and gives it a new epoch. So two
// threads can never both perform the same change, and there is no moment in which the state is new
// and its time is old. What else belongs to a state (probes, streak, window) lives in words of its
// own that carry the epoch that they count for: a word of another epoch is either begun anew or
// left alone, never mixed. Hence no word publishes another one, and the order of accesses to
// different words does not matter.
//
// The epoch wraps after 16 million changes of state; a permit would have to be held as long.
//
// A tick is 2^20 ns, about a millisecond, and its 32 bits go round in 52 days. Whoever asks how
// long it is until a tick says how long it can be at most: more than that means that it is long
// past. So a breaker that nobody has asked for exactly 52 days may be taken for one that has just
// opened, and is then open for once more; one that has been healthy for exactly as long may be
// taken for one that has just closed, and keeps its strikes. That is all.
#pragma once

#include "everpool/time.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string_view>

namespace everpool::core {

/// What the parts of a breaker are made of. Tests replace it, to schedule every access.
struct BreakerTraits {
    template <class T>
    using Atomic = std::atomic<T>;
    /// Slices of a time window at most. A power of two.
    static constexpr unsigned slice_count_max = 16;
};

/// What a breaker is. Values are stable: they are exported.
enum class BreakerState : std::uint8_t {
    closed = 0,       ///< calls pass and are judged
    ramping = 1,      ///< closed, but only a growing share of the calls passes yet
    open = 2,         ///< no call passes until the open time is over
    half_open = 3,    ///< a few probes pass; their outcome decides
    forced_open = 4,  ///< no call passes until somebody says otherwise
    disabled = 5,     ///< all calls pass and are counted, none is judged (forced closed)
    metrics_only = 6, ///< all calls pass and are judged, but the verdict is only reported (dry run)
};

constexpr std::string_view name_of(BreakerState state) noexcept {
    switch (state) {
    case BreakerState::closed: return "closed";
    case BreakerState::ramping: return "ramping";
    case BreakerState::open: return "open";
    case BreakerState::half_open: return "half_open";
    case BreakerState::forced_open: return "forced_open";
    case BreakerState::disabled: return "disabled";
    case BreakerState::metrics_only: return "metrics_only";
    }
    return "unrecognised";
}

using Tick = std::uint32_t;
inline constexpr unsigned tick_bits = 20; ///< log2 of a tick's nanoseconds

/// No time of a config is longer, so that ticks can be compared.
inline constexpr Duration breaker_time_max = std::chrono::hours{24};
/// By how much the clocks of two threads may differ: about a second.
inline constexpr Tick clock_difference_max = 1000;

/// The tick in which `now` lies.
constexpr Tick tick_at(TimePoint now) noexcept {
    return static_cast<Tick>(now.time_since_epoch().count() >> tick_bits);
}
/// The first tick that lies wholly behind `now + delay`, so that nothing happens early.
constexpr Tick tick_after(TimePoint now, Duration delay) noexcept {
    return static_cast<Tick>((later(now, delay).time_since_epoch().count() >> tick_bits) + 1);
}
/// Ticks from `now` until `due`, which was at most `longest` ahead when it was set; 0 if it has
/// come.
constexpr Tick ticks_until(Tick due, Tick now, Duration longest) noexcept {
    const Tick ahead = due - now;
    return ahead <= static_cast<Tick>(longest.count() >> tick_bits) + clock_difference_max ? ahead
                                                                                           : 0;
}
constexpr Duration duration_of(Tick ticks) noexcept {
    return Duration(static_cast<Duration::rep>(ticks) << tick_bits);
}

struct BreakerWord {
    static constexpr std::uint32_t epoch_mask = 0xff'ffff;
    static constexpr std::uint32_t strikes_max = 31;

    BreakerState state{BreakerState::closed};
    std::uint32_t strikes{0}; ///< times it opened since it was last healthy
    std::uint32_t epoch{0};
    Tick tick{0}; ///< open, half-open: until when; else since when

    [[nodiscard]] static constexpr std::uint32_t epoch_of(std::uint64_t bits) noexcept {
        return static_cast<std::uint32_t>(bits >> 32) & epoch_mask;
    }
    [[nodiscard]] static constexpr BreakerState state_of(std::uint64_t bits) noexcept {
        return static_cast<BreakerState>(bits >> 61);
    }
    [[nodiscard]] static constexpr BreakerWord unpack(std::uint64_t bits) noexcept {
        return {state_of(bits), static_cast<std::uint32_t>(bits >> 56) & strikes_max,
                epoch_of(bits), static_cast<Tick>(bits)};
    }
    [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
        return std::uint64_t{static_cast<std::uint8_t>(state)} << 61 |
               std::uint64_t{strikes} << 56 | std::uint64_t{epoch} << 32 | tick;
    }
    /// The word that follows this one, in the next epoch.
    [[nodiscard]] constexpr BreakerWord next(BreakerState to, std::uint32_t new_strikes,
                                             Tick new_tick) const noexcept {
        return {to, new_strikes < strikes_max ? new_strikes : strikes_max, (epoch + 1) & epoch_mask,
                new_tick};
    }
};

/// Is epoch (or tag) `a` later than `b`, both of `bits` bits that wrap?
constexpr bool is_later(std::uint32_t a, std::uint32_t b, unsigned bits) noexcept {
    const std::uint32_t ahead = (a - b) & ((1U << bits) - 1);
    return ahead != 0 && ahead < 1U << (bits - 1);
}

/// The probes of one half-open epoch. `issued` counts those that are under way or have decided.
struct ProbeWord {
    std::uint32_t epoch{0};
    std::uint32_t issued{0}, succeeded{0}, failed{0};

    [[nodiscard]] static constexpr ProbeWord unpack(std::uint64_t bits) noexcept {
        return {static_cast<std::uint32_t>(bits >> 32),
                static_cast<std::uint32_t>(bits >> 20) & 0x3ff,
                static_cast<std::uint32_t>(bits >> 10) & 0x3ff,
                static_cast<std::uint32_t>(bits) & 0x3ff};
    }
    [[nodiscard]] constexpr std::uint64_t pack() const noexcept {
        return std::uint64_t{epoch} << 32 | issued << 20 | succeeded << 10 | failed;
    }
};

/// A count that belongs to one epoch: failures in a row, calls since the ramp began.
template <class Traits>
class EpochCounter {
public:
    /// Adds one and gives the new count; 0 if a later epoch has begun already.
    std::uint32_t increase(std::uint32_t epoch) noexcept {
        std::uint64_t bits = word_.load(std::memory_order_relaxed);
        for (;;) {
            if (is_later(epoch_of(bits), epoch, 24)) return 0;
            const std::uint32_t count = epoch_of(bits) == epoch ? count_of(bits) : 0;
            const std::uint32_t more = count == UINT32_MAX ? count : count + 1;
            if (word_.compare_exchange_strong(bits, std::uint64_t{epoch} << 32 | more,
                                              std::memory_order_relaxed))
                return more;
        }
    }
    /// Back to zero. Costs one load when it is zero already.
    void clear(std::uint32_t epoch) noexcept {
        std::uint64_t bits = word_.load(std::memory_order_relaxed);
        while (epoch_of(bits) == epoch && count_of(bits) != 0)
            if (word_.compare_exchange_strong(bits, std::uint64_t{epoch} << 32,
                                              std::memory_order_relaxed))
                return;
    }
    [[nodiscard]] std::uint32_t count(std::uint32_t epoch) const noexcept {
        const std::uint64_t bits = word_.load(std::memory_order_relaxed);
        return epoch_of(bits) == epoch ? count_of(bits) : 0;
    }

private:
    static constexpr std::uint32_t epoch_of(std::uint64_t bits) noexcept {
        return static_cast<std::uint32_t>(bits >> 32);
    }
    static constexpr std::uint32_t count_of(std::uint64_t bits) noexcept {
        return static_cast<std::uint32_t>(bits);
    }
    typename Traits::template Atomic<std::uint64_t> word_{0};
};

} // namespace everpool::core
