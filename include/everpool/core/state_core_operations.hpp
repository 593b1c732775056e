// Everpool core: what happens to operations, resources and metrics, and how views are merged.
// Bodies of StateCore.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/state_core.hpp"

#include <algorithm>

namespace everpool::core {

// --- operations ----------------------------------------------------------------------------------

inline void StateCore::account(const OperationState& record, bool is_added) {
    if (is_final(record.status)) return;
    unfinished_count_ += is_added ? 1 : -1;
    if (record.status == OperationStatus::running)
        loads_[record.worker.value].running += is_added ? 1 : -1;
}

inline StateCore::Refusal StateCore::make(const OperationSubmitted& change) {
    if (change.id.value == 0) return "an operation has an id";
    if (const OperationState* known = find_operation(change.id)) {
        // With a smaller limit it had been forgotten when this was written.
        if (mode_ != Mode::replay || !is_final(known->status)) return "the operation is new";
        erase(operations_, record_key(change.id));
        is_order_unknown_ = true;
    }
    if (is_beyond(unfinished_count_, limits_.operations_max))
        return "there are at most StateLimits::operations_max operations that are not finished";
    insert(operations_, OperationState{.id = change.id,
                                       .operation = change.operation,
                                       .model = change.model,
                                       .inputs_digest = change.inputs_digest,
                                       .deadline = change.deadline,
                                       .submitted_at = header_.at,
                                       .is_idempotent = change.is_idempotent,
                                       .payload = change.payload});
    return {};
}

inline StateCore::Refusal StateCore::make(const OperationDispatched& change) {
    const OperationState* operation = find_operation(change.id);
    if (operation == nullptr) return "the operation is in the state";
    if (operation->status != OperationStatus::queued) return "the operation is queued";
    const BrowserState* browser = find_browser(change.worker);
    if (browser == nullptr || is_gone(browser->connection))
        return "an operation is dispatched to a live worker";
    if (browser->generation != change.generation)
        return "an operation is dispatched to the worker's present generation";
    loads_.try_emplace(change.worker.value); // memory for it, before anything has changed
    update(operations_, record_key(change.id), [&](OperationState& edited) {
        edited.status = OperationStatus::running;
        edited.attempts += edited.attempts != UINT32_MAX ? 1 : 0;
        edited.worker = change.worker;
        edited.generation = change.generation;
        edited.started_at = header_.at;
    });
    return {};
}

inline StateCore::Refusal StateCore::make(const OperationRequeued& change) {
    const OperationState* operation = find_operation(change.id);
    if (operation == nullptr) return "the operation is in the state";
    if (operation->status != OperationStatus::running) return "the operation is running";
    if (operation->worker != change.worker) return "the worker is the one that has the operation";
    if (change.code == Errc::ok) return "an operation is queued anew for a reason";
    update(operations_, record_key(change.id), [&](OperationState& edited) {
        edited.status = OperationStatus::queued;
        edited.worker = WorkerId::none();
        edited.generation = {};
        edited.code = change.code;
    });
    return {};
}

inline StateCore::Refusal StateCore::make(const OperationFinished& change) {
    const OperationState* operation = find_operation(change.id);
    if (operation == nullptr) return "the operation is in the state";
    if (is_final(operation->status)) return "no operation finishes twice";
    if (!is_final(change.status)) return "an operation finishes with a final status";
    if (operation->worker != change.worker) return "the worker is the one that has the operation";
    const bool is_completed = change.status == OperationStatus::completed;
    if (is_completed != (change.code == Errc::ok))
        return "what has completed, and only that, is ok";
    // It may have lost its worker since: a vote over several answers takes its time.
    if (is_completed && operation->attempts == 0) return "only what was dispatched completes";
    if (change.status == OperationStatus::outcome_unknown && operation->attempts == 0)
        return "only of what was dispatched can the outcome be unknown";
    finished_now_.push_back(change.id.value); // before anything has changed
    update(operations_, record_key(change.id), [&](OperationState& edited) {
        edited.status = change.status;
        edited.code = change.code;
        edited.finished_at = header_.at;
        edited.payload = {};
    });
    return {};
}

inline std::deque<std::pair<std::uint64_t, std::uint64_t>> StateCore::find_finished() const {
    std::deque<std::pair<std::uint64_t, std::uint64_t>> out;
    operations_.visit([&out](std::uint64_t id, const OperationState& operation) {
        if (is_final(operation.status)) out.emplace_back(operation.version, id);
    });
    std::ranges::sort(out);
    return out;
}

// --- resources and metrics -----------------------------------------------------------------------

inline StateCore::Refusal StateCore::make(const ResourceAllocated& change) {
    if (change.id.value == 0) return "a resource has an id";
    if (find_resource(change.id) != nullptr) return "the resource is new";
    if (!is_live(change.worker)) return "a resource belongs to a live worker";
    if (is_beyond(resources_.size(), limits_.resources_max))
        return "there are at most StateLimits::resources_max resources";
    insert(resources_, ResourceState{.id = change.id,
                                     .kind = change.kind,
                                     .worker = change.worker,
                                     .model = change.model,
                                     .bytes = change.bytes});
    return {};
}

inline StateCore::Refusal StateCore::make(const ResourceFreed& change) {
    if (find_resource(change.id) == nullptr) return "the resource is in the state";
    erase(resources_, record_key(change.id));
    return {};
}

inline StateCore::Refusal StateCore::make(const MetricRecorded& change) {
    if (change.duration < Duration::zero() || change.duration > metric_duration_max)
        return "a duration is neither negative nor above metric_duration_max";
    const std::uint64_t key = record_key(change.key);
    const Duration took = change.duration;
    const std::uint64_t failures = change.is_failure ? 1 : 0;
    if (find_metric(change.key) != nullptr) {
        update(metrics_, key, [&](MetricState& metric) {
            ++metric.count;
            metric.failures += failures;
            metric.sum = took > Duration::max() - metric.sum ? Duration::max() : metric.sum + took;
            metric.min = std::min(metric.min, took);
            metric.max = std::max(metric.max, took);
            metric.last = took;
        });
    } else if (metrics_.size() >= limits_.metrics_max || metrics_.find(key) != nullptr) {
        ++header_.metrics_ignored;
    } else {
        insert(metrics_, MetricState{.key = change.key,
                                     .count = 1,
                                     .failures = failures,
                                     .sum = took,
                                     .min = took,
                                     .max = took,
                                     .last = took});
    }
    return {};
}

// --- merging -------------------------------------------------------------------------------------

/// What results is checked as a whole, by check_end().
inline StateCore::Refusal StateCore::make(const Reconciled& change) {
    if (change.clock >= state_count_max / 2) return "a clock has room to go on";
    bool is_known = true;
    const auto remove = [&](auto& table, const auto& names) {
        for (const auto& name : names) {
            if (find_record(table, name) == nullptr) is_known = false;
            else erase(table, record_key(name));
        }
    };
    const auto put = [&](auto& table, const auto& records) {
        for (auto record : records) {
            if (record.version == 0) {
                record.version = header_.clock;
                record.changed_at = header_.at;
            }
            const std::uint64_t key = record_key(name_in(record));
            if (table.find(key) != nullptr) erase(table, key);
            account(record, true);
            table.insert(key, std::move(record));
        }
    };
    remove(browsers_, change.browsers_removed);
    remove(models_, change.models_removed);
    remove(operations_, change.operations_removed);
    remove(resources_, change.resources_removed);
    if (!is_known) return "what a merge removes is in the state";
    put(browsers_, change.browsers);
    put(models_, change.models);
    put(operations_, change.operations);
    put(resources_, change.resources);
    put(metrics_, change.metrics);
    return {};
}

} // namespace everpool::core
