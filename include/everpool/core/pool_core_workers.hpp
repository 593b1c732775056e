// Everpool core: bodies of PoolCore that concern workers.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/pool_core.hpp"

#include <algorithm>
#include <cstdint>

namespace everpool::core {

// --- events --------------------------------------------------------------------------------------

/// Of a worker that exists, and of the life that is in force.
template <class WorkerEvent>
bool PoolCore::is_current(const WorkerEvent& event) const noexcept {
    return event.worker.value < workers_.size() && event.generation.value != 0 &&
           event.generation == workers_[event.worker.value].fsm.generation();
}

inline bool PoolCore::handle(const WorkerConnected& event, Turn& turn) {
    if (!is_current(event)) return false;
    WorkerSlot& worker = workers_[event.worker.value];
    const NextWorkerStep step = worker.fsm.on_connected(turn.now);
    if (step == NextWorkerStep::unexpected) return false;
    // The compute thread is not asked before the worker is ready: it compiles and warms up, and
    // start_timeout watches over that.
    worker.session.watch(wire::Channel::control, turn.now);
    say(turn, Notice{.what = Notice::What::worker_connected,
                     .worker = event.worker,
                     .generation = event.generation});
    return follow(event.worker, step, turn);
}

inline bool PoolCore::handle(const WorkerStartFailed& event, Turn& turn) {
    if (!is_current(event)) return false;
    WorkerSlot& worker = workers_[event.worker.value];
    const NextWorkerStep step =
        worker.fsm.on_start_failed(event.code, event.permanent, turn.now, prng_);
    if (step != NextWorkerStep::unexpected) worker.session.reset();
    return follow(event.worker, step, turn);
}

inline bool PoolCore::handle(const WorkerLost& event, Turn& turn) {
    return is_current(event) && lose(event.worker, event.cause, turn);
}

inline bool PoolCore::handle(const WorkerStopped& event, Turn& turn) {
    if (!is_current(event)) return false;
    WorkerSlot& worker = workers_[event.worker.value];
    if (worker.is_closing) {
        worker.is_closing = false;
        return true;
    }
    if (worker.fsm.on_stopped() == NextWorkerStep::unexpected) return false;
    say(turn, Notice{.what = Notice::What::worker_stopped,
                     .worker = event.worker,
                     .generation = event.generation});
    return true;
}

inline bool PoolCore::handle(const ModelLoaded& event, Turn& turn) {
    if (!is_current(event)) return false;
    return follow(event.worker, workers_[event.worker.value].fsm.on_model_loaded(event.model),
                  turn);
}

inline bool PoolCore::handle(const ModelWarmedUp& event, Turn& turn) {
    if (!is_current(event)) return false;
    const NextWorkerStep step =
        workers_[event.worker.value].fsm.on_model_warmed_up(event.model, turn.now);
    if (step == NextWorkerStep::unexpected) return false;
    say(turn, Notice{.what = Notice::What::model_ready,
                     .worker = event.worker,
                     .generation = event.generation,
                     .model = event.model});
    return follow(event.worker, step, turn);
}

inline bool PoolCore::handle(const ModelRejected& event, Turn& turn) {
    if (!is_current(event)) return false;
    const NextWorkerStep step =
        workers_[event.worker.value].fsm.on_model_rejected(event.model, turn.now);
    if (step == NextWorkerStep::unexpected) return false;
    say(turn, Notice{.what = Notice::What::model_rejected,
                     .worker = event.worker,
                     .generation = event.generation,
                     .model = event.model,
                     .code = event.code});
    follow(event.worker, step, turn);
    flush_unservable(turn);
    return true;
}

inline bool PoolCore::handle(const PongArrived& event, Turn& turn) {
    if (!is_current(event) || static_cast<std::size_t>(event.channel) > 1) return false;
    if (!workers_[event.worker.value].session.on_pong(event.channel, event.sequence, turn.now))
        return false;
    arm(event.worker);
    return true;
}

// --- time ----------------------------------------------------------------------------------------

inline void PoolCore::on_worker_time(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    if (worker.fsm.is_start_overdue(turn.now)) {
        lose(id, LossCause::start_timed_out, turn);
        return;
    }
    follow(id, worker.fsm.on_time(turn.now), turn);
    for (;;) {
        // What should be done next?
        switch (worker.session.on_time(turn.now)) {
        case NextSessionStep::send_control_ping:
            say(turn, SendPing{id, worker.fsm.generation(), wire::Channel::control,
                               worker.session.last_sequence(wire::Channel::control)});
            continue;
        case NextSessionStep::send_data_ping:
            say(turn, SendPing{id, worker.fsm.generation(), wire::Channel::data,
                               worker.session.last_sequence(wire::Channel::data)});
            continue;
        case NextSessionStep::unresponsive: lose(id, LossCause::unresponsive, turn); return;
        case NextSessionStep::nothing: arm(id); return;
        }
    }
}

/// The worker's next deadline has changed.
inline void PoolCore::arm(WorkerId id) {
    const WorkerSlot& worker = workers_[id.value];
    TimePoint at = std::min(worker.fsm.deadline(), worker.session.deadline());
    // Nobody is pinged yet, but it must be noticed if the host stands still.
    if (worker.fsm.is_alive()) at = std::min(at, later(now_, config_.ping_interval));
    worker_deadlines_.set(id.value, at);
}

// --- loss and restart ----------------------------------------------------------------------------

/// \return whether that was news
inline bool PoolCore::lose(WorkerId id, LossCause cause, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    const bool was_alive = worker.fsm.is_alive();
    const Generation generation = worker.fsm.generation();
    const NextWorkerStep step = worker.fsm.on_lost(cause, turn.now, prng_);
    if (step == NextWorkerStep::unexpected) return false;
    if (!was_alive) return true; // another sign of a loss that is known
    ++stats_.workers_lost;
    say(turn, Notice{.what = Notice::What::worker_lost,
                     .worker = id,
                     .generation = generation,
                     .cause = cause});
    // Callers first: their requests are on other workers before the restart begins.
    return_operations(id, turn);
    worker.session.reset();
    place_returned(turn);
    lose_lease(id, turn);
    follow(id, step, turn);
    use_all_workers(turn);
    return true;
}

/// What the lost worker had is queued again, or completes because it must not be repeated.
inline void PoolCore::return_operations(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    while (!worker.operations.is_empty()) {
        const Slot slot = worker.operations.front();
        const RequestRecord& record = requests_[slot];
        const bool was_abandoned = record.state == RequestState::abandoned;
        leave_worker(slot);
        if (was_abandoned) requests_.erase(slot);
        else if (!record.meta.idempotent) conclude(slot, Errc::outcome_unknown, turn);
        else if (may_retry(record, Errc::worker_lost, true, turn.now)) take_back(slot);
        else
            conclude(slot,
                     record.meta.deadline <= turn.now ? Errc::deadline_exceeded : Errc::worker_lost,
                     turn);
    }
}

/// Does what the worker's machine wants. \return false if it wanted nothing with the event
inline bool PoolCore::follow(WorkerId id, NextWorkerStep step, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    const Generation generation = worker.fsm.generation();
    // What should be done next?
    switch (step) {
    case NextWorkerStep::unexpected: return false;
    case NextWorkerStep::nothing:
    case NextWorkerStep::close: break; // the stop says how
    case NextWorkerStep::launch:
        worker.session.reset();
        say(turn, StartWorker{id, generation, worker.fsm.level()});
        say(turn, Notice{.what = Notice::What::worker_starting,
                         .worker = id,
                         .generation = generation,
                         .level = worker.fsm.level()});
        break;
    case NextWorkerStep::load_model:
        say(turn, LoadModel{id, generation, worker.fsm.model()});
        break;
    case NextWorkerStep::warm_up_model:
        say(turn, WarmUpModel{id, generation, worker.fsm.model()});
        break;
    case NextWorkerStep::serve:
        worker.is_settled = true;
        worker.session.watch(wire::Channel::data, turn.now);
        say(turn,
            Notice{.what = Notice::What::worker_ready, .worker = id, .generation = generation});
        use_worker(id, turn);
        break;
    case NextWorkerStep::give_up: give_up(id, turn); break;
    }
    arm(id);
    return true;
}

/// The worker has failed for good. What is left of it is killed.
inline void PoolCore::give_up(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    worker.is_settled = true;
    worker.is_closing = true;
    say(turn, Notice{.what = Notice::What::worker_failed,
                     .worker = id,
                     .generation = worker.fsm.generation(),
                     .code = worker.fsm.last_start_error()});
    say(turn, StopWorker{id, worker.fsm.generation(), false});
    flush_unservable(turn);
}

} // namespace everpool::core
