// Everpool core: bodies of PoolCore that concern leases.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/pool_core.hpp"

#include <cstdint>

namespace everpool::core {

inline bool PoolCore::handle(const Acquire& event, Turn& turn) {
    if (event.lease.value == 0 || leases_.find(event.lease) != no_slot) return false;
    const auto refusal_of_lease = [&] {
        if (const Errc code = refusal(); code != Errc::ok) return code;
        if (!event.model.is_none() && event.model.value >= config_.model_count)
            return Errc::unknown_model;
        if (!is_servable(event.model)) return unservable_code();
        if (event.deadline <= turn.now) return Errc::deadline_exceeded;
        return leases_.is_full() ? Errc::queue_full : Errc::ok;
    };
    if (const Errc code = refusal_of_lease(); code != Errc::ok) {
        say(turn, LeaseEnded{event.lease, code});
        return true;
    }
    const Slot slot = leases_.insert(event.lease, event.model, event.preferred_browsers);
    lease_deadlines_.grow(leases_.slot_count());
    lease_deadlines_.set(slot, event.deadline);
    find_worker_for_lease(slot, turn);
    return true;
}

inline bool PoolCore::handle(const Release& event, Turn& turn) {
    const Slot slot = leases_.find(event.lease);
    if (slot == no_slot) return false;
    switch (leases_[slot].state) {
    case LeaseState::held:
        leases_[slot].state = LeaseState::releasing;
        use_worker(leases_[slot].worker, turn);
        return true;
    case LeaseState::waiting:
    case LeaseState::reserved: end_lease(slot, Errc::cancelled, turn); return true;
    case LeaseState::releasing:
    case LeaseState::free: break;
    }
    return false;
}

/// Reserves the best worker that nobody has reserved or borrowed, an idle one if there is one.
inline void PoolCore::find_worker_for_lease(Slot slot, Turn& turn) {
    const LeaseRecord& lease = leases_[slot];
    WorkerId best = WorkerId::none();
    std::uint64_t best_cost = 0;
    for (std::uint32_t i = 0; i < worker_count(); ++i) {
        const WorkerSlot& worker = workers_[i];
        if (!may_take(worker, lease.model) || worker.lease != no_slot ||
            worker.reserved_for != no_slot)
            continue;
        const std::uint64_t cost =
            placement_cost(worker.session.in_flight() != 0,
                           preference_rank(lease.preferred_browsers, worker.browser),
                           worker.session.in_flight()) |
            (worker.role == WorkerRole::standby ? standby_cost : 0);
        if (!best.is_none() && cost >= best_cost) continue;
        best = WorkerId{i};
        best_cost = cost;
    }
    if (best.is_none()) return; // the next worker that becomes free looks for us
    leases_.to_reserved(slot, best);
    workers_[best.value].reserved_for = slot;
    if (workers_[best.value].session.in_flight() == 0) grant_in_time(best, turn);
}

/// This worker has become free: is there a lease that waits for one like it? Events may come before
/// the wakeup that is due, so those that waited too long end on the way.
inline void PoolCore::reserve_for_oldest(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    for (auto next = leases_.waiting().begin(); next != leases_.waiting().end();) {
        const Slot slot = (next++)->second; // before the lease leaves the line
        if (!may_take(worker, leases_[slot].model)) continue;
        if (lease_deadlines_.at(slot) <= turn.now) {
            end_lease(slot, Errc::deadline_exceeded, turn);
            continue;
        }
        leases_.to_reserved(slot, id);
        worker.reserved_for = slot;
        return;
    }
}

/// A reservation, too, may end by its deadline before the wakeup that is due.
/// \pre reserved, nothing in flight
inline void PoolCore::grant_in_time(WorkerId id, Turn& turn) {
    const Slot slot = workers_[id.value].reserved_for;
    if (lease_deadlines_.at(slot) <= turn.now) end_lease(slot, Errc::deadline_exceeded, turn);
    else grant(id, turn);
}

/// \pre reserved, nothing in flight
inline void PoolCore::grant(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    const Slot slot = worker.reserved_for;
    require(worker.lease == no_slot && worker.session.in_flight() == 0,
            "a lease is granted on an idle worker");
    worker.reserved_for = no_slot;
    worker.lease = slot;
    leases_[slot].state = LeaseState::held;
    lease_deadlines_.clear(slot);
    ++stats_.leases_granted;
    say(turn, LeaseGranted{leases_[slot].id, id, worker.fsm.generation()});
}

/// Refuses a lease that has not been granted; the worker reserved for it is free again.
inline void PoolCore::end_lease(Slot slot, Errc code, Turn& turn) {
    const WorkerId worker = leases_[slot].worker;
    say(turn, LeaseEnded{leases_[slot].id, code});
    lease_deadlines_.clear(slot);
    leases_.erase(slot);
    if (worker.is_none()) return;
    workers_[worker.value].reserved_for = no_slot;
    use_worker(worker, turn);
}

inline void PoolCore::end_waiting_leases(Errc code, Turn& turn) {
    // First: a worker whose reservation ends looks for the next one in line.
    while (!leases_.waiting().empty()) end_lease(leases_.waiting().begin()->second, code, turn);
    for (Slot slot = 0; slot < leases_.slot_count(); ++slot)
        if (leases_[slot].state == LeaseState::reserved) end_lease(slot, code, turn);
}

/// Work for the holder of the lease; ends a lease that is given back and has no more of it.
/// \return whether anything was given to the worker
inline bool PoolCore::serve_lease(WorkerSlot& worker, WorkerId id, Turn& turn) {
    const Slot slot = worker.lease_queue.front();
    if (slot != no_slot) {
        if (!has_room(worker, requests_[slot].meta)) return false;
        give(slot, id, turn);
        return true;
    }
    if (leases_[worker.lease].state == LeaseState::releasing && worker.session.in_flight() == 0) {
        leases_.erase(worker.lease);
        worker.lease = no_slot;
    }
    return false;
}

/// The worker is lost. Its lease ends, with what waited under it; a reservation looks elsewhere.
inline void PoolCore::lose_lease(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    while (!worker.lease_queue.is_empty()) {
        const Slot slot = worker.lease_queue.front();
        leave_queue(slot);
        conclude(slot, Errc::worker_lost, turn);
    }
    if (worker.lease != no_slot) {
        const LeaseRecord& lease = leases_[worker.lease];
        if (lease.state == LeaseState::held) say(turn, LeaseEnded{lease.id, Errc::worker_lost});
        leases_.erase(worker.lease);
        worker.lease = no_slot;
    }
    if (worker.reserved_for != no_slot) {
        const Slot slot = worker.reserved_for;
        worker.reserved_for = no_slot;
        leases_.to_waiting(slot);
        find_worker_for_lease(slot, turn);
    }
}

} // namespace everpool::core
