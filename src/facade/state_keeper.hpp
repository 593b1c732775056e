// Everpool facade: what BrowserStateManager does, over any directory.
// SPDX-License-Identifier: BSL-1.0
//
// Locks, in the order in which they are taken:
//   checkpoint_mutex_  one checkpoint at a time
//   listener_mutex_    transactions are told in the order in which they were applied
//   mutex_             the state, and the order of records in the log; never held while anybody
//                      waits for the disk
#pragma once

#include "everpool/browser_state_manager.hpp"
#include "everpool/core/state_core.hpp"
#include "everpool/log/file_system.hpp"
#include "everpool/log/log_id.hpp"
#include "facade/state_store.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace everpool::facade {

/// Thread-safe; functions as in browser_state_manager.hpp.
class StateKeeper {
public:
    /// `directory` null: in memory only. \pre the configuration is one that checked() gave
    StateKeeper(BrowserStateManagerConfig config, std::unique_ptr<log::Directory> directory);
    ~StateKeeper();
    StateKeeper(const StateKeeper&) = delete;
    StateKeeper& operator=(const StateKeeper&) = delete;

    CommitResult commit(Transaction transaction, Durability durability);
    CommitResult commit(Transaction transaction, Durability durability,
                        std::function<void(error_code)> when_done);
    error_code flush();
    StateSnapshot snapshot();
    StateStorageHealth health();
    error_code checkpoint(CheckpointDemand demand);
    std::vector<std::string> verify();
    CommitResult reconcile(const StateSnapshot& other, std::string_view whose,
                           AbsentRecords absent = AbsentRecords::are_kept);
    error_code visit(std::uint64_t from, const TransactionFilter& filter,
                     const std::function<bool(const Transaction&)>& visit);
    std::vector<Transaction> last_transactions(std::size_t count);

    [[nodiscard]] const BrowserStateManagerConfig& config() const noexcept { return config_; }
    [[nodiscard]] const RecoveryReport& recovery() const noexcept { return report_; }
    [[nodiscard]] const std::vector<OrphanedOperation>& orphans() const noexcept {
        return orphans_;
    }

private:
    using Lock = std::unique_lock<std::mutex>;

    /// What a transaction became, and where it stands in the log.
    struct Applied {
        CommitResult result;
        log::Lsn lsn{};        ///< its record; 0: there is none
        error_code unlogged{}; ///< why there is none
    };

    template <class Prepare>
    Applied apply(Transaction& transaction, Prepare prepare);
    Applied apply(Transaction& transaction);
    [[nodiscard]] bool encode(const Transaction& transaction);
    void append(Lock& lock, Applied& applied);
    error_code append_encoded(log::Lsn& lsn);
    void make_room(Lock& lock, Applied& applied);
    void remember(const std::shared_ptr<const Transaction>& transaction);
    CommitResult reach(Applied applied, Durability durability);
    void settle_what_was_left();
    void write_checkpoints(const std::stop_token& stop);
    StateSnapshot logged_snapshot(error_code& closed);
    error_code visit_recent(std::uint64_t from, const TransactionFilter& filter,
                            const std::function<bool(const Transaction&)>& visit);

    const BrowserStateManagerConfig config_;
    RecoveryReport report_;
    std::vector<OrphanedOperation> orphans_;

    std::mutex checkpoint_mutex_, listener_mutex_, mutex_;
    core::StateCore core_;
    std::uint64_t last_number_{0};      ///< of the state's and the log's the higher one
    std::unique_ptr<StateStore> store_; ///< null: in memory only
    std::vector<std::byte> encoded_;    ///< kept for its memory
    std::deque<std::shared_ptr<const Transaction>> recent_; ///< without a directory
    error_code closed_because_{};                           ///< a record is missing in the log
    std::uint64_t unsynced_bytes_{0}; ///< appended since append() itself last asked for a sync
    bool is_making_room_{false};      ///< nobody applies anything
    std::condition_variable room_made_;
    std::uint64_t checkpoint_failures_{0};

    std::condition_variable_any checkpoint_due_;
    std::jthread checkpointer_; ///< last: it is stopped first
};

} // namespace everpool::facade
