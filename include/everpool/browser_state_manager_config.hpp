// Everpool: the knobs of BrowserStateManager.
// SPDX-License-Identifier: BSL-1.0
//
// Every member has a default that works. With `directory` alone set, the state survives the host;
// without it, everything is as with it but nothing survives. A member out of its range makes the
// constructor throw std::invalid_argument with the member's name and its range.
#pragma once

#include "everpool/browser_state.hpp"
#include "everpool/fault_tolerance.hpp"
#include "everpool/recovery_report.hpp"
#include "everpool/state_change.hpp"
#include "everpool/time.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>

namespace everpool {

/// What becomes of an operation that was not finished when the previous host died.
enum class OrphanPolicy : std::uint8_t {
    /// One that may be executed again (it was idempotent, or had never been sent) waits once more;
    /// every other one ends as `outcome_unknown`. The default.
    redispatch,
    /// Every one ends: as `cancelled` if it had never been sent, else as `outcome_unknown`.
    give_up,
};

struct BrowserStateManagerConfig {
    // --- where, and how safe ---------------------------------------------------------------------

    /// Holds the log and the checkpoints; made if it is not there (what it lies in must be),
    /// readable by its owner only, and locked: one manager at a time. Default: empty, the state is
    /// in memory only.
    std::filesystem::path directory{};

    /// Decides the durability of commits that do not say: none, low -> Durability::none; medium,
    /// high -> group; critical -> sync. Default medium.
    FaultToleranceLevel fault_tolerance{FaultToleranceLevel::medium};

    /// The sync that makes a commit with Durability::group durable begins this much later at the
    /// latest, or when one that is under way then has ended: what the host's death, by SIGKILL or
    /// by a power cut, may cost, and that sync's own time besides. Default 5 ms; range 100 us to 10
    /// s; below 1 ms the background does not wait at all.
    Duration commit_interval{std::chrono::milliseconds{5}};

    /// What to do when the log is not whole. Default point_in_time.
    RecoveryMode recovery{RecoveryMode::point_in_time};

    /// Default redispatch.
    OrphanPolicy orphans{OrphanPolicy::redispatch};

    // --- checkpoints -----------------------------------------------------------------------------

    /// A checkpoint is written this often, if anything has changed. Default 60 s, the
    /// specification's; range 10 ms to 24 h; 0: only on demand.
    Duration checkpoint_interval{std::chrono::seconds{60}};

    /// Checkpoints that are kept, those that they build on besides. What the oldest kept one covers
    /// is removed from the log. Default 5; range 1 to 100.
    std::uint32_t checkpoint_count_kept{5};

    /// Deltas after one full checkpoint, at most. Default 8; range 0 to 100; 0: full ones only.
    std::uint32_t delta_chain_max{8};

    /// Critical components only: checkpoints hold browsers, models, resources and unfinished
    /// operations, but neither finished operations nor metrics, which then reach back as far as the
    /// log does. Smaller, and never a delta. Default false.
    bool is_checkpoint_selective{false};

    // --- who else wants to know ------------------------------------------------------------------

    /// Told of every transaction, in order, once it has been applied (not: once it is durable), by
    /// the thread that committed it; others that commit wait meanwhile. May read the manager, must
    /// not commit, must not throw. Also called inside the manager's constructor, for what recovery
    /// writes down: there is no manager to be read yet. Default: nobody.
    std::function<void(const Transaction&)> on_transaction{};

    /// Whether a browser's process still exists; asked while recovering, for each browser that was
    /// not stopped. Default: asks the system, and is not deceived by a process id given anew.
    std::function<bool(const ProcessIdentity&)> process_exists{};

    // --- limits ----------------------------------------------------------------------------------

    /// What the state holds at most; see state_change.hpp.
    StateLimits limits{};

    /// Transactions that last_transactions() can give without a directory. Default 1000; range 0
    /// to 1 million.
    std::uint32_t transactions_kept{1'000};

    /// The log is cut into files of this size, which are made in advance. Default 16 MiB; range
    /// 64 KiB to 1 GiB.
    std::uint64_t segment_bytes{16ULL << 20};

    /// Records of at least this size are compressed, where that makes them smaller. Default 1 KiB;
    /// range 64 bytes to 64 MiB. Checkpoints always are.
    std::uint32_t compressed_bytes_min{1024};
};

} // namespace everpool
