// Everpool core: which worker takes a request.
// SPDX-License-Identifier: BSL-1.0
//
// Free functions of integers. The order of the criteria: not the worker that the request was just
// lost with; then no standby; then the caller's preference of browsers; then the fewest operations
// in flight; then the lowest id. A preference comes before the load, because the browser decides
// which hardware is used and so the time of an operation; it is no condition, so a preferred
// browser that is full is passed over.
#pragma once

#include "everpool/browser_spec.hpp"

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>

namespace everpool::core {

/// Entries that a packed preference holds; more are not kept.
inline constexpr std::size_t preference_count_max = 8;

/// Packs an order of preference: 4 bits per entry, the browser's enumerator + 1, first choice in
/// the lowest bits; 0 ends the list. A browser that is named twice counts once, at its first place.
constexpr std::uint32_t pack_preferences(std::span<const BrowserType> order) noexcept {
    std::uint32_t packed = 0, seen = 0;
    std::size_t count = 0;
    for (const BrowserType type : order) {
        const auto code = static_cast<std::uint32_t>(type) + 1;
        if (code > 15 || (seen & (1U << code)) != 0 || count == preference_count_max) continue;
        seen |= 1U << code;
        packed |= code << (4 * count++);
    }
    return packed;
}

constexpr std::uint32_t pack_preferences(std::initializer_list<BrowserType> order) noexcept {
    return pack_preferences(std::span<const BrowserType>(order.begin(), order.size()));
}

/// 0 for the first choice, 1 for the second ...; preference_count_max for a browser not named.
constexpr std::uint32_t preference_rank(std::uint32_t packed, BrowserType type) noexcept {
    const auto code = static_cast<std::uint32_t>(type) + 1;
    for (std::uint32_t rank = 0; packed != 0; ++rank, packed >>= 4)
        if ((packed & 15U) == code) return rank;
    return preference_count_max;
}

/// How dear a worker is for a request; the cheapest one gets it, the lowest id among equals.
/// `is_alike`: its engine is that of another copy of the request, and would make the same errors.
constexpr std::uint64_t placement_cost(bool is_last_choice, bool is_alike, std::uint32_t rank,
                                       std::uint32_t in_flight) noexcept {
    return (std::uint64_t{is_last_choice} << 63) | (std::uint64_t{is_alike} << 62) |
           (std::uint64_t{rank} << 32) | in_flight;
}
constexpr std::uint64_t placement_cost(bool is_last_choice, std::uint32_t rank,
                                       std::uint32_t in_flight) noexcept {
    return placement_cost(is_last_choice, false, rank, in_flight);
}

/// What a standby costs besides.
inline constexpr std::uint64_t standby_cost = std::uint64_t{1} << 61;

} // namespace everpool::core
