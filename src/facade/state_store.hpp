// Everpool facade: the disk under a BrowserStateManager.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_state_manager.hpp"
#include "everpool/core/state_core.hpp"
#include "everpool/log/ledger.hpp"
#include "facade/pinned_directory.hpp"
#include "io/log_committer.hpp"
#include "io/zstd_compressor.hpp"

#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace everpool::facade {

/// A directory, the log in it, and who writes that. Thread-safe, but for what is said.
class StateStore {
public:
    /// Recovers what is in the directory, and makes `core` that.
    /// \throws Error, see BrowserStateManager's constructor
    static std::unique_ptr<StateStore> open(const BrowserStateManagerConfig& config,
                                            std::unique_ptr<log::Directory> directory,
                                            core::StateCore& core, RecoveryReport& report);

    /// Also where a keeper could not be made: the handlers that are called now use the log.
    ~StateStore() {
        if (log_) (void)log_->stop();
    }
    StateStore(const StateStore&) = delete;
    StateStore& operator=(const StateStore&) = delete;

    [[nodiscard]] io::LogCommitter& log() noexcept { return *log_; }

    // --- commits ---------------------------------------------------------------------------------

    /// Waits until the record is as durable as is asked for; for `group`, sees to it only.
    error_code reach(log::Lsn lsn, Durability durability);

    /// Sees to it that the record is durable, and calls `handler`, if there is one, on the log's
    /// own thread when it is, or cannot be.
    void when_durable(log::Lsn lsn, bool is_urgent, std::function<void(error_code)> handler);

    /// Calls `handler`, if there is one, on the log's own thread, too: with that error.
    void tell(error_code outcome, std::function<void(error_code)> handler);

    /// Waits until everything that was appended is with the system, or durable.
    error_code write_out();
    error_code flush();

    /// Where the log is; fills in what health() shows of it.
    void describe(StateStorageHealth& health) const;

    // --- checkpoints: one at a time --------------------------------------------------------------

    /// Begins one of `now`, the state after the last record; nobody may append until this returns.
    /// The outcome is told by the future.
    std::future<error_code> begin_checkpoint(CheckpointDemand demand, StateSnapshot now);

    // --- reading it all again; nothing is cleared away meanwhile ---------------------------------

    /// Appends to `out` in what the disk differs from the state, which `snapshot` gives.
    void verify(const std::function<StateSnapshot()>& snapshot, const StateLimits& limits,
                std::vector<std::string>& out);

    error_code visit(log::Lsn from, const TransactionFilter& filter,
                     const std::function<bool(const Transaction&)>& visit);

private:
    explicit StateStore(bool is_selective) : is_selective_(is_selective) {}

    error_code noted(log::Lsn lsn, error_code outcome);
    void watch(log::Lsn lsn);
    void on_watched(log::Lsn lsn, error_code outcome);
    void read_checkpoints(const log::Manifest& manifest, core::StateCore& core,
                          std::vector<std::string>& out);
    void compare(const StateSnapshot& now, core::StateCore& core, std::vector<std::string>& out);

    const bool is_selective_;
    io::ZstdCompressor compressor_;
    std::unique_ptr<PinnedDirectory> directory_;

    /// What the newest checkpoint holds, if it is that of this record. Of the thread that writes
    /// them; deltas build on it.
    StateSnapshot checkpoint_;
    log::Lsn checkpoint_lsn_{};

    mutable std::mutex mutex_; ///< for what follows; held for a moment only
    error_code trouble_;       ///< of the last attempt that failed
    log::Lsn trouble_lsn_;     ///< what it should have written
    bool is_watching_{false};
    log::Lsn watched_;

    std::unique_ptr<io::LogCommitter> log_; ///< last: it still writes while it is destroyed
};

} // namespace everpool::facade
