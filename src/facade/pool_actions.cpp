// Everpool facade: what the core wants done with workers, and what the bridge hears from them.
// SPDX-License-Identifier: BSL-1.0
#include "facade/pool_driver.hpp"

#include <utility>

namespace everpool::facade {

namespace {

std::string_view name_of_cause(core::LossCause cause) noexcept {
    using enum core::LossCause;
    switch (cause) {
    case process_exited: return "process_exited";
    case page_crashed: return "page_crashed";
    case connection_closed: return "connection_closed";
    case unresponsive: return "unresponsive";
    case device_lost: return "device_lost";
    case protocol_error: return "protocol_error";
    case start_timed_out: return "start_timed_out";
    }
    return "unrecognised";
}

std::string_view name_of_level(core::RestartLevel level) noexcept {
    switch (level) {
    case core::RestartLevel::compute: return "compute";
    case core::RestartLevel::page: return "page";
    case core::RestartLevel::process: return "process";
    }
    return "unrecognised";
}

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
    }
    return Kind::warning;
}

} // namespace

void PoolDriver::perform(const core::StartWorker& action) {
    workers_.at(action.worker.value)->start(action.generation, action.level);
}

void PoolDriver::perform(const core::StopWorker& action) {
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

void PoolDriver::perform(const core::SendCancel& action) {
    const WorkerDriver& worker = *workers_.at(action.worker.value);
    if (!is_current(worker, action.generation)) return;
    const auto request = requests_.find(action.request.value);
    if (request != requests_.end() && request->second.is_held) return; // it was not sent yet
    // If it cannot be sent the worker is going, and the operation with it.
    (void)bridge_->send(action.worker, wire::Channel::data,
                        wire::Cancel{action.request.value, action.attempt});
}

void PoolDriver::perform(const core::Notice& notice) {
    PoolEvent event;
    event.kind = kind_of(notice.what);
    event.worker = notice.worker;
    event.generation = notice.generation;
    event.request = notice.request;
    event.code = notice.code;
    if (!notice.worker.is_none()) {
        const WorkerDriver& worker = *workers_.at(notice.worker.value);
        event.browser = worker.spec().type;
        if (event.kind == PoolEvent::Kind::worker_lost ||
            event.kind == PoolEvent::Kind::worker_failed)
            event.diagnostics = worker.trouble();
    }
    if (!notice.model.is_none()) {
        event.model = models_.at(notice.model).spec.name;
        if (event.kind == PoolEvent::Kind::model_rejected)
            event.diagnostics = models_.at(notice.model).rejection;
    }
    if (event.kind == PoolEvent::Kind::worker_lost) event.detail = name_of_cause(notice.cause);
    if (event.kind == PoolEvent::Kind::worker_starting) event.detail = name_of_level(notice.level);
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
    if (auto* result = std::get_if<wire::RunResult>(&message); result && result->attempt != 0)
        return on_reply(worker, std::move(*result));
    if (const auto* error = std::get_if<wire::RemoteError>(&message); error && error->attempt != 0)
        return on_reply(worker, *error);
    worker.on_message(channel, std::move(message));
}

void PoolDriver::on_closed(WorkerId id, Generation generation, wire::Channel channel,
                           error_code ec) {
    WorkerDriver& worker = *workers_.at(id.value);
    if (is_current(worker, generation)) worker.on_closed(channel, ec);
}

void PoolDriver::crash_page(WorkerId id) {
    if (id.value < workers_.size()) workers_[id.value]->crash_page();
}

} // namespace everpool::facade
