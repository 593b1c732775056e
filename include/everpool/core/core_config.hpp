// Everpool core: the knobs of PoolCore.
// SPDX-License-Identifier: BSL-1.0
//
// The facade translates its public configuration into this one. Members out of their range make
// PoolCore's constructor throw std::invalid_argument with the member's name and its range.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/time.hpp"

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

namespace everpool::core {

struct CoreConfig {
    /// One entry per worker: which browser lives in that slot. 1 to 1024 entries.
    std::vector<BrowserType> worker_browsers{BrowserType::chromium};

    /// Registered models; their ids are 0 to model_count - 1. At most 65536.
    std::uint32_t model_count{0};

    // --- limits ----------------------------------------------------------------------------------

    /// Operations sent to one worker and not yet answered, at most. More than 1 hides the latency
    /// of the socket behind the computation. 1 to 1024.
    std::uint32_t max_in_flight_per_worker{4};

    /// Payload bytes sent to one worker and not yet answered, at most. One larger request alone is
    /// allowed, because otherwise it could never run. 0: one request at a time, unless it is empty.
    std::uint64_t in_flight_bytes_max{64ULL << 20};

    /// Requests that wait, at most; one more completes with queue_full. Requests that come back
    /// from a lost worker are not refused, so more may wait for a moment. 1 to 1000000.
    std::uint32_t queue_count_max{1000};

    /// Leases waiting or held, at most; one more Acquire ends with queue_full. 1 to 1000000.
    std::uint32_t lease_count_max{1000};

    /// For requests whose RequestMeta::max_attempts is 0. 1 to 255.
    std::uint8_t max_attempts{3};

    // --- when a worker counts as failed ----------------------------------------------------------

    /// From StartWorker to the last warm-up. The default allows for a cold Firefox (2.4 s measured)
    /// and shader compilation on a software adapter. Positive.
    Duration start_timeout{std::chrono::seconds{30}};

    /// Each connection is asked for a sign of life this often. A wakeup that comes later than a
    /// quarter of it tells that the host stood still, which is no worker's fault. Positive.
    Duration ping_interval{std::chrono::seconds{1}};

    /// A page thread that has not answered for this long is unresponsive. Five intervals: a page
    /// that collects garbage for a second is not dead. Positive.
    Duration ping_timeout{std::chrono::seconds{5}};

    /// The same for the compute thread, which cannot answer while one WASM inference runs, but whose
    /// results count as answers: longer than the longest single inference. Also the time that a worker has for its next answer while
    /// it holds operations that nobody waits for any more: a hung shader lets pings through, so
    /// without this rule its slot would be lost for ever. Positive.
    Duration compute_ping_timeout{std::chrono::seconds{30}};

    // --- restarts --------------------------------------------------------------------------------

    /// The first restart is immediate; the n-th after it waits a random time of at most
    /// restart_delay_min * 2^(n-1), at most restart_delay_max. Positive, min <= max.
    Duration restart_delay_min{std::chrono::milliseconds{100}};
    Duration restart_delay_max{std::chrono::seconds{10}};

    /// A worker that was ready for this long before it failed starts over with an immediate
    /// restart. 0: every time. Not negative.
    Duration restart_healthy_after{std::chrono::seconds{60}};

    /// Starts in a row that may fail before a worker is given up for good. 1 to 1000.
    std::uint32_t restart_count_max{10};

    /// After this, Stop kills the workers that have not stopped and finishes without them. Longer
    /// than the grace that the driver itself gives to a browser. Positive.
    Duration stop_timeout{std::chrono::seconds{15}};
};

/// \throws std::invalid_argument naming the member that is out of range.
inline void check_core_config(const CoreConfig& config) {
    const auto check = [](bool is_fine, const char* what) {
        if (!is_fine) throw std::invalid_argument(std::string("CoreConfig::") + what);
    };
    const auto is_in = [](std::uint64_t value, std::uint64_t low, std::uint64_t high) {
        return value >= low && value <= high;
    };
    check(is_in(config.worker_browsers.size(), 1, 1024),
          "worker_browsers must have 1 to 1024 entries");
    check(config.model_count <= 65536, "model_count must be at most 65536");
    check(is_in(config.max_in_flight_per_worker, 1, 1024),
          "max_in_flight_per_worker must be 1 to 1024");
    check(is_in(config.queue_count_max, 1, 1'000'000), "queue_count_max must be 1 to 1000000");
    check(is_in(config.lease_count_max, 1, 1'000'000), "lease_count_max must be 1 to 1000000");
    check(config.max_attempts >= 1, "max_attempts must be 1 to 255");
    check(config.start_timeout > Duration{}, "start_timeout must be positive");
    check(config.ping_interval > Duration{}, "ping_interval must be positive");
    check(config.ping_timeout > Duration{}, "ping_timeout must be positive");
    check(config.compute_ping_timeout > Duration{}, "compute_ping_timeout must be positive");
    check(config.restart_delay_min > Duration{}, "restart_delay_min must be positive");
    check(config.restart_delay_max >= config.restart_delay_min,
          "restart_delay_max must be at least restart_delay_min");
    check(config.restart_healthy_after >= Duration{}, "restart_healthy_after must not be negative");
    check(is_in(config.restart_count_max, 1, 1000), "restart_count_max must be 1 to 1000");
    check(config.stop_timeout > Duration{}, "stop_timeout must be positive");
}

} // namespace everpool::core
