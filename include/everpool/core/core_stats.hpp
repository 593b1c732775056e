// Everpool core: what has been counted since the pool was made.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/event.hpp"

#include <array>
#include <cstdint>
#include <variant>

namespace everpool::core {

struct CoreStats {
    std::uint64_t submitted{0};    ///< requests, refused ones included
    std::uint64_t succeeded{0};    ///< completed with ok
    std::uint64_t failed{0};       ///< completed with anything else
    std::uint64_t redispatched{0}; ///< second and further attempts
    std::uint64_t late_answers{0}; ///< to operations that were cancelled or past their deadline
    std::uint64_t leases_granted{0};
    std::uint64_t workers_lost{0};
    std::uint64_t host_stalls{0}; ///< how often the host stood still, see PoolCore

    /// Events that meant nothing in the state that they met: late, duplicate, of a previous life,
    /// of something that does not exist. In all, and by index in Event.
    std::uint64_t stale_ignored{0};
    std::array<std::uint64_t, std::variant_size_v<Event>> ignored{};

    friend bool operator==(const CoreStats&, const CoreStats&) = default;
};

} // namespace everpool::core
