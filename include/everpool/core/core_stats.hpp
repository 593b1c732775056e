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
    std::uint64_t delayed{0};      ///< went behind all others when their patience was over
    std::uint64_t late_answers{0}; ///< to operations that were cancelled or past their deadline
    std::uint64_t hedged{0};       ///< requests of which a second worker was asked, being late
    std::uint64_t hedges_won{0};   ///< of these, answered by the second one
    std::uint64_t votes{0};        ///< requests that a vote has decided
    std::uint64_t dissents{0};     ///< answers that were in the minority of these
    std::uint64_t undecided{0};    ///< requests that completed with answers_disagree
    std::uint64_t quarantines{0};  ///< workers restarted because their answers dissent
    std::uint64_t leases_granted{0};
    std::uint64_t workers_lost{0};
    std::uint64_t canaries{0};       ///< inferences with a known answer, of workers that were ready
    std::uint64_t canaries_wrong{0}; ///< that gave another one, an error, or nothing
    std::uint64_t host_stalls{0};    ///< how often the host stood still, see PoolCore
    std::uint64_t starvations{0};    ///< answers that a silent worker's threads get none

    /// Events that meant nothing in the state that they met: late, duplicate, of a previous life,
    /// of something that does not exist. In all, and by index in Event.
    std::uint64_t stale_ignored{0};
    std::array<std::uint64_t, std::variant_size_v<Event>> ignored{};

    friend bool operator==(const CoreStats&, const CoreStats&) = default;
};

} // namespace everpool::core
