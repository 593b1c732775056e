// SPDX-License-Identifier: BSL-1.0
#include "io/log_committer.hpp"

#include <algorithm>
#include <exception>
#include <new>
#include <string>
#include <utility>

namespace everpool::io {

using log::Lsn;
using log::Reach;

LogCommitter::LogCommitter(log::Ledger ledger, const LogCommitterConfig& config)
    : config_(config), ledger_(std::move(ledger)), background_([this] { run_background(); }) {
    try {
        checkpoints_ = std::thread([this] { run_checkpoints(); });
    } catch (...) { // the system has no thread left; the first one must not be destroyed as it runs
        (void)stop();
        throw;
    }
}

LogCommitter::~LogCommitter() { (void)stop(); }

// --- records -------------------------------------------------------------------------------------

error_code LogCommitter::append(std::span<const std::byte> body, Lsn& lsn) {
    const Lock lock(mutex_);
    if (is_stopping_) return Errc::cancelled;
    return ledger_.append(body, lsn);
}

Lsn LogCommitter::appended() const {
    const Lock lock(mutex_);
    return ledger_.appended();
}

Lsn LogCommitter::written() const {
    const Lock lock(mutex_);
    return ledger_.written();
}

Lsn LogCommitter::durable() const {
    const Lock lock(mutex_);
    return ledger_.durable();
}

Lsn LogCommitter::checkpoint() const {
    const Lock lock(mutex_);
    return ledger_.checkpoint();
}

log::Manifest LogCommitter::manifest() const {
    const Lock lock(mutex_);
    return ledger_.manifest();
}

bool LogCommitter::is_poisoned() const {
    const Lock lock(mutex_);
    return ledger_.is_poisoned();
}

Diagnostics LogCommitter::trouble() const {
    const Lock lock(mutex_);
    return ledger_.trouble();
}

bool LogCommitter::needs_full_checkpoint() const {
    const Lock lock(mutex_);
    return ledger_.needs_full_checkpoint();
}

log::LogReading LogCommitter::reading(Lsn from, error_code& error) {
    Lock lock(mutex_);
    error = wait_for(lock, ledger_.appended(), Reach::system);
    if (!lock.owns_lock()) lock.lock();
    return ledger_.reading(from);
}

// --- waiting -------------------------------------------------------------------------------------

error_code LogCommitter::wait_for(Lsn lsn, Reach reach) {
    Lock lock(mutex_);
    return wait_for(lock, lsn, reach);
}

/// May return without the lock: who has landed is in no hurry to get it back.
error_code LogCommitter::wait_for(Lock& lock, Lsn lsn, Reach reach) {
    error_code outcome;
    while (!is_there(lsn, reach)) {
        if (outcome) return outcome;
        if (ledger_.is_poisoned()) return Errc::storage_failed;
        // What should we do?
        if (is_flying_) await_landing(lock, lsn, reach, outcome); // let others do it
        else if (is_syncing_beside_ && is_syncing_needed(reach)) await_sync_beside(lock); // later
        else return fly(lock, reach); // lead: it takes everything, so ours is in it
    }
    return {};
}

/// Waits until the flight that can serve us has landed, or until it is ours to take off.
void LogCommitter::await_landing(Lock& lock, Lsn lsn, Reach reach, error_code& outcome) {
    const bool is_aboard = lsn <= flying_last_ && reach <= flying_reach_;
    const std::uint64_t ours = is_aboard ? flight_ : flight_ + 1;
    const std::size_t group = ours % 2;
    const auto is_over = [&] { return flight_ > ours || (flight_ == ours && !is_flying_); };
    ++waiting_[group];
    while (!is_over() && is_flying_) landed_[group].wait(lock);
    --waiting_[group];
    if (is_over()) {
        if (landings_[group].flight == ours) outcome = landings_[group].outcome;
        return;
    }
    // It is ours to take off. If there is no need any more, it is the next one's (scenario 3).
    if (is_there(lsn, reach) && waiting_[group] != 0) landed_[group].notify_one();
}

error_code LogCommitter::fly(Lock& lock, Reach reach) {
    is_flying_ = true;
    ++flight_;
    flying_last_ = ledger_.appended();
    flying_reach_ = reach;
    is_flight_syncing_ = is_syncing_needed(reach);
    log::Batch batch = ledger_.take(reach);
    lock.unlock();
    bool is_out_of_memory = false;
    try {
        batch.perform();
    } catch (const std::bad_alloc&) { // what it has not done stays to be done
        is_out_of_memory = true;
    }
    lock.lock();
    error_code outcome = ledger_.done(std::move(batch));
    if (!outcome && is_out_of_memory) outcome = Errc::storage_failed;
    land(lock, outcome);
    return outcome;
}

void LogCommitter::land(Lock& lock, error_code outcome) {
    const std::size_t group = flight_ % 2, next = 1 - group;
    is_flying_ = false;
    landings_[group] = {.flight = flight_, .outcome = outcome};
    const bool is_poisoned = ledger_.is_poisoned();
    const bool is_anybody_here = waiting_[group] != 0, is_anybody_next = waiting_[next] != 0;
    const bool is_background_concerned =
        is_poisoned || (!handlers_.empty() && handlers_.begin()->first <= ledger_.durable());
    lock.unlock();
    if (is_anybody_next && !is_poisoned) landed_[next].notify_one();
    if (is_anybody_here) landed_[group].notify_all();
    if (is_poisoned) landed_[next].notify_all(); // nobody will take off any more
    if (is_background_concerned) background_wakeup_.notify_one();
}

/// It may have been ours to take off. Perhaps somebody else waits who only wants to write.
void LogCommitter::await_sync_beside(Lock& lock) {
    const std::size_t next = (flight_ + 1) % 2;
    if (waiting_[next] != 0) landed_[next].notify_one();
    synced_beside_.wait(lock);
}

/// Makes what the system has durable, while flights that only write go on. \pre it has `lsn`
void LogCommitter::sync_beside(Lock& lock, Lsn lsn) {
    // Not during a flight that syncs: see WrittenSync. The next one of these serves us as well.
    while (is_flying_ && is_flight_syncing_ && !is_there(lsn, Reach::disk)) {
        const std::size_t group = flight_ % 2; // those who are told when it lands
        ++waiting_[group];
        landed_[group].wait(lock);
        --waiting_[group];
    }
    if (is_there(lsn, Reach::disk)) return;
    is_syncing_beside_ = true;
    log::WrittenSync sync = ledger_.take_sync();
    lock.unlock();
    sync.perform();
    lock.lock();
    is_syncing_beside_ = false;
    (void)ledger_.done(std::move(sync)); // what it is worth, the caller sees
    synced_beside_.notify_all();
    for (std::condition_variable& landed : landed_) landed.notify_all(); // some are served by it
    background_wakeup_.notify_one();
}

// --- the background ------------------------------------------------------------------------------

void LogCommitter::when_durable(Lsn lsn, DurableHandler handler, bool is_urgent) {
    Lock lock(mutex_);
    if (is_background_over_) {
        const error_code outcome = is_there(lsn, Reach::disk) ? error_code{} : stop_outcome_;
        lock.unlock();
        if (handler) handler(outcome);
        return;
    }
    if (handler) handlers_.emplace(lsn, std::move(handler));
    wanted_ = std::max(wanted_, lsn);
    const bool is_first = !due_.has_value();
    if (has_unsynced_wish() && (is_first || is_urgent))
        due_ = is_urgent ? Clock::time_point{} : Clock::now() + config_.commit_interval;
    const bool is_for_nothing = lsn <= ledger_.durable() || ledger_.is_poisoned();
    // Once per interval, and not for every record: the background knows when it is due.
    if (is_first || is_urgent || is_for_nothing) background_wakeup_.notify_one();
}

void LogCommitter::run_background() {
    Lock lock(mutex_);
    for (;;) {
        if (!lock.owns_lock()) lock.lock();
        // What should we do next?
        if (ledger_.is_poisoned()) take_handlers(ledger_.appended(), Errc::storage_failed);
        if (is_last_sync_over_) take_handlers(ledger_.appended(), stop_outcome_);
        if (call_handlers(lock)) continue; // tell those whose records are durable
        if (is_last_sync_over_) break;
        if (!has_unsynced_wish()) { // sleep until there is something
            due_.reset();
            background_wakeup_.wait(lock);
        } else if (due_ && Clock::now() < *due_) { // let more gather
            background_wakeup_.wait_until(lock, *due_);
        } else { // sync
            due_.reset();
            const Lsn target = ledger_.appended();
            const error_code ec = wait_for(lock, target, Reach::disk);
            if (!ec) continue;
            if (!lock.owns_lock()) lock.lock();
            take_handlers(target, ec);
            due_ = Clock::now() + config_.retry_interval;
        }
    }
    is_background_over_ = true;
}

/// Those that wait for a record up to that one are to be called, with the error if theirs is not
/// durable.
void LogCommitter::take_handlers(Lsn up_to, error_code error) {
    while (!handlers_.empty() && handlers_.begin()->first <= up_to) {
        const bool is_durable = handlers_.begin()->first <= ledger_.durable();
        callable_.emplace_back(std::move(handlers_.begin()->second),
                               is_durable ? error_code{} : error);
        handlers_.erase(handlers_.begin());
    }
}

/// Without the lock, so that a handler may commit again. False: there was none to be called.
bool LogCommitter::call_handlers(Lock& lock) {
    take_handlers(ledger_.durable(), {});
    if (callable_.empty()) return false;
    auto calls = std::exchange(callable_, {});
    lock.unlock();
    for (auto& [handler, error] : calls) handler(error);
    return true;
}

// --- checkpoints ---------------------------------------------------------------------------------

error_code LogCommitter::checkpoint(log::CheckpointKind wanted, CheckpointEncoder encode,
                                    CheckpointHandler handler) {
    const Lock lock(mutex_);
    if (is_stopping_) return Errc::cancelled;
    if (is_checkpointing_) return Errc::queue_full;
    checkpoint_.emplace(CheckpointJob{.plan = ledger_.begin_checkpoint(wanted),
                                      .encode = std::move(encode),
                                      .handler = std::move(handler)});
    is_checkpointing_ = true; // not if there was no memory for it
    checkpoint_wakeup_.notify_one();
    return {};
}

void LogCommitter::run_checkpoints() {
    Lock lock(mutex_);
    for (;;) {
        checkpoint_wakeup_.wait(lock, [&] { return checkpoint_ || is_stopping_; });
        if (!checkpoint_) return;
        CheckpointJob job = std::move(*checkpoint_);
        checkpoint_.reset();
        lock.unlock();
        Diagnostics diagnostics;
        const error_code outcome = perform(job, diagnostics);
        lock.lock();
        is_checkpointing_ = false;
        lock.unlock();
        if (job.handler) job.handler(outcome, diagnostics);
        job = {}; // what the encoder holds, a snapshot, is of no use any more
        lock.lock();
    }
}

error_code LogCommitter::perform(CheckpointJob& job, Diagnostics& diagnostics) {
    if (!job.plan.is_needed()) return {};
    try {
        const std::vector<std::byte> body = job.encode(job.plan);
        if (error_code ec = job.plan.write(body)) {
            diagnostics = job.plan.trouble();
            return ec;
        }
    } catch (const std::exception& error) { // above all: out of memory
        diagnostics = {};
        diagnostics.message = std::string("a checkpoint could not be encoded: ") + error.what();
        return Errc::internal_error;
    }
    return publish(job, diagnostics);
}

/// A checkpoint must not hold what the log might still lose: first the records, then the manifest.
error_code LogCommitter::publish(CheckpointJob& job, Diagnostics& diagnostics) {
    Lock lock(mutex_);
    error_code ec = wait_for(lock, job.plan.lsn(), Reach::system);
    if (!lock.owns_lock()) lock.lock();
    if (!ec) {
        sync_beside(lock, job.plan.lsn());
        // That was all, but for what a recovery has read and nobody has written again yet.
        ec = wait_for(lock, job.plan.lsn(), Reach::disk);
        if (!lock.owns_lock()) lock.lock();
    }
    if (ec) {
        diagnostics = ledger_.trouble();
        return ec;
    }
    auto publication = ledger_.publish(job.plan);
    if (!publication) return Errc::internal_error;
    lock.unlock();
    publication->perform();
    lock.lock();
    const error_code outcome = ledger_.done(std::move(*publication));
    if (outcome) diagnostics = ledger_.trouble();
    if (ledger_.is_poisoned() && !is_flying_) { // nobody lands to tell them
        for (std::condition_variable& landed : landed_) landed.notify_all();
        background_wakeup_.notify_one();
    }
    return outcome;
}

// --- the end -------------------------------------------------------------------------------------

error_code LogCommitter::stop() {
    const std::lock_guard once(stop_mutex_);
    if (!background_.joinable()) return stop_outcome_;
    {
        const Lock lock(mutex_);
        is_stopping_ = true;
    }
    checkpoint_wakeup_.notify_one();
    if (checkpoints_.joinable()) checkpoints_.join();
    Lock lock(mutex_);
    stop_outcome_ = wait_for(lock, ledger_.appended(), Reach::disk);
    if (!lock.owns_lock()) lock.lock();
    // Nobody flies any more: there is nothing that he could fly for.
    if (!stop_outcome_) stop_outcome_ = ledger_.close();
    is_last_sync_over_ = true; // the background tells all handlers, and ends
    background_wakeup_.notify_one();
    lock.unlock();
    background_.join();
    return stop_outcome_;
}

} // namespace everpool::io
