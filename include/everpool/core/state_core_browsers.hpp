// Everpool core: what happens to browsers, and to the models and resources that depend on them.
// Bodies of StateCore.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/state_core.hpp"

#include <algorithm>
#include <vector>

namespace everpool::core {

// --- tables --------------------------------------------------------------------------------------

template <class Table, class Record>
void StateCore::insert(Table& table, Record record) {
    record.version = header_.clock;
    record.changed_at = header_.at;
    account(record, true);
    const std::uint64_t key = record_key(name_in(record));
    table.insert(key, std::move(record));
}

template <class Table, class Edit>
void StateCore::update(Table& table, std::uint64_t key, Edit&& edit) {
    auto& record = table.edit(key);
    account(record, false);
    edit(record);
    record.version = header_.clock;
    record.changed_at = header_.at;
    account(record, true);
}

template <class Table>
void StateCore::erase(Table& table, std::uint64_t key) {
    account(*table.find(key), false);
    table.erase(key);
}

inline void StateCore::account(const ModelState& record, bool is_added) {
    for (const ModelAssignment& assignment : record.assignments)
        loads_[assignment.worker.value].assignments += is_added ? 1 : -1;
}

inline void StateCore::account(const ResourceState& record, bool is_added) {
    loads_[record.worker.value].resources += is_added ? 1 : -1;
}

// --- browsers ------------------------------------------------------------------------------------

inline StateCore::Refusal StateCore::make(const BrowserAdded& change) {
    if (change.browser.id.is_none()) return "a browser has an id";
    if (find_browser(change.browser.id) != nullptr) return "the browser is new";
    if (is_beyond(browsers_.size(), limits_.browsers_max))
        return "there are at most StateLimits::browsers_max browsers";
    insert(browsers_, change.browser);
    return {};
}

inline StateCore::Refusal StateCore::make(const BrowserChanged& change) {
    const BrowserState* before = find_browser(change.id);
    if (before == nullptr) return "the browser is in the state";
    if (change.generation && *change.generation < before->generation)
        return "a browser's generation does not go down";
    const bool is_another_life = change.generation && *change.generation != before->generation;
    const bool is_over = change.connection && is_gone(*change.connection);
    if (is_another_life || is_over) strip(change.id);
    update(browsers_, record_key(change.id), [&change](BrowserState& browser) {
        const auto set = [](auto& member, const auto& value) {
            if (value) member = *value;
        };
        set(browser.connection, change.connection);
        set(browser.health, change.health);
        set(browser.generation, change.generation);
        set(browser.restarts, change.restarts);
        set(browser.process, change.process);
        set(browser.browser_version, change.browser_version);
        set(browser.failure_domain, change.failure_domain);
        set(browser.last_failure, change.last_failure);
        set(browser.settings, change.settings);
    });
    return {};
}

inline StateCore::Refusal StateCore::make(const BrowserRemoved& change) {
    if (find_browser(change.id) == nullptr) return "the browser is in the state";
    strip(change.id);
    erase(browsers_, record_key(change.id));
    return {};
}

inline void StateCore::strip(WorkerId worker) {
    stripped_now_.push_back(worker);
    const Load* load = load_of(worker);
    if (load == nullptr) return;
    std::vector<std::uint64_t> keys;
    const auto is_there = [worker](const ModelAssignment& at) { return at.worker == worker; };
    if (load->assignments != 0) {
        models_.visit([&](std::uint64_t key, const ModelState& model) {
            if (std::ranges::any_of(model.assignments, is_there)) keys.push_back(key);
        });
        for (const std::uint64_t key : keys)
            update(models_, key,
                   [&](ModelState& model) { std::erase_if(model.assignments, is_there); });
        keys.clear();
    }
    if (load->resources != 0) {
        resources_.visit([&](std::uint64_t key, const ResourceState& resource) {
            if (resource.worker == worker) keys.push_back(key);
        });
        for (const std::uint64_t key : keys) erase(resources_, key);
    }
}

// --- models --------------------------------------------------------------------------------------

inline StateCore::Refusal StateCore::make(const ModelRegistered& change) {
    if (change.model.name.empty()) return "a model has a name";
    if (!change.model.assignments.empty()) return "a model is registered before it is assigned";
    if (find_model(change.model.name) != nullptr) return "the model's name is not registered yet";
    if (models_.find(record_key(change.model.name)) != nullptr)
        return "names of models have different digests: choose another name";
    if (is_beyond(models_.size(), limits_.models_max))
        return "there are at most StateLimits::models_max models";
    insert(models_, change.model);
    return {};
}

inline StateCore::Refusal StateCore::make(const ModelRemoved& change) {
    if (find_model(change.name) == nullptr) return "the model is registered";
    erase(models_, record_key(change.name));
    return {};
}

inline StateCore::Refusal StateCore::make(const ModelAssigned& change) {
    const ModelState* model = find_model(change.name);
    const WorkerId worker = change.assignment.worker;
    if (model == nullptr) return "the model is registered";
    if (!is_live(worker)) return "a model is assigned to a live worker";
    const auto there = [worker](const std::vector<ModelAssignment>& all) {
        return std::ranges::lower_bound(all, worker, {}, &ModelAssignment::worker) - all.begin();
    };
    const auto at = there(model->assignments);
    const auto count = static_cast<std::ptrdiff_t>(model->assignments.size());
    const bool is_assigned = at != count && model->assignments[at].worker == worker;
    if (!is_assigned && model->assignments.size() >= state_list_count_max)
        return "a model is assigned to at most state_list_count_max workers";
    loads_.try_emplace(worker.value); // memory for it, before anything has changed
    update(models_, record_key(change.name), [&](ModelState& edited) {
        if (is_assigned) edited.assignments[at] = change.assignment;
        else edited.assignments.insert(edited.assignments.begin() + at, change.assignment);
    });
    return {};
}

inline StateCore::Refusal StateCore::make(const ModelUnassigned& change) {
    const ModelState* model = find_model(change.name);
    if (model == nullptr) return "the model is registered";
    const auto is_there = [&](const ModelAssignment& at) { return at.worker == change.worker; };
    if (std::ranges::none_of(model->assignments, is_there))
        return "the model is assigned to that worker";
    update(models_, record_key(change.name),
           [&](ModelState& edited) { std::erase_if(edited.assignments, is_there); });
    return {};
}

} // namespace everpool::core
