// Everpool: how the state is changed: by transactions, which are lists of changes.
// SPDX-License-Identifier: BSL-1.0
//
//     Transaction step{.at = now, .actor = "pool"};
//     step.changes.emplace_back(OperationSubmitted{.id = RequestId{7}, .operation = "echo"});
//     step.changes.emplace_back(OperationDispatched{.id = RequestId{7}, .worker = WorkerId{0}});
//
// A transaction takes effect as a whole or not at all, in the order of its changes, and is one
// record of the log. What each change demands is said below; where it is not given, the transaction
// is refused with Errc::invalid_transaction, its diagnostics name the change and the rule, and
// nothing has changed.
#pragma once

#include "everpool/browser_state.hpp"

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace everpool {

// --- limits --------------------------------------------------------------------------------------

/// What a state holds at most. A transaction that would exceed one of them is refused, except where
/// another behaviour is stated. A log that was written under larger limits can still be read.
struct StateLimits {
    std::uint32_t browsers_max{1024};
    std::uint32_t models_max{4096};
    std::uint32_t operations_max{1'000'000}; ///< that are not finished
    /// Finished operations that are remembered; beyond, those that finished first are forgotten.
    std::uint32_t operations_kept{10'000};
    std::uint32_t resources_max{1'000'000};
    std::uint32_t metrics_max{4096}; ///< beyond, metrics of other keys are ignored and counted

    friend bool operator==(const StateLimits&, const StateLimits&) = default;
};

/// Limits of the format: whatever exceeds one is refused when it is written and when it is read.
inline constexpr std::size_t state_text_bytes_max = 16 << 10;    ///< of a name or text
inline constexpr std::size_t state_payload_bytes_max = 16 << 20; ///< of a request that is kept
inline constexpr std::size_t state_list_count_max = 4096;        ///< settings, assignments, ...
inline constexpr std::size_t transaction_changes_max = 4096;     ///< of one transaction
inline constexpr std::size_t reconciled_records_max = 2'000'000; ///< of each kind in a Reconciled

// --- browsers ------------------------------------------------------------------------------------

/// A browser that was not there. Its `version` and `changed_at` are set by the state. To put one of
/// another type in a browser's place, remove that first.
struct BrowserAdded {
    BrowserState browser{};
    friend bool operator==(const BrowserAdded&, const BrowserAdded&) = default;
};

/// What is not given stays as it is. The browser must be there; a generation must not go down.
///
/// If the browser is gone from now on (see is_gone()) or begins another generation, its models are
/// unassigned and its resources freed by this very change. Operations are not: whoever commits this
/// must have finished or queued them anew, at the latest in the same transaction.
struct BrowserChanged {
    WorkerId id{WorkerId::none()};
    std::optional<ConnectionStatus> connection{};
    std::optional<HealthStatus> health{};
    std::optional<Generation> generation{};
    std::optional<std::uint32_t> restarts{};
    std::optional<ProcessIdentity> process{};
    std::optional<std::string> browser_version{};
    std::optional<std::string> failure_domain{};
    std::optional<std::string> last_failure{};
    std::optional<StateSettings> settings{};
    friend bool operator==(const BrowserChanged&, const BrowserChanged&) = default;
};

/// The browser must be there. Frees what it had, as BrowserChanged does.
struct BrowserRemoved {
    WorkerId id{WorkerId::none()};
    friend bool operator==(const BrowserRemoved&, const BrowserRemoved&) = default;
};

// --- models --------------------------------------------------------------------------------------

/// A model whose name is not registered yet. Without assignments; its `version` and `changed_at`
/// are set by the state.
struct ModelRegistered {
    ModelState model{};
    friend bool operator==(const ModelRegistered&, const ModelRegistered&) = default;
};

/// The model must be registered.
struct ModelRemoved {
    std::string name{};
    friend bool operator==(const ModelRemoved&, const ModelRemoved&) = default;
};

/// The model must be registered and the worker live. Where it is assigned to that worker already,
/// provider and memory are replaced.
struct ModelAssigned {
    std::string name{};
    ModelAssignment assignment{};
    friend bool operator==(const ModelAssigned&, const ModelAssigned&) = default;
};

/// The model must be assigned to that worker.
struct ModelUnassigned {
    std::string name{};
    WorkerId worker{WorkerId::none()};
    friend bool operator==(const ModelUnassigned&, const ModelUnassigned&) = default;
};

// --- operations ----------------------------------------------------------------------------------

/// The id is not 0 and not in the state.
struct OperationSubmitted {
    RequestId id{};
    std::string operation{};
    std::string model{};
    std::uint64_t inputs_digest{0};
    WallTime deadline{};
    bool is_idempotent{false};
    Payload payload{};
    friend bool operator==(const OperationSubmitted&, const OperationSubmitted&) = default;
};

/// The operation is queued; the worker is live and its generation the one that is given.
struct OperationDispatched {
    RequestId id{};
    WorkerId worker{WorkerId::none()};
    Generation generation{};
    friend bool operator==(const OperationDispatched&, const OperationDispatched&) = default;
};

/// The operation is running, on that worker.
struct OperationRequeued {
    RequestId id{};
    WorkerId worker{WorkerId::none()}; ///< who had it
    Errc code{Errc::worker_lost};      ///< why; not ok
    friend bool operator==(const OperationRequeued&, const OperationRequeued&) = default;
};

/// The operation is not finished. `status` is final; completed, and only completed, goes with
/// Errc::ok and demands that it is running; outcome_unknown demands that it was dispatched once.
struct OperationFinished {
    RequestId id{};
    WorkerId worker{WorkerId::none()}; ///< who has it; none() if it is queued
    OperationStatus status{OperationStatus::completed};
    Errc code{Errc::ok};
    friend bool operator==(const OperationFinished&, const OperationFinished&) = default;
};

// --- resources and metrics -----------------------------------------------------------------------

/// The id is not 0 and not in the state; the worker is live.
struct ResourceAllocated {
    ResourceId id{};
    ResourceKind kind{ResourceKind::tensor_memory};
    WorkerId worker{WorkerId::none()};
    std::string model{};
    std::uint64_t bytes{0};
    friend bool operator==(const ResourceAllocated&, const ResourceAllocated&) = default;
};

/// The resource is in the state. (What a dead browser had is gone with it.)
struct ResourceFreed {
    ResourceId id{};
    friend bool operator==(const ResourceFreed&, const ResourceFreed&) = default;
};

/// Adds to the metric of that key. The duration is not negative and at most metric_duration_max. A
/// new key where there are StateLimits::metrics_max of them changes nothing and is counted.
struct MetricRecorded {
    MetricKey key{};
    Duration duration{};
    bool is_failure{false};
    friend bool operator==(const MetricRecorded&, const MetricRecorded&) = default;
};

/// A century: no real duration is longer. A sum stops at Duration::max().
inline constexpr Duration metric_duration_max = std::chrono::hours(24) * 36500;

// --- audit ---------------------------------------------------------------------------------------

/// What it means that another view of the state lacks a record which is as old as what it knows of.
enum class AbsentRecords : std::uint8_t {
    are_kept,    ///< nothing: it is not complete, or the two went on apart
    are_removed, ///< it has seen the record go; only of a view that is complete, like a standby's
};

/// Another view of the state was merged into this one. Made by reconcile() (core/state_merge.hpp),
/// which states the rule; it carries the records that it replaces, so that replaying it needs no
/// other view. What results must be a consistent state.
struct Reconciled {
    std::string source{};                ///< whose view, in the host's words
    std::string rule{};                  ///< by which rule, in words
    std::vector<std::string> findings{}; ///< what was decided, a line each; the first of them
    std::uint64_t clock{0};              ///< of the other view
    /// Records to put in place of those of the same key. Version 0: changed by the merge itself.
    std::vector<BrowserState> browsers{};
    std::vector<ModelState> models{};
    std::vector<OperationState> operations{};
    std::vector<ResourceState> resources{};
    std::vector<MetricState> metrics{};
    std::vector<WorkerId> browsers_removed{};
    std::vector<std::string> models_removed{};
    std::vector<RequestId> operations_removed{};
    std::vector<ResourceId> resources_removed{};
    friend bool operator==(const Reconciled&, const Reconciled&) = default;
};

/// Free text of the host, for the audit trail. Changes nothing.
struct Note {
    std::string text{};
    friend bool operator==(const Note&, const Note&) = default;
};

// --- transactions --------------------------------------------------------------------------------

/// In the order of ChangeKind, which is what stands in the log: new ones are only appended.
using Change = std::variant<BrowserAdded, BrowserChanged, BrowserRemoved, ModelRegistered,
                            ModelRemoved, ModelAssigned, ModelUnassigned, OperationSubmitted,
                            OperationDispatched, OperationRequeued, OperationFinished,
                            ResourceAllocated, ResourceFreed, MetricRecorded, Reconciled, Note>;

enum class ChangeKind : std::uint8_t {
    browser_added,
    browser_changed,
    browser_removed,
    model_registered,
    model_removed,
    model_assigned,
    model_unassigned,
    operation_submitted,
    operation_dispatched,
    operation_requeued,
    operation_finished,
    resource_allocated,
    resource_freed,
    metric_recorded,
    reconciled,
    note,
};

inline constexpr std::size_t change_kind_count = std::variant_size_v<Change>;

constexpr std::string_view name_of(ChangeKind kind) noexcept {
    constexpr std::array<std::string_view, change_kind_count> names{
        "browser_added",        "browser_changed",    "browser_removed",    "model_registered",
        "model_removed",        "model_assigned",     "model_unassigned",   "operation_submitted",
        "operation_dispatched", "operation_requeued", "operation_finished", "resource_allocated",
        "resource_freed",       "metric_recorded",    "reconciled",         "note"};
    const auto index = static_cast<std::size_t>(kind);
    return index < names.size() ? names[index] : "unrecognised";
}

/// The kind of that name; empty if there is none.
constexpr std::optional<ChangeKind> change_kind_from(std::string_view name) noexcept {
    for (std::size_t i = 0; i < change_kind_count; ++i)
        if (name_of(static_cast<ChangeKind>(i)) == name) return static_cast<ChangeKind>(i);
    return std::nullopt;
}

constexpr ChangeKind kind_of(const Change& change) noexcept {
    return static_cast<ChangeKind>(change.index());
}

struct Transaction {
    /// Its place in the log: given by whoever keeps that, from 1 and growing. 0: none yet.
    std::uint64_t number{0};
    WallTime at{};
    /// Who did it, in a word: "pool", "recovery", the name of an operator.
    std::string actor{};
    std::vector<Change> changes{};

    friend bool operator==(const Transaction&, const Transaction&) = default;
};

/// Which transactions are meant; what is not given admits all. A transaction matches if its time is
/// in the range and one of its changes fits all the rest, by what that change says itself: an
/// operation_finished names its worker, and its model it does not.
struct TransactionFilter {
    std::optional<WorkerId> browser{};
    std::optional<std::string> model{};
    std::optional<RequestId> operation{};
    std::optional<ChangeKind> action{};
    std::optional<WallTime> from{};  ///< at this time or later
    std::optional<WallTime> until{}; ///< before this time

    [[nodiscard]] bool matches(const Transaction& transaction) const noexcept;
    [[nodiscard]] bool matches(const Change& change) const noexcept;
};

// -------------------------------------------------------------------------------------------------

namespace detail {

/// Does a change name that browser, model or operation? By the members that it has.
struct ChangeNames {
    template <class List, class Value>
    static bool has(const List& list, const Value& value) noexcept {
        return std::ranges::find(list, value) != list.end();
    }
    template <class List, class Key, class Value>
    static bool has(const List& list, Key key, const Value& value) noexcept {
        return std::ranges::find(list, value, key) != list.end();
    }

    static bool browser(const Change& change, WorkerId id) noexcept {
        return std::visit(
            [id](const auto& c) {
                if constexpr (requires { c.browser.id; }) return c.browser.id == id;
                else if constexpr (requires { c.worker; }) return c.worker == id;
                else if constexpr (requires { c.assignment; }) return c.assignment.worker == id;
                else if constexpr (requires {
                                       { c.id } -> std::convertible_to<WorkerId>;
                                   })
                    return c.id == id;
                else if constexpr (requires { c.browsers; })
                    return has(c.browsers, &BrowserState::id, id) || has(c.browsers_removed, id) ||
                           has(c.operations, &OperationState::worker, id) ||
                           has(c.resources, &ResourceState::worker, id) ||
                           std::ranges::any_of(c.models, [id](const ModelState& m) {
                               return has(m.assignments, &ModelAssignment::worker, id);
                           });
                else return false;
            },
            change);
    }

    static bool model(const Change& change, const std::string& name) noexcept {
        return std::visit(
            [&name](const auto& c) {
                if constexpr (requires { c.model.name; }) return c.model.name == name;
                else if constexpr (requires { c.name; }) return c.name == name;
                else if constexpr (requires { c.model; }) return c.model == name;
                else if constexpr (requires { c.key; }) return c.key.model == name;
                else if constexpr (requires { c.models; })
                    return has(c.models, &ModelState::name, name) || has(c.models_removed, name) ||
                           has(c.operations, &OperationState::model, name) ||
                           has(c.resources, &ResourceState::model, name) ||
                           std::ranges::any_of(c.metrics, [&name](const MetricState& m) {
                               return m.key.model == name;
                           });
                else return false;
            },
            change);
    }

    static bool operation(const Change& change, RequestId id) noexcept {
        return std::visit(
            [id](const auto& c) {
                if constexpr (requires {
                                  { c.id } -> std::convertible_to<RequestId>;
                              })
                    return c.id == id;
                else if constexpr (requires { c.operations; })
                    return has(c.operations, &OperationState::id, id) ||
                           has(c.operations_removed, id);
                else return false;
            },
            change);
    }
};

} // namespace detail

inline bool TransactionFilter::matches(const Change& change) const noexcept {
    return (!action || *action == kind_of(change)) &&
           (!browser || detail::ChangeNames::browser(change, *browser)) &&
           (!model || detail::ChangeNames::model(change, *model)) &&
           (!operation || detail::ChangeNames::operation(change, *operation));
}

inline bool TransactionFilter::matches(const Transaction& transaction) const noexcept {
    if ((from && transaction.at < *from) || (until && transaction.at >= *until)) return false;
    if (!action && !browser && !model && !operation) return true;
    return std::ranges::any_of(transaction.changes,
                               [this](const Change& change) { return matches(change); });
}

} // namespace everpool
