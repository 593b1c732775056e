// Everpool facade: the body of BrowserStateManager.
// SPDX-License-Identifier: BSL-1.0
//
// Locks, in the order in which they are taken; none is held while waiting for the disk but the first:
//   checkpoint_mutex_  one checkpoint at a time
//   listener_mutex_    transactions are told in the order in which they were applied
//   mutex_             the state, and the order of records in the log
#include "everpool/browser_state_manager.hpp"

#include "everpool/core/state_invariants.hpp"
#include "everpool/core/state_json.hpp"
#include "everpool/core/state_merge.hpp"
#include "facade/state_builder.hpp"
#include "facade/state_config_check.hpp"
#include "facade/state_settling.hpp"
#include "facade/state_store.hpp"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <future>
#include <mutex>
#include <thread>
#include <utility>

namespace everpool {

namespace {

WallTime wall_now() {
    return std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
}

} // namespace

class BrowserStateManager::Body {
public:
    explicit Body(BrowserStateManagerConfig config);
    ~Body();

    CommitResult commit(Transaction transaction, Durability durability,
                        std::function<void(error_code)> when_done);
    CommitResult commit_and_wait(Transaction transaction, Durability durability);
    error_code flush();
    StateSnapshot snapshot();
    StateStorageHealth health();
    error_code checkpoint(CheckpointDemand demand);
    std::vector<std::string> verify();
    CommitResult reconcile(const StateSnapshot& other, std::string_view whose);
    error_code visit(std::uint64_t from, const TransactionFilter& filter,
                     const std::function<bool(const Transaction&)>& visit);

    const BrowserStateManagerConfig config;
    RecoveryReport report;
    std::vector<OrphanedOperation> orphans;

private:
    /// What a transaction became, and where it stands in the log.
    struct Applied {
        CommitResult result;
        log::Lsn lsn{};        ///< its record; 0: there is none
        error_code unlogged{}; ///< why there is none
    };

    template <class Prepare>
    Applied apply(Transaction& transaction, Prepare prepare);
    CommitResult reach(Applied applied, Durability durability);
    void append(const Transaction& transaction, Applied& applied);
    void settle_what_was_left();
    void write_checkpoints(const std::stop_token& stop);
    [[nodiscard]] std::uint64_t next_number() const;

    std::mutex checkpoint_mutex_, listener_mutex_, mutex_;
    core::StateCore core_;
    std::unique_ptr<facade::StateStore> store_; ///< null: in memory only
    std::vector<std::byte> encoded_;            ///< kept for its memory
    std::deque<Transaction> recent_;            ///< without a directory
    error_code closed_because_{};               ///< a record is missing in the log
    std::uint64_t checkpoint_failures_{0};

    std::condition_variable_any checkpoint_due_;
    std::jthread checkpointer_; ///< last: it is stopped first
};

BrowserStateManager::Body::Body(BrowserStateManagerConfig from)
    : config(facade::checked(std::move(from))), core_(config.limits) {
    report.mode = config.recovery;
    report.is_new = true;
    if (config.directory.empty()) return;
    store_ = facade::StateStore::open(config, core_, report);
    settle_what_was_left();
    if (config.checkpoint_interval > Duration::zero())
        checkpointer_ =
            std::jthread([this](const std::stop_token& stop) { write_checkpoints(stop); });
}

BrowserStateManager::Body::~Body() {
    checkpointer_.request_stop();
    if (checkpointer_.joinable()) checkpointer_.join();
}

// --- recovery ------------------------------------------------------------------------------------

void BrowserStateManager::Body::settle_what_was_left() {
    const StateSnapshot left = core_.snapshot();
    facade::Settling settling = facade::settle(left, config.orphans, config.process_exists);
    auto& changes = settling.transaction.changes;
    for (auto at = changes.begin(); at != changes.end();) {
        const auto end = at + std::min<std::ptrdiff_t>(transaction_changes_max, changes.end() - at);
        Transaction part;
        part.actor = settling.transaction.actor;
        part.changes.assign(std::make_move_iterator(at), std::make_move_iterator(end));
        const CommitResult result = commit_and_wait(std::move(part), Durability::sync);
        if (result.code) throw Error(result.code, result.diagnostics);
        at = end;
    }
    for (const RequestId id : settling.orphans) {
        const OperationState* operation = core_.find_operation(id);
        if (operation == nullptr) continue; // more have finished than are kept
        orphans.push_back({*operation, operation->status == OperationStatus::queued});
    }
}

// --- commits -------------------------------------------------------------------------------------

/// The log's number and ours are one, so that a record is found by the transaction's number.
std::uint64_t BrowserStateManager::Body::next_number() const {
    const std::uint64_t appended = store_ ? store_->log().appended().value : 0;
    return std::max(core_.version(), appended) + 1;
}

/// `prepare` may still change the transaction, and sees the state that it will be applied to.
template <class Prepare>
BrowserStateManager::Body::Applied BrowserStateManager::Body::apply(Transaction& transaction,
                                                                    Prepare prepare) {
    Applied applied;
    CommitResult& result = applied.result;
    const auto listening =
        config.on_transaction ? std::unique_lock(listener_mutex_) : std::unique_lock<std::mutex>();
    {
        const std::scoped_lock lock(mutex_);
        if (!prepare()) return applied;
        if (transaction.at == WallTime{}) transaction.at = wall_now();
        transaction.number = next_number();
        if (store_) {
            encoded_.clear();
            core::encode_transaction(transaction, encoded_);
            if (encoded_.size() > log::record_bytes_max) {
                result.code = Errc::message_too_large;
                result.diagnostics.message =
                    "the transaction does not fit into a record of the log";
                result.diagnostics.remedy = "divide it, or leave payloads out";
                return applied;
            }
        }
        result.code = core_.apply(transaction, result.diagnostics);
        if (result.code) return applied;
        result.number = transaction.number;
        append(transaction, applied);
    }
    if (config.on_transaction) config.on_transaction(transaction);
    return applied;
}

void BrowserStateManager::Body::append(const Transaction& transaction, Applied& applied) {
    if (!store_) {
        if (config.transactions_kept == 0) return;
        if (recent_.size() >= config.transactions_kept) recent_.pop_front();
        recent_.push_back(transaction);
        return;
    }
    // What comes after a missing record would contradict what the log gives back.
    if (!closed_because_) closed_because_ = store_->log().append(encoded_, applied.lsn);
    applied.unlogged = closed_because_;
}

CommitResult BrowserStateManager::Body::commit_and_wait(Transaction transaction,
                                                        Durability durability) {
    return reach(apply(transaction, [] { return true; }), durability);
}

CommitResult BrowserStateManager::Body::reach(Applied applied, Durability durability) {
    CommitResult& result = applied.result;
    if (result.number == 0 || !store_ || durability == Durability::none) return result;
    result.code = applied.unlogged ? applied.unlogged : store_->reach(applied.lsn, durability);
    if (result.code) result.diagnostics = store_->log().trouble();
    return result;
}

CommitResult BrowserStateManager::Body::commit(Transaction transaction, Durability durability,
                                               std::function<void(error_code)> when_done) {
    const Applied applied = apply(transaction, [] { return true; });
    if (applied.result.number == 0) return applied.result;
    if (applied.unlogged) when_done(applied.unlogged);
    else if (!store_ || durability == Durability::none) when_done({});
    else if (durability == Durability::os) when_done(store_->log().write_out(applied.lsn));
    else
        store_->log().when_durable(applied.lsn, std::move(when_done),
                                   durability == Durability::sync);
    return applied.result;
}

error_code BrowserStateManager::Body::flush() {
    if (!store_) return {};
    {
        const std::scoped_lock lock(mutex_);
        if (closed_because_) return closed_because_;
    }
    return store_->log().wait_durable(store_->log().appended());
}

// --- reading -------------------------------------------------------------------------------------

StateSnapshot BrowserStateManager::Body::snapshot() {
    const std::scoped_lock lock(mutex_);
    return core_.snapshot();
}

StateStorageHealth BrowserStateManager::Body::health() {
    StateStorageHealth out;
    out.is_on_disk = store_ != nullptr;
    const std::scoped_lock lock(mutex_);
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

error_code BrowserStateManager::Body::checkpoint(CheckpointDemand demand) {
    if (!store_) return {};
    const std::scoped_lock one_at_a_time(checkpoint_mutex_);
    std::unique_lock lock(mutex_);
    if (closed_because_) return closed_because_;
    std::future<error_code> outcome = store_->begin_checkpoint(demand, core_.snapshot());
    lock.unlock();
    const error_code ec = outcome.get();
    if (!ec) return {};
    lock.lock();
    ++checkpoint_failures_;
    return ec;
}

void BrowserStateManager::Body::write_checkpoints(const std::stop_token& stop) {
    std::mutex waiting;
    std::unique_lock lock(waiting);
    while (!checkpoint_due_.wait_for(lock, stop, config.checkpoint_interval, [] {
        return false;
    }) && !stop.stop_requested())
        (void)checkpoint(CheckpointDemand::any); // health() counts failures
}

// --- trust, but verify ---------------------------------------------------------------------------

std::vector<std::string> BrowserStateManager::Body::verify() {
    std::vector<std::string> out;
    std::unique_lock lock(mutex_);
    const StateSnapshot now = core_.snapshot();
    const error_code closed = closed_because_;
    lock.unlock();
    if (const auto broken = core::check_state(now))
        out.emplace_back("invariant: " + std::string(*broken));
    if (!store_) return out;
    if (closed) {
        out.emplace_back("the log is closed: " + closed.message());
        return out;
    }
    const std::scoped_lock no_checkpoint(checkpoint_mutex_); // it would clear files away
    store_->verify(now, config.limits, out);
    return out;
}

CommitResult BrowserStateManager::Body::reconcile(const StateSnapshot& other,
                                                  std::string_view whose) {
    Transaction merge;
    const core::ReconcileOptions options{.source = std::string(whose)};
    return reach(apply(merge,
                       [&] {
                           merge = core::reconcile(core_.snapshot(), other, options);
                           return !merge.changes.empty();
                       }),
                 durability_of(config.fault_tolerance));
}

// --- audit ---------------------------------------------------------------------------------------

error_code BrowserStateManager::Body::visit(std::uint64_t from, const TransactionFilter& filter,
                                            const std::function<bool(const Transaction&)>& visit) {
    if (store_) return store_->visit(log::Lsn{from}, filter, visit);
    std::unique_lock lock(mutex_);
    const std::deque<Transaction> recent = recent_;
    lock.unlock();
    for (const Transaction& transaction : recent)
        if (transaction.number >= from && filter.matches(transaction) && !visit(transaction)) break;
    return {};
}

// --- the public face -----------------------------------------------------------------------------

BrowserStateManager::BrowserStateManager(BrowserStateManagerConfig config)
    : body_(std::make_unique<Body>(std::move(config))) {}

BrowserStateManager::~BrowserStateManager() = default;

const RecoveryReport& BrowserStateManager::recovery() const noexcept { return body_->report; }

const std::vector<OrphanedOperation>& BrowserStateManager::orphans() const noexcept {
    return body_->orphans;
}

CommitResult BrowserStateManager::commit(Transaction transaction,
                                         std::optional<Durability> durability) {
    return body_->commit_and_wait(
        std::move(transaction), durability.value_or(durability_of(body_->config.fault_tolerance)));
}

CommitResult BrowserStateManager::commit(Transaction transaction, Durability durability,
                                         std::function<void(error_code)> when_done) {
    return body_->commit(std::move(transaction), durability, std::move(when_done));
}

error_code BrowserStateManager::flush() { return body_->flush(); }
StateSnapshot BrowserStateManager::snapshot() const { return body_->snapshot(); }
StateStorageHealth BrowserStateManager::health() const { return body_->health(); }

error_code BrowserStateManager::checkpoint(CheckpointDemand demand) {
    return body_->checkpoint(demand);
}

std::vector<std::string> BrowserStateManager::verify() const { return body_->verify(); }

CommitResult BrowserStateManager::reconcile(const StateSnapshot& other, std::string_view whose) {
    return body_->reconcile(other, whose);
}

error_code
BrowserStateManager::transactions(const TransactionFilter& filter,
                                  const std::function<bool(const Transaction&)>& visit) const {
    return body_->visit(1, filter, visit);
}

std::vector<Transaction> BrowserStateManager::last_transactions(std::size_t count) const {
    std::vector<Transaction> out;
    const std::uint64_t last = body_->health().committed;
    const std::uint64_t from = last >= count ? last - count + 1 : 1;
    const error_code ec = body_->visit(from, {}, [&](const Transaction& transaction) {
        if (transaction.number <= last) out.push_back(transaction);
        return transaction.number < last;
    });
    if (ec) out.clear();
    return out;
}

error_code
BrowserStateManager::export_json_lines(const std::function<void(std::string_view)>& write,
                                       const TransactionFilter& filter) const {
    std::string line;
    return body_->visit(1, filter, [&](const Transaction& transaction) {
        line.clear();
        core::append_json_line(line, transaction);
        line += '\n';
        write(line);
        return true;
    });
}

} // namespace everpool
