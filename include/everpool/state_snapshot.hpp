// Everpool: the whole state at one moment, for reading.
// SPDX-License-Identifier: BSL-1.0
//
//     const StateSnapshot now = manager.snapshot();
//     if (const ModelState* model = now.find_model("bert"))
//         for (const ModelAssignment& at : model->assignments) ...
//
// A snapshot never changes, whatever happens to the state that it was taken of. Taking and copying
// one costs well below a microsecond: it shares its memory with the state and with other snapshots.
// What has changed since is copied then, piece by piece; a snapshot that is kept for long therefore
// costs the memory of what was changed since.
//
// Thread-safe: one snapshot may be read, copied and destroyed by any number of threads, while the
// state goes on. Pointers and references that it gives are valid as long as one copy of it lives.
#pragma once

#include "everpool/browser_state.hpp"
#include "everpool/core/state_tables.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool {

class StateSnapshot {
public:
    /// The state before its first transaction: nothing is in it.
    StateSnapshot() : StateSnapshot(core::StateViews{}) {}
    explicit StateSnapshot(core::StateViews views)
        : views_(std::make_shared<const core::StateViews>(std::move(views))) {}

    /// Number of the last transaction in it; 0: none.
    [[nodiscard]] std::uint64_t version() const noexcept { return views_->header.version; }
    /// No record's version is above it. Grows by one with each transaction, and by more where
    /// another view was merged in.
    [[nodiscard]] std::uint64_t clock() const noexcept { return views_->header.clock; }
    /// When the last transaction was made.
    [[nodiscard]] WallTime at() const noexcept { return views_->header.at; }
    /// How many metrics were not recorded, as there were too many kinds of them.
    [[nodiscard]] std::uint64_t metrics_ignored() const noexcept {
        return views_->header.metrics_ignored;
    }

    /// Null if there is none.
    [[nodiscard]] const BrowserState* find_browser(WorkerId id) const noexcept {
        return core::find_record(views_->browsers, id);
    }
    [[nodiscard]] const ModelState* find_model(std::string_view name) const noexcept {
        return core::find_record(views_->models, name);
    }
    [[nodiscard]] const OperationState* find_operation(RequestId id) const noexcept {
        return core::find_record(views_->operations, id);
    }
    [[nodiscard]] const ResourceState* find_resource(ResourceId id) const noexcept {
        return core::find_record(views_->resources, id);
    }
    [[nodiscard]] const MetricState* find_metric(const MetricKey& key) const noexcept {
        return core::find_record(views_->metrics, key);
    }

    [[nodiscard]] std::size_t browser_count() const noexcept { return views_->browsers.size(); }
    [[nodiscard]] std::size_t model_count() const noexcept { return views_->models.size(); }
    [[nodiscard]] std::size_t operation_count() const noexcept { return views_->operations.size(); }
    [[nodiscard]] std::size_t resource_count() const noexcept { return views_->resources.size(); }
    [[nodiscard]] std::size_t metric_count() const noexcept { return views_->metrics.size(); }

private:
    /// Tables by name are kept by its digest, which is no order for people.
    template <class View>
    [[nodiscard]] static auto by_name(const View& view) {
        std::vector<typename View::Pointer> records;
        records.reserve(view.size());
        view.visit([&records](std::uint64_t, const auto& record) { records.push_back(&record); });
        std::ranges::sort(records, [](auto a, auto b) { return core::is_before(*a, *b); });
        return records;
    }

public:
    /// Each calls visit(record) for all of them: by id ascending, models and metrics by name.
    template <class Visitor>
    void visit_browsers(Visitor&& visit) const {
        views_->browsers.visit([&](std::uint64_t, const BrowserState& r) { visit(r); });
    }
    template <class Visitor>
    void visit_models(Visitor&& visit) const {
        for (const ModelState* record : by_name(views_->models)) visit(*record);
    }
    template <class Visitor>
    void visit_operations(Visitor&& visit) const {
        views_->operations.visit([&](std::uint64_t, const OperationState& r) { visit(r); });
    }
    template <class Visitor>
    void visit_resources(Visitor&& visit) const {
        views_->resources.visit([&](std::uint64_t, const ResourceState& r) { visit(r); });
    }
    template <class Visitor>
    void visit_metrics(Visitor&& visit) const {
        for (const MetricState* record : by_name(views_->metrics)) visit(*record);
    }

    /// What it is made of, for the codec and for comparing two snapshots.
    [[nodiscard]] const core::StateViews& views() const noexcept { return *views_; }

    /// Are all records, and the counts beside them, the same?
    friend bool operator==(const StateSnapshot& a, const StateSnapshot& b) {
        return a.views_ == b.views_ || core::is_same_state(*a.views_, *b.views_);
    }

private:
    std::shared_ptr<const core::StateViews> views_;
};

} // namespace everpool
