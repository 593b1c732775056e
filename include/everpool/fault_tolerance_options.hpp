// Everpool: what a ResourcePool remembers, and where.
// SPDX-License-Identifier: BSL-1.0
//
//     ResourcePoolConfig config{.fault_tolerance = {.state_directory = "/var/lib/myapp/pool"}};
//
// With that line the pool writes down which browsers it runs, which model is where, and what
// becomes of every operation. A host that was killed and is started again with the same directory
// goes on where it was: models that were registered are loaded again, also if the configuration
// does not name them; operations that were under way are executed again where that is allowed; ids
// go on above those that were used. ResourcePool::state() gives the history.
//
// The directory belongs to one pool at a time. One that is in use makes async_start complete with
// Errc::storage_in_use, and the diagnostics name the process that has it.
#pragma once

#include "everpool/browser_state.hpp"
#include "everpool/browser_state_manager_config.hpp"
#include "everpool/error.hpp"
#include "everpool/fault_tolerance.hpp"
#include "everpool/recovery_report.hpp"
#include "everpool/recovery_strategy.hpp"
#include "everpool/request.hpp"
#include "everpool/tensor.hpp"
#include "everpool/time.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

namespace everpool {

/// An operation that a previous host left unfinished, and how it ended now.
struct RecoveredOperation {
    /// As it was found. Its status is what OrphanPolicy made of it: `queued` if it may be executed
    /// again, else the final one.
    OperationState operation;

    /// False: it was not given to a worker again; `code` and Result::diagnostics say why.
    bool was_executed_again{false};

    /// No error: it has been executed, and `result` is the answer. outcome_unknown, cancelled: it
    /// was not executed again, by OrphanPolicy or because its request had not been kept; cancelled
    /// is said only of what was certainly never sent. Otherwise what ResourcePool::async_run could
    /// have completed with.
    error_code code{};
    Result result{};
};

/// Called on the pool's strand, between the begin of async_start and the pool's destruction: be
/// quick, never block, never throw (an exception is swallowed).
using RecoveredListener = std::function<void(const RecoveredOperation&)>;

/// Makes outputs up for a request that no worker can compute any more; see
/// FaultToleranceOptions::simulate.
using SimulateFunction = std::function<std::vector<Tensor>(const Request&)>;

struct FaultToleranceOptions {
    /// What a pool may forget. Default medium.
    ///
    ///   none      nothing is remembered, and nothing is spent on it
    ///   low       the state is in memory, for state(), and dies with the host
    ///   medium,   the state is on disk, if there is a directory. No answer waits for the disk: the
    ///   high      last commit_interval of the host's life may be missing, after a SIGKILL as after
    ///             a power cut, as it is written and synced together, that much later
    ///   critical  an operation is sent to a worker once the record of that is durable, and
    ///             answered once the record of its end is: two waits for the disk an operation
    ///             (which operations at the same time share). If the disk fails, operations that
    ///             have not been sent complete with storage_full, storage_not_writable or
    ///             storage_failed and are not executed; one that has been executed completes with
    ///             the same code, and Result has its outputs. And each idempotent request without a
    ///             lease is executed by three workers, whose vote decides; see Request::redundancy.
    ///
    /// A pool that has fewer workers than its level wants (three at critical, two at high, standbys
    /// counted) serves all the same. It says at its start, by PoolEvent::Kind::warning, what it
    /// cannot do, and of each answer Result::votes says how many have voted: of two workers both
    /// must agree, or the request completes with answers_disagree; one alone is believed.
    ///
    /// level_table (fault_tolerance.hpp) says the same as data.
    FaultToleranceLevel level{FaultToleranceLevel::medium};

    /// How a failed worker is brought back; see recovery_strategy.hpp. Default progressive.
    RecoveryStrategy recovery_strategy{RecoveryStrategy::progressive};

    /// The strategy `custom`; must be given for that, and only for that. Called on the pool's
    /// strand.
    std::shared_ptr<const BrowserRecoveryStrategy> custom_strategy{};

    /// The recovery level `simulation`, which is the pool's and no worker's. Where an operation
    /// would complete with no_worker_available, because every worker that could serve it has been
    /// given up, this is asked for outputs instead, and Result::is_simulated is set. Given the
    /// operation, the model, the inputs and the parameters of the request; called on the pool's
    /// strand, so be quick. If it throws, the operation fails as it would have. The state keeps the
    /// operation as failed, since nobody executed it. Default: none, and nothing is ever simulated.
    SimulateFunction simulate{};

    /// Where the state is kept; made if it is not there. Default: empty, in memory only. From level
    /// medium on; level critical demands it.
    std::filesystem::path state_directory{};

    /// What becomes of operations that a previous host left unfinished. Default redispatch: those
    /// that are idempotent are executed again if their request was kept; others only if it is
    /// certain that they were never sent, which it is at level critical. Nothing is executed twice
    /// that is not idempotent. What belonged to a lease is not executed again.
    OrphanPolicy orphans{OrphanPolicy::redispatch};

    /// Told of each of them once, when its fate is known; below level critical the next host tells
    /// once more of what was executed again, if this one dies at that moment. Default: nobody.
    RecoveredListener on_recovered{};

    /// Requests whose encoding (head and tensors) is at most this large are kept in the state until
    /// they have finished, so that they can be executed again after the host's death. Of larger
    /// ones only a digest is kept. Default 64 KiB; range 0 to 16 MiB; 0: of none.
    std::uint32_t request_bytes_kept{64 << 10};

    /// A checkpoint is written this often, if anything has changed. Default 60 s; range 10 ms to
    /// 24 h; 0: never.
    Duration checkpoint_interval{std::chrono::seconds{60}};

    /// What the host's death, by SIGKILL or by a power cut, may cost at levels medium and high, and
    /// the time of one sync besides. Default 5 ms; range 100 us to 10 s.
    Duration commit_interval{std::chrono::milliseconds{5}};

    /// What to do if the state on disk is not whole. Default point_in_time. Leave alone unless
    /// async_start says storage_damaged.
    RecoveryMode recovery{RecoveryMode::point_in_time};
};

} // namespace everpool
