// Everpool: a throttle on the caller's side, which sends about as much as the peer accepts.
// SPDX-License-Identifier: BSL-1.0
//
// A peer that refuses calls for overload spends work on refusing. So its callers count, over the
// last two minutes, how many calls they wanted to make and how many were accepted, and refuse some
// of the next ones themselves, with probability
//
//     max(0, (requests - K * accepts) / (requests + 1))
//
// (Google, Site Reliability Engineering, "Handling Overload"), or max_refused_percent if that is
// less. With K = 2 twice as much is sent as is accepted, so that a recovery is seen. A breaker is
// all or nothing; this is by degrees, and suits a peer that is overloaded rather than broken.
//
//     if (throttle.try_begin(now, chance)) { call(); if (accepted) throttle.on_accept(now); }
//
// A call counts as wanted when it begins, not when it ends, so calls under way, or hanging, are
// seen. One that is refused here counts as wanted too.
//
// Thread safety: everything from any thread; lock-free, no allocation. Time and chance are
// arguments.
#pragma once

#include "everpool/time.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <stdexcept>

namespace everpool {

struct AdaptiveThrottleConfig {
    /// K, in percent: how much is sent of what is accepted. Default 200. 100 to 1000; smaller
    /// refuses more and sees a recovery later.
    std::uint32_t multiple_percent{200};

    /// What is older is not counted; it slides in steps of a sixteenth. Default 2 min. 16 ms to
    /// 1 h.
    Duration window{std::chrono::minutes{2}};

    /// Never refuse more than this, so that a peer which refused everything is still asked now and
    /// then: by the formula alone, after ten thousand refusals only every ten thousandth call would
    /// find out that it is well again. Default 90 %. 0 to 100; 100 is the formula alone.
    std::uint32_t max_refused_percent{90};
};

/// Throws std::invalid_argument that names the first member out of its range.
inline void check_config(const AdaptiveThrottleConfig& config) {
    const auto demand = [](bool is_met, const char* text) {
        if (!is_met) throw std::invalid_argument(text);
    };
    demand(config.multiple_percent >= 100 && config.multiple_percent <= 1000,
           "AdaptiveThrottleConfig::multiple_percent must be 100 to 1000");
    demand(config.window >= std::chrono::milliseconds{16} && config.window <= std::chrono::hours{1},
           "AdaptiveThrottleConfig::window must be 16 ms to 1 h");
    demand(config.max_refused_percent <= 100,
           "AdaptiveThrottleConfig::max_refused_percent must be 0 to 100");
}

class AdaptiveThrottle {
public:
    /// Throws std::invalid_argument if check_config() does.
    explicit AdaptiveThrottle(AdaptiveThrottleConfig config = {})
        : config_((check_config(config), config)) {}
    AdaptiveThrottle(const AdaptiveThrottle&) = delete;
    AdaptiveThrottle& operator=(const AdaptiveThrottle&) = delete;

    struct Counts {
        std::uint64_t requests{0}, accepts{0};
    };

    /// A call is wanted: may it be sent? `chance`: 64 random bits, which differ from call to call.
    [[nodiscard]] bool try_begin(TimePoint now, std::uint64_t chance) noexcept {
        const std::uint64_t refused = refused_of_2_to_32(now);
        add(now, 1, 0);
        return chance >> 32 >= refused;
    }
    /// The peer has accepted a call: it may have failed, but not for want of capacity.
    void on_accept(TimePoint now) noexcept { add(now, 0, 1); }

    /// How many of 2^32 calls are refused now.
    [[nodiscard]] std::uint64_t refused_of_2_to_32(TimePoint now) const noexcept {
        const Counts all = counts(now);
        const std::uint64_t allowed = all.accepts * config_.multiple_percent;
        if (all.requests * 100 <= allowed) return 0;
        const std::uint64_t most = (std::uint64_t{config_.max_refused_percent} << 32) / 100;
        // In hundredths; 16 slices of 2^16 calls keep it far below 64 bits.
        const std::uint64_t share =
            ((all.requests * 100 - allowed) << 32) / ((all.requests + 1) * 100);
        return share < most ? share : most;
    }

    /// Of the window.
    [[nodiscard]] Counts counts(TimePoint now) const noexcept {
        const std::uint32_t current = number_at(now);
        Counts sum;
        for (const std::atomic<std::uint64_t>& slice : slices_) {
            const std::uint64_t bits = slice.load(std::memory_order_relaxed);
            const std::uint32_t age = current - static_cast<std::uint32_t>(bits >> 32);
            if (age >= slice_count && age != UINT32_MAX) continue; // one ahead: another's clock
            sum.requests += bits >> 16 & full;
            sum.accepts += bits & full;
        }
        return sum;
    }

private:
    static constexpr std::uint32_t slice_count = 16;
    static constexpr std::uint64_t full = 0xffff;

    /// From 1, as 0 is what has never been used.
    [[nodiscard]] std::uint32_t number_at(TimePoint now) const noexcept {
        return static_cast<std::uint32_t>(now.time_since_epoch() / (config_.window / slice_count)) +
               1;
    }

    /// A slice is number (32), requests (16), accepts (16). One that is full is halved, which keeps
    /// the ratio; one that is older is begun anew. One that is newer belongs to others: who was
    /// held up so long between his clock and here has nothing to add to it. (Newer by a few rounds;
    /// what seems to be further ahead is left from long ago.)
    void add(TimePoint now, std::uint64_t requests, std::uint64_t accepts) noexcept {
        const std::uint32_t number = number_at(now);
        std::atomic<std::uint64_t>& slice = slices_[number % slice_count];
        std::uint64_t bits = slice.load(std::memory_order_relaxed);
        std::uint64_t next = 0;
        do {
            std::uint64_t r = bits >> 16 & full, a = bits & full;
            const std::uint32_t ahead = static_cast<std::uint32_t>(bits >> 32) - number;
            if (bits != 0 && ahead != 0 && ahead <= 4 * slice_count) return;
            if (ahead != 0) r = a = 0;
            if (r == full || a == full) r /= 2, a /= 2;
            next = std::uint64_t{number} << 32 | (r + requests) << 16 | (a + accepts);
        } while (!slice.compare_exchange_weak(bits, next, std::memory_order_relaxed));
    }

    const AdaptiveThrottleConfig config_;
    std::array<std::atomic<std::uint64_t>, slice_count> slices_{};
};

} // namespace everpool
