// Everpool facade: callers' operations, from admission to the answer.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/placement.hpp"
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

Duration from_milliseconds(double value) {
    // Remote figures: keep them finite, not negative and within a day.
    constexpr double day_ms = 86'400'000;
    const double bounded = value > 0 ? std::min(value, day_ms) : 0;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(bounded));
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

/// What a page may say of an operation. The rest is for the pool to say: a caller who reads
/// `pool_not_running` must be able to believe it.
Errc answer_of_page(Errc code) noexcept {
    switch (code) {
    case Errc::invalid_request:
    case Errc::unknown_model:
    case Errc::unknown_operation:
    case Errc::invalid_input:
    case Errc::model_rejected:
    case Errc::message_too_large:
    case Errc::provider_unavailable:
    case Errc::worker_lost:
    case Errc::device_lost:
    case Errc::queue_full:
    case Errc::cancelled: return code;
    default: return Errc::operation_failed;
    }
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
    pending.run.tensors = std::move(request.inputs);
    pending.run.parameters = std::move(request.parameters);
    submit(id_of(ticket), lease, request, std::move(kept), std::move(pending));
}

/// Of an admitted request, but for what `pending` has taken of it.
void PoolDriver::submit(RequestId id, LeaseId lease, const Request& request, KeptRequest kept,
                        Pending pending) {
    pending.run.id = id.value;
    core::RequestMeta meta = meta_of(id, lease, request, pending);
    if (meta.copies > 1 && meta.idempotent && lease == LeaseId{})
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
    for (const Tensor& tensor : pending.run.tensors) meta.bytes += tensor.data.bytes.size();
    meta.preferred_browsers = preferred_browsers(request.browser, pending.model);
    meta.work = work_of(config_, pending.run.operation, pending.model);
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
    const bool is_ours = ec.category() == error_category();
    answer(is_ours ? static_cast<Errc>(ec.value()) : Errc::worker_lost);
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

/// The attempt that this answer is for, if it answers what was asked; the core, which is told of
/// every answer, says whether it counts. A page that answers out of turn, or twice, leaves no
/// trace.
PoolDriver::Attempt* PoolDriver::asked(const WorkerDriver& worker, RequestId id,
                                       std::uint32_t attempt) {
    const auto found = requests_.find(id.value);
    if (found == requests_.end() || found->second.is_concluded) return nullptr;
    Attempt* const one = found->second.find(attempt);
    const bool is_asked = one != nullptr && !one->is_held && !one->reply &&
                          one->worker == worker.id() && one->generation == worker.generation();
    return is_asked ? one : nullptr;
}

void PoolDriver::on_reply(WorkerDriver& worker, wire::RunResult&& result) {
    const RequestId id{result.id};
    const std::uint32_t attempt = result.attempt;
    if (is_held(id, attempt)) return; // it cannot know what it was not sent
    if (Attempt* const one = asked(worker, id, attempt)) {
        one->replied = now();
        one->reply = std::move(result);
    }
    feed(core::Replied{worker.id(), worker.generation(), id, attempt, Errc::ok});
}

void PoolDriver::on_reply(WorkerDriver& worker, const wire::RemoteError& error) {
    const RequestId id{error.id};
    if (is_held(id, error.attempt)) return;
    if (asked(worker, id, error.attempt) != nullptr) {
        Diagnostics& diagnostics = requests_.at(id.value).diagnostics;
        diagnostics.remote_text = escape_remote_text(error.message);
        diagnostics.last_cause = error.code;
    }
    feed(core::Replied{worker.id(), worker.generation(), id, error.attempt,
                       answer_of_page(error.code)});
}

bool PoolDriver::is_held(RequestId id, std::uint32_t attempt) noexcept {
    if (held_.is_empty()) return false;
    const auto found = requests_.find(id.value);
    if (found == requests_.end()) return false;
    const Attempt* const one = found->second.find(attempt);
    return one != nullptr && one->is_held;
}

void PoolDriver::perform(const core::Complete& action) { finish(action, {}); }

/// `storage`: why the record of its end is not durable, where that was to be waited for.
void PoolDriver::finish(const core::Complete& action, error_code storage) {
    const auto found = requests_.find(action.request.value);
    if (found == requests_.end()) return;
    Pending pending = std::move(found->second);
    requests_.erase(found);
    error_code code = action.code == Errc::ok ? error_code{} : error_code(action.code);
    Result result = result_of(pending, action);
    if (action.code == Errc::no_worker_available && simulate(pending, result)) code = {};
    if (result.votes) tell_dissent(action.request, *result.votes, action.code);
    if (storage && !code) {
        code = storage;
        result.diagnostics.message = fmt::format(
            "operation '{}' was {}, and its outputs are here, but the record of that could not be "
            "made durable: {}",
            pending.run.operation, result.is_simulated ? "simulated" : "executed",
            storage.message());
        result.diagnostics.remedy = "see ResourcePool::state()->health(); do not repeat what must "
                                    "not be executed twice";
        result.diagnostics.last_cause = storage;
    }
    SnapshotBoard::add(code ? board_.counters.failed : board_.counters.succeeded);
    if (pending.recovered) tell_recovered(pending, code, std::move(result));
    else complete(pending.handler, code, std::move(result));
}

Result PoolDriver::result_of(Pending& pending, const core::Complete& done) {
    const TimePoint finished = now();
    Result result;
    result.attempts = done.attempts;
    result.timing.total = finished - pending.submitted;
    // What lost attempts took is time in which the request had no worker that would answer it.
    Attempt* const chosen = done.attempt != 0          ? pending.find(done.attempt)
                            : pending.attempts.empty() ? nullptr
                                                       : &pending.attempts.back();
    result.timing.queue = chosen == nullptr || chosen->dispatched == TimePoint{}
                              ? result.timing.total
                              : chosen->dispatched - pending.submitted;
    if (!done.worker.is_none()) {
        const WorkerDriver& worker = *workers_.at(done.worker.value);
        result.worker = done.worker;
        result.browser = worker.spec().type;
        result.browser_version = worker.version();
    }
    if (pending.votes) {
        if (pending.votes->answers.empty() && chosen != nullptr && chosen->reply)
            pending.votes->answers.push_back(vote_of(*chosen)); // the only one: no_quorum
        result.votes = std::move(*pending.votes);
    }
    if (done.code == Errc::ok && chosen != nullptr && chosen->reply) {
        wire::RunResult& reply = *chosen->reply;
        result.provider = reply.provider;
        result.is_fallback_adapter = reply.is_fallback_adapter;
        result.info = std::move(reply.info);
        result.outputs = std::move(reply.tensors);
        const Duration round_trip = chosen->replied - chosen->dispatched;
        result.timing.compute = std::min(from_milliseconds(reply.compute_ms), round_trip);
        const Duration queued_there =
            std::min(from_milliseconds(reply.queue_ms), round_trip - result.timing.compute);
        result.timing.queue += queued_there;
        result.timing.transfer = round_trip - result.timing.compute - queued_there;
    }
    if (done.code != Errc::ok || (done.attempts > 1 && !result.votes)) explain(pending, done);
    result.diagnostics = std::move(pending.diagnostics);
    return result;
}

/// Names the culprit and the remedy, where that has not been done when the trouble was met.
void PoolDriver::explain(Pending& pending, const core::Complete& done) const {
    Diagnostics& out = pending.diagnostics;
    const std::string what =
        pending.run.model.empty()
            ? fmt::format("operation '{}'", pending.run.operation)
            : fmt::format("operation '{}' on model '{}'", pending.run.operation, pending.run.model);
    const std::string where =
        done.worker.is_none() ? std::string("no worker")
                              : fmt::format("worker {} ({} {})", done.worker.value,
                                            name_of(workers_.at(done.worker.value)->spec().type),
                                            workers_.at(done.worker.value)->version());
    if (done.code == Errc::ok) {
        out.message = fmt::format("{}: answered at attempt {}", what, done.attempts);
        out.remedy.clear();
        return;
    }
    // A page may say so itself of a model that no worker has rejected before: then its words stand.
    if (done.code == Errc::model_rejected && !pending.model.is_none() &&
        !models_.at(pending.model).rejection.message.empty()) {
        const Errc last = static_cast<Errc>(out.last_cause.value());
        out = models_.at(pending.model).rejection;
        if (!out.last_cause) out.last_cause = last;
        return;
    }
    if (!out.message.empty()) return;
    out.message =
        fmt::format("{}: {} ({}, attempts: {})", what, name_of(done.code), where, done.attempts);
    switch (done.code) {
    case Errc::deadline_exceeded:
        out.remedy = done.attempts == 0 ? "no worker was free in time: add workers, or raise "
                                          "Request::timeout"
                                        : "raise Request::timeout";
        break;
    case Errc::queue_full: out.remedy = "submit later, or raise queue_count_max"; break;
    case Errc::outcome_unknown:
        out.remedy = "it may or may not have been executed: find out before repeating it, or set "
                     "Request::idempotent";
        break;
    case Errc::worker_lost:
    case Errc::device_lost: out.remedy = "raise max_attempts, or submit it again"; break;
    case Errc::no_worker_available:
        out.remedy = "see the worker_failed events for why every worker was given up";
        break;
    case Errc::pool_draining: out.remedy = "a draining pool takes nothing new"; break;
    case Errc::answers_disagree:
        out.remedy = "see Result::votes; ask more workers (Request::redundancy), have more in the "
                     "pool if fewer have answered than were asked for, or calibrate "
                     "ResourcePoolConfig::vote if engines round differently";
        break;
    case Errc::operation_failed: out.remedy = "see the remote text"; break;
    default: break;
    }
    if (!out.last_cause && !done.worker.is_none())
        out.last_cause = workers_.at(done.worker.value)->trouble().last_cause;
}

} // namespace everpool::facade
