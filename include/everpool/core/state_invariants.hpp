// Everpool core: the facts that hold of every state, made executable.
// SPDX-License-Identifier: BSL-1.0
//
// StateCore keeps them by refusing transactions that would break one, change by change; this looks
// at a whole state, which came from a checkpoint or a merge, or is looked at by a test.
// O(records * log).
#pragma once

#include "everpool/core/state_ranges.hpp"
#include "everpool/core/state_tables.hpp"
#include "everpool/state_snapshot.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace everpool::core {

/// Use check_state().
struct StateCheck {
    using Fact = std::string_view;
    const StateViews& state;
    Fact broken{};

    void run() {
        visit_tables([this](const auto& table) { records(table); }, state);
        state.browsers.visit([this](auto, const BrowserState& r) { browser(r); });
        state.models.visit([this](auto, const ModelState& r) { model(r); });
        state.operations.visit([this](auto, const OperationState& r) { operation(r); });
        state.resources.visit([this](auto, const ResourceState& r) { resource(r); });
        state.metrics.visit([this](auto, const MetricState& r) { metric(r); });
        require(state.header.version != 0 || state.header.clock == 0,
                "before the first transaction nothing has happened");
    }

private:
    void require(bool holds, Fact fact) {
        if (!holds && broken.empty()) broken = fact;
    }

    template <class Table>
    void records(const Table& table) {
        table.visit([this](std::uint64_t key, const auto& record) {
            require(key == record_key(name_in(record)), "a record is filed under its name");
            require(record.version != 0 && record.version <= state.header.clock,
                    "no record is newer than the state's clock");
            if (const Fact fact = check_ranges(record); !fact.empty()) require(false, fact);
        });
    }

    [[nodiscard]] const BrowserState* live(WorkerId id) const {
        const BrowserState* found = find_record(state.browsers, id);
        return found != nullptr && !is_gone(found->connection) ? found : nullptr;
    }

    void browser(const BrowserState& r) { require(!r.id.is_none(), "a browser has an id"); }

    void model(const ModelState& r) {
        require(!r.name.empty(), "a model has a name");
        const ModelAssignment* previous = nullptr;
        for (const ModelAssignment& at : r.assignments) {
            require(live(at.worker) != nullptr, "a model is assigned to live workers only");
            require(previous == nullptr || previous->worker < at.worker,
                    "a model is assigned to each worker once, in order");
            previous = &at;
        }
    }

    void operation(const OperationState& r) {
        using enum OperationStatus;
        require(r.id.value != 0, "an operation has an id");
        if (r.status == running) {
            const BrowserState* worker = live(r.worker);
            require(worker != nullptr, "an operation runs on a live worker");
            require(worker == nullptr || worker->generation == r.generation,
                    "an operation runs on the life of a worker that it was given to");
        }
        require(r.status != queued || r.worker.is_none(), "what is queued has no worker");
        require(r.attempts != 0 || (r.status != running && r.status != completed &&
                                    r.status != outcome_unknown && r.worker.is_none()),
                "what ran was dispatched");
        require(r.status != completed || r.code == Errc::ok, "what has completed is ok");
        require(!is_final(r.status) || r.status == completed || r.code != Errc::ok,
                "what has not completed has a reason");
        require(!is_final(r.status) || r.payload.is_empty(),
                "of a finished operation the request is not kept");
    }

    void resource(const ResourceState& r) {
        require(r.id.value != 0, "a resource has an id");
        require(live(r.worker) != nullptr, "a resource belongs to a live worker");
    }

    void metric(const MetricState& r) {
        require(r.count != 0 && r.count < state_count_max && r.failures <= r.count,
                "a metric counts what was recorded");
        require(Duration::zero() <= r.min && r.min <= r.last && r.last <= r.max &&
                    r.max <= metric_duration_max && r.max <= r.sum,
                "a metric's durations are in order");
    }
};

/// The first fact that does not hold, in words; empty if all do.
[[nodiscard]] inline std::optional<std::string_view> check_state(const StateSnapshot& snapshot) {
    StateCheck check{snapshot.views()};
    check.run();
    if (check.broken.empty()) return std::nullopt;
    return check.broken;
}

} // namespace everpool::core
