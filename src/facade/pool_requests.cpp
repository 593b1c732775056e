// Everpool facade: callers' operations, from admission to the worker.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/placement.hpp"
#include "facade/batch_tensors.hpp"
#include "facade/own_code.hpp"
#include "facade/pool_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace everpool::facade {

namespace {

bool is_built_in(std::string_view operation) noexcept {
    return operation == "echo" || operation == "inference" || operation == "compute";
}

const std::vector<BrowserType>& preference_of(const BrowserPreferences& preferences,
                                              ModelFamily family) {
    static const std::vector<BrowserType> none;
    switch (family) {
    case ModelFamily::vision: return preferences.vision;
    case ModelFamily::audio: return preferences.audio;
    case ModelFamily::multimodal: return preferences.multimodal;
    case ModelFamily::text: return preferences.text;
    case ModelFamily::unknown: break;
    }
    return none;
}

} // namespace

void PoolDriver::run(RequestTicket ticket, LeaseId lease, Request request, KeptRequest kept,
                     RunHandler handler) {
    Pending pending;
    pending.submitted = now();
    pending.handler = {std::move(handler), executor_};
    const Errc refused = admit(request, pending.run, pending.model, pending.diagnostics);
    if (refused != Errc::ok) {
        SnapshotBoard::add(board_.counters.submitted);
        SnapshotBoard::add(board_.counters.failed);
        Result result;
        result.diagnostics = std::move(pending.diagnostics);
        return complete(pending.handler, error_code(refused), std::move(result));
    }
    pending.priority = request.priority;
    pending.run.tensors = std::move(request.inputs);
    pending.run.parameters = std::move(request.parameters);
    submit(id_of(ticket), lease, request, std::move(kept), std::move(pending));
}

/// Of an admitted request, but for what `pending` has taken of it.
void PoolDriver::submit(RequestId id, LeaseId lease, const Request& request, KeptRequest kept,
                        Pending pending) {
    pending.run.id = id.value;
    core::RequestMeta meta = meta_of(id, lease, request, pending);
    const bool is_free = meta.idempotent && lease == LeaseId{};
    pending.waits_for_record = !is_free;
    if (meta.copies > 1 && is_free)
        pending.votes = std::make_unique<Votes>(Votes{.asked = meta.copies});
    if (scribe_ && pending.recovered) {
        scribe_->adopted(*pending.recovered);
    } else if (scribe_) {
        const auto wall_now = std::chrono::system_clock::now().time_since_epoch();
        const Duration left = meta.deadline - pending.submitted;
        const bool is_endless =
            meta.deadline == never || left > WallTime::max() - WallTime(wall_now);
        scribe_->submitted({.id = id,
                            .operation = pending.run.operation,
                            .model = pending.run.model,
                            .inputs_digest = kept.inputs_digest,
                            .deadline = is_endless ? WallTime{} : WallTime(wall_now + left),
                            .is_idempotent = meta.idempotent,
                            .payload = std::move(kept.payload)});
    }
    requests_.emplace(id.value, std::move(pending));
    SnapshotBoard::add(board_.counters.submitted);
    feed(core::Submit{meta});
}

/// Translates names, and refuses what can be refused without a worker.
Errc PoolDriver::admit(const Request& request, wire::Run& run, ModelId& model,
                       Diagnostics& out) const {
    if (core_.is_broken()) {
        out.message =
            fmt::format("the pool's invariant '{}' does not hold", core_.broken_because());
        out.remedy = "make a new pool; this is a bug of Everpool, report it with this message";
        return Errc::internal_error;
    }
    if (phase_ != Phase::running && phase_ != Phase::starting && phase_ != Phase::draining) {
        out.message = phase_ == Phase::constructed ? "the pool has not been started"
                                                   : "the pool has been stopped";
        out.remedy = "call async_run between async_start and async_stop";
        return Errc::pool_not_running;
    }
    if (!is_built_in(request.operation)) {
        const auto found =
            std::find_if(config_.modules.begin(), config_.modules.end(),
                         [&](const OperationModule& m) { return m.name == request.operation; });
        if (found == config_.modules.end()) {
            out.message =
                fmt::format("no operation named '{}'", escape_remote_text(request.operation, 128));
            out.remedy = "use echo, inference or compute, or register it in "
                         "ResourcePoolConfig::modules";
            return Errc::unknown_operation;
        }
        run.module_url = io::Bridge::module_path(found->name);
    }
    if (request.model.empty() && request.operation == "inference") {
        out.message = "an inference names no model";
        out.remedy = "set Request::model; registered: " + models_.names();
        return Errc::invalid_request;
    }
    if (!request.model.empty()) {
        model = models_.find(request.model);
        if (model.is_none()) {
            out.message =
                fmt::format("no model named '{}'", escape_remote_text(request.model, 128));
            out.remedy =
                "register it in ResourcePoolConfig::models; registered: " + models_.names();
            return Errc::unknown_model;
        }
    }
    for (const Tensor& input : request.inputs) {
        if (input.is_consistent()) continue;
        out.message = fmt::format("input '{}' has {} bytes, which is not what {} takes",
                                  escape_remote_text(input.name, 128), input.data.bytes.size(),
                                  escape_remote_text(input.describe(), 200));
        out.remedy = "make Tensor::data agree with dtype and shape, e.g. by Tensor::of";
        return Errc::invalid_input;
    }
    if (request.timeout && *request.timeout <= Duration::zero()) {
        out.message = "Request::timeout is not positive";
        out.remedy = "leave it empty for ResourcePoolConfig::default_timeout";
        return Errc::invalid_request;
    }
    if (request.queue_timeout && *request.queue_timeout <= Duration::zero()) {
        out.message = "Request::queue_timeout is not positive";
        out.remedy = "leave it empty for QueuePolicy::timeout";
        return Errc::invalid_request;
    }
    if (name_of(request.priority) == "unrecognised") {
        out.message = "Request::priority is no enumerator of Priority";
        out.remedy = "high, normal or low";
        return Errc::invalid_request;
    }
    if (request.max_attempts > 100) {
        out.message = "Request::max_attempts is above 100";
        out.remedy = "0 means ResourcePoolConfig::max_attempts";
        return Errc::invalid_request;
    }
    if (request.redundancy &&
        (*request.redundancy == 0 || *request.redundancy > core::copies_max)) {
        out.message = fmt::format("Request::redundancy is {}", *request.redundancy);
        out.remedy = fmt::format("1 to {}; empty: by the fault tolerance level", core::copies_max);
        return Errc::invalid_request;
    }
    run.operation = request.operation;
    run.model = request.model;
    return Errc::ok;
}

std::uint32_t PoolDriver::preferred_browsers(std::optional<BrowserType> first,
                                             ModelId model) const {
    std::vector<BrowserType> order;
    const auto prefer = [&](BrowserType type) {
        order.push_back(type);
        if (type == BrowserType::chrome) order.push_back(BrowserType::chromium); // one engine
    };
    if (first) prefer(*first);
    if (!model.is_none())
        for (const BrowserType type :
             preference_of(config_.browser_preferences, models_.at(model).spec.family))
            prefer(type);
    return core::pack_preferences(order);
}

core::RequestMeta PoolDriver::meta_of(RequestId id, LeaseId lease, const Request& request,
                                      const Pending& pending) const {
    core::RequestMeta meta;
    meta.id = id;
    meta.model = pending.model;
    meta.lease = lease;
    meta.deadline = later(pending.submitted, request.timeout.value_or(config_.default_timeout));
    const QueuePolicy& policy = config_.queue_policies.of(request.priority);
    meta.priority = request.priority;
    meta.timeout_action = policy.timeout_action;
    const auto patience = request.queue_timeout ? request.queue_timeout : policy.timeout;
    if (pending.recovered) meta.waits_since = TimePoint{}; // longer than anybody of this host
    else if (patience) meta.queue_deadline = later(pending.submitted, *patience);
    for (const Tensor& tensor : pending.run.tensors) meta.bytes += tensor.data.bytes.size();
    meta.preferred_browsers = preferred_browsers(request.browser, pending.model);
    meta.work = work_of(config_, pending.run.operation, pending.model);
    if (core_.config().batch_rule(pending.model).joins() &&
        !models_.at(pending.model).has_bound_rows && pending.run.operation == "inference" &&
        pending.run.parameters.empty()) {
        if (const auto rows = rows_of(pending.run.tensors)) {
            meta.batch = batch_number_of(pending.run.tensors);
            meta.rows = *rows;
        }
    }
    const FaultToleranceMeasures& measures = measures_of(config_.fault_tolerance.level);
    const std::uint32_t attempts = !measures.retries           ? 1
                                   : request.max_attempts != 0 ? request.max_attempts
                                                               : config_.max_attempts;
    meta.max_attempts = static_cast<std::uint8_t>(attempts);
    meta.idempotent = request.idempotent.value_or(is_built_in(request.operation));
    meta.copies = static_cast<std::uint8_t>(request.redundancy.value_or(measures.copies));
    // A hedge is a second execution.
    meta.may_hedge = config_.hedge.enabled && measures.hedges && attempts > 1;
    return meta;
}

void PoolDriver::perform(const core::Dispatch& action) {
    const auto found = requests_.find(action.request.value);
    if (found == requests_.end()) return;
    Pending& pending = found->second;
    pending.begin(action).dispatched = now();
    if (action.batch != 0) return gathered_.push_back(action);
    send(action, pending);
}

void PoolDriver::send(const core::Dispatch& action, Pending& pending) {
    const auto answer = [&](Errc code) {
        feed(core::Replied{action.worker, action.generation, action.request, action.attempt, code,
                           false});
    };
    if (const Errc wrong = check_against_model(pending); wrong != Errc::ok) return answer(wrong);

    pending.run.attempt = action.attempt;
    // The message is lent to the bridge and taken back: it may be needed for another attempt.
    wire::Message message{std::move(pending.run)};
    const error_code ec = bridge_->send(action.worker, wire::Channel::data, message);
    pending.run = std::move(std::get<wire::Run>(message));
    if (!ec) return;
    pending.diagnostics.last_cause = ec;
    if (ec == Errc::message_too_large) {
        pending.diagnostics.message = fmt::format(
            "the request does not fit into one message of {} bytes", config_.frame_bytes_max);
        pending.diagnostics.remedy = "split it, or raise ResourcePoolConfig::frame_bytes_max";
    } else if (ec == Errc::invalid_request) {
        pending.diagnostics.message = "the request cannot be encoded";
        pending.diagnostics.remedy = "Request::parameters must be a JSON object; names are limited "
                                     "by wire/limits.hpp";
    }
    answer(own_code(ec, Errc::worker_lost));
}

Errc PoolDriver::check_against_model(Pending& pending) {
    if (pending.was_checked || pending.model.is_none() || pending.run.operation != "inference")
        return Errc::ok;
    const auto& entry = models_.at(pending.model);
    if (!entry.signature) return Errc::ok;
    pending.was_checked = true;
    return check_inputs(entry.spec.name, *entry.signature, pending.run.tensors,
                        pending.diagnostics);
}

PoolDriver::Attempt* PoolDriver::Pending::find(std::uint32_t number) noexcept {
    const auto found = std::ranges::find(attempts, number, &Attempt::number);
    return found == attempts.end() ? nullptr : &*found;
}

PoolDriver::Attempt& PoolDriver::Pending::begin(const core::Dispatch& action) {
    if (Attempt* const held = find(action.attempt)) return *held;
    if (!action.is_beside) attempts.clear();
    attempts.push_back(
        {.number = action.attempt, .worker = action.worker, .generation = action.generation});
    return attempts.back();
}

} // namespace everpool::facade
