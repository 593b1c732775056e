// Everpool: how urgent a request is, and how long it waits for a worker.
// SPDX-License-Identifier: BSL-1.0
//
//     ResourcePoolConfig config;
//     config.queue_policies.low = {.count_max = 100, .timeout = 10s,
//                                  .timeout_action = TimeoutAction::delay};
//     ...
//     Request request = Request::inference("mlp", {x});
//     request.priority = Priority::high;
//
// Names and meaning are those of Triton's priority levels and queue policies. What differs: a
// request gets older. One of a lower priority is served before those of the next higher one that
// were submitted ResourcePoolConfig::priority_aging after it, so that a flood of urgent work delays
// the rest, and does not starve it.
#pragma once

#include "everpool/time.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace everpool {

enum class Priority : std::uint8_t { high, normal, low };
inline constexpr std::array priorities{Priority::high, Priority::normal, Priority::low};
inline constexpr std::size_t priority_count = priorities.size();

/// Where it stands in an array of one entry for each. \pre it is an enumerator
constexpr std::size_t index_of(Priority priority) noexcept {
    return static_cast<std::size_t>(priority);
}

constexpr std::string_view name_of(Priority priority) noexcept {
    switch (priority) {
    case Priority::high: return "high";
    case Priority::normal: return "normal";
    case Priority::low: return "low";
    }
    return "unrecognised";
}

/// What becomes of a request that has waited for its first worker for as long as it may.
enum class TimeoutAction : std::uint8_t {
    reject, ///< it completes with Errc::queue_timeout
    delay,  ///< it goes behind all that have not been delayed, and waits until its own deadline
};

constexpr std::string_view name_of(TimeoutAction action) noexcept {
    switch (action) {
    case TimeoutAction::reject: return "reject";
    case TimeoutAction::delay: return "delay";
    }
    return "unrecognised";
}

/// How requests of one priority wait.
struct QueuePolicy {
    /// So many wait at most; one more completes with queue_full, whatever the others have room
    /// for. Empty: ResourcePoolConfig::queue_count_max. Range 1 to 1000000.
    std::optional<std::uint32_t> count_max{};

    /// How long one may wait for its first worker, unless it says so itself
    /// (Request::queue_timeout). What a lost worker gives back has had its turn, and waits on;
    /// so does what a dead host has left.
    /// Empty: until its deadline. Range 1 ms to 24 h.
    std::optional<Duration> timeout{};

    TimeoutAction timeout_action{TimeoutAction::reject};
};

/// One for each priority.
struct QueuePolicies {
    QueuePolicy high{}, normal{}, low{};

    /// `normal` for a value that is no enumerator.
    [[nodiscard]] const QueuePolicy& of(Priority priority) const noexcept {
        switch (priority) {
        case Priority::high: return high;
        case Priority::low: return low;
        case Priority::normal: break;
        }
        return normal;
    }
};

} // namespace everpool
