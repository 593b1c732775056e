// Everpool: may one ask a pool for more at the moment?
// SPDX-License-Identifier: BSL-1.0
//
//     if (const PressureSnapshot pressure = pool.pressure(); !pressure.is_available)
//         return answer_429(name_of(pressure.reason));
#pragma once

#include "everpool/priority.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace everpool {

/// Why a pool would refuse a request.
enum class PressureReason : std::uint8_t {
    none,        ///< it would not
    not_running, ///< before async_start, or after async_stop
    draining,    ///< async_drain was called
    no_worker,   ///< every worker has been given up
    queue_full,  ///< as many requests of the priority normal wait as may
};

constexpr std::string_view name_of(PressureReason reason) noexcept {
    switch (reason) {
    case PressureReason::none: return "none";
    case PressureReason::not_running: return "not_running";
    case PressureReason::draining: return "draining";
    case PressureReason::no_worker: return "no_worker";
    case PressureReason::queue_full: return "queue_full";
    }
    return "unrecognised";
}

struct PressureSnapshot {
    /// Would a request of the priority normal be taken now, even if it had to wait?
    bool is_available{false};
    PressureReason reason{PressureReason::not_running};
    std::uint32_t queued{0};  ///< waiting for a worker; several workers for one request count each
    std::uint32_t running{0}; ///< at workers
    /// Of `queued`, by priority: see queued_of().
    std::array<std::uint32_t, priority_count> queued_by_priority{};
    /// Requests refused within the last minute because the pool had no room, no time or no worker
    /// for them: queue_full, queue_timeout, no_worker_available.
    std::uint64_t recently_rejected{0};
    static constexpr std::chrono::seconds recent{60};

    [[nodiscard]] std::uint32_t queued_of(Priority priority) const noexcept {
        return queued_by_priority[index_of(priority)];
    }
};

} // namespace everpool
