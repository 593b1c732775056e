// Everpool core: bodies of PoolCore that concern requests of which several workers are asked. What
// a set of copies is, and its life, stands in copy_set.hpp.
// SPDX-License-Identifier: BSL-1.0
//
// When the votes are counted. As soon as nothing is under way any more and more than half of the
// wanted answers are there; a copy that only waits for a worker (one that is being restarted, say)
// does not hold up the others. If they are late the stragglers are not waited for either, and at
// the deadline nobody is. An answer counts as decided if more than half of the workers that were to
// be asked agree on it, not of those that have answered: who does not answer may be the one that is
// right. What is undecided waits for the copies that are left, and is counted again.
#pragma once

#include "everpool/core/pool_core.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <utility>

namespace everpool::core {

// --- begin ---------------------------------------------------------------------------------------

/// Not now, perhaps, and not by itself: who has been given up may be replaced by a rival yet. The
/// rival is not counted twice.
inline bool PoolCore::may_ever_take(WorkerId id, ModelId model) const noexcept {
    const WorkerRole role = workers_[id.value].role;
    if (role != WorkerRole::active && role != WorkerRole::standby) return false;
    return may_become_able(workers_[id.value], model) ||
           std::ranges::any_of(workers_, [&](const WorkerSlot& worker) {
               return worker.rival_of == id && may_become_able(worker, model);
           });
}

/// As many as asked for, and not more than there are workers that may ever serve it.
inline std::uint8_t PoolCore::copies_for(const RequestMeta& meta) const noexcept {
    if (meta.copies <= 1 || !meta.idempotent || meta.lease.value != 0) return 1;
    std::uint32_t workers = 0;
    for (std::uint32_t i = 0; i < worker_count(); ++i)
        workers += may_ever_take(WorkerId{i}, meta.model) ? 1 : 0;
    return static_cast<std::uint8_t>(
        std::clamp(workers, 1U, std::min<std::uint32_t>(meta.copies, copies_max)));
}

inline void PoolCore::submit_copies(Slot first, Turn& turn) {
    const std::uint8_t wanted = requests_[first].meta.copies;
    for (std::uint32_t i = 1; i < wanted; ++i) (void)requests_.add_copy(first);
    request_deadlines_.grow(requests_.slot_count());
    late_deadlines_.grow(requests_.slot_count());
    requests_.set_of(first).wanted = wanted;
    for (const Slot slot : requests_.copies_of(first)) {
        const WorkerId worker = find_worker(requests_[slot].meta, WorkerId::none(), slot);
        if (worker.is_none()) await_worker(slot);
        else dispatch(slot, worker, turn);
    }
}

// --- one of them ends ----------------------------------------------------------------------------

/// It was answered, or lost with its worker. `outcome`: what the caller would be told of it.
/// \pre in no list; the request is not over
inline void PoolCore::on_copy_ended(Slot slot, Errc code, Errc outcome, bool was_sent, Turn& turn) {
    const Slot first = requests_.first_of(slot);
    CopySet& set = requests_.set_of(slot);
    const RequestRecord& record = requests_[slot];
    touch(first);
    if (code == Errc::ok) {
        set.add({record.attempt, record.worker, workers_[record.worker.value].fsm.generation()});
        return requests_.release(slot);
    }
    set.code = outcome;
    set.culprit = record.worker;
    // Where one answer is enough, another copy that is under way is as good as a repetition.
    const bool is_needed =
        set.is_vote() || std::ranges::none_of(requests_.copies_of(first), [&](Slot one) {
            return one != slot && (requests_[one].state == RequestState::in_flight ||
                                   requests_[one].state == RequestState::waiting);
        });
    if (is_needed && may_retry(record, code, was_sent, turn.now)) take_back(slot);
    else requests_.release(slot);
}

inline void PoolCore::on_copies_deadline(Slot first, Turn& turn) {
    CopySet& set = requests_.set_of(first);
    const bool has_quorum = set.is_vote() && set.answer_count >= set.majority();
    if (!has_quorum || (set.answer_count == set.counted && !set.is_counting))
        return conclude_copies(first, has_quorum ? Errc::answers_disagree : Errc::deadline_exceeded,
                               0, requests_[first].worker, turn);
    for (const Slot slot : requests_.copies_of(first)) {
        if (requests_[slot].state != RequestState::waiting) continue;
        leave_queue(slot);
        requests_.release(slot);
    }
    set.is_late = set.is_last_count = true;
    request_deadlines_.clear(first);
    late_deadlines_.clear(first);
    if (!set.is_counting) count_votes(first, turn);
}

/// It can never be placed: as if it had not been asked for, when the others have been counted.
/// \pre in no list
inline void PoolCore::drop_copy(Slot slot, Errc code) {
    CopySet& set = requests_.set_of(slot);
    set.code = code;
    if (set.wanted > 1) --set.wanted;
    touch(set.first);
    requests_.release(slot);
}

/// Copies for which no worker is left that has not another one.
inline void PoolCore::flush_barred() {
    for (Slot first = 0; first < requests_.slot_count(); ++first) {
        if (requests_[first].state == RequestState::free || !requests_.has_copies(first) ||
            requests_.first_of(first) != first || requests_.set_of(first).is_over)
            continue;
        const ModelId model = requests_[first].meta.model;
        std::size_t free_workers = 0;
        for (std::uint32_t i = 0; i < worker_count(); ++i)
            if (may_ever_take(WorkerId{i}, model) && !requests_.is_barred(first, WorkerId{i}))
                ++free_workers;
        for (const Slot slot : requests_.copies_of(first)) {
            if (requests_[slot].state != RequestState::waiting) continue;
            if (free_workers != 0) {
                --free_workers;
                continue;
            }
            leave_queue(slot);
            drop_copy(slot, Errc::no_worker_available);
        }
    }
}

// --- what becomes of the request -----------------------------------------------------------------

/// At the end of a call, when what came back has been placed again.
inline void PoolCore::judge_touched(Turn& turn) {
    while (!touched_.empty()) {
        const Slot first = requests_.find(touched_.back());
        touched_.pop_back();
        if (first != no_slot && requests_.has_copies(first)) judge(first, turn);
    }
    use_all_workers(turn); // copies that have left the queue may have held up others
}

inline void PoolCore::judge(Slot first, Turn& turn) {
    CopySet& set = requests_.set_of(first);
    if (set.is_over || set.is_counting) return;
    std::uint32_t in_flight = 0, waiting = 0;
    for (const Slot slot : requests_.copies_of(first)) {
        in_flight += requests_[slot].state == RequestState::in_flight ? 1 : 0;
        waiting += requests_[slot].state == RequestState::waiting ? 1 : 0;
    }
    const auto fail = [&](Errc code) {
        const bool is_late =
            code == Errc::worker_lost && requests_[first].meta.deadline <= turn.now;
        conclude_copies(first, is_late ? Errc::deadline_exceeded : code, 0, set.culprit, turn);
    };
    if (!set.is_vote()) {
        if (set.answer_count != 0)
            return conclude_copies(first, Errc::ok, set.answers[0].attempt, set.answers[0].worker,
                                   turn);
        return in_flight + waiting == 0 ? fail(set.code) : void();
    }
    if (set.answer_count + in_flight + waiting < set.majority()) return fail(set.code);
    if (set.answer_count < set.majority()) return;
    if (in_flight != 0 && !set.is_late) {
        const RequestMeta& meta = requests_[first].meta;
        const RunTimes::Usual& usual = run_times_.usual(config_.work_of(meta, meta.rows));
        if (usual.count >= config_.hedge.sample_count_min && late_deadlines_.at(first) == never)
            late_deadlines_.set(first,
                                later(turn.now, std::max(usual.late, config_.hedge.delay_min)));
        return;
    }
    if (set.answer_count > set.counted) return count_votes(first, turn);
    if (in_flight + waiting == 0) fail(Errc::answers_disagree);
}

inline void PoolCore::count_votes(Slot first, Turn& turn) {
    CopySet& set = requests_.set_of(first);
    set.is_counting = true;
    set.counted = set.answer_count;
    ++counting_count_;
    CountVotes action{.request = requests_[first].meta.id, .count = set.counted};
    for (std::size_t i = 0; i < set.counted; ++i) action.attempts[i] = set.answers[i].attempt;
    say(turn, action);
}

inline bool PoolCore::handle(const VotesCounted& event, Turn& turn) {
    const Slot first = requests_.find(event.request);
    if (first == no_slot || !requests_.has_copies(first)) return false;
    CopySet& set = requests_.set_of(first);
    if (!set.is_counting) return false;
    set.is_counting = false;
    --counting_count_;
    const std::uint32_t agreeing = event.agreeing & ((1U << set.counted) - 1U);
    const CopyAnswer* const begin = set.answers.data();
    const CopyAnswer* const end = begin + set.counted;
    const CopyAnswer* const chosen =
        std::find_if(begin, end, [&](const auto& one) { return one.attempt == event.chosen; });
    const bool is_decided =
        (event.verdict == VoteVerdict::agreed || event.verdict == VoteVerdict::majority) &&
        static_cast<std::uint32_t>(std::popcount(agreeing)) >= set.majority() && chosen != end;
    if (is_decided) {
        ++stats_.votes;
        stats_.dissents += set.counted - static_cast<std::uint32_t>(std::popcount(agreeing));
        believe(set, event, turn.now);
        conclude_copies(first, Errc::ok, chosen->attempt, chosen->worker, turn);
        use_all_workers(turn);
        return true;
    }
    const bool may_more_come =
        !set.is_last_count && std::ranges::any_of(requests_.copies_of(first), [&](Slot slot) {
            return requests_[slot].state == RequestState::in_flight ||
                   requests_[slot].state == RequestState::waiting;
        });
    if (set.answer_count > set.counted || may_more_come) {
        if (set.is_last_count) count_votes(first, turn);
        else touch(first);
        return true;
    }
    believe(set, event, turn.now);
    conclude_copies(first, Errc::answers_disagree, 0, set.answers[0].worker, turn);
    use_all_workers(turn);
    return true;
}

/// What a vote says of those who took part, in the lives in which they did.
inline void PoolCore::believe(const CopySet& set, const VotesCounted& event, TimePoint now) {
    const bool is_undecided = event.chosen == 0;
    for (std::size_t i = 0; i < set.counted; ++i) {
        const CopyAnswer& answer = set.answers[i];
        WorkerSlot& worker = workers_[answer.worker.value];
        if (worker.fsm.state() != WorkerFsm::State::ready ||
            worker.fsm.generation() != answer.generation)
            continue;
        Trust& trust = trusts_[answer.worker.value];
        const bool agrees = (event.agreeing >> i & 1U) != 0;
        if (!agrees && is_undecided) trust.on_doubt(now);
        else if (!agrees) trust.on_dissent(now);
        else if (!is_undecided) trust.on_agreement(now);
        if (trust.is_trusted() || std::exchange(worker.is_quarantined, true)) continue;
        ++quarantined_count_;
    }
}

/// The end of a request that somebody waits for. Copies under way are cancelled; their places stay
/// taken until they are answered or lost.
inline void PoolCore::conclude_copies(Slot first, Errc code, std::uint32_t attempt, WorkerId who,
                                      Turn& turn) {
    CopySet& set = requests_.set_of(first);
    const RequestMeta meta = requests_[first].meta;
    for (const Slot slot : requests_.copies_of(first)) {
        RequestRecord& record = requests_[slot];
        if (record.state == RequestState::waiting) leave_queue(slot);
        if (record.state != RequestState::in_flight) {
            requests_.release(slot);
            continue;
        }
        WorkerSlot& worker = workers_[record.worker.value];
        say(turn, SendCancel{record.worker, worker.fsm.generation(), meta.id, record.attempt});
        record.state = RequestState::abandoned;
        --in_flight_count_;
        // The loser counts with what it had taken by now; see hedge_delay.hpp.
        if (meta.copies == 1 && code == Errc::ok)
            run_times_.record(record.work,
                              turn.now - std::max(record.dispatched_at, worker.answered_at));
        worker.session.on_abandoned(turn.now);
        arm(record.worker);
    }
    ++(code == Errc::ok ? stats_.succeeded : stats_.failed);
    if (code == Errc::answers_disagree) ++stats_.undecided;
    if (code == Errc::ok && meta.may_hedge) hedge_budget_->on_success(turn.now);
    if (code == Errc::ok && meta.copies == 1 && attempt != requests_[first].attempt)
        ++stats_.hedges_won;
    if (std::exchange(set.is_counting, false)) --counting_count_;
    set.is_over = true;
    request_deadlines_.clear(first);
    late_deadlines_.clear(first);
    say(turn, Complete{meta.id, code, set.attempts, who.is_none() ? set.culprit : who, attempt});
    if (requests_[first].state == RequestState::ended) requests_.release(first);
}

/// Out of its list, at the end of the pool.
inline void PoolCore::detach(Slot slot) {
    const RequestState state = requests_[slot].state;
    if (state == RequestState::waiting) leave_queue(slot);
    else if (state != RequestState::ended) leave_worker(slot);
    if (requests_.has_copies(slot)) requests_[slot].state = RequestState::ended;
}

// --- hedges --------------------------------------------------------------------------------------

/// How long such an operation takes at its worker, what stands before it included; empty if another
/// one would not help, or nothing is known.
inline std::optional<Duration> PoolCore::lateness(const RequestRecord& record) const noexcept {
    const RunTimes::Usual& usual = run_times_.usual(record.work);
    const auto turns = static_cast<Duration::rep>(workers_[record.worker.value].session.batches());
    return hedge_delay(config_.hedge, {.sample_count = usual.count,
                                       .median = usual.median * turns,
                                       .quantile = usual.late * turns,
                                       .time_left = record.meta.deadline - now_});
}

inline void PoolCore::watch_lateness(Slot slot) {
    if (worker_count() < 2) return;
    if (const auto delay = lateness(requests_[slot]))
        late_deadlines_.set(slot, later(now_, *delay));
}

/// Is there somebody idle who could do it? What waits in another queue comes too late.
inline WorkerId PoolCore::find_idle_worker(Slot slot) const noexcept {
    const RequestMeta& meta = requests_[slot].meta;
    WorkerId best = WorkerId::none();
    std::uint32_t best_rank = 0;
    for (std::uint32_t i = 0; i < worker_count(); ++i) {
        const WorkerSlot& worker = workers_[i];
        if (WorkerId{i} == requests_[slot].worker || !may_take(worker, meta.model) ||
            worker.lease != no_slot || worker.reserved_for != no_slot ||
            worker.session.in_flight() != 0)
            continue;
        const std::uint32_t rank = preference_rank(meta.preferred_browsers, worker.browser);
        if (!best.is_none() && rank >= best_rank) continue;
        best = WorkerId{i};
        best_rank = rank;
    }
    return best;
}

inline void PoolCore::on_late(Slot first, Turn& turn) {
    late_deadlines_.clear(first);
    if (requests_.has_copies(first)) {
        requests_.set_of(first).is_late = true;
        return touch(first);
    }
    if (requests_[first].state != RequestState::in_flight) return;
    const WorkerId worker = find_idle_worker(first);
    if (worker.is_none()) return watch_lateness(first); // perhaps somebody is then
    if (!hedge_budget_->try_spend(turn.now)) return;
    const Slot copy = requests_.add_copy(first);
    request_deadlines_.grow(requests_.slot_count());
    late_deadlines_.grow(requests_.slot_count());
    ++stats_.hedged;
    dispatch(copy, worker, turn);
}

// --- whose answers are not believed --------------------------------------------------------------

inline bool PoolCore::has_sibling_engine(Slot slot, BrowserType type) const noexcept {
    const CopySet& set = requests_.set_of(slot);
    const auto is_alike = [&](WorkerId worker) {
        return engine_of(workers_[worker.value].browser) == engine_of(type);
    };
    for (std::size_t i = 0; i < set.answer_count; ++i)
        if (is_alike(set.answers[i].worker)) return true;
    return std::ranges::any_of(requests_.copies_of(set.first), [&](Slot one) {
        return requests_[one].state == RequestState::in_flight && is_alike(requests_[one].worker);
    });
}

/// It is started anew, by the rung that the strategy has for wrong answers, and is tried by the
/// models' warm-ups then, as far as their answers are known. Not under what it has in flight: that
/// may be something that must not be repeated, or the work of a lease.
inline void PoolCore::restart_quarantined(Turn& turn) {
    for (std::uint32_t i = 0; i < worker_count(); ++i) {
        const WorkerSlot& worker = workers_[i];
        if (!worker.is_quarantined || worker.session.in_flight() != 0 || worker.lease != no_slot)
            continue;
        ++stats_.quarantines;
        lose(WorkerId{i}, LossCause::wrong_answer, turn, WrongAnswerFinder::vote);
    }
}

} // namespace everpool::core
