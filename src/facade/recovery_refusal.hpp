// Everpool facade: whose recovery nobody may wait for, because it would never end.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/pool_core.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/resource_pool_snapshot.hpp"
#include "everpool/worker_role.hpp"

namespace everpool::facade {

/// Why nobody may wait for a recovery of this worker; ok: one is under way, or can begin.
/// \pre worker.value < core.worker_count()
[[nodiscard]] inline Errc refusal_of_recovery(const core::PoolCore& core,
                                              WorkerId worker) noexcept {
    // As whatever else is asked of it: it kills its workers by itself, and starts none again.
    if (core.is_broken()) return Errc::internal_error;
    const core::WorkerView view = core.worker(worker);
    const bool is_wanted = view.role == WorkerRole::active || view.role == WorkerRole::standby;
    if (!is_wanted) return Errc::no_worker_available;
    switch (view.state) {
    case WorkerState::idle:
    case WorkerState::starting:
    case WorkerState::ready:
    case WorkerState::waiting: return Errc::ok;
    case WorkerState::stopping:
    case WorkerState::stopped: return Errc::no_worker_available;
    case WorkerState::failed: break;
    }
    // Its own starts are used up, and those that try in its place may still save it.
    return core.has_rivals(worker) ? Errc::ok : Errc::no_worker_available;
}

} // namespace everpool::facade
