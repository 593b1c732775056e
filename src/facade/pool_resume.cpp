// SPDX-License-Identifier: BSL-1.0
#include "facade/pool_resume.hpp"

#include "everpool/wire/limits.hpp"
#include "facade/config_check.hpp"
#include "facade/file_check.hpp"
#include "facade/kept_model.hpp"
#include "facade/kept_request.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace everpool::facade {

namespace {

/// In a browser's settings: the level of the host that ran it.
constexpr std::string_view level_key = "fault_tolerance";

// --- models --------------------------------------------------------------------------------------

const ModelSpec* find_spec(const std::vector<ModelSpec>& specs, std::string_view name) {
    const auto found = std::ranges::find(specs, name, &ModelSpec::name);
    return found == specs.end() ? nullptr : &*found;
}

/// Why a model of the state cannot be registered again; empty if it can.
std::string obstacle(const std::optional<ModelSpec>& spec) {
    if (!spec) return "what is kept of its warm-up cannot be read";
    try {
        ResourcePoolConfig alone;
        alone.models = {*spec};
        check_config(alone);
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
    if (const FileCheck file = check_file(spec->file); file.ec)
        return fmt::format("cannot read '{}': {}", spec->file.string(), file.why);
    return {};
}

void plan_models(const StateSnapshot& state, const ResourcePoolConfig& config, ResumePlan& plan) {
    state.visit_models([&](const ModelState& model) {
        if (find_spec(config.models, model.name) != nullptr) return; // the configuration counts
        std::optional<ModelSpec> spec = spec_of(model);
        std::string why = obstacle(spec);
        if (why.empty() && config.models.size() + plan.models.size() >= model_count_max)
            why = fmt::format("a pool has at most {} models", model_count_max);
        if (why.empty()) return plan.models.push_back(std::move(*spec));
        plan.warnings.push_back(
            {fmt::format("model '{}' of the kept state is not registered again: {}",
                         escape_remote_text(model.name, 128), why),
             "name it in ResourcePoolConfig::models, or remove it from the state",
             {},
             {}});
    });
    for (const ModelSpec& spec : config.models) {
        ModelState wanted = state_of(spec);
        const ModelState* known = state.find_model(spec.name);
        if (known != nullptr && is_same_model(*known, wanted)) continue;
        if (known != nullptr) plan.changes.emplace_back(ModelRemoved{spec.name});
        plan.changes.emplace_back(ModelRegistered{std::move(wanted)});
    }
}

// --- workers -------------------------------------------------------------------------------------

ProvidersUsed providers_in(const StateSettings& settings) {
    ProvidersUsed out;
    const std::string prefix = setting_of("");
    for (const auto& [name, value] : settings)
        if (name.starts_with(prefix))
            if (const auto provider = provider_from(value))
                out.emplace(name.substr(prefix.size()), *provider);
    return out;
}

void plan_slot(const StateSnapshot& state, WorkerId id, const BrowserSpec& spec,
               FaultToleranceLevel level, ResumePlan& plan) {
    ScribeSlot slot{.browser = spec.type};
    const BrowserState* const known = state.find_browser(id);
    const bool is_same = known != nullptr && known->type == spec.type;
    ProvidersUsed providers;
    if (is_same) slot.settings = known->settings;
    slot.settings.insert_or_assign(std::string(level_key), name_of(level));
    if (known != nullptr) { // whatever lived there
        slot.generation_base = known->generation.value;
        slot.restarts_base = known->restarts;
    }
    if (is_same) {
        if (known->connection != ConnectionStatus::stopped) providers = providers_in(slot.settings);
        // What a previous life had is gone, whether or not its process is already.
        if (!is_gone(known->connection))
            plan.changes.emplace_back(
                BrowserChanged{.id = id, .connection = ConnectionStatus::lost});
        plan.changes.emplace_back(BrowserChanged{.id = id,
                                                 .connection = ConnectionStatus::disconnected,
                                                 .health = HealthStatus::unknown,
                                                 .process = ProcessIdentity{},
                                                 .settings = slot.settings});
    } else {
        BrowserState own{.id = id, .type = spec.type, .settings = slot.settings};
        if (known != nullptr) { // the host wants another one, or recovery had turned to it
            plan.changes.emplace_back(BrowserRemoved{id});
            own.restarts = known->restarts;
            own.generation = known->generation;
            own.last_failure = known->last_failure;
        }
        plan.changes.emplace_back(BrowserAdded{std::move(own)});
    }
    plan.slots.push_back(std::move(slot));
    plan.providers.push_back(std::move(providers));
}

void plan_workers(const StateSnapshot& state, const std::vector<BrowserSpec>& browsers,
                  FaultToleranceLevel level, ResumePlan& plan) {
    state.visit_browsers([&](const BrowserState& known) {
        if (known.id.value >= browsers.size()) plan.changes.emplace_back(BrowserRemoved{known.id});
    });
    for (std::uint32_t i = 0; i < browsers.size(); ++i)
        plan_slot(state, WorkerId{i}, browsers[i], level, plan);
}

// --- operations ----------------------------------------------------------------------------------

/// Is every operation that was sent on record as sent? At level critical it is. Below, the host may
/// have sent one in the last moments of its life, of which nothing is known.
bool has_recorded_starts(const StateSnapshot& state) {
    bool has_all = state.browser_count() != 0;
    state.visit_browsers([&](const BrowserState& browser) {
        const auto level = browser.settings.find(std::string(level_key));
        has_all = has_all && level != browser.settings.end() &&
                  level->second == name_of(FaultToleranceLevel::critical);
    });
    return has_all;
}

/// Ends an operation that waits in the state and cannot be executed.
void give_up(const OperationState& operation, Errc code, std::string why, ResumePlan& plan) {
    RecoveredOperation told{.operation = operation, .code = code};
    told.result.attempts = operation.attempts;
    told.result.diagnostics.message =
        fmt::format("operation {} of a previous host: {}", operation.id.value, why);
    if (operation.status == OperationStatus::queued) {
        OperationStatus status = OperationStatus::failed;
        if (code == Errc::cancelled) status = OperationStatus::cancelled;
        // As far as the state knows one that was not sent has an outcome; its code tells.
        if (code == Errc::outcome_unknown && operation.attempts != 0)
            status = OperationStatus::outcome_unknown;
        plan.changes.emplace_back(
            OperationFinished{.id = operation.id, .status = status, .code = code});
    }
    if (code == Errc::outcome_unknown)
        told.result.diagnostics.remedy =
            "it may or may not have been executed: find out before repeating it";
    if (code == Errc::worker_lost)
        told.result.diagnostics.remedy = "raise max_attempts, or submit it again";
    plan.settled.push_back(std::move(told));
}

void plan_operation(const OrphanedOperation& orphan, bool are_starts_recorded,
                    std::uint32_t attempts_max, ResumePlan& plan) {
    const OperationState& operation = orphan.operation;
    const bool was_never_sent = operation.attempts == 0 && are_starts_recorded;
    const Errc fate = was_never_sent ? Errc::cancelled : Errc::outcome_unknown;
    if (is_final(operation.status))
        return give_up(operation, fate, "the host died with it, and it must not be executed again",
                       plan);
    if (!orphan.may_run_again)
        return give_up(operation, fate, "it must not be executed again", plan);
    if (!operation.is_idempotent && !was_never_sent)
        return give_up(operation, fate,
                       "it must not be executed twice, and the record of its start may be missing "
                       "(which cannot be at level critical)",
                       plan);
    if (operation.payload.is_empty())
        return give_up(operation, fate,
                       "its request was not kept: it belonged to a lease, or was too large (see "
                       "FaultToleranceOptions::request_bytes_kept)",
                       plan);
    std::optional<Request> request = request_of(operation.payload);
    if (!request)
        return give_up(operation, fate, "what is kept of its request cannot be read", plan);
    request->idempotent = operation.is_idempotent;
    if (request->max_attempts != 0) attempts_max = request->max_attempts;
    // It may be what its hosts have died of.
    if (operation.attempts >= attempts_max)
        return give_up(operation, Errc::worker_lost,
                       fmt::format("its {} attempts are used up", attempts_max), plan);
    request->max_attempts = attempts_max - operation.attempts; // those that are left
    plan.again.push_back({operation, std::move(*request)});
}

} // namespace

Errc plan_resume(const StateSnapshot& state, const std::vector<OrphanedOperation>& orphans,
                 const ResourcePoolConfig& config, const std::vector<BrowserSpec>& browsers,
                 ResumePlan& plan, Diagnostics& diagnostics) {
    state.visit_operations([&](const OperationState& operation) {
        plan.request_base = std::max(plan.request_base, operation.id.value);
    });
    // Ten million requests a second for a hundred days, before the pages' numbers are not exact.
    constexpr std::uint64_t request_base_max = wire::integer_max - (1ULL << 46);
    if (plan.request_base > request_base_max) {
        diagnostics.message = fmt::format("the kept state has an operation with id {}, which "
                                          "leaves no room for ids above it",
                                          plan.request_base);
        diagnostics.remedy = "use another FaultToleranceOptions::state_directory";
        return Errc::storage_damaged;
    }
    const bool are_starts_recorded = has_recorded_starts(state);
    for (const OrphanedOperation& orphan : orphans)
        plan_operation(orphan, are_starts_recorded, config.max_attempts, plan);
    plan_workers(state, browsers, config.fault_tolerance.level, plan);
    plan_models(state, config, plan);
    return Errc::ok;
}

} // namespace everpool::facade
