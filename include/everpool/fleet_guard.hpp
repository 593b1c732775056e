// Everpool: keeps breakers from taking a whole fleet out of service.
// SPDX-License-Identifier: BSL-1.0
//
// A breaker sees one peer. When all of them open at once it is more likely that the calls are at
// fault, or the network, or the host, than that every peer is; and even if it is not, the last
// peers that work must not be buried under the traffic of all. So a fleet asks here before it takes
// a member out:
//
//     FleetGuard guard{{.member_count = 4}};
//     (void)guard.report_unhealthy(i, now);   // its breaker has opened
//     guard.report_healthy(i);                // its breaker has closed, or begun its ramp
//
//     if (!guard.admits(chance)) return refuse();
//     // choose i among the members for which guard.may_use(i), then
//     auto permit = breakers[i].try_acquire(now);
//     if (permit || guard.overrides_breaker(i)) call(i);
//
// An ejection is refused if after it too many would be out, or too few healthy ones would be left;
// never is everybody out. A member that was refused stays in use though it is unhealthy: calls go
// to it even if its own breaker, which knows nothing of the others, rejects them; such a call has
// an empty permit, and recording that does nothing. If so many are unhealthy that the rest cannot
// carry the load, the guard is in panic mode, and the config says what that means.
//
// An ejected member gets no calls but its breaker's probes. Ask that breaker now and then, when its
// open time is over, and make the calls that it admits; nothing else tells that it is well again.
//
// Recovery: when the fleet has been down to fewer healthy members than `recovered_count`, calls are
// admitted with probability q/n until it is back there: q members healthy of the n that are needed.
// So the first one to recover gets its own share and not everybody's. With none healthy the share
// is that of one, or nobody would see the recovery.
//
// Thread safety: everything from any thread; lock-free, no allocation. Time and chance are
// arguments.
#pragma once

#include "everpool/time.hpp"

#include <atomic>
#include <bit>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace everpool {

/// What happens to calls in panic mode.
enum class PanicMode : std::uint8_t {
    use_all,     ///< all members are used, whatever is known of them: better a chance than none
    use_none,    ///< no call is admitted: fail at once, somebody else may be able to serve it.
                 ///< Only probes that are sent without asking here can end it
    use_healthy, ///< as always, but calls are admitted with probability healthy/all, at least 1/all
};

/// What became of a member that was reported unhealthy.
enum class Ejection : std::uint8_t {
    ejected,
    already_ejected,
    refused_share,   ///< more than max_ejected_percent would be out after it
    refused_healthy, ///< fewer than min_healthy_count healthy ones, or nobody, would be left
    refused_pace,    ///< the last ejection was less than min_interval ago
};

struct FleetGuardConfig {
    /// Members, by index from 0. 1 to 64. Default 1.
    std::size_t member_count{1};

    /// At most so many percent may be out, counted after the ejection: with 3 members and 50 %,
    /// one. The last member in use stays in use even if this is 100. Default 50. 0 to 100.
    std::uint32_t max_ejected_percent{50};

    /// So many healthy members stay in, whatever the share says. Default 1. 0 to member_count.
    std::size_t min_healthy_count{1};

    /// At least this long between two ejections, so that one sweep cannot take out several before
    /// the first one's effect is seen. Default 0: none. 0 to 1 h.
    Duration min_interval{};

    /// Panic below this share of healthy members. Default 50. 0 to 100; 0 never panics.
    std::uint32_t panic_percent{50};
    PanicMode panic_mode{PanicMode::use_all};

    /// After the fleet had fewer healthy members than this, calls are thinned until it has as many
    /// again. Default 1: only after a total outage, and then only until the first has recovered,
    /// which thins nothing. Set it to what carries your load. 1 to member_count.
    std::size_t recovered_count{1};
};

/// Throws std::invalid_argument that names the first member out of its range.
inline void check_config(const FleetGuardConfig& config) {
    const auto demand = [](bool is_met, const char* text) {
        if (!is_met) throw std::invalid_argument(text);
    };
    demand(config.member_count >= 1 && config.member_count <= 64,
           "FleetGuardConfig::member_count must be 1 to 64");
    demand(config.max_ejected_percent <= 100,
           "FleetGuardConfig::max_ejected_percent must be 0 to 100");
    demand(config.min_healthy_count <= config.member_count,
           "FleetGuardConfig::min_healthy_count must be 0 to member_count");
    demand(config.min_interval >= Duration{} && config.min_interval <= std::chrono::hours{1},
           "FleetGuardConfig::min_interval must be 0 to 1 h");
    demand(config.panic_percent <= 100, "FleetGuardConfig::panic_percent must be 0 to 100");
    demand(config.recovered_count >= 1 && config.recovered_count <= config.member_count,
           "FleetGuardConfig::recovered_count must be 1 to member_count");
}

class FleetGuard {
public:
    /// Throws std::invalid_argument if check_config() does.
    explicit FleetGuard(FleetGuardConfig config) : config_((check_config(config), config)) {}
    FleetGuard(const FleetGuard&) = delete;
    FleetGuard& operator=(const FleetGuard&) = delete;

    /// The member's breaker has opened. If refused, report it again when another one has recovered,
    /// or on the next failure: nothing is queued. \pre index < member_count
    Ejection report_unhealthy(std::size_t index, TimePoint now) noexcept;
    /// The member's breaker has closed. \pre index < member_count
    void report_healthy(std::size_t index) noexcept;

    /// May calls be routed to this member? \pre index < member_count
    [[nodiscard]] bool may_use(std::size_t index) const noexcept;
    /// Is the member unhealthy, and in use all the same? Then a call may go to it though its
    /// breaker rejects it. \pre index < member_count
    [[nodiscard]] bool overrides_breaker(std::size_t index) const noexcept {
        return (unhealthy_.load(std::memory_order_acquire) & bit(index)) != 0 && may_use(index);
    }
    /// May this call be made at all? `chance`: 64 random bits, which differ from call to call.
    [[nodiscard]] bool admits(std::uint64_t chance) const noexcept;

    [[nodiscard]] bool is_panicking() const noexcept {
        return healthy_count() * 100 < config_.panic_percent * config_.member_count;
    }
    /// Being thinned, until recovered_count members are healthy.
    [[nodiscard]] bool is_recovering() const noexcept {
        return is_recovering_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::size_t healthy_count() const noexcept {
        return config_.member_count - count(unhealthy_.load(std::memory_order_acquire));
    }
    [[nodiscard]] std::size_t ejected_count() const noexcept {
        return count(ejected_.load(std::memory_order_acquire));
    }

private:
    using Set = std::uint64_t; ///< one bit per member

    static std::size_t count(Set set) noexcept {
        return static_cast<std::size_t>(std::popcount(set));
    }
    [[nodiscard]] Set bit(std::size_t index) const noexcept {
        assert(index < config_.member_count);
        return Set{1} << index;
    }
    [[nodiscard]] static bool is_in(std::uint64_t chance, std::size_t q, std::size_t n) noexcept {
        return (chance >> 32) * n < std::uint64_t{q} << 32; // q/n of all values
    }

    const FleetGuardConfig config_;
    std::atomic<Set> unhealthy_{0};
    std::atomic<Set> ejected_{0};
    std::atomic<Duration::rep> last_ejection_{Duration::min().count()};
    std::atomic<bool> is_recovering_{false};
};

// -------------------------------------------------------------------------------------------------

inline Ejection FleetGuard::report_unhealthy(std::size_t index, TimePoint now) noexcept {
    const Set self = bit(index);
    const Set unhealthy = unhealthy_.fetch_or(self, std::memory_order_acq_rel) | self;
    if (config_.member_count - count(unhealthy) < config_.recovered_count)
        is_recovering_.store(true, std::memory_order_relaxed);

    Set ejected = ejected_.load(std::memory_order_acquire);
    for (;;) {
        if ((ejected & self) != 0) return Ejection::already_ejected;
        const Set after = ejected | self;
        if (count(after) * 100 > config_.max_ejected_percent * config_.member_count)
            return Ejection::refused_share;
        // Healthy is who is neither known to be unhealthy nor out: an unhealthy one that is kept in
        // for want of others does not count as what must be kept in.
        const Set out_or_ill = after | unhealthy_.load(std::memory_order_acquire);
        if (config_.member_count - count(out_or_ill) < config_.min_healthy_count ||
            count(after) == config_.member_count)
            return Ejection::refused_healthy;
        Duration::rep last = last_ejection_.load(std::memory_order_relaxed);
        const Duration::rep here = now.time_since_epoch().count();
        if (last != Duration::min().count() && here - last < config_.min_interval.count())
            return Ejection::refused_pace;
        // The pace is claimed before the place: of two that come together one is refused, and if
        // the place is then lost to somebody else, the pace was too.
        if (config_.min_interval > Duration{} &&
            !last_ejection_.compare_exchange_strong(last, here, std::memory_order_relaxed))
            return Ejection::refused_pace;
        if (ejected_.compare_exchange_strong(ejected, after, std::memory_order_acq_rel))
            return Ejection::ejected;
    }
}

inline void FleetGuard::report_healthy(std::size_t index) noexcept {
    const Set others = ~bit(index);
    ejected_.fetch_and(others, std::memory_order_acq_rel);
    const Set unhealthy = unhealthy_.fetch_and(others, std::memory_order_acq_rel) & others;
    if (config_.member_count - count(unhealthy) >= config_.recovered_count)
        is_recovering_.store(false, std::memory_order_relaxed);
}

inline bool FleetGuard::may_use(std::size_t index) const noexcept {
    if ((ejected_.load(std::memory_order_acquire) & bit(index)) == 0) return true;
    return config_.panic_mode == PanicMode::use_all && is_panicking();
}

inline bool FleetGuard::admits(std::uint64_t chance) const noexcept {
    const std::size_t healthy = healthy_count();
    const std::size_t share = healthy > 0 ? healthy : 1;
    if (is_panicking()) {
        if (config_.panic_mode == PanicMode::use_none) return false;
        if (config_.panic_mode == PanicMode::use_healthy)
            return is_in(chance, share, config_.member_count);
        if (healthy == 0) return true; // nothing is known to work, so everything is tried
    }
    return !is_recovering() || is_in(chance, share, config_.recovered_count);
}

} // namespace everpool
