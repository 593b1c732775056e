// Everpool: how hard a recovery tries, in the specification's words.
// SPDX-License-Identifier: BSL-1.0
//
// Five levels, mildest first. A recovery goes up through them until the worker has passed its
// verification, or the last level that it may use has failed too. ProgressiveRecoveryManager has a
// strategy for each.
//
// A pool does not begin at a level. It begins at the smallest rung that can cure what was seen
// (recovery_rung.hpp), or higher where earlier recoveries tell that the smaller ones are in vain.
// That is finer: a page that crashed is reloaded in its browser, which is of level minimal, though
// the specification would restart the browser.
//
// start_level_of() is the specification's table, by the kind of failure alone, for a host that
// recovers something itself:
//
//     for (auto level = everpool::start_level_of(failure.category);;) { ... }
//
// Its reasons: what crashed is not there to be asked again, so a retry would be wasted time; a GPU
// or an interface that failed will fail again under the same settings; everything else is often
// over by itself.
#pragma once

#include "everpool/browser_failure.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace everpool {

/// Mildest first; comparing them compares how much they cost.
enum class RecoveryLevel : std::uint8_t {
    minimal,    ///< the browser goes on; it is asked again, or its page, or less, is made anew
    moderate,   ///< restart with the same settings
    aggressive, ///< restart with settings adjusted to the failure (browser/profile.hpp)
    fallback,   ///< another browser, in the model family's order (browser/fallback_order.hpp)
    simulation, ///< an answer that is marked as simulated; only where the host allows it
};

inline constexpr std::array recovery_levels{RecoveryLevel::minimal, RecoveryLevel::moderate,
                                            RecoveryLevel::aggressive, RecoveryLevel::fallback,
                                            RecoveryLevel::simulation};

constexpr std::string_view name_of(RecoveryLevel level) noexcept {
    switch (level) {
    case RecoveryLevel::minimal: return "minimal";
    case RecoveryLevel::moderate: return "moderate";
    case RecoveryLevel::aggressive: return "aggressive";
    case RecoveryLevel::fallback: return "fallback";
    case RecoveryLevel::simulation: return "simulation";
    }
    return "unrecognised";
}

/// The level of that name; empty if there is none.
constexpr std::optional<RecoveryLevel> recovery_level_from(std::string_view name) noexcept {
    for (const RecoveryLevel level : recovery_levels)
        if (name_of(level) == name) return level;
    return std::nullopt;
}

/// The next harder one; empty after the last.
constexpr std::optional<RecoveryLevel> level_after(RecoveryLevel level) noexcept {
    if (level >= RecoveryLevel::simulation) return std::nullopt;
    return static_cast<RecoveryLevel>(static_cast<std::uint8_t>(level) + 1);
}

/// Where the specification has a recovery of such a failure begin. No pool asks: see above.
constexpr RecoveryLevel start_level_of(BrowserFailureCategory category) noexcept {
    switch (category) {
    case BrowserFailureCategory::launch:
    case BrowserFailureCategory::crash: return RecoveryLevel::moderate;
    case BrowserFailureCategory::api:
    case BrowserFailureCategory::webgpu: // "GPU error" in the specification
    case BrowserFailureCategory::webnn: return RecoveryLevel::aggressive;
    case BrowserFailureCategory::connection:
    case BrowserFailureCategory::memory:
    case BrowserFailureCategory::timeout:
    case BrowserFailureCategory::resource:
    case BrowserFailureCategory::unknown: break;
    }
    return RecoveryLevel::minimal;
}

} // namespace everpool
