// Everpool: how much a pool does so that nothing is lost.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace everpool {

/// The specification's levels. What each one means for the state kept on disk:
///
///   none, low     nothing is promised beyond the life of the host, and a ResourcePool keeps no
///                 directory at all (Durability::none)
///   medium, high  all but the last `commit_interval` of the host's life; no answer ever waits for
///                 the disk (Durability::group)
///   critical      everything: a step is durable before its effect can be seen (Durability::sync)
enum class FaultToleranceLevel : std::uint8_t { none, low, medium, high, critical };

/// When a transaction counts as committed.
enum class Durability : std::uint8_t {
    none,  ///< nothing is promised: it is written when something else is
    os,    ///< handed to the operating system: survives the host's death, not the machine's
    group, ///< durable soon: with the next sync of all, which begins `commit_interval` later
    sync,  ///< durable: survives a power cut once the commit has returned
};

constexpr std::string_view name_of(FaultToleranceLevel level) noexcept {
    switch (level) {
    case FaultToleranceLevel::none: return "none";
    case FaultToleranceLevel::low: return "low";
    case FaultToleranceLevel::medium: return "medium";
    case FaultToleranceLevel::high: return "high";
    case FaultToleranceLevel::critical: return "critical";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(Durability durability) noexcept {
    switch (durability) {
    case Durability::none: return "none";
    case Durability::os: return "os";
    case Durability::group: return "group";
    case Durability::sync: return "sync";
    }
    return "unrecognised";
}

/// The level of that name; empty if there is none.
constexpr std::optional<FaultToleranceLevel>
fault_tolerance_level_from(std::string_view name) noexcept {
    using enum FaultToleranceLevel;
    for (const FaultToleranceLevel level : std::array{none, low, medium, high, critical})
        if (name_of(level) == name) return level;
    return std::nullopt;
}

constexpr Durability durability_of(FaultToleranceLevel level) noexcept {
    switch (level) {
    case FaultToleranceLevel::none:
    case FaultToleranceLevel::low: return Durability::none;
    case FaultToleranceLevel::medium:
    case FaultToleranceLevel::high: return Durability::group;
    case FaultToleranceLevel::critical: return Durability::sync;
    }
    return Durability::sync;
}

} // namespace everpool
