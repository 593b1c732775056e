// SPDX-License-Identifier: BSL-1.0
#include "facade/state_keeper.hpp"

#include "everpool/core/state_codec.hpp"
#include "everpool/core/state_invariants.hpp"
#include "everpool/core/state_merge.hpp"
#include "facade/state_settling.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <iterator>
#include <new>
#include <optional>
#include <utility>
#include <variant>

namespace everpool::facade {
namespace {

/// What was committed without any durability is written nevertheless when there is so much of it:
/// the log refuses more than 64 MiB that wait.
constexpr std::uint64_t unsynced_bytes_max = std::uint64_t{8} << 20;

/// Buffers of a usual transaction are kept; that of a huge one is not.
constexpr std::size_t kept_buffer_bytes_max = std::size_t{1} << 20;

WallTime wall_now() {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

/// Of a transaction's requests: what can be so large that even encoding it would be too much.
std::size_t payload_bytes(const Transaction& transaction) {
    std::size_t bytes = 0;
    for (const Change& change : transaction.changes) {
        if (const auto* submitted = std::get_if<OperationSubmitted>(&change))
            bytes += submitted->payload.bytes().size();
        else if (const auto* merged = std::get_if<Reconciled>(&change))
            for (const OperationState& operation : merged->operations)
                bytes += operation.payload.bytes().size();
    }
    return bytes;
}

} // namespace

StateKeeper::StateKeeper(BrowserStateManagerConfig config,
                         std::unique_ptr<log::Directory> directory)
    : config_(std::move(config)), core_(config_.limits) {
    report_.mode = config_.recovery;
    report_.is_new = true;
    if (!directory) return;
    store_ = StateStore::open(config_, std::move(directory), core_, report_);
    // The log's number and ours are one, so that a record is found by the transaction's number.
    // After salvage the log may be ahead, by records that could not be read.
    last_number_ = std::max(core_.version(), store_->log().appended().value);
    settle_what_was_left();
    if (config_.checkpoint_interval > Duration::zero())
        checkpointer_ =
            std::jthread([this](const std::stop_token& stop) { write_checkpoints(stop); });
}

StateKeeper::~StateKeeper() {
    checkpointer_.request_stop();
    if (checkpointer_.joinable()) checkpointer_.join();
    // While everything else is still there: handlers are called, and may ask us something.
    if (store_) (void)store_->log().stop();
}

// --- recovery ------------------------------------------------------------------------------------

void StateKeeper::settle_what_was_left() {
    Settling settling = settle(core_.snapshot(), config_.orphans, config_.process_exists);
    auto& changes = settling.transaction.changes;
    for (auto at = changes.begin(); at != changes.end();) {
        const auto end = at + std::min<std::ptrdiff_t>(transaction_changes_max, changes.end() - at);
        Transaction part;
        part.actor = settling.transaction.actor;
        part.changes.assign(std::make_move_iterator(at), std::make_move_iterator(end));
        const CommitResult result = commit(std::move(part), Durability::sync);
        if (result.code) throw Error(result.code, result.diagnostics);
        at = end;
    }
    for (OrphanedOperation& orphan : settling.orphans)
        // Where more have finished than are kept, it is forgotten; what was decided is still known.
        if (const OperationState* settled = core_.find_operation(orphan.operation.id))
            orphan.operation = *settled;
    orphans_ = std::move(settling.orphans);
}

// --- commits -------------------------------------------------------------------------------------

/// `prepare` may still change the transaction, and sees the state that it will be applied to.
template <class Prepare>
StateKeeper::Applied StateKeeper::apply(Transaction& transaction, Prepare prepare) {
    Applied applied;
    CommitResult& result = applied.result;
    const Lock listening = config_.on_transaction ? Lock(listener_mutex_) : Lock();
    Lock lock(mutex_);
    room_made_.wait(lock, [this] { return !is_making_room_; });
    if (!prepare()) return applied;
    if (transaction.at == WallTime{}) transaction.at = wall_now();
    transaction.number = last_number_ + 1;
    if (store_ && !encode(transaction)) {
        result.code = Errc::message_too_large;
        result.diagnostics.message = "the transaction does not fit into a record of the log";
        result.diagnostics.remedy = "divide it, or leave payloads out";
        return applied;
    }
    result.code = core_.apply(transaction, result.diagnostics);
    if (result.code) return applied;
    result.number = last_number_ = transaction.number;
    if (store_) append(lock, applied);
    std::shared_ptr<const Transaction> remembered;
    if (!store_ && config_.transactions_kept != 0) {
        remembered = std::make_shared<const Transaction>(std::move(transaction));
        remember(remembered);
    }
    lock.unlock();
    if (config_.on_transaction) config_.on_transaction(remembered ? *remembered : transaction);
    return applied;
}

StateKeeper::Applied StateKeeper::apply(Transaction& transaction) {
    return apply(transaction, [] { return true; });
}

bool StateKeeper::encode(const Transaction& transaction) {
    if (encoded_.capacity() > kept_buffer_bytes_max) encoded_ = {};
    encoded_.clear();
    if (payload_bytes(transaction) > log::record_bytes_max) return false;
    core::encode_transaction(transaction, encoded_);
    return encoded_.size() <= log::record_bytes_max;
}

/// What there is no memory for is missing in the log as well.
error_code StateKeeper::append_encoded(log::Lsn& lsn) {
    try {
        return store_->log().append(encoded_, lsn);
    } catch (const std::bad_alloc&) {
        return Errc::storage_failed;
    }
}

void StateKeeper::append(Lock& lock, Applied& applied) {
    // What comes after a missing record would contradict what the log gives back.
    if (!closed_because_) closed_because_ = append_encoded(applied.lsn);
    if (closed_because_ == Errc::queue_full) make_room(lock, applied);
    applied.unlogged = closed_because_;
    if (closed_because_) return;
    unsynced_bytes_ += encoded_.size();
    if (unsynced_bytes_ < unsynced_bytes_max) return;
    unsynced_bytes_ = 0;
    (void)store_->reach(applied.lsn, Durability::group);
}

/// The disk is slower than those who commit: they wait for it, and nobody else does. The log would
/// have to be closed otherwise, for the sake of a second in which the disk stood still.
void StateKeeper::make_room(Lock& lock, Applied& applied) {
    is_making_room_ = true;
    while (closed_because_ == Errc::queue_full) {
        closed_because_ = {};
        lock.unlock();
        const error_code ec = store_->write_out();
        lock.lock();
        closed_because_ = ec ? ec : append_encoded(applied.lsn);
    }
    is_making_room_ = false;
    room_made_.notify_all();
}

void StateKeeper::remember(const std::shared_ptr<const Transaction>& transaction) {
    if (recent_.size() >= config_.transactions_kept) recent_.pop_front();
    recent_.push_back(transaction);
}

CommitResult StateKeeper::commit(Transaction transaction, Durability durability) {
    return reach(apply(transaction), durability);
}

CommitResult StateKeeper::reach(Applied applied, Durability durability) {
    CommitResult& result = applied.result;
    if (result.number == 0 || !store_ || durability == Durability::none) return std::move(result);
    result.code = applied.unlogged ? applied.unlogged : store_->reach(applied.lsn, durability);
    if (!result.code) return std::move(result);
    result.diagnostics = store_->log().trouble();
    if (result.code == Errc::storage_failed && result.diagnostics.message.empty()) {
        result.diagnostics.message =
            "the log is closed: there was no memory for one of its records";
        result.diagnostics.remedy = "give the host more memory, and open the directory anew";
    }
    return std::move(result);
}

CommitResult StateKeeper::commit(Transaction transaction, Durability durability,
                                 std::function<void(error_code)> when_done) {
    Applied applied = apply(transaction);
    if (applied.result.number == 0) return std::move(applied.result);
    if (store_ && durability != Durability::none) {
        if (applied.unlogged) store_->tell(applied.unlogged, std::move(when_done));
        else
            store_->when_durable(applied.lsn, durability == Durability::sync, std::move(when_done));
    } else if (when_done) {
        when_done({});
    }
    return std::move(applied.result);
}

error_code StateKeeper::flush() {
    if (!store_) return {};
    {
        const Lock lock(mutex_);
        if (closed_because_) return closed_because_;
    }
    return store_->flush();
}

// --- reading -------------------------------------------------------------------------------------

StateSnapshot StateKeeper::snapshot() {
    const Lock lock(mutex_);
    return core_.snapshot();
}

StateStorageHealth StateKeeper::health() {
    StateStorageHealth out;
    out.is_on_disk = store_ != nullptr;
    const Lock lock(mutex_);
    out.committed = core_.version();
    out.checkpoint_failures = checkpoint_failures_;
    if (!store_) return out;
    store_->describe(out);
    if (closed_because_) {
        out.is_closed = true;
        if (!out.trouble) out.trouble = closed_because_;
    }
    return out;
}

// --- checkpoints ---------------------------------------------------------------------------------

error_code StateKeeper::checkpoint(CheckpointDemand demand) {
    if (!store_) return {};
    const std::scoped_lock one_at_a_time(checkpoint_mutex_);
    Lock lock(mutex_);
    room_made_.wait(lock, [this] { return !is_making_room_; });
    error_code ec = closed_because_;
    if (!ec) {
        std::future<error_code> outcome = store_->begin_checkpoint(demand, core_.snapshot());
        lock.unlock();
        ec = outcome.get();
        lock.lock();
    }
    if (ec) ++checkpoint_failures_;
    return ec;
}

void StateKeeper::write_checkpoints(const std::stop_token& stop) {
    std::mutex waiting;
    Lock lock(waiting);
    while (!checkpoint_due_.wait_for(lock, stop, config_.checkpoint_interval, [] {
        return false;
    }) && !stop.stop_requested())
        (void)checkpoint(CheckpointDemand::any); // health() counts failures
}

// --- trust, but verify ---------------------------------------------------------------------------

/// While room is made, the newest transaction is in the state and not yet in the log.
StateSnapshot StateKeeper::logged_snapshot(error_code& closed) {
    Lock lock(mutex_);
    room_made_.wait(lock, [this] { return !is_making_room_; });
    closed = closed_because_;
    return core_.snapshot();
}

std::vector<std::string> StateKeeper::verify() {
    std::vector<std::string> out;
    error_code closed;
    const StateSnapshot now = logged_snapshot(closed);
    if (const auto broken = core::check_state(now))
        out.emplace_back("invariant: " + std::string(*broken));
    if (!store_) return out;
    if (!closed) store_->verify([&] { return logged_snapshot(closed); }, config_.limits, out);
    if (closed) out.emplace_back("the log is closed: " + closed.message());
    return out;
}

CommitResult StateKeeper::reconcile(const StateSnapshot& other, std::string_view whose,
                                    AbsentRecords absent) {
    Transaction merge;
    const core::ReconcileOptions options{.source = std::string(whose), .absent = absent};
    return reach(apply(merge,
                       [&] {
                           merge = core::reconcile(core_.snapshot(), other, options);
                           return !merge.changes.empty();
                       }),
                 durability_of(config_.fault_tolerance));
}

// --- audit ---------------------------------------------------------------------------------------

error_code StateKeeper::visit(std::uint64_t from, const TransactionFilter& filter,
                              const std::function<bool(const Transaction&)>& visit) {
    return store_ ? store_->visit(log::Lsn{from}, filter, visit)
                  : visit_recent(from, filter, visit);
}

/// A few at a time, so that those who commit never wait for long.
error_code StateKeeper::visit_recent(std::uint64_t from, const TransactionFilter& filter,
                                     const std::function<bool(const Transaction&)>& visit) {
    constexpr std::uint64_t few = 256;
    std::vector<std::shared_ptr<const Transaction>> some;
    std::optional<std::uint64_t> last;
    do {
        some.clear();
        {
            const Lock lock(mutex_);
            if (!last) last = core_.version();
            // Their numbers have no gaps.
            const std::uint64_t first = recent_.empty() ? from : recent_.front()->number;
            from = std::max(from, first);
            for (; from <= *last && from - first < recent_.size() && some.size() < few; ++from)
                some.push_back(recent_[static_cast<std::size_t>(from - first)]);
        }
        for (const auto& transaction : some)
            if (filter.matches(*transaction) && !visit(*transaction)) return {};
    } while (!some.empty());
    return {};
}

std::vector<Transaction> StateKeeper::last_transactions(std::size_t count) {
    std::vector<Transaction> out;
    const std::uint64_t last = health().committed;
    if (count == 0 || last == 0) return out;
    const std::uint64_t from = last >= count ? last - count + 1 : 1;
    (void)visit(from, {}, [&](const Transaction& transaction) {
        if (transaction.number <= last) out.push_back(transaction);
        return transaction.number < last;
    });
    return out;
}

} // namespace everpool::facade
