// Everpool: the memory of a pool. Every change of browsers, models, operations, resources and
// metrics is a transaction in a durable log; the state survives the host.
// SPDX-License-Identifier: BSL-1.0
//
// Use it when something must be known again after the host has died: which browsers ran, which
// model was where, which operations were under way. ResourcePool writes through one by itself (see
// ResourcePoolConfig::fault_tolerance); it works alone as well, and needs no event loop.
//
//     BrowserStateManager state({.directory = "/var/lib/myapp/state"});
//     std::puts(state.recovery().text().c_str());     // what was found there
//     Transaction start{.actor = "worker 0"};
//     start.changes.emplace_back(BrowserAdded{{.id = WorkerId{0}}});
//     if (auto done = state.commit(std::move(start)); done.code)
//         std::puts(done.diagnostics.text().c_str()); // nothing was changed
//     auto now = state.snapshot();                    // stays as it is, whatever is committed
//
// Life cycle: the constructor opens the directory, recovers, settles what the previous host left
// unfinished (recovery(), orphans()) and writes that down as a transaction; the destructor makes
// everything durable and lets the directory go. A SIGKILL at any instruction loses nothing that was
// acknowledged as durable, and nothing that was never committed appears.
//
// Durability of a commit (Durability; who does not say gets that of the fault tolerance level):
//   none   memory only. It is written along with the next one that is not `none`, with a
//          checkpoint, or when much of it has gathered (8 MiB).
//   os     the bytes are with the operating system when commit() returns: they survive the host.
//   group  commit() does not wait; they are written and synced commit_interval later, and survive
//          the host and a power cut from then on.
//   sync   they survive a power cut when commit() returns. Callers that wait at the same time share
//          one sync of the disk.
// The order of transactions on disk is the order in which they were applied, whatever their
// durability: if one survives, all before it do.
//
// When the disk fails: a commit whose durability could not be had returns storage_full,
// storage_not_writable or storage_failed; the state in memory has the transaction all the same, and
// goes on. After a full disk has room again, the next commit writes what is missing. There are
// three ends to that: after an error while syncing nothing written since the last good sync is
// certain, and asking again would prove nothing; what waits to be written is bounded (64 MiB): who
// commits more waits until the disk has taken some of it, and if it does not take it, that is the
// end, too; and so is a record for which there is no memory. From then on the log is closed, as
// health() says, until the directory is opened anew: it ends with the last transaction that it
// could take, and never has a gap. A limit of file sizes (ulimit -f) is as good as a full disk, its
// signal is kept from the host; but set it before the manager is made, or ignore SIGXFSZ.
//
// Thread safety: every function may be called from any thread at any time; construction and
// destruction may not overlap with anything. A snapshot is immutable and may be shared freely.
#pragma once

#include "everpool/browser_state.hpp"
#include "everpool/browser_state_manager_config.hpp"
#include "everpool/error.hpp"
#include "everpool/fault_tolerance.hpp"
#include "everpool/recovery_report.hpp"
#include "everpool/state_change.hpp"
#include "everpool/state_snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace everpool {

/// What became of a commit.
struct CommitResult {
    /// invalid_transaction: an invariant forbids it, `diagnostics` says which; message_too_large:
    /// it does not fit into a record of the log (64 MiB). Nothing was changed.
    /// storage_full, storage_not_writable, storage_failed: applied in memory, but not as durable as
    /// was asked for.
    error_code code{};
    std::uint64_t number{0}; ///< of the transaction, from 1; 0: not applied. A gap: after salvage
    Diagnostics diagnostics{};
};

/// An operation that the previous host left unfinished, and what was decided about it.
struct OrphanedOperation {
    /// Where it stands now: queued (`may_run_again`), outcome_unknown or cancelled.
    OperationState operation;
    bool may_run_again{
        false}; ///< idempotent, or never sent: whoever knows its inputs may repeat it
};

/// How the log is doing.
struct StateStorageHealth {
    bool is_on_disk{false};       ///< a directory was configured
    error_code trouble{};         ///< why the last write or sync failed; ok: it did not
    bool is_closed{false};        ///< nothing more is written until the directory is opened anew
    std::uint64_t committed{0};   ///< number of the last transaction
    std::uint64_t with_system{0}; ///< the last one that the operating system has
    std::uint64_t durable{0};     ///< the last one that survives a power cut
    std::uint64_t checkpoint{0};  ///< the last one that a checkpoint holds
    std::uint64_t checkpoint_failures{0}; ///< checkpoints that could not be written
};

/// Which checkpoint is wanted.
enum class CheckpointDemand : std::uint8_t {
    any,  ///< a delta, unless there is nothing to build on, or the chain is as long as it may be
    full, ///< the whole state
};

class BrowserStateManager {
public:
    /// Opens, or makes, the directory and recovers what is there.
    /// \throws std::invalid_argument naming the member of `config` that is out of range.
    /// \throws Error storage_in_use (the message names the process that has it), storage_damaged
    ///     (and the mode forbids a cut), storage_newer_format, storage_not_writable, storage_full,
    ///     storage_failed. What was there has not been changed then; but where the disk failed
    ///     while that was settled which the previous host left, a part of it may be: the next one
    ///     goes on.
    explicit BrowserStateManager(BrowserStateManagerConfig config = {});

    /// Makes everything durable, if the disk lets it, and unlocks the directory.
    ~BrowserStateManager();
    BrowserStateManager(const BrowserStateManager&) = delete;
    BrowserStateManager& operator=(const BrowserStateManager&) = delete;

    // --- what was found --------------------------------------------------------------------------

    [[nodiscard]] const RecoveryReport& recovery() const noexcept;
    /// In order of their ids; what OrphanPolicy made of them.
    [[nodiscard]] const std::vector<OrphanedOperation>& orphans() const noexcept;

    // --- changing it -----------------------------------------------------------------------------

    /// Applies all of the transaction's changes or none, and makes that as durable as asked.
    /// `transaction.number` is given by the manager, `at` too if it is not set.
    CommitResult commit(Transaction transaction, std::optional<Durability> durability = {});

    /// The same without waiting: applied when it returns (code and number tell), `when_done` is
    /// called once, when it is as durable as asked or cannot be: at once for none, later by the
    /// manager's own thread for the others (for os as for group). Not called if the result's number
    /// is 0. It must not block, and must not destroy the manager.
    CommitResult commit(Transaction transaction, Durability durability,
                        std::function<void(error_code)> when_done);

    /// Everything committed so far is durable when it returns ok.
    error_code flush();

    // --- reading it ------------------------------------------------------------------------------

    /// The state as it is now. Costs about a microsecond, whatever its size, and shares what later
    /// transactions do not change.
    [[nodiscard]] StateSnapshot snapshot() const;

    [[nodiscard]] StateStorageHealth health() const;

    // --- checkpoints -----------------------------------------------------------------------------

    /// Writes one now and waits for it; commits go on meanwhile. Without a directory: does nothing.
    /// \return storage_full, storage_not_writable, storage_failed, internal_error (no memory for
    /// it,
    ///     or it is larger than one may be): the checkpoints before it still count.
    error_code checkpoint(CheckpointDemand demand = CheckpointDemand::any);

    // --- trust, but verify -----------------------------------------------------------------------

    /// Reads checkpoints and log from disk anew, without changing them, and compares the outcome
    /// with the state in memory, the invariants of which are checked as well.
    /// \return what differs, one line each; empty: all is well.
    [[nodiscard]] std::vector<std::string> verify() const;

    /// Merges another view of the same things (a standby's, a browser's own account) into the
    /// state, record by record: a final status of an operation wins, else the higher version, else
    /// the later wall time, else ours (core/state_merge.hpp says it in full). A record that only
    /// one of the two has is kept or taken; with are_removed, which is for a view that is complete
    /// (a standby's), it goes if the view that lacks it is new enough to have known it. Metrics
    /// always stay. One transaction, which tells what was decided about whose view; number 0 and no
    /// error: there was nothing to merge.
    CommitResult reconcile(const StateSnapshot& other, std::string_view whose,
                           AbsentRecords absent = AbsentRecords::are_kept);

    // --- audit -----------------------------------------------------------------------------------

    /// Calls `visit` for each transaction that the filter lets through, oldest first, as far back
    /// as the log reaches, until it returns false; commits go on meanwhile, and what is committed
    /// after the call began need not be seen. Without a directory: the last `transactions_kept`.
    error_code transactions(const TransactionFilter& filter,
                            const std::function<bool(const Transaction&)>& visit) const;

    /// The last ones, oldest first.
    [[nodiscard]] std::vector<Transaction> last_transactions(std::size_t count) const;

    /// One JSON object per line to `write`, in the form of state_json.hpp.
    error_code export_json_lines(const std::function<void(std::string_view)>& write,
                                 const TransactionFilter& filter = {}) const;

private:
    class Body;
    std::unique_ptr<Body> body_;
};

} // namespace everpool
