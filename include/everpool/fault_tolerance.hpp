// Everpool: how much a pool does so that nothing is lost.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <cstddef>
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
///   critical      everything: an operation's end is durable before it is answered, and its start
///                 before it is sent, if it must not be executed twice (Durability::sync)
///
/// From level high on a standby is kept (ResourcePoolConfig::standby_count): a browser, of another
/// type if one is installed, in which every model is loaded and has passed its warm-up. "The state
/// is replicated" means this much and no more: what an operation needs besides its model is its
/// request, which the pool holds until it is answered, and the state's log from its begin on; so an
/// operation whose worker is lost goes to the standby with nothing to be fetched or started. What a
/// page of yours keeps in its memory is not copied.
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

/// What one level does.
struct FaultToleranceMeasures {
    FaultToleranceLevel level{};
    bool keeps_state{false};                 ///< ResourcePool::state() tells of it
    Durability durability{Durability::none}; ///< of the state, in a directory
    bool retries{true};                      ///< a lost worker's operations go to other workers
    bool hedges{true};                       ///< see HedgeOptions
    std::uint8_t standbys{0}; ///< workers kept besides, see ResourcePoolConfig::standby_count
    std::uint8_t copies{1};   ///< workers asked for each request, see Request::redundancy

    /// Does a vote over several answers decide?
    [[nodiscard]] constexpr bool votes() const noexcept { return copies > 1; }
};

/// What each level does, by FaultToleranceLevel. The library reads it here, and README.md shows it.
inline constexpr std::array<FaultToleranceMeasures, 5> level_table{{
    {.level = FaultToleranceLevel::none},
    {.level = FaultToleranceLevel::low, .keeps_state = true},
    {.level = FaultToleranceLevel::medium, .keeps_state = true, .durability = Durability::group},
    {.level = FaultToleranceLevel::high,
     .keeps_state = true,
     .durability = Durability::group,
     .standbys = 1},
    {.level = FaultToleranceLevel::critical,
     .keeps_state = true,
     .durability = Durability::sync,
     .standbys = 1,
     .copies = 3},
}};

/// Of a value that is no level: what the highest one does.
constexpr const FaultToleranceMeasures& measures_of(FaultToleranceLevel level) noexcept {
    const auto index = static_cast<std::size_t>(level);
    return level_table[index < level_table.size() ? index : level_table.size() - 1];
}

constexpr Durability durability_of(FaultToleranceLevel level) noexcept {
    return measures_of(level).durability;
}

} // namespace everpool
