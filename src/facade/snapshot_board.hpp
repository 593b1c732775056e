// Everpool facade: where the strand writes the pool's state and any thread reads it.
// SPDX-License-Identifier: BSL-1.0
//
// snapshot() must not wait for the strand: a host may call it from the very thread that the strand
// needs. Counters that change with every operation are relaxed atomics; what changes with a
// worker's life is behind a mutex that is taken a few times per restart, never per operation.
#pragma once

#include "everpool/pressure_snapshot.hpp"
#include "everpool/resource_pool_snapshot.hpp"
#include "facade/config_check.hpp"
#include "facade/recent_count.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>
#include <vector>

namespace everpool::facade {

class SnapshotBoard {
public:
    struct Counters {
        std::array<std::atomic<std::uint32_t>, priority_count> queued{}; ///< by priority
        std::atomic<std::uint32_t> in_flight{0};
        std::atomic<PressureReason> pressure{PressureReason::not_running};
        std::atomic<std::uint64_t> submitted{0}, succeeded{0}, failed{0}, redispatched{0};
        std::atomic<std::uint64_t> stale_ignored{0}, simulated{0}, delayed{0};
        std::atomic<std::uint64_t> batches{0}, batched{0};
        std::atomic<std::uint64_t> hedged{0}, hedges_won{0}, votes{0}, dissents{0}, undecided{0},
            starvations{0};
        std::atomic<std::uint64_t> transactions{0}, transactions_refused{0};
        std::atomic<Errc> state_trouble{Errc::ok};
        std::atomic<std::uint16_t> port{0};
        std::array<std::atomic<std::uint32_t>, worker_count_max> worker_in_flight{};
    };
    Counters counters;
    RecentCount rejected;

    /// Only from the strand, so plain load and store do: no read-modify-write.
    template <class T>
    static void add(std::atomic<T>& counter, T amount = 1) noexcept {
        counter.store(static_cast<T>(counter.load(std::memory_order_relaxed) + amount),
                      std::memory_order_relaxed);
    }

    void set_workers(std::vector<WorkerSnapshot> workers) {
        const std::scoped_lock lock(mutex_);
        workers_ = std::move(workers);
    }

    [[nodiscard]] ResourcePoolSnapshot read() const {
        ResourcePoolSnapshot out;
        {
            const std::scoped_lock lock(mutex_);
            out.workers = workers_;
        }
        const auto get = [](const auto& atomic) { return atomic.load(std::memory_order_relaxed); };
        for (std::size_t i = 0; i < out.workers.size(); ++i)
            out.workers[i].in_flight = get(counters.worker_in_flight[i]);
        for (const auto& queued : counters.queued) out.queued += get(queued);
        out.in_flight = get(counters.in_flight);
        out.submitted = get(counters.submitted);
        out.succeeded = get(counters.succeeded);
        out.failed = get(counters.failed);
        out.redispatched = get(counters.redispatched);
        out.stale_ignored = get(counters.stale_ignored);
        out.simulated = get(counters.simulated);
        out.delayed = get(counters.delayed);
        out.batches = get(counters.batches);
        out.batched = get(counters.batched);
        out.hedged = get(counters.hedged);
        out.hedges_won = get(counters.hedges_won);
        out.starvations = get(counters.starvations);
        out.votes = get(counters.votes);
        out.dissents = get(counters.dissents);
        out.undecided = get(counters.undecided);
        out.state = {get(counters.transactions), get(counters.transactions_refused),
                     get(counters.state_trouble)};
        out.port = get(counters.port);
        return out;
    }

private:
    mutable std::mutex mutex_;
    std::vector<WorkerSnapshot> workers_;
};

} // namespace everpool::facade
