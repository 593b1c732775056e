// Everpool: an operation, and whatever has to be put right for it, in one call.
// SPDX-License-Identifier: BSL-1.0
//
//     const everpool::RecoveredRun run = everpool::run_with_recovery(
//         pool, Request::inference("mlp", {x}), {.is_right = [](const Result& r) { return ...; }});
//
// A pool recovers by itself what it can see: ResourcePool::async_run alone is enough for that. This
// is for a host that can tell a wrong answer from a right one, and for one that wants an
// operation's failure to be acted upon before it hears of it.
//
// Blocking. Call it from a thread that does not run the pool's executor (with a Runtime: any thread
// of the host's own).
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/ids.hpp"
#include "everpool/recovery_record.hpp"
#include "everpool/request.hpp"
#include "everpool/resource_pool.hpp"

#include <cstdint>
#include <functional>
#include <vector>

namespace everpool {

struct RunWithRecoveryOptions {
    /// Whether an answer is right. Empty: every answer is.
    std::function<bool(const Result&)> is_right{};
    /// Recoveries at most. Default 1; range 0 to 16.
    std::uint32_t recoveries_max{1};
};

struct RecoveredRun {
    Result result{};
    /// Of the workers that had to be recovered for it, oldest first; empty: none had.
    std::vector<RecoveryRecord> recoveries{};

    [[nodiscard]] bool was_recovered() const noexcept { return !recoveries.empty(); }
};

/// Runs the operation. If the answer is not right, or if it failed by its worker's fault, that
/// worker is recovered and the operation is run again, provided that it may be executed twice
/// (Request::idempotent).
/// \throws std::invalid_argument naming the member that is out of range; Error if it failed for
/// good: with the code of ResourcePool::async_run, or operation_failed if the last answer was not
/// right either.
RecoveredRun run_with_recovery(ResourcePool& pool, Request request,
                               RunWithRecoveryOptions options = {});

/// RecoveryManager::async_recover, blocking. \throws Error
RecoveryRecord recover_browser(ResourcePool& pool, WorkerId worker, const BrowserFailure& failure);

} // namespace everpool
