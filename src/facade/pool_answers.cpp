// Everpool facade: answers to callers' operations, and what is said of those that have none.
// SPDX-License-Identifier: BSL-1.0
#include "facade/pool_driver.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace everpool::facade {

Errc PoolDriver::answer_of_page(Errc code) noexcept {
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

namespace {

Duration from_milliseconds(double value) {
    // Remote figures: keep them finite, not negative and within a day.
    constexpr double day_ms = 86'400'000;
    const double bounded = value > 0 ? std::min(value, day_ms) : 0;
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double, std::milli>(bounded));
}

/// The pool had no room, no time or no worker for it.
bool is_rejection(const core::Complete& done) noexcept {
    if (done.attempts != 0) return false;
    return done.code == Errc::queue_full || done.code == Errc::queue_timeout ||
           done.code == Errc::no_worker_available;
}

} // namespace

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
    if (const auto batch = batches_.take(worker.id(), id, attempt))
        return on_batch_reply(worker, *batch, std::move(result));
    keep_reply(worker, std::move(result), 1);
    feed(core::Replied{worker.id(), worker.generation(), id, attempt, Errc::ok});
}

void PoolDriver::keep_reply(const WorkerDriver& worker, wire::RunResult&& result,
                            std::uint32_t batch_size) {
    Attempt* const one = asked(worker, RequestId{result.id}, result.attempt);
    if (one == nullptr) return;
    one->replied = now();
    one->batch_size = batch_size;
    one->reply = std::move(result);
}

void PoolDriver::keep_trouble(const WorkerDriver& worker, RequestId id, std::uint32_t attempt,
                              const wire::RemoteError& error) {
    if (asked(worker, id, attempt) == nullptr) return;
    Diagnostics& diagnostics = requests_.at(id.value).diagnostics;
    diagnostics.remote_text = escape_remote_text(error.message);
    diagnostics.last_cause = error.code;
}

void PoolDriver::on_reply(WorkerDriver& worker, const wire::RemoteError& error) {
    const RequestId id{error.id};
    if (is_held(id, error.attempt)) return;
    if (const auto batch = batches_.take(worker.id(), id, error.attempt))
        return on_batch_reply(worker, *batch, error);
    keep_trouble(worker, id, error.attempt, error);
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
    if (is_rejection(action)) board_.rejected.add(now());
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
        result.batch_size = chosen->batch_size;
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
    if (is_rejection(done)) out.message += ": " + holders(pending.priority);
    switch (done.code) {
    case Errc::deadline_exceeded:
        out.remedy = done.attempts == 0 ? "no worker was free in time: add workers, or raise "
                                          "Request::timeout"
                                        : "raise Request::timeout";
        break;
    case Errc::queue_full: out.remedy = "submit later, or raise queue_count_max"; break;
    case Errc::queue_timeout:
        out.remedy = "submit later, add workers, or let it wait longer: Request::queue_timeout, "
                     "ResourcePoolConfig::queue_policies";
        break;
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
