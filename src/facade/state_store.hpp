// Everpool facade: the disk under a BrowserStateManager.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_state_manager.hpp"
#include "everpool/core/state_core.hpp"
#include "everpool/log/ledger.hpp"
#include "io/linux/file_directory.hpp"
#include "io/log_committer.hpp"
#include "io/zstd_compressor.hpp"

#include <functional>
#include <future>
#include <memory>
#include <string>
#include <vector>

namespace everpool::facade {

/// A directory, the log in it, and who writes that. Thread-safe, but for what is said.
class StateStore {
public:
    /// Opens the directory and makes `core` what is found there.
    /// \throws Error, see BrowserStateManager's constructor
    static std::unique_ptr<StateStore> open(const BrowserStateManagerConfig& config,
                                            core::StateCore& core, RecoveryReport& report);

    [[nodiscard]] io::LogCommitter& log() noexcept { return *log_; }

    /// Waits until the record is as durable as is asked for.
    error_code reach(log::Lsn lsn, Durability durability);

    /// Where the log is; fills in what health() shows of it.
    void describe(StateStorageHealth& health) const;

    // --- checkpoints: one at a time --------------------------------------------------------------

    /// Begins one of `now`, the state after the last record; nobody may append until this returns.
    /// The outcome is told by the future.
    std::future<error_code> begin_checkpoint(CheckpointDemand demand, StateSnapshot now);

    // --- reading it all again --------------------------------------------------------------------

    /// Appends to `out` in what the disk differs from `now`.
    /// \pre no checkpoint is being written
    void verify(const StateSnapshot& now, const StateLimits& limits, std::vector<std::string>& out);

    error_code visit(log::Lsn from, const TransactionFilter& filter,
                     const std::function<bool(const Transaction&)>& visit);

private:
    explicit StateStore(bool is_selective) : is_selective_(is_selective) {}

    bool read_checkpoint(core::StateCore& core, std::vector<std::string>& out);

    const bool is_selective_;
    io::ZstdCompressor compressor_;
    std::unique_ptr<io::FileDirectory> directory_;
    /// What the newest checkpoint holds, if it is that of this record. Of the thread that writes
    /// them; deltas build on it.
    StateSnapshot checkpoint_;
    log::Lsn checkpoint_lsn_{};
    std::unique_ptr<io::LogCommitter> log_; ///< last: it still writes while it is destroyed
};

} // namespace everpool::facade
