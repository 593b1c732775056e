// Everpool: strong identifiers. A WorkerId is never taken for a RequestId by accident.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>

namespace everpool {

/// An integer that is only comparable with its own kind. 0 means "none" for ids that are handed out
/// in sequence (requests, leases); indices (workers, models) start at 0 and use `none()`.
template <class Tag, class Integer>
struct StrongId {
    Integer value{};

    [[nodiscard]] static constexpr StrongId none() noexcept {
        return {std::numeric_limits<Integer>::max()};
    }
    [[nodiscard]] constexpr bool is_none() const noexcept { return *this == none(); }

    friend constexpr auto operator<=>(const StrongId&, const StrongId&) = default;
};

/// A slot of the pool: stable for the pool's life, whatever lives in it. Index from 0.
using WorkerId = StrongId<struct WorkerTag, std::uint32_t>;
/// Which life of that slot: grows by one with every restart, at any level. From 1; 0: none yet.
using Generation = StrongId<struct GenerationTag, std::uint64_t>;
/// One operation of a caller. From 1 in order of submission; at most 2^53 - 1, so that it is exact
/// in a JavaScript number.
using RequestId = StrongId<struct RequestTag, std::uint64_t>;
/// One exclusive borrowing of a worker. From 1.
using LeaseId = StrongId<struct LeaseTag, std::uint64_t>;
/// A registered model: index into the registry, in order of registration.
using ModelId = StrongId<struct ModelTag, std::uint32_t>;

} // namespace everpool

template <class Tag, class Integer>
struct std::hash<everpool::StrongId<Tag, Integer>> {
    std::size_t operator()(everpool::StrongId<Tag, Integer> id) const noexcept {
        return std::hash<Integer>{}(id.value);
    }
};
