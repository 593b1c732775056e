// Everpool core: bodies of PoolCore that concern workers which answer, but wrongly or slowly.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/pool_core.hpp"

namespace everpool::core {

/// Its canary's time has come.
inline void PoolCore::ask_canary(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    // Who has a lease has the worker for himself.
    if (worker.lease != no_slot || worker.reserved_for != no_slot)
        return worker.canary.postpone(turn.now);
    const auto model = worker.canary.ask(worker.fsm.ready_models(), models_known_, turn.now);
    if (!model) return;
    worker.session.on_canary_sent(run_times_.expected(work_of_model_[model->value]), turn.now);
    ++stats_.canaries;
    say(turn, WarmUpModel{id, worker.fsm.generation(), *model});
}

/// \return whether it was the answer to a canary
inline bool PoolCore::on_canary_answer(WorkerId id, ModelId model, bool is_right, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    if (!worker.canary.on_answer(model, turn.now)) return false;
    worker.session.on_canary_answered(turn.now);
    worker.answered_at = turn.now;
    arm(id);
    if (is_right) {
        retire_if_idle(id, turn);
        use_worker(id, turn);
    } else {
        ++stats_.canaries_wrong;
        lose(id, LossCause::wrong_answer, turn, WrongAnswerFinder::canary);
    }
    return true;
}

/// A worker has become slow by its own fault: it takes nothing new, finishes what it has, and is
/// recovered then. Nothing of what it has would be faster for being begun anew elsewhere.
inline void PoolCore::note_speed(WorkerId id, std::uint32_t work, Duration took, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    if (!slowness_.add(id.value, work, took, turn.now)) return;
    // Who has a lease, or is to have it, decides for himself.
    worker.is_retiring = worker.lease == no_slot && worker.reserved_for == no_slot;
}

/// \return whether it is gone
inline bool PoolCore::retire_if_idle(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    return worker.is_retiring && worker.session.in_flight() == 0 && lose(id, LossCause::slow, turn);
}

} // namespace everpool::core
