// The state as plain maps: what StateCore must be like, said as simply as possible and once more.
// SPDX-License-Identifier: BSL-1.0
//
// A transaction is made on a copy of everything, change by change, and all facts are looked at
// afterwards; there are no counters, no journal and no sharing that could be wrong.
#pragma once

#include "everpool/state_change.hpp"
#include "everpool/state_snapshot.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <variant>

namespace everpool::state_tests {

class PlainState {
public:
    explicit PlainState(const StateLimits& state_limits = {}) : limits(state_limits) {}

    StateLimits limits;
    std::uint64_t version{0}, clock{0}, metrics_ignored{0};
    WallTime at{};
    std::map<std::uint32_t, BrowserState> browsers;
    std::map<std::string, ModelState> models;
    std::map<std::uint64_t, OperationState> operations;
    std::map<std::uint64_t, ResourceState> resources;
    using MetricName = std::tuple<std::string, std::string, BrowserType, Provider>;
    std::map<MetricName, MetricState> metrics;

    /// Without Reconciled. \return whether it was taken
    bool apply(const Transaction& transaction) {
        if (transaction.number == 0) return false;
        if (transaction.number <= version) return true;
        PlainState next = *this;
        next.version = transaction.number;
        ++next.clock;
        next.at = transaction.at;
        for (const Change& change : transaction.changes)
            if (!std::visit([&next](const auto& c) { return next.make(c); }, change)) return false;
        if (!next.is_consistent()) return false;
        next.forget();
        *this = std::move(next);
        return true;
    }

    [[nodiscard]] std::size_t unfinished() const {
        return static_cast<std::size_t>(std::ranges::count_if(
            operations, [](const auto& entry) { return !is_final(entry.second.status); }));
    }

    /// Is `snapshot` this state, record by record?
    [[nodiscard]] bool is(const StateSnapshot& snapshot) const {
        bool is_same = snapshot.version() == version && snapshot.clock() == clock &&
                       snapshot.at() == at && snapshot.metrics_ignored() == metrics_ignored &&
                       snapshot.browser_count() == browsers.size() &&
                       snapshot.model_count() == models.size() &&
                       snapshot.operation_count() == operations.size() &&
                       snapshot.resource_count() == resources.size() &&
                       snapshot.metric_count() == metrics.size();
        const auto equal = [&is_same](const auto* found, const auto& record) {
            is_same = is_same && found != nullptr && *found == record;
        };
        for (const auto& [id, r] : browsers) equal(snapshot.find_browser(WorkerId{id}), r);
        for (const auto& [name, r] : models) equal(snapshot.find_model(name), r);
        for (const auto& [id, r] : operations) equal(snapshot.find_operation(RequestId{id}), r);
        for (const auto& [id, r] : resources) equal(snapshot.find_resource(ResourceId{id}), r);
        for (const auto& [name, r] : metrics) equal(snapshot.find_metric(r.key), r);
        return is_same;
    }

private:
    template <class Map, class Key, class Record>
    bool add(Map& map, const Key& key, Record record) {
        record.version = clock;
        record.changed_at = at;
        return map.emplace(key, std::move(record)).second;
    }
    template <class Record>
    void touch(Record& record) const {
        record.version = clock;
        record.changed_at = at;
    }
    [[nodiscard]] bool is_live(WorkerId id) const {
        const auto found = browsers.find(id.value);
        return found != browsers.end() && !is_gone(found->second.connection);
    }
    void strip(WorkerId id) {
        for (auto& [name, model] : models)
            if (std::erase_if(model.assignments,
                              [id](const ModelAssignment& a) { return a.worker == id; }) != 0)
                touch(model);
        std::erase_if(resources, [id](const auto& entry) { return entry.second.worker == id; });
    }

    bool make(const BrowserAdded& c) {
        return !c.browser.id.is_none() && browsers.size() < limits.browsers_max &&
               add(browsers, c.browser.id.value, c.browser);
    }
    bool make(const BrowserChanged& c) {
        const auto found = browsers.find(c.id.value);
        if (found == browsers.end()) return false;
        BrowserState& b = found->second;
        if (c.generation && *c.generation < b.generation) return false;
        if ((c.generation && *c.generation > b.generation) ||
            (c.connection && is_gone(*c.connection)))
            strip(c.id);
        b.connection = c.connection.value_or(b.connection);
        b.health = c.health.value_or(b.health);
        b.generation = c.generation.value_or(b.generation);
        b.restarts = c.restarts.value_or(b.restarts);
        b.process = c.process.value_or(b.process);
        b.browser_version = c.browser_version.value_or(b.browser_version);
        b.failure_domain = c.failure_domain.value_or(b.failure_domain);
        b.last_failure = c.last_failure.value_or(b.last_failure);
        b.settings = c.settings.value_or(b.settings);
        touch(b);
        return true;
    }
    bool make(const BrowserRemoved& c) {
        strip(c.id);
        return browsers.erase(c.id.value) == 1;
    }
    bool make(const ModelRegistered& c) {
        return !c.model.name.empty() && c.model.assignments.empty() &&
               models.size() < limits.models_max && add(models, c.model.name, c.model);
    }
    bool make(const ModelRemoved& c) { return models.erase(c.name) == 1; }
    bool make(const ModelAssigned& c) {
        const auto found = models.find(c.name);
        if (found == models.end() || !is_live(c.assignment.worker)) return false;
        auto& all = found->second.assignments;
        std::erase_if(all, [&](const auto& a) { return a.worker == c.assignment.worker; });
        all.push_back(c.assignment);
        std::ranges::sort(all, {}, &ModelAssignment::worker);
        touch(found->second);
        return true;
    }
    bool make(const ModelUnassigned& c) {
        const auto found = models.find(c.name);
        if (found == models.end()) return false;
        touch(found->second);
        return std::erase_if(found->second.assignments,
                             [&](const auto& a) { return a.worker == c.worker; }) == 1;
    }
    bool make(const OperationSubmitted& c) {
        OperationState o{.id = c.id};
        o.operation = c.operation;
        o.model = c.model;
        o.inputs_digest = c.inputs_digest;
        o.deadline = c.deadline;
        o.submitted_at = at;
        o.is_idempotent = c.is_idempotent;
        o.payload = c.payload;
        return c.id.value != 0 && unfinished() < limits.operations_max &&
               add(operations, c.id.value, o);
    }
    bool make(const OperationDispatched& c) {
        const auto found = operations.find(c.id.value);
        if (found == operations.end() || !is_live(c.worker)) return false;
        OperationState& o = found->second;
        if (o.status != OperationStatus::queued ||
            browsers.at(c.worker.value).generation != c.generation)
            return false;
        o.status = OperationStatus::running;
        o.attempts += 1;
        o.worker = c.worker;
        o.generation = c.generation;
        o.started_at = at;
        touch(o);
        return true;
    }
    bool make(const OperationRequeued& c) {
        const auto found = operations.find(c.id.value);
        if (found == operations.end()) return false;
        OperationState& o = found->second;
        if (o.status != OperationStatus::running || o.worker != c.worker || c.code == Errc::ok)
            return false;
        o.status = OperationStatus::queued;
        o.worker = WorkerId::none();
        o.generation = Generation{};
        o.code = c.code;
        touch(o);
        return true;
    }
    bool make(const OperationFinished& c) {
        const auto found = operations.find(c.id.value);
        if (found == operations.end()) return false;
        OperationState& o = found->second;
        if (is_final(o.status) || o.worker != c.worker) return false;
        switch (c.status) {
        case OperationStatus::queued:
        case OperationStatus::running: return false;
        case OperationStatus::completed:
            // A vote takes its time: who answered may be gone.
            if (o.attempts == 0 || c.code != Errc::ok) return false;
            break;
        case OperationStatus::outcome_unknown:
            if (o.attempts == 0 || c.code == Errc::ok) return false;
            break;
        default:
            if (c.code == Errc::ok) return false;
        }
        o.status = c.status;
        o.code = c.code;
        o.finished_at = at;
        o.payload = {};
        touch(o);
        return true;
    }
    bool make(const ResourceAllocated& c) {
        return c.id.value != 0 && is_live(c.worker) && resources.size() < limits.resources_max &&
               add(resources, c.id.value, ResourceState{c.id, c.kind, c.worker, c.model, c.bytes});
    }
    bool make(const ResourceFreed& c) { return resources.erase(c.id.value) == 1; }
    bool make(const MetricRecorded& c) {
        if (c.duration < Duration::zero() || c.duration > metric_duration_max) return false;
        const MetricName name{c.key.model, c.key.operation, c.key.browser, c.key.provider};
        if (!metrics.contains(name)) {
            if (metrics.size() >= limits.metrics_max) {
                ++metrics_ignored;
                return true;
            }
            metrics[name] = {.key = c.key, .min = c.duration};
        }
        MetricState& m = metrics[name];
        m.count += 1;
        m.failures += c.is_failure;
        m.sum += c.duration;
        m.min = std::min(m.min, c.duration);
        m.max = std::max(m.max, c.duration);
        m.last = c.duration;
        touch(m);
        return true;
    }
    bool make(const Reconciled&) { return false; }
    bool make(const Note&) { return true; }

    /// What depends on several records.
    [[nodiscard]] bool is_consistent() const {
        for (const auto& [id, o] : operations)
            if (o.status == OperationStatus::running &&
                (!is_live(o.worker) || browsers.at(o.worker.value).generation != o.generation))
                return false;
        return true;
    }

    void forget() {
        std::set<std::pair<std::uint64_t, std::uint64_t>> finished;
        for (const auto& [id, o] : operations)
            if (is_final(o.status)) finished.emplace(o.version, id);
        while (finished.size() > limits.operations_kept) {
            operations.erase(finished.begin()->second);
            finished.erase(finished.begin());
        }
    }
};

} // namespace everpool::state_tests
