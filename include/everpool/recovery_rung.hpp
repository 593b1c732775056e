// Everpool: the rungs of the recovery ladder, smallest first.
// SPDX-License-Identifier: BSL-1.0
//
// A rung says how much of a worker is thrown away and made anew. A recovery begins with the
// smallest rung that can cure what has failed, and climbs as long as a rung fails. Whatever the
// rung, a worker counts as recovered only when it has loaded its models again, and those with a
// ModelSpec::warm_up have passed that inference; until then callers' operations go to other
// workers. A model without a warm-up proves nothing but that it can be loaded.
//
// Two of them no worker's recovery has. What `ping` does, detection has done before any recovery
// begins: whoever is silent is asked once more over every channel, and who does not answer then has
// failed. `simulation` is the pool's, when no worker is left: FaultToleranceOptions::simulate.
//
// A machine is where a WebDriver endpoint is (WebDriverOptions::endpoint), or this one. Another one
// is there if ResourcePoolConfig::remote_alternatives names one, or if the worker itself is at an
// endpoint: then this machine is another one. Machines are told apart by the endpoint's host, port
// and path, so that two drivers on one host count as two.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace everpool {

enum class RecoveryRung : std::uint8_t {
    ping,             ///< nothing is thrown away: it is asked again, and must answer
    recreate_device,  ///< the sessions, and the GPU device or WebNN context below them
    replace_compute,  ///< the page's compute thread, with everything in it
    reload_page,      ///< the page's document; the browser reloads it
    new_page,         ///< the page and its process; another one, in the same browser
    restart_browser,  ///< the browser process, with its profile; the same arguments
    restart_adjusted, ///< the same, with settings for the failure that it has not had yet
    other_browser,    ///< the browser: another one of the same type on the same machine
    other_type,       ///< the browser: the next type in the model family's order, same machine
    other_provider,   ///< the provider: the next in ModelSpec::providers
    other_machine,    ///< the machine: the next browser that runs on another one
    simulation,       ///< the computation: labelled answers without one
};

inline constexpr std::size_t recovery_rung_count = 12;

/// All, smallest first.
inline constexpr std::array<RecoveryRung, recovery_rung_count> recovery_rungs = [] {
    std::array<RecoveryRung, recovery_rung_count> all{};
    for (std::size_t i = 0; i < recovery_rung_count; ++i) all[i] = static_cast<RecoveryRung>(i);
    return all;
}();

constexpr std::string_view name_of(RecoveryRung rung) noexcept {
    switch (rung) {
    case RecoveryRung::ping: return "ping";
    case RecoveryRung::recreate_device: return "recreate_device";
    case RecoveryRung::replace_compute: return "replace_compute";
    case RecoveryRung::reload_page: return "reload_page";
    case RecoveryRung::new_page: return "new_page";
    case RecoveryRung::restart_browser: return "restart_browser";
    case RecoveryRung::restart_adjusted: return "restart_adjusted";
    case RecoveryRung::other_browser: return "other_browser";
    case RecoveryRung::other_type: return "other_type";
    case RecoveryRung::other_provider: return "other_provider";
    case RecoveryRung::other_machine: return "other_machine";
    case RecoveryRung::simulation: return "simulation";
    }
    return "unrecognised";
}

constexpr std::optional<RecoveryRung> recovery_rung_from(std::string_view name) noexcept {
    for (const RecoveryRung rung : recovery_rungs)
        if (name_of(rung) == name) return rung;
    return std::nullopt;
}

/// From restart_browser on, another browser process does the work afterwards.
constexpr bool replaces_browser(RecoveryRung rung) noexcept {
    return rung >= RecoveryRung::restart_browser;
}

/// From reload_page on, the page's document and its connections are new afterwards.
constexpr bool replaces_page(RecoveryRung rung) noexcept {
    return rung >= RecoveryRung::reload_page;
}

/// What a try of a rung may cost, and how often a round of recovery tries it.
struct RungBudget {
    /// Of ResourcePoolConfig::start_timeout if the rung replaces the browser, else of
    /// page_start_timeout. Whoever has not passed its verification by then has failed.
    std::uint8_t time_percent;
    /// Tries in one round by the strategies of this library; a strategy of the host's may spend
    /// more, within restart_count_max failed starts in a row.
    std::uint8_t tries;
};

/// A question is answered soon or never. All others have the time that they are configured to have,
/// as each of them loads and verifies every model. A browser's start is tried twice: what stood in
/// its way, a lock or a port, may go with the one that failed.
constexpr RungBudget budget_of(RecoveryRung rung) noexcept {
    constexpr std::array<RungBudget, recovery_rung_count> budgets{{
        {10, 1},  // ping
        {100, 1}, // recreate_device
        {100, 1}, // replace_compute
        {100, 1}, // reload_page
        {100, 1}, // new_page
        {100, 2}, // restart_browser
        {100, 2}, // restart_adjusted
        {100, 1}, // other_browser
        {100, 1}, // other_type
        {100, 1}, // other_provider
        {100, 1}, // other_machine
        {10, 1},  // simulation
    }};
    return budgets[static_cast<std::size_t>(rung)];
}

/// Where a recovery that has to be repeated too often begins instead: one level higher.
constexpr RecoveryRung rung_of_next_level(RecoveryRung rung) noexcept {
    if (rung < RecoveryRung::restart_browser) return RecoveryRung::restart_browser;
    if (rung >= RecoveryRung::other_machine) return rung;
    return static_cast<RecoveryRung>(static_cast<std::uint8_t>(rung) + 1);
}

/// A set of rungs.
class RungSet {
public:
    constexpr RungSet() noexcept = default;
    template <class... Rungs>
    constexpr explicit RungSet(RecoveryRung first, Rungs... rest) noexcept
        : bits_(bit(first) | (0U | ... | bit(rest))) {}

    /// Both included.
    [[nodiscard]] static constexpr RungSet between(RecoveryRung first, RecoveryRung last) noexcept {
        RungSet out;
        for (const RecoveryRung rung : recovery_rungs)
            if (rung >= first && rung <= last) out.insert(rung);
        return out;
    }

    constexpr void insert(RecoveryRung rung) noexcept { bits_ |= bit(rung); }
    constexpr void erase(RecoveryRung rung) noexcept { bits_ &= ~bit(rung); }
    [[nodiscard]] constexpr bool contains(RecoveryRung rung) const noexcept {
        return (bits_ & bit(rung)) != 0;
    }
    [[nodiscard]] constexpr bool is_empty() const noexcept { return bits_ == 0; }

    /// The smallest member that is not smaller than `rung`.
    [[nodiscard]] constexpr std::optional<RecoveryRung> at_least(RecoveryRung rung) const noexcept {
        const std::uint32_t rest = bits_ & ~(bit(rung) - 1);
        if (rest == 0) return std::nullopt;
        return static_cast<RecoveryRung>(std::countr_zero(rest));
    }

    /// The largest member that is not larger than `rung`.
    [[nodiscard]] constexpr std::optional<RecoveryRung> at_most(RecoveryRung rung) const noexcept {
        const std::uint32_t rest = bits_ & (bit(rung) | (bit(rung) - 1));
        if (rest == 0) return std::nullopt;
        return static_cast<RecoveryRung>(std::bit_width(rest) - 1);
    }

    friend constexpr RungSet operator&(RungSet a, RungSet b) noexcept {
        a.bits_ &= b.bits_;
        return a;
    }
    friend constexpr RungSet operator|(RungSet a, RungSet b) noexcept {
        a.bits_ |= b.bits_;
        return a;
    }
    friend constexpr bool operator==(RungSet, RungSet) noexcept = default;

private:
    static constexpr std::uint32_t bit(RecoveryRung rung) noexcept {
        return 1U << static_cast<unsigned>(rung);
    }
    std::uint32_t bits_{0};
};

} // namespace everpool
