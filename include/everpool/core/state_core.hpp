// Everpool core: the state, and the only way to change it.
// SPDX-License-Identifier: BSL-1.0
//
// StateCore is the memory of a pool: which browsers, models, operations, resources and metrics
// there are. It decides whether a transaction is allowed and what follows from it; it writes no
// log, reads no clock and takes no lock. One caller at a time; snapshots go to any thread.
//
// What it promises
//   * All or nothing: a transaction that is refused has changed nothing, and neither has one that
//     ended with std::bad_alloc. (If there is no memory even to take it back, that is done before
//     the next transaction or snapshot, which throws if there is still none; what find_...() gives
//     in between may be half changed.)
//   * Deterministic: the same transactions give the same state, and the same bytes of it.
//   * Replay is idempotent: a transaction whose number is not above version() changes nothing.
//   * After each transaction check_state() finds nothing (state_invariants.hpp), in particular:
//       - an operation that runs has a worker, which exists, is not gone and lives the generation
//         that the operation was given to; one that is queued has none;
//       - a final status never changes: no operation finishes twice;
//       - a model is assigned to live workers only, to each at most once, and its name is unique;
//       - a resource belongs to a live worker;
//       - versions of records grow, and none is above the state's clock.
//   * A browser that is gone, begins another generation or is removed has lost its assignments and
//     resources in that very transaction.
//   * Finished operations are remembered up to StateLimits::operations_kept; the one that finished
//     first (of one transaction: that of the lowest id) is forgotten first.
//
// What it costs: some 100 to 300 ns a transaction, a snapshot less; the first change of a record
// after a snapshot copies its neighbourhood, which is a microsecond. (bench_log measures it.)
#pragma once

#include "everpool/core/state_journal.hpp"
#include "everpool/core/state_tables.hpp"
#include "everpool/error.hpp"
#include "everpool/state_change.hpp"
#include "everpool/state_snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace everpool::core {

class StateCore {
public:
    explicit StateCore(const StateLimits& limits = {}) : limits_(limits) {}

    /// Errc::ok: the transaction has taken effect, or its number is not above version() and nothing
    /// was to do. Errc::invalid_transaction: nothing has changed, and the diagnostics name the
    /// change and the rule. Numbers may leave gaps: a log may have been cut.
    [[nodiscard]] Errc apply(const Transaction& transaction, Diagnostics& diagnostics) {
        return commit(transaction, Mode::fresh, diagnostics);
    }

    /// As apply(), for what a log contains: StateLimits may have been larger when it was written,
    /// so that they refuse nothing, and its fields' ranges have been checked by the decoder.
    [[nodiscard]] Errc replay(const Transaction& transaction, Diagnostics& diagnostics) {
        return commit(transaction, Mode::replay, diagnostics);
    }

    /// What apply() would return. The state is the same afterwards.
    [[nodiscard]] Errc check(const Transaction& transaction, Diagnostics& diagnostics) {
        return commit(transaction, Mode::trial, diagnostics);
    }

    /// O(1): see state_snapshot.hpp.
    [[nodiscard]] StateSnapshot snapshot();

    /// Becomes that state, whatever it was before. Errc::storage_damaged: that is no consistent
    /// state (the diagnostics name the fact that does not hold), and nothing has changed.
    [[nodiscard]] Errc restore(const StateSnapshot& snapshot, Diagnostics& diagnostics);

    [[nodiscard]] const StateLimits& limits() const noexcept { return limits_; }
    [[nodiscard]] std::uint64_t version() const noexcept { return header_.version; }
    [[nodiscard]] std::uint64_t clock() const noexcept { return header_.clock; }
    [[nodiscard]] std::size_t unfinished_count() const noexcept { return unfinished_count_; }

    /// Null if there is none. Valid until the next transaction. A caller who needs a record or two
    /// asks here: a snapshot makes the next changes dearer.
    [[nodiscard]] const BrowserState* find_browser(WorkerId id) const noexcept {
        return find_record(browsers_, id);
    }
    [[nodiscard]] const ModelState* find_model(std::string_view name) const noexcept {
        return find_record(models_, name);
    }
    [[nodiscard]] const OperationState* find_operation(RequestId id) const noexcept {
        return find_record(operations_, id);
    }
    [[nodiscard]] const ResourceState* find_resource(ResourceId id) const noexcept {
        return find_record(resources_, id);
    }
    [[nodiscard]] const MetricState* find_metric(const MetricKey& key) const noexcept {
        return find_record(metrics_, key);
    }

private:
    /// fresh: from a caller. replay: from a log. trial: as fresh, and undone in any case.
    enum class Mode : std::uint8_t { fresh, replay, trial };

    /// Empty: it was done. Else the rule that it breaks, and nothing was done by this change.
    using Refusal = std::string_view;

    /// How much of the state hangs on a worker, so that nothing needs to be searched.
    struct Load {
        std::uint32_t running{0}, assignments{0}, resources{0};
        friend bool operator==(const Load&, const Load&) = default;
    };

    Errc commit(const Transaction& transaction, Mode mode, Diagnostics& diagnostics);
    [[nodiscard]] Errc refuse(const Transaction& transaction, std::size_t index, Refusal refusal,
                              Diagnostics& diagnostics) const;
    void begin(const Transaction& transaction);
    [[nodiscard]] Refusal run(const Transaction& transaction, std::size_t& index);
    [[nodiscard]] Refusal check_end();
    [[nodiscard]] bool has_operation_of_another_life(WorkerId worker) const;
    [[nodiscard]] Refusal make_all(const Transaction& transaction, std::size_t& index);
    void roll_back();
    void take_back();
    void count_loads();
    void finish();
    [[nodiscard]] std::deque<std::pair<std::uint64_t, std::uint64_t>> find_finished() const;
    [[nodiscard]] bool is_beyond(std::size_t count, std::uint32_t max) const noexcept {
        return mode_ != Mode::replay && count >= max;
    }

    // What each change does: state_core_browsers.hpp, state_core_operations.hpp.
    [[nodiscard]] Refusal make(const BrowserAdded& change);
    [[nodiscard]] Refusal make(const BrowserChanged& change);
    [[nodiscard]] Refusal make(const BrowserRemoved& change);
    [[nodiscard]] Refusal make(const ModelRegistered& change);
    [[nodiscard]] Refusal make(const ModelRemoved& change);
    [[nodiscard]] Refusal make(const ModelAssigned& change);
    [[nodiscard]] Refusal make(const ModelUnassigned& change);
    [[nodiscard]] Refusal make(const OperationSubmitted& change);
    [[nodiscard]] Refusal make(const OperationDispatched& change);
    [[nodiscard]] Refusal make(const OperationRequeued& change);
    [[nodiscard]] Refusal make(const OperationFinished& change);
    [[nodiscard]] Refusal make(const ResourceAllocated& change);
    [[nodiscard]] Refusal make(const ResourceFreed& change);
    [[nodiscard]] Refusal make(const MetricRecorded& change);
    [[nodiscard]] Refusal make(const Reconciled& change);
    [[nodiscard]] Refusal make(const Note&) { return {}; }

    [[nodiscard]] bool is_live(WorkerId worker) const noexcept {
        const BrowserState* browser = find_browser(worker);
        return browser != nullptr && !is_gone(browser->connection);
    }
    /// Unassigns and frees what the worker has.
    void strip(WorkerId worker);

    // Every change of a table goes through these three, which keep version, time and loads right.
    template <class Table, class Record>
    void insert(Table& table, Record record);
    template <class Table, class Edit>
    void update(Table& table, std::uint64_t key, Edit&& edit);
    template <class Table>
    void erase(Table& table, std::uint64_t key);

    /// Adds what the record puts on workers, or takes it away.
    void account(const OperationState& record, bool is_added);
    void account(const ModelState& record, bool is_added);
    void account(const ResourceState& record, bool is_added);
    void account(const BrowserState&, bool) {}
    void account(const MetricState&, bool) {}
    [[nodiscard]] const Load* load_of(WorkerId worker) const noexcept {
        const auto found = loads_.find(worker.value);
        return found == loads_.end() ? nullptr : &found->second;
    }

    template <class Visitor>
    void visit_journals(Visitor&& visit) {
        visit(browsers_), visit(models_), visit(operations_), visit(resources_), visit(metrics_);
    }

    StateLimits limits_;
    StateHeader header_{};
    JournalTable<BrowserState, id_leaf_bits> browsers_{};
    JournalTable<ModelState, digest_leaf_bits> models_{};
    JournalTable<OperationState, id_leaf_bits> operations_{};
    JournalTable<ResourceState, id_leaf_bits> resources_{};
    JournalTable<MetricState, digest_leaf_bits> metrics_{};

    // Follows from the tables; never iterated.
    std::unordered_map<std::uint32_t, Load> loads_{};
    std::size_t unfinished_count_{0};
    /// Finished operations as (version, id), in that order: who is forgotten first stands first.
    std::deque<std::pair<std::uint64_t, std::uint64_t>> finished_{};

    // Of the transaction that is being made.
    Mode mode_{Mode::fresh};
    StateHeader header_before_{};
    std::vector<std::uint64_t> finished_now_{};
    std::vector<WorkerId> stripped_now_{};
    std::size_t finished_before_{0};
    bool has_reconciled_{false};
    bool is_order_unknown_{false}; ///< finished_ must be made anew
    bool is_torn_{false};          ///< memory ran out: it must be taken back
};

} // namespace everpool::core

#include "everpool/core/state_core_browsers.hpp"
#include "everpool/core/state_core_commit.hpp"
#include "everpool/core/state_core_operations.hpp"
