// Everpool core: bodies of PoolCore that concern requests.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/pool_core.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

namespace everpool::core {

namespace detail {
/// What the caller is told of an answer. A worker that says of itself that it is gone may have
/// executed the request all the same; worker_lost would promise that it has not.
constexpr Errc outcome_of(const Replied& reply, bool is_idempotent) noexcept {
    const bool is_gone = reply.code == Errc::worker_lost || reply.code == Errc::worker_unresponsive;
    return is_gone && reply.was_sent && !is_idempotent ? Errc::outcome_unknown : reply.code;
}

/// A worker that answers like this says of itself that it is dying. What else it was given would
/// only use up attempts, so it is restarted without waiting for the sign that is to follow.
constexpr std::optional<LossCause> loss_told_by(Errc code) noexcept {
    switch (code) {
    case Errc::device_lost: return LossCause::device_lost;
    case Errc::worker_lost: return LossCause::connection_closed;
    case Errc::worker_unresponsive: return LossCause::unresponsive;
    default: return std::nullopt;
    }
}
} // namespace detail

// --- events --------------------------------------------------------------------------------------

inline bool PoolCore::handle(const Submit& event, Turn& turn) {
    RequestMeta meta = event.meta;
    if (meta.max_attempts == 0) meta.max_attempts = config_.max_attempts;
    if (meta.work >= config_.work_count) meta.work = 0;
    if (meta.priority > Priority::low) meta.priority = Priority::normal;
    if (meta.lease.value != 0) meta.queue_deadline = never;
    meta.waits_since = rank_time(meta, turn.now);
    // Answering a second Submit would be a second answer to the first.
    if (requests_.find(meta.id) != no_slot) return false;
    ++stats_.submitted;
    if (const Errc code = refusal_of(meta, turn.now); code != Errc::ok) {
        refuse(meta.id, code, turn);
        return true;
    }
    meta.copies = meta.copies > 1 ? copies_for(meta) : std::uint8_t{1};
    const bool is_free = meta.idempotent && meta.lease.value == 0;
    meta.may_hedge = meta.may_hedge && is_free;
    if (!is_free || event.meta.copies > 1 || !may_join(meta, turn.now)) meta.batch = 0;
    bool waits = has_company_to_wait_for(meta);
    WorkerId worker = waits ? WorkerId::none() : find_worker(meta, WorkerId::none());
    if (worker.is_none()) {
        Errc code = refusal_of_waiting(meta);
        if (waits && code == Errc::queue_full) { // but somebody may be idle
            waits = false;
            worker = find_worker(meta, WorkerId::none());
            if (!worker.is_none()) code = Errc::ok;
        }
        if (code != Errc::ok) {
            refuse(meta.id, code, turn);
            return true;
        }
    }
    const Slot slot = requests_.insert(meta, turn.now);
    request_deadlines_.grow(requests_.slot_count());
    late_deadlines_.grow(requests_.slot_count());
    request_deadlines_.set(slot, std::min(meta.deadline, meta.queue_deadline));
    if (meta.copies > 1) submit_copies(slot, turn);
    else if (worker.is_none()) await_worker(slot);
    else dispatch(slot, worker, turn);
    if (waits) use_all_workers(turn); // it may have been the last that a batch has waited for
    return true;
}

/// Not who has less patience than it may take until others have come.
inline bool PoolCore::may_join(const RequestMeta& meta, TimePoint now) const noexcept {
    const BatchRule& rule = config_.batch_rule(meta.model);
    return rule.joins() &&
           std::min(meta.deadline, meta.queue_deadline) > later(now, rule.delay_max);
}

/// A point in time that says which of two requests comes first; see RunQueue.
inline TimePoint PoolCore::rank_time(const RequestMeta& meta, TimePoint now) const noexcept {
    const auto steps = static_cast<Duration::rep>(meta.priority);
    return later(std::min(meta.waits_since, now), config_.priority_aging * steps);
}

inline TimePoint PoolCore::waiting_since(Priority priority) const noexcept {
    const std::size_t level = index_of(priority);
    TimePoint first = never;
    for (std::uint32_t i = 0; i <= config_.model_count; ++i) {
        const ModelId model = i == config_.model_count ? ModelId::none() : ModelId{i};
        const RequestList& list = queue_.lists_of(model)[level];
        if (!list.is_empty()) first = std::min(first, requests_[list.front()].submitted_at);
    }
    return first;
}

inline std::uint32_t& PoolCore::waiting_count_of(Slot slot) noexcept {
    return waiting_counts_[index_of(requests_[slot].meta.priority)];
}

/// A new request: behind those that wait.
inline void PoolCore::await_worker(Slot slot) {
    const LeaseId lease = requests_[slot].meta.lease;
    ++waiting_count_of(slot);
    if (lease.value == 0) {
        queue_.push_back(requests_, slot);
        arm_batches(requests_[slot].meta.model);
    } else {
        workers_[leases_[leases_.find(lease)].worker.value].lease_queue.insert_from_back(requests_,
                                                                                         slot);
    }
}

inline bool PoolCore::handle(const Cancel& event, Turn& turn) {
    const Slot slot = requests_.find(event.id);
    if (slot == no_slot) return false;
    if (requests_.has_copies(slot)) {
        if (requests_.set_of(slot).is_over) return false;
        conclude_copies(slot, Errc::cancelled, 0, requests_[slot].worker, turn);
        use_all_workers(turn);
        return true;
    }
    if (requests_[slot].state == RequestState::abandoned) return false;
    if (requests_[slot].state == RequestState::in_flight) {
        abandon(slot, Errc::cancelled, turn);
        return true;
    }
    leave_queue(slot);
    conclude(slot, Errc::cancelled, turn);
    use_all_workers(turn);
    return true;
}

inline bool PoolCore::handle(const Replied& event, Turn& turn) {
    Slot slot = requests_.find(event.request);
    if (slot == no_slot || !is_current(event)) return false;
    if (slot = requests_.find_attempt(slot, event.attempt); slot == no_slot) return false;
    RequestRecord& record = requests_[slot];
    if (record.state != RequestState::in_flight && record.state != RequestState::abandoned)
        return false;
    if (record.worker != event.worker) return false;

    const bool was_abandoned = record.state == RequestState::abandoned;
    const bool is_timed = event.was_sent && event.code == Errc::ok &&
                          workers_[event.worker.value].session.is_first_answer(record.batch);
    leave_worker(slot);
    if (event.was_sent) note_answer(event, record, is_timed, turn);
    arm(event.worker);
    if (was_abandoned) {
        ++stats_.late_answers;
        requests_.release(slot);
    } else if (requests_.has_copies(slot)) {
        on_copy_ended(slot, event.code, detail::outcome_of(event, record.meta.idempotent),
                      event.was_sent, turn);
    } else if (may_retry(record, event.code, event.was_sent, turn.now)) {
        take_back(slot);
    } else {
        conclude(slot, detail::outcome_of(event, record.meta.idempotent), turn);
    }
    if (const auto cause = detail::loss_told_by(event.code)) {
        lose(event.worker, *cause, turn);
    } else if (!retire_if_idle(event.worker, turn)) {
        place_returned(turn); // first, so that another worker is preferred
        const bool is_another_wanted =
            config_.standby_count != 0 && workers_[event.worker.value].is_retiring;
        if (is_another_wanted) use_all_workers(turn);
        else use_worker(event.worker, turn);
    }
    return true;
}

inline void PoolCore::on_request_deadline(Slot slot, Turn& turn) {
    if (!requests_.has_copies(slot)) {
        if (requests_[slot].state == RequestState::in_flight) {
            abandon(slot, Errc::deadline_exceeded, turn);
            return;
        }
        require(requests_[slot].state == RequestState::waiting,
                "a deadline belongs to a live request");
        if (is_broken()) return request_deadlines_.clear(slot);
    }
    expire(slot, turn);
    use_all_workers(turn);
}

/// Its time is over, or that for which it was to wait: it completes, or goes behind all others.
/// \pre it waits, or has copies
inline void PoolCore::expire(Slot first, Turn& turn) {
    const RequestMeta& meta = requests_[first].meta;
    const bool is_over = meta.deadline <= turn.now;
    if (!is_over && meta.timeout_action == TimeoutAction::delay) return delay(first);
    if (requests_.has_copies(first)) {
        if (is_over) return on_copies_deadline(first, turn);
        return conclude_copies(first, Errc::queue_timeout, 0, WorkerId::none(), turn);
    }
    leave_queue(first);
    conclude(first, is_over ? Errc::deadline_exceeded : Errc::queue_timeout, turn);
}

/// It has waited for its first worker for too long, and is to be served when nobody else waits.
/// \pre none of it was ever at a worker
inline void PoolCore::delay(Slot first) {
    ++stats_.delayed;
    stop_waiting(first);
    for (const Slot slot : requests_.copies_of(first)) {
        if (requests_[slot].state != RequestState::waiting) continue; // there is no worker for it
        queue_.erase(requests_, slot);
        requests_[slot].meta.waits_since = never;
        queue_.push_back(requests_, slot);
    }
    arm_batches(requests_[first].meta.model);
}

/// How long it waits for its first worker is of no interest any more.
inline void PoolCore::stop_waiting(Slot first) {
    RequestMeta& meta = requests_[first].meta;
    if (meta.queue_deadline == never) return; // as most of the time
    meta.queue_deadline = never;
    request_deadlines_.set(first, meta.deadline);
}

// --- admission -----------------------------------------------------------------------------------

/// Why this request cannot be taken at all; ok if it can.
inline Errc PoolCore::refusal_of(const RequestMeta& meta, TimePoint now) const noexcept {
    if (const Errc code = refusal(); code != Errc::ok) return code;
    if (meta.id.value == 0) return Errc::invalid_request;
    if (!meta.model.is_none() && meta.model.value >= config_.model_count)
        return Errc::unknown_model;
    if (meta.lease.value != 0) {
        const Slot lease = leases_.find(meta.lease);
        // It was lost with its worker (or given back, which its holder knows).
        if (lease == no_slot) return Errc::worker_lost;
        const LeaseRecord& record = leases_[lease];
        if (record.state != LeaseState::held) return Errc::invalid_request;
        if (!workers_[record.worker.value].fsm.serves(meta.model)) return Errc::model_rejected;
    }
    if (meta.deadline <= now) return Errc::deadline_exceeded;
    return requests_.is_full() ? Errc::queue_full : Errc::ok;
}

/// Why this request cannot wait, now that no worker can take it at once; ok if it can.
inline Errc PoolCore::refusal_of_waiting(const RequestMeta& meta) const noexcept {
    if (meta.lease.value == 0 && !is_servable(meta.model)) return unservable_code();
    return queued(meta.priority) >= config_.queue_limit(meta.priority) ? Errc::queue_full
                                                                       : Errc::ok;
}

inline void PoolCore::refuse(RequestId id, Errc code, Turn& turn) {
    ++stats_.failed;
    say(turn, Complete{id, code, 0, WorkerId::none()});
}

/// It is not given up, and has not rejected the model.
inline bool PoolCore::may_become_able(const WorkerSlot& worker, ModelId model) noexcept {
    return worker.fsm.is_hopeful() && (model.is_none() || !worker.fsm.has_rejected(model));
}

/// May some worker serve it, now or later?
inline bool PoolCore::is_servable(ModelId model) const noexcept {
    return std::any_of(workers_.begin(), workers_.end(), [&](const WorkerSlot& worker) {
        return worker.role != WorkerRole::dormant && may_become_able(worker, model);
    });
}

inline Errc PoolCore::unservable_code() const noexcept {
    return is_servable(ModelId::none()) ? Errc::model_rejected : Errc::no_worker_available;
}

/// A worker has failed for good or rejected a model: what waits in vain completes.
inline void PoolCore::flush_unservable(Turn& turn) {
    const auto flush = [&](ModelId model) {
        if (queue_.any_of(model) == no_slot || is_servable(model)) return;
        while (queue_.any_of(model) != no_slot) {
            const Slot slot = queue_.any_of(model);
            leave_queue(slot);
            if (requests_.has_copies(slot)) {
                drop_copy(slot, unservable_code()); // others of them may have been answered
                continue;
            }
            conclude(slot, unservable_code(), turn);
        }
    };
    for (std::uint32_t i = 0; i < config_.model_count; ++i) flush(ModelId{i});
    flush(ModelId::none());
    flush_barred();
    for (auto next = leases_.waiting().begin(); next != leases_.waiting().end();) {
        const Slot slot = (next++)->second; // before the lease leaves the line
        if (!is_servable(leases_[slot].model)) end_lease(slot, unservable_code(), turn);
    }
    use_all_workers(turn);
}

// --- from one state to the next ------------------------------------------------------------------

/// After an answer or a loss: may it be executed once more?
inline bool PoolCore::may_retry(const RequestRecord& record, Errc code, bool was_sent,
                                TimePoint now) const noexcept {
    return is_retryable(code) && record.tries < record.meta.max_attempts &&
           record.meta.deadline > now && record.meta.lease.value == 0 &&
           (record.meta.idempotent || !was_sent);
}

/// Back into the queue, in front. \pre in no list
inline void PoolCore::take_back(Slot slot) {
    requests_[slot].state = RequestState::waiting;
    ++waiting_count_of(slot);
    queue_.push_front(requests_, slot);
    arm_batches(requests_[slot].meta.model);
    late_deadlines_.clear(requests_.first_of(slot));
    returned_.push_back({requests_[slot].rank(), slot});
}

/// Is something at its worker that was sent there before it? \pre it has left the worker
inline bool PoolCore::is_behind_another(const RequestRecord& record) const noexcept {
    const RequestList& operations = workers_[record.worker.value].operations;
    for (Slot slot = operations.front(); slot != no_slot; slot = requests_[slot].next)
        if (requests_[slot].dispatch_number < record.dispatch_number) return true;
    return false;
}

/// The worker moves on. How long did this take it, what it had before aside? A batch takes as long
/// as its first answer.
inline void PoolCore::note_answer(const Replied& event, const RequestRecord& record, bool is_timed,
                                  Turn& turn) {
    WorkerSlot& worker = workers_[event.worker.value];
    if (event.code == Errc::cancelled && is_behind_another(record)) {
        return worker.session.on_taken_back(turn.now); // what is in front goes on as before
    }
    worker.session.on_sign_of_life(turn.now);
    worker.canary.on_progress(turn.now);
    const Duration took = turn.now - std::max(record.dispatched_at, worker.answered_at);
    worker.answered_at = turn.now;
    if (!is_timed) return;
    run_times_.record(record.work, took);
    if (!record.meta.model.is_none()) work_of_model_[record.meta.model.value] = record.work;
    note_speed(event.worker, record.work, took, turn);
}

/// The end of a request that somebody waits for. \pre in no list, no copies
inline void PoolCore::conclude(Slot slot, Errc code, Turn& turn) {
    const RequestRecord& record = requests_[slot];
    ++(code == Errc::ok ? stats_.succeeded : stats_.failed);
    if (record.meta.may_hedge && code == Errc::ok) hedge_budget_->on_success(turn.now);
    say(turn, Complete{record.meta.id, code, record.attempt, record.worker});
    request_deadlines_.clear(slot);
    if (record.meta.may_hedge) late_deadlines_.clear(slot);
    requests_.erase(slot);
}

inline std::uint32_t PoolCore::attempts_of(Slot slot) const noexcept {
    return requests_.has_copies(slot) ? requests_.set_of(slot).attempts : requests_[slot].attempt;
}

/// The caller is answered, the worker told; its place stays taken until it answers or is lost.
inline void PoolCore::abandon(Slot slot, Errc code, Turn& turn) {
    RequestRecord& record = requests_[slot];
    WorkerSlot& worker = workers_[record.worker.value];
    say(turn, SendCancel{record.worker, worker.fsm.generation(), record.meta.id, record.attempt});
    say(turn, Complete{record.meta.id, code, record.attempt, record.worker});
    ++stats_.failed;
    --in_flight_count_;
    record.state = RequestState::abandoned;
    request_deadlines_.clear(slot);
    if (record.meta.may_hedge) late_deadlines_.clear(slot);
    worker.session.on_abandoned(turn.now);
    arm(record.worker);
}

inline void PoolCore::leave_queue(Slot slot) {
    const RequestMeta& meta = requests_[slot].meta;
    --waiting_count_of(slot);
    if (meta.lease.value == 0) {
        queue_.erase(requests_, slot);
        arm_batches(meta.model);
    } else {
        workers_[leases_[leases_.find(meta.lease)].worker.value].lease_queue.erase(requests_, slot);
    }
}

inline void PoolCore::leave_worker(Slot slot) {
    const RequestRecord& record = requests_[slot];
    const bool was_abandoned = record.state == RequestState::abandoned;
    WorkerSlot& worker = workers_[record.worker.value];
    worker.operations.erase(requests_, slot);
    worker.session.on_answered(record.meta.bytes, record.is_new, was_abandoned, record.batch);
    if (!was_abandoned) --in_flight_count_;
}

} // namespace everpool::core
