// Everpool core: bodies of PoolCore that concern several workers at once: a fleet that fails
// together, standbys, and rivals.
// SPDX-License-Identifier: BSL-1.0
//
// Rivals (the strategy parallel). When an active worker W is lost, it is brought back by what is
// smallest in its own slot, as ever, and dormant slots try larger means at the same time:
//
//     W, its browser lives:   W a rung of its page  rival 1 the same browser anew  rival 2 another
//     W, its browser is gone: W its browser anew    rival 1 another
//
// Whoever is ready first, models warmed up and verified, and serves what W served, is active from
// then on; the others are stopped and dormant. If there are not enough dormant slots, as with
// several recoveries at the same time, W does with fewer rivals, or alone.
//
//     dormant --- begin_contest() ---> rival --- wins() ---> active, and W becomes dormant
//        ^                               |
//        +--- dismiss(), leave_contest() +
#pragma once

#include "everpool/core/pool_core.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace everpool::core {

// --- the fleet -----------------------------------------------------------------------------------

/// \pre the fleet fails
inline void PoolCore::tell_prober(Turn& turn) const {
    const auto& [prober, why] = *fleet_.trouble();
    say(turn, Notice{.what = Notice::What::fleet_failing,
                     .worker = prober,
                     .generation = workers_[prober.value].fsm.generation(),
                     .cause = why.cause,
                     .code = why.code});
}

/// If that was the last one to fail like all the others, one goes on trying and the others wait.
inline void PoolCore::note_start_failure(WorkerId id, RecoveryRung rung, StartFailure why,
                                         Turn& turn) {
    fleet_.note_failure(id, why);
    if (!replaces_browser(rung)) return;
    if (fleet_.on_start_failed(id, why, turn.now)) tell_prober(turn);
    if (!fleet_.trouble()) return;
    for (std::uint32_t i = 0; i < worker_count(); ++i) {
        if (fleet_.may_start(WorkerId{i})) continue;
        workers_[i].fsm.hold();
        arm(WorkerId{i});
    }
}

/// A worker is ready, so the others may be as well.
inline void PoolCore::release_fleet(WorkerId ready, Turn& turn) {
    if (!fleet_.on_ready(ready)) return;
    say(turn, Notice{.what = Notice::What::fleet_recovered,
                     .worker = ready,
                     .generation = workers_[ready.value].fsm.generation()});
    for (std::uint32_t i = 0; i < worker_count(); ++i)
        follow(WorkerId{i}, workers_[i].fsm.release(turn.now), turn);
}

/// It has been given up. If it tried for all, the others are given up with it for what they share;
/// if it failed for a reason of its own, another one tries.
inline void PoolCore::end_probing(WorkerId id, Turn& turn) {
    const std::optional<Fleet::Trouble> trouble = fleet_.trouble();
    const StartFailure why = fleet_.last_failure(id);
    fleet_.on_end(id);
    if (!trouble || trouble->prober != id) return;
    if (why == trouble->why) {
        for (std::uint32_t i = 0; i < worker_count(); ++i) {
            if (!fleet_.does_count(WorkerId{i})) continue;
            workers_[i].session.reset();
            follow(WorkerId{i}, workers_[i].fsm.give_up(why.code), turn);
        }
    } else if (fleet_.trouble()) {
        tell_prober(turn);
        const WorkerId next = fleet_.trouble()->prober;
        follow(next, workers_[next.value].fsm.release(turn.now), turn);
    }
}

// --- standbys ------------------------------------------------------------------------------------

/// Is an active worker missing, or takes nothing new, or is there none for this model?
inline bool PoolCore::is_standby_wanted(ModelId model) const noexcept {
    bool is_any_missing = false, is_any_serving = false;
    for (const WorkerSlot& worker : workers_) {
        if (worker.role != WorkerRole::active) continue;
        const bool takes_any =
            worker.fsm.state() == WorkerFsm::State::ready && !worker.is_finishing();
        is_any_missing |= !takes_any;
        is_any_serving |= takes_any && worker.fsm.serves(model);
    }
    return is_any_missing || !is_any_serving;
}

/// Callers' work on this model, as far as the worker goes.
/// A standby answers votes, too: three answers are worth more than two.
inline bool PoolCore::may_take(const WorkerSlot& worker, ModelId model,
                               bool is_vote) const noexcept {
    return worker.fsm.serves(model) && !worker.is_finishing() &&
           (worker.role != WorkerRole::standby || is_vote || is_standby_wanted(model));
}

/// The request that it is to be given first.
inline Slot PoolCore::first_for(WorkerId id) const noexcept {
    const WorkerSlot& worker = workers_[id.value];
    const ModelSet& models = worker.fsm.ready_models();
    // Without a model any active worker serves, so that one of them is missing.
    if (worker.role != WorkerRole::standby || is_standby_wanted(ModelId::none()))
        return queue_.first_for(requests_, models, id, now_);
    return queue_.first_where(requests_, models, now_, [&](Slot slot) {
        const RequestMeta& meta = requests_[slot].meta;
        return !requests_.is_barred(slot, id) && may_take(worker, meta.model, meta.copies > 1);
    });
}

// --- rivals --------------------------------------------------------------------------------------

inline bool PoolCore::has_rivals(WorkerId id) const noexcept {
    return std::ranges::any_of(workers_, [id](const WorkerSlot& worker) {
        return worker.rival_of == id && !id.is_none();
    });
}

/// The worker has been lost, and its own recovery begins: at once, or when its delay is over.
inline void PoolCore::begin_contest(WorkerId id, Turn& turn) {
    const WorkerSlot& worker = workers_[id.value];
    if (config_.rival_count == 0 || worker.role != WorkerRole::active || !worker.fsm.is_hopeful())
        return;
    if (!replaces_browser(worker.fsm.rung()) &&
        !start_rival(id, RecoveryRung::restart_browser, turn))
        return;
    const RungSet others(RecoveryRung::other_browser, RecoveryRung::other_type,
                         RecoveryRung::other_machine);
    const auto other = (worker.fsm.possible_rungs() & others).at_least(RecoveryRung::other_browser);
    if (other) (void)start_rival(id, *other, turn);
}

/// \return whether a slot was free for it
inline bool PoolCore::start_rival(WorkerId id, RecoveryRung rung, Turn& turn) {
    for (std::uint32_t i = 0; i < worker_count(); ++i) {
        WorkerSlot& rival = workers_[i];
        if (rival.role != WorkerRole::dormant || rival.is_closing) continue;
        const NextWorkerStep step =
            rival.fsm.start_instead_of(workers_[id.value].fsm, rung, turn.now);
        if (step == NextWorkerStep::unexpected) continue; // it is being stopped
        rival.role = WorkerRole::rival;
        rival.rival_of = id;
        follow(WorkerId{i}, step, turn);
        return true;
    }
    return false;
}

/// It is ready. \return whether it takes the place of the worker that was lost
inline bool PoolCore::wins(WorkerId id, Turn& turn) {
    WorkerSlot& rival = workers_[id.value];
    const WorkerId loser = rival.rival_of;
    WorkerSlot& worker = workers_[loser.value];
    for (std::uint32_t i = 0; i < config_.model_count; ++i) {
        if (!worker.served.contains(ModelId{i}) || rival.fsm.serves(ModelId{i})) continue;
        release_fleet(id, turn); // browsers start, after all
        leave_contest(id, turn);
        flush_unservable(turn);
        return false;
    }
    rival.role = worker.role;
    rival.rival_of = WorkerId::none();
    say(turn, Notice{.what = Notice::What::worker_replaced,
                     .worker = loser,
                     .generation = worker.fsm.generation(),
                     .other = id,
                     .rung = rival.fsm.rung()});
    dismiss_rivals_of(loser, turn);
    dismiss(loser, turn);
    return true;
}

/// Nothing is to be left of it, and its slot is free for another one.
inline void PoolCore::dismiss(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    worker.role = WorkerRole::dormant;
    worker.rival_of = WorkerId::none();
    worker.session.reset();
    worker.is_contest_due = false;
    const bool is_closing = std::exchange(worker.is_closing, false);
    const TimePoint until = later(turn.now, config_.stop_timeout);
    if (worker.fsm.retire(is_closing, until) == NextWorkerStep::close && !is_closing)
        say(turn, StopWorker{id, worker.fsm.generation(), false});
    fleet_.on_end(id);
    arm(id);
}

inline void PoolCore::dismiss_rivals_of(WorkerId id, Turn& turn) {
    for (std::uint32_t i = 0; i < worker_count(); ++i)
        if (workers_[i].rival_of == id) dismiss(WorkerId{i}, turn);
}

/// It has been given up, or is of no use. The last one to leave takes the worker with it.
inline void PoolCore::leave_contest(WorkerId id, Turn& turn) {
    if (workers_[id.value].role != WorkerRole::rival) return;
    const WorkerId whose = workers_[id.value].rival_of;
    dismiss(id, turn);
    const WorkerSlot& worker = workers_[whose.value];
    if (worker.fsm.state() != WorkerFsm::State::failed || has_rivals(whose)) return;
    say(turn, Notice{.what = Notice::What::worker_failed,
                     .worker = whose,
                     .generation = worker.fsm.generation(),
                     .code = worker.fsm.last_start_error()});
}

} // namespace everpool::core
