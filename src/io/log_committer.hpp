// Everpool doors: many threads share one ledger, and one sync serves all who wait for it.
// SPDX-License-Identifier: BSL-1.0
//
// Whoever waits for the disk and finds nobody writing becomes the leader: he takes everything that
// was appended, by anybody, and writes and syncs it while the others go on appending. Nobody waits
// for company: during one sync the next group gathers by itself, the larger the slower the disk is.
//
//      idle ── wait, nobody flying: take ──> flying ── done ──> idle
//                                              │ those in the batch: woken, all of them
//                                              └ those who came later: one is woken, and leads
//
// The two kinds wait apart (groups of even and odd number), so that a sync wakes nobody in vain,
// and the next leader is woken first: his sync runs while the others find their way out. That was
// measured at more than twice the rate of one condition for all (64 threads on 2 processors).
//
// Why no wake-up is lost. A group is only waited for while it is the one that flies, or the next.
//   1. Landing wakes all of its own group. Whoever is in it and is not served by what was done (it
//      reached the system only, and he wants the disk) waits again, for the next group.
//   2. Landing wakes one of the next group, if any waits there. If somebody new takes off before
//      that one looks, he takes along all that wait, and wakes them when he lands.
//   3. If the one that is woken needs nothing any more, he wakes the next of his group in his
//      place, unless somebody is flying, who does it then.
//   4. A wake-up for a group may meet a thread of the one two before, which is still waking up:
//      that group's own wake-up, of all, is then still to come, and meets both.
//   5. A checkpoint needs a sync, too, and those who only write shall not wait for it: so it is
//      made beside the flights. Meanwhile flights only write; who needs a sync waits for its end,
//      which wakes everybody.
//
// Thread safety: all functions, from any thread; but stop() and the destructor from one, and not
// from a handler.
#pragma once

#include "everpool/error.hpp"
#include "everpool/log/ledger.hpp"

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <utility>
#include <vector>

namespace everpool::io {

struct LogCommitterConfig {
    /// The longest that a record waits for its sync to begin if nobody waits for it, but for a sync
    /// that is under way then: so much of the newest past, and what is on its way, the host's death
    /// may take. Default 5 ms; 0: at once, in the background.
    std::chrono::milliseconds commit_interval{5};
    /// After a failure that may pass (a full disk) the background tries again so often. Default
    /// 250 ms.
    std::chrono::milliseconds retry_interval{250};
};

class LogCommitter {
public:
    using Clock = std::chrono::steady_clock;
    /// Called once, on the committer's own thread or, after stop(), inside when_durable(); must not
    /// throw or block.
    using DurableHandler = std::function<void(error_code)>;

    /// Starts two threads: for commits in the background, and for checkpoints.
    LogCommitter(log::Ledger ledger, const LogCommitterConfig& config);
    /// stop()
    ~LogCommitter();
    LogCommitter(const LogCommitter&) = delete;
    LogCommitter& operator=(const LogCommitter&) = delete;

    // --- records ---------------------------------------------------------------------------------

    /// Ledger::append, in the order of the calls; memory only. After stop(): `cancelled`.
    error_code append(std::span<const std::byte> body, log::Lsn& lsn);

    /// Returns when the system has everything up to `lsn`, or with the error of the attempt. As
    /// fast as a write, but for a sync that is under way for others, which it waits for; not for
    /// that of a checkpoint. \pre lsn was appended
    error_code write_out(log::Lsn lsn) { return wait_for(lsn, log::Reach::system); }

    /// Returns when everything up to `lsn` is durable, or with the error of the attempt that it was
    /// part of: storage_full and storage_not_writable may pass, storage_failed does not.
    /// \pre lsn was appended
    error_code wait_durable(log::Lsn lsn) { return wait_for(lsn, log::Reach::disk); }

    /// Makes everything up to `lsn` durable in the background, by a sync that begins within
    /// commit_interval or, if it is urgent, by the next one, and then calls `handler`, if there is
    /// one. It is also called, with the error, when an attempt fails; the records are tried again
    /// with all others. After stop() it is called at once, before this returns. \pre lsn was
    /// appended
    void when_durable(log::Lsn lsn, DurableHandler handler, bool is_urgent = false);

    [[nodiscard]] log::Lsn appended() const;
    [[nodiscard]] log::Lsn written() const;
    [[nodiscard]] log::Lsn durable() const;
    /// The newest checkpoint that counts; 0: none.
    [[nodiscard]] log::Lsn checkpoint() const;
    [[nodiscard]] log::Manifest manifest() const;
    /// A sync has failed: nothing is written any more, and everything fails with storage_failed.
    [[nodiscard]] bool is_poisoned() const;
    /// Why the last attempt failed.
    [[nodiscard]] Diagnostics trouble() const;

    /// A look at everything from `from` on that was appended before the call; it can be read while
    /// records are appended. Writes out what is only in memory; `error` is of that.
    [[nodiscard]] log::LogReading reading(log::Lsn from, error_code& error);

    // --- checkpoints -----------------------------------------------------------------------------

    /// Makes the body of a checkpoint: of the state after plan.lsn(), or of what has changed since
    /// plan.parent() if it is a delta. On the committer's thread for checkpoints; may take long.
    using CheckpointEncoder =
        std::function<std::vector<std::byte>(const log::CheckpointPlan& plan)>;
    /// On the same thread, when it counts, or with why it does not.
    using CheckpointHandler = std::function<void(error_code, const Diagnostics&)>;

    /// Begins a checkpoint of the state after the last record: the caller takes a snapshot, and
    /// lets nobody append until this has returned. All the rest is done in the background. If there
    /// is nothing new since the last one, the handler is called without an error, and `encode` is
    /// not.
    ///   queue_full  another one is being made: nothing is called
    ///   cancelled   after stop(): likewise
    error_code checkpoint(log::CheckpointKind wanted, CheckpointEncoder encode,
                          CheckpointHandler handler);
    /// A full one is needed before anything can be appended (Ledger::needs_full_checkpoint).
    [[nodiscard]] bool needs_full_checkpoint() const;

    // --- the end ---------------------------------------------------------------------------------

    /// Lets a checkpoint that is being made finish, makes everything durable, calls all handlers,
    /// gives back the room that the last segment does not use, and ends the threads. Those who wait
    /// are served. The error is of the last sync. Later calls do nothing more.
    error_code stop();

private:
    using Lock = std::unique_lock<std::mutex>;
    struct Landing {
        std::uint64_t flight{0};
        error_code outcome;
    };
    struct CheckpointJob {
        log::CheckpointPlan plan;
        CheckpointEncoder encode;
        CheckpointHandler handler;
    };

    error_code wait_for(log::Lsn lsn, log::Reach reach);
    error_code wait_for(Lock& lock, log::Lsn lsn, log::Reach reach);
    void await_landing(Lock& lock, log::Lsn lsn, log::Reach reach, error_code& outcome);
    error_code fly(Lock& lock, log::Reach reach);
    void land(Lock& lock, error_code outcome);
    void await_sync_beside(Lock& lock);
    void sync_beside(Lock& lock, log::Lsn lsn);
    /// Would a flight now sync anything?
    [[nodiscard]] bool is_syncing_needed(log::Reach reach) const noexcept {
        return reach == log::Reach::disk || ledger_.begins_segment();
    }
    [[nodiscard]] bool is_there(log::Lsn lsn, log::Reach reach) const noexcept {
        return lsn <= (reach == log::Reach::disk ? ledger_.durable() : ledger_.written());
    }

    void run_background();
    void take_handlers(log::Lsn up_to, error_code error);
    bool call_handlers(Lock& lock);
    [[nodiscard]] bool has_unsynced_wish() const noexcept {
        return wanted_ > ledger_.durable() && !ledger_.is_poisoned();
    }

    void run_checkpoints();
    error_code perform(CheckpointJob& job, Diagnostics& diagnostics);
    error_code publish(CheckpointJob& job, Diagnostics& diagnostics);

    const LogCommitterConfig config_;

    mutable std::mutex mutex_;
    log::Ledger ledger_;
    bool is_stopping_{false};        ///< nothing is appended any more
    bool is_last_sync_over_{false};  ///< and nothing will become durable any more
    bool is_background_over_{false}; ///< and nobody calls handlers any more

    // Flights: batches on their way, one at a time, numbered from 1.
    bool is_flying_{false};
    std::uint64_t flight_{0}; ///< the last that took off
    log::Lsn flying_last_;
    log::Reach flying_reach_{log::Reach::system};
    bool is_flight_syncing_{false};
    std::array<Landing, 2> landings_; ///< of the last two, by even and odd number
    std::array<std::condition_variable, 2> landed_;
    std::array<std::uint32_t, 2> waiting_{};

    // The sync beside them.
    bool is_syncing_beside_{false};
    std::condition_variable synced_beside_;

    // The background.
    std::condition_variable background_wakeup_;
    log::Lsn wanted_; ///< durable, within the interval
    std::optional<Clock::time_point> due_;
    std::multimap<log::Lsn, DurableHandler> handlers_;
    std::vector<std::pair<DurableHandler, error_code>> callable_; ///< to be called now

    std::condition_variable checkpoint_wakeup_;
    std::optional<CheckpointJob> checkpoint_;
    bool is_checkpointing_{false};

    std::mutex stop_mutex_;
    error_code stop_outcome_;
    std::thread background_, checkpoints_; // last: they use the rest
};

} // namespace everpool::io
