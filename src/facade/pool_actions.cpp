// Everpool facade: what the core wants done with workers, and what the bridge hears from them.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/event_text.hpp"
#include "facade/pool_driver.hpp"

#include <fmt/format.h>

#include <utility>

namespace everpool::facade {

namespace {

PoolEvent::Kind kind_of(core::Notice::What what) noexcept {
    using What = core::Notice::What;
    using Kind = PoolEvent::Kind;
    switch (what) {
    case What::worker_starting: return Kind::worker_starting;
    case What::worker_connected: return Kind::worker_connected;
    case What::worker_ready: return Kind::worker_ready;
    case What::worker_lost: return Kind::worker_lost;
    case What::worker_failed: return Kind::worker_failed;
    case What::worker_stopped: return Kind::worker_stopped;
    case What::model_ready: return Kind::model_ready;
    case What::model_rejected: return Kind::model_rejected;
    case What::request_redispatched: return Kind::request_redispatched;
    case What::worker_replaced: return Kind::worker_replaced;
    case What::fleet_failing: return Kind::fleet_failing;
    case What::fleet_recovered: return Kind::fleet_recovered;
    }
    return Kind::warning;
}

/// `trouble`: what the worker that goes on trying has seen.
Diagnostics words_of_fleet(const core::Notice& notice, const Diagnostics& trouble) {
    Diagnostics out;
    if (notice.what == core::Notice::What::fleet_recovered) {
        out.message =
            fmt::format("worker {} is ready; the others are started", notice.worker.value);
        return out;
    }
    out.message = fmt::format(
        "the starts of all workers fail with {} ({}); worker {} alone goes on trying. It says: {}",
        name_of(notice.code), core::name_of(notice.cause), notice.worker.value, trouble.message);
    out.remedy = trouble.remedy.empty()
                     ? "look for what the workers share: the browser's executable and its "
                       "libraries, space in the temporary directory, memory"
                     : trouble.remedy;
    out.remote_text = trouble.remote_text;
    out.last_cause = trouble.last_cause;
    return out;
}

} // namespace

void PoolDriver::perform(const core::StartWorker& action) {
    WorkerDriver& worker = *workers_.at(action.worker.value);
    batches_.forget(action.worker);
    if (!action.like.is_none()) worker.become(*workers_.at(action.like.value));
    worker.start(action);
}

void PoolDriver::perform(const core::StopWorker& action) {
    batches_.forget(action.worker);
    workers_.at(action.worker.value)->stop(action.generation, action.graceful);
    publish_workers(); // no notice tells of it, and closing a browser takes a while
}

void PoolDriver::perform(const core::LoadModel& action) {
    WorkerDriver& worker = *workers_.at(action.worker.value);
    if (is_current(worker, action.generation)) worker.load_model(action.model);
}

void PoolDriver::perform(const core::WarmUpModel& action) {
    WorkerDriver& worker = *workers_.at(action.worker.value);
    if (is_current(worker, action.generation)) worker.warm_up_model(action.model);
}

void PoolDriver::perform(const core::SendPing& action) {
    WorkerDriver& worker = *workers_.at(action.worker.value);
    if (is_current(worker, action.generation)) worker.ping(action.channel, action.sequence);
}

void PoolDriver::perform(const core::AskControl& action) {
    WorkerDriver& worker = *workers_.at(action.worker.value);
    if (is_current(worker, action.generation)) worker.ask_control(action.question, action.sequence);
}

void PoolDriver::perform(const core::SendCancel& action) {
    const WorkerDriver& worker = *workers_.at(action.worker.value);
    if (!is_current(worker, action.generation)) return;
    if (is_held(action.request, action.attempt)) return; // it was not sent yet
    BatchMember name{.request = action.request, .attempt = action.attempt};
    if (batches_.cancel(action.worker, action.request, action.attempt, name) ==
        SentBatches::Cancelled::others_wait)
        return;
    // If it cannot be sent the worker is going, and the operation with it.
    (void)bridge_->send(action.worker, wire::Channel::data,
                        wire::Cancel{name.request.value, name.attempt});
}

void PoolDriver::perform(const core::Notice& notice) {
    const bool is_replaced = notice.what == core::Notice::What::worker_replaced;
    const WorkerId whose = is_replaced ? notice.other : notice.worker;
    if (whose.value < workers_.size())
        recoveries_.on(notice, workers_[whose.value]->spec().type, now());
    PoolEvent event;
    event.kind = kind_of(notice.what);
    event.worker = notice.worker;
    event.generation = notice.generation;
    event.request = notice.request;
    event.code = notice.code;
    if (!notice.worker.is_none()) {
        const WorkerDriver& worker = *workers_.at(notice.worker.value);
        event.browser = worker.spec().type;
        event.role = core_.worker(notice.worker).role;
        if (event.kind == PoolEvent::Kind::worker_failed) event.diagnostics = worker.trouble();
        if (event.kind == PoolEvent::Kind::worker_lost) {
            event.failure = worker.failure_of(notice);
            event.diagnostics.message =
                fmt::format("worker {}: {}", worker.id().value, event.failure->message);
        }
        if (event.kind == PoolEvent::Kind::fleet_failing ||
            event.kind == PoolEvent::Kind::fleet_recovered)
            event.diagnostics = words_of_fleet(notice, worker.trouble());
    }
    if (is_replaced) {
        event.successor = notice.other;
        event.detail = name_of(notice.rung);
    }
    if (!notice.model.is_none()) {
        event.model = models_.at(notice.model).spec.name;
        if (event.kind == PoolEvent::Kind::model_rejected)
            event.diagnostics = models_.at(notice.model).rejection;
    }
    if (event.kind == PoolEvent::Kind::worker_lost) event.detail = core::name_of(notice.cause);
    if (event.kind == PoolEvent::Kind::worker_starting) event.detail = name_of(notice.rung);
    const bool is_trouble = event.kind == PoolEvent::Kind::worker_failed ||
                            event.kind == PoolEvent::Kind::worker_lost ||
                            event.kind == PoolEvent::Kind::model_rejected;
    if (is_trouble && first_trouble_.message.empty()) first_trouble_ = event.diagnostics;
    if (event.kind != PoolEvent::Kind::request_redispatched) publish_workers();
    tell(std::move(event));
}

void PoolDriver::tell(PoolEvent event) {
    event.at = now();
    listener_.tell(event);
}

void PoolDriver::warn(Errc code, Diagnostics diagnostics) {
    PoolEvent event;
    event.kind = PoolEvent::Kind::warning;
    event.code = code;
    event.diagnostics = std::move(diagnostics);
    tell(std::move(event));
}

bool PoolDriver::is_current(const WorkerDriver& worker, Generation generation) const noexcept {
    return worker.generation() == generation;
}

// --- what the bridge hears -----------------------------------------------------------------------

void PoolDriver::on_hello(WorkerId id, Generation generation, wire::Channel channel,
                          wire::Hello hello) {
    WorkerDriver& worker = *workers_.at(id.value);
    if (is_current(worker, generation)) worker.on_hello(channel, std::move(hello));
}

void PoolDriver::on_message(WorkerId id, Generation generation, wire::Channel channel,
                            wire::Message message) {
    WorkerDriver& worker = *workers_.at(id.value);
    if (!is_current(worker, generation)) return;
    if (channel == wire::Channel::data) worker.on_sign_of_life();
    if (auto* result = std::get_if<wire::RunResult>(&message); result && result->attempt != 0)
        return on_reply(worker, std::move(*result));
    if (const auto* error = std::get_if<wire::RemoteError>(&message); error && error->attempt != 0)
        return on_reply(worker, *error);
    worker.on_message(channel, std::move(message));
}

void PoolDriver::on_closed(WorkerId id, Generation generation, wire::Channel channel, error_code ec,
                           std::uint16_t close_code) {
    WorkerDriver& worker = *workers_.at(id.value);
    if (is_current(worker, generation)) worker.on_closed(channel, ec, close_code);
}

void PoolDriver::crash_page(WorkerId id) {
    if (id.value < workers_.size()) workers_[id.value]->crash_page();
}

} // namespace everpool::facade
