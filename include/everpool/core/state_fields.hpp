// Everpool core: the members of every record and change, once.
// SPDX-License-Identifier: BSL-1.0
//
// visit_fields(record, visit) calls visit("name", member) for each member, in the order in which
// they are written. The codec, the check of ranges, JSON and the comparison of two states all go by
// this list, so that a new member is added in one place.
//
// The order is a format. A member that is new gets a new state_format_version (state_codec.hpp) and
// stands here under `if (visit.version() >= N)`; one that is no longer used stays.
#pragma once

#include "everpool/core/state_tables.hpp"
#include "everpool/state_change.hpp"

#include <concepts>
#include <optional>
#include <string_view>
#include <type_traits>
#include <vector>

namespace everpool::core {

template <class Record, class T>
concept Is = std::same_as<std::remove_const_t<Record>, T>;

// --- records -------------------------------------------------------------------------------------

template <Is<ProcessIdentity> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("pid", r.pid);
    visit("start_time_ticks", r.start_time_ticks);
}

template <Is<BrowserState> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
    visit("type", r.type);
    visit("browser_version", r.browser_version);
    visit("connection", r.connection);
    visit("health", r.health);
    visit("failure_domain", r.failure_domain);
    visit("settings", r.settings);
    visit("restarts", r.restarts);
    visit("generation", r.generation);
    visit("process", r.process);
    visit("last_failure", r.last_failure);
    visit("version", r.version);
    visit("changed_at", r.changed_at);
}

template <Is<ModelAssignment> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("worker", r.worker);
    visit("provider", r.provider);
    visit("memory_bytes", r.memory_bytes);
}

template <Is<ModelState> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("name", r.name);
    visit("file", r.file);
    visit("family", r.family);
    visit("providers", r.providers);
    visit("parameters", r.parameters);
    visit("assignments", r.assignments);
    visit("version", r.version);
    visit("changed_at", r.changed_at);
}

template <Is<OperationState> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
    visit("operation", r.operation);
    visit("model", r.model);
    visit("inputs_digest", r.inputs_digest);
    visit("status", r.status);
    visit("attempts", r.attempts);
    visit("worker", r.worker);
    visit("generation", r.generation);
    visit("deadline", r.deadline);
    visit("submitted_at", r.submitted_at);
    visit("started_at", r.started_at);
    visit("finished_at", r.finished_at);
    visit("code", r.code);
    visit("is_idempotent", r.is_idempotent);
    visit("payload", r.payload);
    visit("version", r.version);
    visit("changed_at", r.changed_at);
}

template <Is<ResourceState> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
    visit("kind", r.kind);
    visit("worker", r.worker);
    visit("model", r.model);
    visit("bytes", r.bytes);
    visit("version", r.version);
    visit("changed_at", r.changed_at);
}

template <Is<MetricKey> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("model", r.model);
    visit("browser", r.browser);
    visit("provider", r.provider);
    visit("operation", r.operation);
}

template <Is<MetricState> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("key", r.key);
    visit("count", r.count);
    visit("failures", r.failures);
    visit("sum", r.sum);
    visit("min", r.min);
    visit("max", r.max);
    visit("last", r.last);
    visit("version", r.version);
    visit("changed_at", r.changed_at);
}

template <Is<StateHeader> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("version", r.version);
    visit("clock", r.clock);
    visit("at", r.at);
    visit("metrics_ignored", r.metrics_ignored);
}

// --- changes -------------------------------------------------------------------------------------

template <Is<BrowserAdded> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("browser", r.browser);
}

template <Is<BrowserChanged> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
    visit("connection", r.connection);
    visit("health", r.health);
    visit("generation", r.generation);
    visit("restarts", r.restarts);
    visit("process", r.process);
    visit("browser_version", r.browser_version);
    visit("failure_domain", r.failure_domain);
    visit("last_failure", r.last_failure);
    visit("settings", r.settings);
}

template <Is<BrowserRemoved> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
}

template <Is<ModelRegistered> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("model", r.model);
}

template <Is<ModelRemoved> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("name", r.name);
}

template <Is<ModelAssigned> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("name", r.name);
    visit("assignment", r.assignment);
}

template <Is<ModelUnassigned> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("name", r.name);
    visit("worker", r.worker);
}

template <Is<OperationSubmitted> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
    visit("operation", r.operation);
    visit("model", r.model);
    visit("inputs_digest", r.inputs_digest);
    visit("deadline", r.deadline);
    visit("is_idempotent", r.is_idempotent);
    visit("payload", r.payload);
}

template <Is<OperationDispatched> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
    visit("worker", r.worker);
    visit("generation", r.generation);
}

template <Is<OperationRequeued> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
    visit("worker", r.worker);
    visit("code", r.code);
}

template <Is<OperationFinished> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
    visit("worker", r.worker);
    visit("status", r.status);
    visit("code", r.code);
}

template <Is<ResourceAllocated> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
    visit("kind", r.kind);
    visit("worker", r.worker);
    visit("model", r.model);
    visit("bytes", r.bytes);
}

template <Is<ResourceFreed> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("id", r.id);
}

template <Is<MetricRecorded> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("key", r.key);
    visit("duration", r.duration);
    visit("is_failure", r.is_failure);
}

template <Is<Reconciled> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("source", r.source);
    visit("rule", r.rule);
    visit("findings", r.findings);
    visit("clock", r.clock);
    visit("browsers", r.browsers);
    visit("models", r.models);
    visit("operations", r.operations);
    visit("resources", r.resources);
    visit("metrics", r.metrics);
    visit("browsers_removed", r.browsers_removed);
    visit("models_removed", r.models_removed);
    visit("operations_removed", r.operations_removed);
    visit("resources_removed", r.resources_removed);
}

template <Is<Note> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("text", r.text);
}

template <Is<Transaction> R, class Visitor>
void visit_fields(R& r, Visitor&& visit) {
    visit("number", r.number);
    visit("at", r.at);
    visit("actor", r.actor);
    visit("changes", r.changes);
}

// --- kinds of members ----------------------------------------------------------------------------

struct AnyField {
    void operator()(std::string_view, const auto&) const noexcept {}
};

/// Has members of its own, listed above.
template <class T>
concept HasFields = requires(T& record) {
    visit_fields(record, AnyField{});
};

template <class T>
inline constexpr bool is_strong_id = false;
template <class Tag, class Integer>
inline constexpr bool is_strong_id<StrongId<Tag, Integer>> = true;

template <class T>
inline constexpr bool is_list = false;
template <class T>
inline constexpr bool is_list<std::vector<T>> = true;

template <class T>
inline constexpr bool is_optional = false;
template <class T>
inline constexpr bool is_optional<std::optional<T>> = true;

} // namespace everpool::core
