// Everpool core: bodies of PoolCore that concern who is given which request, and when.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/pool_core.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace everpool::core {

/// The worker that takes this request now, over nobody's head; none() if it must wait.
/// `slot`: the copy that it is for, which must not be where others of its request are.
inline WorkerId PoolCore::find_worker(const RequestMeta& meta, WorkerId avoid,
                                      Slot slot) const noexcept {
    const bool is_copy = slot != no_slot && requests_.has_copies(slot);
    const bool is_vote = meta.copies > 1;
    const bool is_anybody_waiting = queue_.size() != 0;
    const Rank rank{meta.waits_since, meta.id};
    if (meta.lease.value != 0) {
        const LeaseRecord& lease = leases_[leases_.find(meta.lease)];
        const WorkerSlot& worker = workers_[lease.worker.value];
        const Slot first = worker.lease_queue.front();
        const bool is_first = first == no_slot || rank < requests_[first].rank();
        return is_first && has_room(worker, meta) ? lease.worker : WorkerId::none();
    }
    WorkerId best = WorkerId::none();
    std::uint64_t best_cost = 0;
    for (std::uint32_t i = 0; i < worker_count(); ++i) {
        const WorkerSlot& worker = workers_[i];
        if (!may_take(worker, meta.model, is_vote) || worker.lease != no_slot ||
            worker.reserved_for != no_slot || !has_room(worker, meta))
            continue;
        if (is_copy && requests_.is_barred(slot, WorkerId{i})) continue;
        if (is_anybody_waiting) {
            const Slot first = first_for(WorkerId{i});
            if (first != no_slot && requests_[first].rank() < rank) continue;
        }
        const bool is_alike = is_copy && has_sibling_engine(slot, worker.browser);
        const std::uint64_t cost =
            placement_cost(WorkerId{i} == avoid, is_alike,
                           preference_rank(meta.preferred_browsers, worker.browser),
                           worker.session.in_flight()) |
            (worker.role == WorkerRole::standby ? standby_cost : 0);
        if (!best.is_none() && cost >= best_cost) continue;
        best = WorkerId{i};
        best_cost = cost;
    }
    return best;
}

inline bool PoolCore::has_room(const WorkerSlot& worker, const RequestMeta& meta) const noexcept {
    return worker.session.has_room(meta.bytes, config_.in_flight_limit(meta));
}

/// Even if a worker is idle.
inline bool PoolCore::has_company_to_wait_for(const RequestMeta& meta) const noexcept {
    return meta.batch != 0 && config_.batch_rule(meta.model).delay_max != Duration{};
}

/// What waits for company has changed.
inline void PoolCore::arm_batches(ModelId model) {
    if (config_.batch_rule(model).delay_max == Duration{}) return; // as most of the time
    if (batch_deadlines_.at(model.value) <= now_) return;          // finish() looks at what is due
    batch_deadlines_.set(model.value, queue_.next_ripe_at(requests_, model, now_));
}

/// \pre in no list
inline void PoolCore::dispatch(Slot slot, WorkerId id, Turn& turn) {
    send(slot, id, 0, requests_[slot].meta.rows, turn);
}

/// They are to be run as one. \pre in no list
inline void PoolCore::dispatch_batch(std::span<const Slot> batch, WorkerId id, Turn& turn) {
    std::uint32_t rows = 0;
    for (const Slot slot : batch) rows += requests_[slot].meta.rows;
    const std::uint64_t number = batch.size() > 1 ? dispatch_count_ + 1 : 0;
    for (const Slot slot : batch) send(slot, id, number, rows, turn);
}

/// `batch`: with which others, 0: alone; `rows`: of all of them.
inline void PoolCore::send(Slot slot, WorkerId id, std::uint64_t batch, std::uint32_t rows,
                           Turn& turn) {
    RequestRecord& record = requests_[slot];
    WorkerSlot& worker = workers_[id.value];
    require(worker.fsm.serves(record.meta.model), "only a ready worker is given work");
    record.state = RequestState::in_flight;
    record.worker = id;
    ++record.tries;
    bool is_beside = false;
    if (requests_.has_copies(slot)) {
        CopySet& set = requests_.set_of(slot);
        record.attempt = ++set.attempts;
        set.culprit = id;
        is_beside = set.answer_count != 0;
        for (const Slot one : requests_.copies_of(set.first))
            is_beside |= one != slot && requests_[one].state == RequestState::in_flight;
    } else {
        ++record.attempt;
    }
    ++in_flight_count_;
    stop_waiting(requests_.first_of(slot));
    worker.operations.insert_from_back(requests_, slot);
    record.dispatched_at = turn.now;
    record.dispatch_number = ++dispatch_count_;
    record.batch = batch;
    record.work = config_.work_of(record.meta, rows);
    const std::optional<Duration> expected = run_times_.expected(record.work);
    record.is_new = !expected;
    worker.session.on_sent(record.meta.bytes, expected, record.meta.deadline - turn.now, turn.now,
                           batch);
    if (record.tries > 1) {
        ++stats_.redispatched;
        say(turn, Notice{.what = Notice::What::request_redispatched,
                         .worker = id,
                         .generation = worker.fsm.generation(),
                         .request = record.meta.id});
    }
    say(turn,
        Dispatch{id, worker.fsm.generation(), record.meta.id, record.attempt, is_beside, batch});
    if (record.meta.may_hedge && record.attempt == 1 && record.set == no_slot) watch_lateness(slot);
}

/// Requests that have come back in this call go to other workers at once, if one has room.
inline void PoolCore::place_returned(Turn& turn) {
    if (returned_.empty()) return;
    std::sort(returned_.begin(), returned_.end());
    for (const auto& [rank, slot] : returned_) {
        const WorkerId worker = find_worker(requests_[slot].meta, requests_[slot].worker, slot);
        if (worker.is_none()) continue;
        leave_queue(slot);
        dispatch(slot, worker, turn);
    }
    returned_.clear();
}

/// Gives this worker what it can take.
inline void PoolCore::use_worker(WorkerId id, Turn& turn) {
    WorkerSlot& worker = workers_[id.value];
    bool has_taken = false;
    while (take_one(worker, id, turn)) has_taken = true;
    // What it took may have been too large for others and have held up what stood behind it.
    if (has_taken && queue_.size() != 0) use_all_workers(turn);
}

/// The same for all, one request at a time in turn, so that none is filled while another is idle;
/// standbys after all others.
inline void PoolCore::use_all_workers(Turn& turn) {
    const auto use = [&](bool are_standbys) {
        bool has_taken = false;
        for (std::uint32_t i = 0; i < worker_count(); ++i)
            if ((workers_[i].role == WorkerRole::standby) == are_standbys)
                has_taken |= take_one(workers_[i], WorkerId{i}, turn);
        return has_taken;
    };
    while (use(false) || use(true)) {}
}

/// \return whether anything was given to it
inline bool PoolCore::take_one(WorkerSlot& worker, WorkerId id, Turn& turn) {
    if (worker.fsm.state() != WorkerFsm::State::ready) return false;
    if (worker.lease != no_slot && serve_lease(worker, id, turn)) return true;
    if (worker.lease != no_slot) return false;
    if (worker.is_finishing()) return false;
    if (worker.reserved_for == no_slot) reserve_for_oldest(id, turn);
    if (worker.reserved_for != no_slot) {
        if (worker.session.in_flight() == 0) grant_in_time(id, turn);
        return false;
    }
    if (queue_.size() == 0 || !worker.session.has_room(0, config_.max_in_flight_per_worker))
        return false; // as most of the time
    const Slot slot = first_for(id);
    if (slot == no_slot || !has_room(worker, requests_[slot].meta)) return false;
    give(slot, id, turn);
    return true;
}

/// With those behind it that are to be run as one with it. Events may come before the wakeup that
/// is due: who waited too long is not sent any more.
/// \pre waits
inline void PoolCore::give(Slot slot, WorkerId id, Turn& turn) {
    const Slot first = requests_.first_of(slot);
    if (request_deadlines_.at(first) <= turn.now) return expire(first, turn);
    std::uint64_t bytes = requests_[slot].meta.bytes;
    queue_.collect_batch(requests_, slot, batch_, [&](Slot other) {
        bytes += requests_[other].meta.bytes;
        return workers_[id.value].session.has_space(bytes) &&
               request_deadlines_.at(other) > turn.now;
    });
    for (const Slot one : batch_) leave_queue(one);
    dispatch_batch(batch_, id, turn);
}

} // namespace everpool::core
