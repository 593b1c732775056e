// Everpool core: bodies of PoolCore that concern workers.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/pool_core.hpp"

#include <algorithm>
#include <cstdint>
#include <utility>

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
    worker.session.set_engine(engine_of(worker.browser));
    worker.session.watch(WorkerChannel::page, turn.now);
    if (config_.asks_control) worker.session.watch(WorkerChannel::control, turn.now);
    say(turn, Notice{.what = Notice::What::worker_connected,
                     .worker = event.worker,
                     .generation = event.generation});
    return follow(event.worker, step, turn);
}

inline bool PoolCore::handle(const WorkerStartFailed& event, Turn& turn) {
    if (!is_current(event)) return false;
    WorkerSlot& worker = workers_[event.worker.value];
    const RecoveryRung rung = worker.fsm.rung();
    const NextWorkerStep step =
        worker.fsm.on_start_failed(event.code, event.permanent, turn.now, prng_);
    if (step == NextWorkerStep::unexpected) return false;
    worker.session.reset();
    note_start_failure(event.worker, rung, {LossCause::process_exited, event.code}, turn);
    follow(event.worker, step, turn);
    end_launch_pauses(turn);
    return true;
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
    if (on_canary_answer(event.worker, event.model, true, turn)) return true;
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
    if (on_canary_answer(event.worker, event.model, false, turn)) return true;
    if (workers_[event.worker.value].fsm.is_step_in_vain(event.model))
        return lose(event.worker, LossCause::wrong_answer, turn, WrongAnswerFinder::warm_up);
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
    const WorkerChannel which =
        event.channel == wire::Channel::control ? WorkerChannel::page : WorkerChannel::compute;
    if (!workers_[event.worker.value].session.on_answer(which, event.sequence, turn.now))
        return false;
    arm(event.worker);
    return true;
}

inline bool PoolCore::handle(const ControlAnswered& event, Turn& turn) {
    if (!is_current(event)) return false;
    SessionFsm& session = workers_[event.worker.value].session;
    bool was_asked = false;
    switch (event.question) {
    case ControlQuestion::browser:
        was_asked = session.on_answer(WorkerChannel::control, event.sequence, turn.now);
        break;
    case ControlQuestion::page: was_asked = session.on_page_answer(event.sequence); break;
    case ControlQuestion::starvation:
        was_asked = session.on_threads_seen(event.sequence, event.threads, turn.now);
        stats_.starvations += was_asked && event.threads.does_any_wait ? 1 : 0;
        break;
    }
    if (was_asked) arm(event.worker);
    return was_asked;
}

// --- time ----------------------------------------------------------------------------------------

inline void PoolCore::on_worker_time(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    if (worker.fsm.is_start_overdue(turn.now)) {
        lose(id, LossCause::start_timed_out, turn);
        return;
    }
    if (worker.fsm.is_stop_overdue(turn.now)) {
        // A close that is stuck must not cost a slot.
        say(turn, StopWorker{id, worker.fsm.generation(), false});
        (void)worker.fsm.on_stopped();
        return arm(id);
    }
    follow(id, worker.fsm.on_time(turn.now), turn);
    if (worker.canary.is_overdue(turn.now)) {
        ++stats_.canaries_wrong;
        lose(id, LossCause::wrong_answer, turn, WrongAnswerFinder::canary);
        return;
    }
    if (worker.canary.is_due(turn.now)) ask_canary(id, turn);
    for (;;) {
        // What should be done next?
        switch (worker.session.on_time(turn.now)) {
        case NextSessionStep::send_control_ping:
            say(turn, SendPing{id, worker.fsm.generation(), wire::Channel::control,
                               worker.session.last_sequence(WorkerChannel::page)});
            continue;
        case NextSessionStep::send_data_ping:
            say(turn, SendPing{id, worker.fsm.generation(), wire::Channel::data,
                               worker.session.last_sequence(WorkerChannel::compute)});
            continue;
        case NextSessionStep::ask_browser:
            say(turn, AskControl{id, worker.fsm.generation(), ControlQuestion::browser,
                                 worker.session.last_sequence(WorkerChannel::control)});
            continue;
        case NextSessionStep::ask_page:
            say(turn, AskControl{id, worker.fsm.generation(), ControlQuestion::page,
                                 worker.session.last_sequence(WorkerChannel::control)});
            continue;
        case NextSessionStep::ask_starvation:
            say(turn, AskControl{id, worker.fsm.generation(), ControlQuestion::starvation,
                                 worker.session.last_sequence(WorkerChannel::control)});
            continue;
        case NextSessionStep::hung: lose(id, worker.session.cause(), turn); return;
        case NextSessionStep::nothing: arm(id); return;
        }
    }
}

/// The worker's next deadline has changed.
inline void PoolCore::arm(WorkerId id) {
    const WorkerSlot& worker = workers_[id.value];
    TimePoint at =
        std::min({worker.fsm.deadline(), worker.session.deadline(), worker.canary.deadline()});
    // Nobody is pinged yet, but it must be noticed if the host stands still.
    if (worker.fsm.is_alive()) at = std::min(at, later(now_, config_.ping_interval));
    worker_deadlines_.set(id.value, at);
}

// --- loss and restart ----------------------------------------------------------------------------

/// \return whether that was news
inline bool PoolCore::lose(WorkerId id, LossCause cause, Turn& turn,
                           std::optional<WrongAnswerFinder> found_by) {
    WorkerSlot& worker = workers_[id.value];
    const bool was_alive = worker.fsm.is_alive();
    const Generation generation = worker.fsm.generation();
    const RecoveryRung rung = worker.fsm.rung();
    const std::uint32_t failed_before = worker.fsm.failed_starts();
    const bool was_ready = worker.fsm.state() == WorkerFsm::State::ready;
    if (was_ready && config_.rival_count != 0) worker.served = worker.fsm.ready_models();
    const NextWorkerStep step = worker.fsm.on_lost(cause, turn.now, prng_);
    if (step == NextWorkerStep::unexpected) return false;
    if (!was_alive) { // another sign of a loss that is known
        end_launch_pauses(turn);
        return true;
    }
    ++stats_.workers_lost;
    say(turn, Notice{.what = Notice::What::worker_lost,
                     .worker = id,
                     .generation = generation,
                     .other = worker.rival_of,
                     .cause = cause,
                     .found_by = found_by,
                     .operations = static_cast<std::uint32_t>(worker.operations.size())});
    // Callers first: their requests are on other workers before the restart begins.
    return_operations(id, turn);
    worker.session.reset();
    worker.canary.stop();
    worker.is_retiring = false;
    slowness_.forget(id.value);
    trusts_[id.value].reset();
    if (std::exchange(worker.is_quarantined, false)) --quarantined_count_;
    place_returned(turn);
    lose_lease(id, turn);
    const bool is_recovery = worker.fsm.failed_starts() == failed_before && was_ready;
    if (worker.fsm.failed_starts() > failed_before)
        note_start_failure(id, rung, {cause, worker.fsm.last_start_error()}, turn);
    worker.is_contest_due = is_recovery;
    follow(id, step, turn);
    end_launch_pauses(turn);
    use_all_workers(turn);
    return true;
}

/// There is nobody left who answers in the place of others and needs the processors for that.
inline void PoolCore::end_launch_pauses(Turn& turn) {
    const auto is_ready = [](const WorkerSlot& worker) {
        return worker.fsm.state() == WorkerFsm::State::ready;
    };
    if (config_.launch_pause == Duration{} || std::ranges::any_of(workers_, is_ready)) return;
    for (std::uint32_t i = 0; i < worker_count(); ++i)
        if (workers_[i].fsm.end_launch_pause(turn.now)) arm(WorkerId{i});
}

/// What the lost worker had is queued again, or completes because it must not be repeated.
inline void PoolCore::return_operations(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    while (!worker.operations.is_empty()) {
        const Slot slot = worker.operations.front();
        const RequestRecord& record = requests_[slot];
        const bool was_abandoned = record.state == RequestState::abandoned;
        leave_worker(slot);
        if (was_abandoned) requests_.release(slot);
        else if (requests_.has_copies(slot))
            on_copy_ended(slot, Errc::worker_lost, Errc::worker_lost, true, turn);
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
        worker.browser = worker.fsm.browser();
        fleet_.on_start(id);
        say(turn, StartWorker{id, generation, worker.fsm.rung(), worker.fsm.form(),
                              worker.fsm.last_cause().value_or(LossCause::process_exited),
                              worker.rival_of});
        say(turn, Notice{.what = Notice::What::worker_starting,
                         .worker = id,
                         .generation = generation,
                         .other = worker.rival_of,
                         .cause = worker.fsm.failure(),
                         .rung = worker.fsm.rung()});
        if (std::exchange(worker.is_contest_due, false)) begin_contest(id, turn);
        break;
    case NextWorkerStep::load_model:
        say(turn, LoadModel{id, generation, worker.fsm.model()});
        break;
    case NextWorkerStep::warm_up_model:
        say(turn, WarmUpModel{id, generation, worker.fsm.model()});
        break;
    case NextWorkerStep::serve:
        if (worker.role == WorkerRole::rival && !wins(id, turn)) break;
        worker.is_settled = true;
        worker.session.watch(WorkerChannel::compute, turn.now);
        worker.answered_at = turn.now;
        worker.canary.start(turn.now);
        say(turn, Notice{.what = Notice::What::worker_ready,
                         .worker = id,
                         .generation = generation,
                         .rung = worker.fsm.rung()});
        use_worker(id, turn);
        release_fleet(id, turn);
        dismiss_rivals_of(id, turn);
        if (config_.rival_count != 0) flush_unservable(turn); // what a rival might have served
        // What a standby may take begins elsewhere, behind what is not for it any more.
        if (config_.standby_count != 0) use_all_workers(turn);
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
    if (!has_rivals(id)) // else they may save it yet
        say(turn, Notice{.what = Notice::What::worker_failed,
                         .worker = id,
                         .generation = worker.fsm.generation(),
                         .other = worker.rival_of,
                         .code = worker.fsm.last_start_error()});
    say(turn, StopWorker{id, worker.fsm.generation(), false});
    end_probing(id, turn);
    leave_contest(id, turn);
    flush_unservable(turn);
}

} // namespace everpool::core
