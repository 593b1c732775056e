// Everpool core: two views of the state compared, and merged.
// SPDX-License-Identifier: BSL-1.0
//
// Views differ when a checkpoint and the log beside it do not fit together, when a standby lags
// behind, or when two hosts went on alone for a while. difference() tells in what; reconcile()
// makes the transaction that merges another view into one's own.
//
// The rule, record by record:
//   1. An operation that has finished in one view has finished: a final status wins over any other.
//   2. The higher version wins.
//   3. Of equal versions with different contents, the one with the later wall time wins; if that is
//      equal too, one's own.
//   4. A record that only one view has is taken or kept. But with AbsentRecords::are_removed, which
//      is for views that are complete, it goes if its version is not above the other view's clock:
//      then the other has seen it go. Metrics are always taken or kept.
//   5. What would contradict the result is made to fit: an operation that runs on a worker that is
//      gone, or lives another generation, is queued anew, be it idempotent or not: its attempts
//      tell that it was sent, and whether it may run again is for those to decide who run it.
//      Assignments to a worker that is gone, or lives another generation than in the views which
//      the record is from, are gone, and resources of it are.
// The transaction carries the records, what was decided, and the rule's name. Merging the same view
// twice changes nothing the second time.
#pragma once

#include "everpool/core/state_json.hpp"
#include "everpool/core/state_tables.hpp"
#include "everpool/state_change.hpp"
#include "everpool/state_snapshot.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::core {

// --- comparing -----------------------------------------------------------------------------------

/// One record that is not the same in both, or one count beside the records.
struct StateDifference {
    std::string record; ///< "operation 17", "model bert", "state"
    std::string what;   ///< "status: \"running\" / \"completed\"", "only in the second"

    [[nodiscard]] std::string text() const { return record + ": " + what; }
    friend bool operator==(const StateDifference&, const StateDifference&) = default;
};

/// In what `a` and `b` differ; at most `count_max` differences. Empty: in nothing.
[[nodiscard]] std::vector<StateDifference>
difference(const StateSnapshot& a, const StateSnapshot& b, std::size_t count_max = 100);

// --- merging -------------------------------------------------------------------------------------

struct ReconcileOptions {
    std::string source{}; ///< whose the other view is, for the audit trail
    AbsentRecords absent{AbsentRecords::are_kept};
    std::size_t findings_max{100}; ///< lines about single records that are kept
};

/// The transaction that merges `other` into `mine`: one Reconciled, to be numbered, dated and
/// committed. Without changes if there is nothing to merge.
[[nodiscard]] Transaction reconcile(const StateSnapshot& mine, const StateSnapshot& other,
                                    const ReconcileOptions& options = {});

// -------------------------------------------------------------------------------------------------

namespace detail {

inline std::string title_of(const BrowserState& r) {
    return "browser " + std::to_string(r.id.value);
}
inline std::string title_of(const ModelState& r) {
    return "model " + escape_remote_text(r.name, 200);
}
inline std::string title_of(const OperationState& r) {
    return "operation " + std::to_string(r.id.value);
}
inline std::string title_of(const ResourceState& r) {
    return "resource " + std::to_string(r.id.value);
}
inline std::string title_of(const MetricState& r) {
    return escape_remote_text("metric " + r.key.model + '/' + r.key.operation + '/', 400) +
           std::string(name_of(r.key.browser)) + '/' + std::string(name_of(r.key.provider));
}

/// A visitor of fields: each as text.
struct FieldTexts {
    std::vector<std::string> names{}, values{};
    Payload payload{};
    template <class T>
    void operator()(std::string_view name, const T& member) {
        names.emplace_back(name);
        std::string object;
        JsonFields fields(object);
        fields(name, member);
        const std::size_t colon = object.find(':');
        values.push_back(colon == std::string::npos ? "" : object.substr(colon + 1));
        // Two payloads of one length look alike here; their bytes are not shown.
        if constexpr (std::same_as<T, Payload>) payload = member;
    }
};

/// "status: \"running\" / \"completed\", version: 3 / 4"
template <class Record>
std::string unlike_fields(const Record& a, const Record& b) {
    FieldTexts in_a, in_b;
    visit_fields(a, in_a);
    visit_fields(b, in_b);
    std::string out;
    const auto shown = [](std::string_view name, const std::string& value) {
        if (name == "payload") return std::string("other bytes");
        return value.size() <= 200 ? value : value.substr(0, 200) + "...";
    };
    for (std::size_t i = 0; i < in_a.names.size(); ++i) {
        const bool is_payload = in_a.names[i] == "payload";
        if (is_payload ? in_a.payload == in_b.payload : in_a.values[i] == in_b.values[i]) continue;
        if (!out.empty()) out += ", ";
        out += in_a.names[i] + ": " + shown(in_a.names[i], in_a.values[i]) + " / " +
               shown(in_a.names[i], in_b.values[i]);
    }
    return out;
}

inline bool is_finished(const OperationState& r) noexcept { return is_final(r.status); }
template <class Record>
bool is_finished(const Record&) noexcept {
    return false;
}

/// Rules 1 to 3: does the other's record win?
template <class Record>
bool is_others(const Record& mine, const Record& other) noexcept {
    if (is_finished(mine) != is_finished(other)) return is_finished(other);
    if (mine.version != other.version) return other.version > mine.version;
    return other.changed_at > mine.changed_at;
}

class Merge {
public:
    Merge(const StateSnapshot& mine, const StateSnapshot& other, const ReconcileOptions& options)
        : mine_(mine.views()),
          other_(other.views()),
          options_(options),
          merged_{.header = mine_.header,
                  .browsers = CowTable(mine_.browsers),
                  .models = CowTable(mine_.models),
                  .operations = CowTable(mine_.operations),
                  .resources = CowTable(mine_.resources),
                  .metrics = CowTable(mine_.metrics)} {}

    [[nodiscard]] Transaction run() {
        visit_tables([this](const auto& mine, const auto& other,
                            auto& merged) { decide(mine, other, merged); },
                     mine_, other_, merged_);
        make_fit();
        return transaction();
    }

private:
    template <class View, class Table>
    void decide(const View& mine, const View& other, Table& merged) {
        View::visit_differences(mine, other, [&](std::uint64_t key, auto* own, auto* others) {
            if (own != nullptr && others != nullptr) {
                if (name_in(*own) != name_in(*others)) {
                    note([&] {
                        return title_of(*others) + ": not taken, " + title_of(*own) +
                               " has its digest";
                    });
                } else if (is_others(*own, *others)) {
                    merged.edit(key) = *others;
                    note([&] {
                        return title_of(*others) +
                               ": the other's taken: " + unlike_fields(*own, *others);
                    });
                } else {
                    note([&] {
                        return title_of(*own) + ": one's own kept: " + unlike_fields(*own, *others);
                    });
                }
            } else if (others != nullptr && is_kept(*others, mine_.header.clock)) {
                merged.insert(key, *others);
                note([&] { return title_of(*others) + ": taken, as only the other has it"; });
            } else if (own != nullptr && !is_kept(*own, other_.header.clock)) {
                merged.erase(key);
                note([&] { return title_of(*own) + ": removed, as the other has seen it go"; });
            }
        });
    }

    /// Rule 4, with the clock of the view that lacks it.
    template <class Record>
    [[nodiscard]] bool is_kept(const Record& record, std::uint64_t clock) const noexcept {
        return std::same_as<Record, MetricState> || record.version > clock ||
               options_.absent == AbsentRecords::are_kept;
    }

    // Rule 5. Version 0: the state gives it a new one.
    void make_fit() {
        const StateViews views{.header = {},
                               .browsers = merged_.browsers.freeze(),
                               .models = merged_.models.freeze(),
                               .operations = merged_.operations.freeze(),
                               .resources = merged_.resources.freeze()};
        const auto live = [&views](WorkerId id) -> const BrowserState* {
            const BrowserState* browser = find_record(views.browsers, id);
            return browser != nullptr && !is_gone(browser->connection) ? browser : nullptr;
        };
        views.operations.visit([&](std::uint64_t key, const OperationState& r) {
            if (r.status != OperationStatus::running) return;
            const BrowserState* worker = live(r.worker);
            if (worker != nullptr && worker->generation == r.generation) return;
            OperationState& edited = merged_.operations.edit(key);
            edited.status = OperationStatus::queued;
            edited.code = Errc::worker_lost;
            edited.worker = WorkerId::none();
            edited.generation = {};
            edited.version = 0;
            note([&] { return title_of(r) + ": queued anew, its worker is gone"; });
        });
        views.models.visit([&](std::uint64_t key, const ModelState& r) {
            const auto is_lost = [&](const ModelAssignment& at) {
                return !is_there(&StateViews::models, r, live(at.worker));
            };
            if (std::ranges::none_of(r.assignments, is_lost)) return;
            // Of a copy, as what is edited is no longer that of a view.
            std::vector<ModelAssignment> kept = r.assignments;
            std::erase_if(kept, is_lost);
            ModelState& edited = merged_.models.edit(key);
            edited.assignments = std::move(kept);
            edited.version = 0;
            note([&] { return title_of(r) + ": unassigned from workers that are gone"; });
        });
        views.resources.visit([&](std::uint64_t key, const ResourceState& r) {
            if (is_there(&StateViews::resources, r, live(r.worker))) return;
            merged_.resources.erase(key);
            note([&] { return title_of(r) + ": removed, its worker is gone"; });
        });
    }

    /// Does the worker live the generation in which the record was made? That is its generation in
    /// the view that the record is from.
    template <class View, class Record>
    [[nodiscard]] bool is_there(View StateViews::*table, const Record& record,
                                const BrowserState* worker) const {
        const auto knows = [&](const StateViews& view) {
            const BrowserState* then = find_record(view.browsers, worker->id);
            if (then == nullptr || then->generation != worker->generation) return false;
            const Record* found = find_record(view.*table, name_in(record));
            return found != nullptr && *found == record;
        };
        return worker != nullptr && (knows(mine_) || knows(other_));
    }

    [[nodiscard]] Transaction transaction() {
        Reconciled out{.source = options_.source,
                       .rule = "final status, then version, then wall time, then one's own",
                       .findings = std::move(findings_),
                       .clock = other_.header.clock};
        if (findings_left_out_ != 0)
            out.findings.push_back("and " + std::to_string(findings_left_out_) + " more");
        std::vector<MetricKey> metrics_removed; // there are none
        const auto collect = [](const auto& mine, auto& table, auto& records, auto& removed) {
            const auto merged = table.freeze();
            merged.visit_differences(mine, merged, [&](std::uint64_t, auto* own, auto* now) {
                if (now != nullptr) records.push_back(*now);
                else removed.push_back(name_in(*own));
            });
        };
        collect(mine_.browsers, merged_.browsers, out.browsers, out.browsers_removed);
        collect(mine_.models, merged_.models, out.models, out.models_removed);
        collect(mine_.operations, merged_.operations, out.operations, out.operations_removed);
        collect(mine_.resources, merged_.resources, out.resources, out.resources_removed);
        collect(mine_.metrics, merged_.metrics, out.metrics, metrics_removed);
        Transaction transaction{.actor = "reconcile"};
        const Reconciled nothing{
            .source = out.source, .rule = out.rule, .findings = out.findings, .clock = out.clock};
        if (out != nothing) transaction.changes.emplace_back(std::move(out));
        return transaction;
    }

    /// The text is made only if it is kept: commits may wait meanwhile.
    template <class Text>
    void note(Text&& text) {
        if (findings_.size() >= options_.findings_max) ++findings_left_out_;
        else findings_.push_back(escape_remote_text(text(), finding_bytes_max));
    }

    static constexpr std::size_t finding_bytes_max = 1024;

    const StateViews& mine_;
    const StateViews& other_;
    const ReconcileOptions& options_;
    StateTables merged_;
    std::vector<std::string> findings_;
    std::size_t findings_left_out_{0};
};

} // namespace detail

inline std::vector<StateDifference> difference(const StateSnapshot& a, const StateSnapshot& b,
                                               std::size_t count_max) {
    std::vector<StateDifference> out;
    const auto add = [&](std::string record, std::string what) {
        if (out.size() < count_max) out.push_back({std::move(record), std::move(what)});
    };
    if (a.views().header != b.views().header)
        add("state", detail::unlike_fields(a.views().header, b.views().header));
    visit_tables(
        [&]<class View>(const View& in_a, const View& in_b) {
            View::visit_differences(in_a, in_b, [&](auto, auto* first, auto* second) {
                if (out.size() >= count_max) return;
                if (second == nullptr) add(detail::title_of(*first), "only in the first");
                else if (first == nullptr) add(detail::title_of(*second), "only in the second");
                else add(detail::title_of(*first), detail::unlike_fields(*first, *second));
            });
        },
        a.views(), b.views());
    return out;
}

inline Transaction reconcile(const StateSnapshot& mine, const StateSnapshot& other,
                             const ReconcileOptions& options) {
    return detail::Merge(mine, other, options).run();
}

} // namespace everpool::core
