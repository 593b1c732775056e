// What Ledger judges of actions that concern requests.
// SPDX-License-Identifier: BSL-1.0
#include "ledger.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <variant>

namespace everpool::simulation {

using namespace core;

void Ledger::on(const Dispatch& action, TimePoint now) {
    if (!is_in_force(action.worker, action.generation, "Dispatch")) return;
    if (action.request.value == 0 || action.request.value >= requests_.size())
        return object("Dispatch of a request that was never submitted");
    WorkerFact& worker = workers_[action.worker.value];
    RequestFact& fact = requests_[action.request.value];
    if (fact.is_completed) object("a request is dispatched after it was completed");
    if (!worker.is_usable()) object("work is given to a worker that is not connected");
    if (!fact.meta.model.is_none() && worker.models.count(fact.meta.model.value) == 0)
        object("work is given to a worker that has not warmed up its model");
    if (action.attempt != fact.dispatches + 1) object("attempts are not counted one by one");
    if (action.attempt > fact.meta.max_attempts * fact.wanted + (fact.meta.may_hedge ? 1U : 0U))
        object("more attempts than the request allows");
    judge_copies(action, fact);
    if (now > fact.meta.deadline) object("a request is dispatched after its deadline");
    if (worker.lent_to.value != 0 && fact.meta.lease != worker.lent_to)
        object("a lent worker is given somebody else's work");
    if (fact.dispatches != 0 && !has_copies(fact))
        workers_[fact.last.worker.value].requests.erase(action.request.value);
    judge_standby(action, fact);
    judge_batch(action, fact);
    if (!action.is_beside && (action.batch == 0 || batch_.count == 1)) judge_order(fact, now);
    ++fact.dispatches;
    fact.last = action;
    fact.attempts.push_back({.sent = action});
    fact.was_sent = true;
    worker.requests.insert(action.request.value);
}

void Ledger::on(const SendCancel& action, TimePoint) {
    if (!is_in_force(action.worker, action.generation, "SendCancel")) return;
    const RequestFact& fact = requests_[action.request.value];
    if (action.attempt == 0 || action.attempt > fact.attempts.size() ||
        fact.attempts[action.attempt - 1].sent.worker != action.worker)
        object("SendCancel of something that was not sent");
}

void Ledger::on(const CountVotes& action, TimePoint) {
    if (action.request.value == 0 || action.request.value >= requests_.size())
        return object("CountVotes of a request that was never submitted");
    RequestFact& fact = requests_[action.request.value];
    if (fact.is_completed || fact.is_counting || fact.wanted < 2)
        object("CountVotes of what is not to be counted");
    fact.is_counting = true;
    fact.counted.assign(action.attempts.begin(), action.attempts.begin() + action.count);
    if (fact.counted.size() < least_wanted(fact) / 2 + 1)
        object("a vote is counted without a quorum");
    for (const std::uint32_t attempt : fact.counted)
        if (attempt == 0 || attempt > fact.attempts.size() ||
            !fact.attempts[attempt - 1].is_answered || fact.attempts[attempt - 1].code != Errc::ok)
            object("an answer is counted that was not given");
}

void Ledger::on(const Complete& action, TimePoint now) {
    if (action.request.value == 0 || action.request.value >= requests_.size())
        return object("Complete of a request that was never submitted");
    RequestFact& fact = requests_[action.request.value];
    if (fact.is_completed)
        return object("a request is completed twice: " + std::to_string(action.request.value));
    fact.is_completed = true;
    open_requests_.erase(action.request.value);
    ++outcomes_[action.code];
    for (const AttemptFact& attempt : fact.attempts)
        workers_[attempt.sent.worker.value].requests.erase(action.request.value);
    if (action.attempts != fact.dispatches) object("Complete tells a wrong number of attempts");
    const bool is_right_worker =
        fact.dispatches == 0 ? action.worker.is_none()
        : has_copies(fact)
            ? std::ranges::any_of(fact.attempts,
                                  [&](const auto& one) { return one.sent.worker == action.worker; })
            : action.worker == fact.last.worker;
    if (!is_right_worker) object("Complete tells a wrong worker");
    if (is_overdue(fact.meta.deadline, now))
        object("a request is completed long after its deadline");
    judge_outcome(action, fact, now);
}

/// A borrower's own work, and that of leases, aside.
void Ledger::judge_standby(const Dispatch& action, const RequestFact& fact) {
    if (workers_[action.worker.value].role != WorkerRole::standby) return;
    if (fact.meta.lease.value != 0 || fact.meta.copies > 1) return;
    bool is_any_missing = false, is_any_serving = false;
    for (const WorkerFact& worker : workers_) {
        if (worker.role != WorkerRole::active) continue;
        const bool takes_any = worker.is_ready && !worker.is_finishing;
        is_any_missing |= !takes_any;
        is_any_serving |= takes_any && (fact.meta.model.is_none() ||
                                        worker.models.count(fact.meta.model.value) != 0);
    }
    if (!is_any_missing && is_any_serving)
        object("a standby is given work while no active worker is missing");
}

/// They come one after the other, and are such that one inference answers all of them.
void Ledger::judge_batch(const Dispatch& action, const RequestFact& fact) {
    if (action.batch == 0) return;
    if (action.batch < batch_.number) object("a batch is sent piece by piece");
    if (action.batch != batch_.number) batch_ = {.number = action.batch, .first = action};
    if (++batch_.count == 2) ++batch_count_;
    batch_.rows += fact.meta.rows;
    const RequestFact& first = requests_[batch_.first.request.value];
    if (action.worker != batch_.first.worker || action.generation != batch_.first.generation)
        object("a batch is sent to two workers");
    if (fact.meta.model != first.meta.model || fact.meta.batch != first.meta.batch ||
        fact.meta.batch == 0)
        object("requests go together that must not");
    if (!fact.meta.idempotent || fact.meta.lease.value != 0 || fact.wanted != 1 ||
        action.attempt != 1)
        object("a request goes with others that is to go alone");
    if (batch_.count > 1 && batch_.rows > config_.batch_rule(fact.meta.model).rows_max)
        object("a batch has more rows than it may");
}

/// Does it wait for others to go with?
bool Ledger::waits_for_company(const RequestFact& fact, TimePoint now) const {
    const Duration delay = config_.batch_rule(fact.meta.model).delay_max;
    return fact.meta.batch != 0 && fact.dispatches == 0 && now < later(fact.submitted, delay);
}

// --- who comes first -----------------------------------------------------------------------------

TimePoint Ledger::patience_of(const RequestFact& fact) noexcept {
    const bool waits_for_its_first = fact.dispatches == 0 && fact.meta.lease.value == 0;
    return waits_for_its_first ? fact.meta.queue_deadline : never;
}

/// Whoever comes later in this is served later.
TimePoint Ledger::rank_of(const RequestFact& fact, TimePoint now) const {
    // Delayed; who came when his patience was over already may be served in that very step.
    const TimePoint patience = patience_of(fact);
    if (fact.submitted < patience && patience <= now) return never;
    const auto steps = static_cast<Duration::rep>(fact.meta.priority);
    return fact.submitted + config_.priority_aging * steps;
}

/// Of copies, and of what has come back from a worker, it is not known here what stands in a queue.
void Ledger::judge_order(const RequestFact& fact, TimePoint now) {
    if (fact.meta.lease.value != 0 || has_copies(fact)) return;
    const TimePoint rank = rank_of(fact, now);
    for (const std::uint64_t id : open_requests_) {
        const RequestFact& other = requests_[id];
        const bool is_comparable =
            other.dispatches == 0 && other.wanted == 1 && other.meta.lease.value == 0 &&
            other.meta.model == fact.meta.model && other.meta.bytes <= fact.meta.bytes;
        const bool is_in_time =
            now < other.meta.deadline && now < patience_of(other) && !waits_for_company(other, now);
        if (is_comparable && is_in_time && rank_of(other, now) < rank)
            return object("a request is served before one that comes first: " + std::to_string(id));
    }
}

/// It was not served in the time that it had for that.
void Ledger::judge_impatience(const Complete& action, const RequestFact& fact, TimePoint now) {
    if (fact.meta.timeout_action != TimeoutAction::reject || patience_of(fact) > now)
        object("queue_timeout of a request that may wait: " + std::to_string(action.request.value));
}

// --- judgements ----------------------------------------------------------------------------------

void Ledger::judge_outcome(const Complete& action, const RequestFact& fact, TimePoint now) {
    if (has_copies(fact) && fact.dispatches != 0 && action.code != Errc::cancelled &&
        action.code != Errc::deadline_exceeded)
        return judge_answer_of_copies(action, fact);
    switch (action.code) {
    case Errc::ok:
    case Errc::operation_failed: return judge_answer(action, fact);
    case Errc::device_lost: judge_answer(action, fact); return judge_giving_up(fact, now);
    case Errc::worker_lost:
        if (fact.dispatches == 0 && fact.meta.lease.value == 0)
            object("worker_lost of what was never sent");
        if (!fact.meta.idempotent && fact.executions != 0)
            object("worker_lost of what must not be repeated and was executed");
        return judge_giving_up(fact, now);
    case Errc::queue_full:
        if (fact.dispatches == 0) return judge_full_queue(fact);
        judge_answer(action, fact);
        return judge_giving_up(fact, now);
    case Errc::queue_timeout: return judge_impatience(action, fact, now);
    case Errc::cancelled:
        if (!fact.is_cancelled && !(is_stopping_ && !fact.is_after_stop))
            object("a request is cancelled that nobody cancelled");
        return;
    case Errc::deadline_exceeded:
        if (now < fact.meta.deadline) object("a request is given up before its deadline");
        return;
    case Errc::outcome_unknown:
        if (fact.meta.idempotent) object("outcome_unknown of what may be repeated");
        if (fact.dispatches == 0) object("outcome_unknown of what was never sent");
        return;
    case Errc::invalid_request:
        if (fact.meta.lease.value == 0) object("invalid_request of what is valid");
        return;
    case Errc::model_rejected:
        if (fact.meta.lease.value != 0) return; // of that one worker, see Complete::worker
        [[fallthrough]];
    default: judge_refusal(action.code, fact.meta.model, fact.is_after_drain, fact.is_after_stop);
    }
}

/// An answer of a worker's: it must be the one that has just come in, to what was asked last.
void Ledger::judge_answer(const Complete& action, const RequestFact& fact) {
    const auto* reply = std::get_if<Replied>(&cause_);
    if (reply == nullptr || reply->request != action.request || reply->code != action.code)
        return object("an answer is invented");
    if (reply->worker != fact.last.worker || reply->generation != fact.last.generation ||
        reply->attempt != fact.last.attempt ||
        in_force(reply->worker, reply->generation) == nullptr)
        object("an answer of a previous life is delivered: request " +
               std::to_string(action.request.value));
    // A page that has no room, or no device or context any more, refuses what it has not begun.
    const bool is_refusal = action.code == Errc::queue_full || action.code == Errc::device_lost;
    if (fact.executions == 0 && !is_refusal) object("an answer without an execution");
}

/// So many of its attempts are at workers that live.
std::uint32_t Ledger::under_way(const RequestFact& fact) const {
    return static_cast<std::uint32_t>(std::ranges::count_if(fact.attempts, [&](const auto& one) {
        const WorkerFact& worker = workers_[one.sent.worker.value];
        return !one.is_answered && worker.is_usable() && worker.generation == one.sent.generation;
    }));
}

/// Two attempts at the same time are for what wants them, and at different workers.
void Ledger::judge_copies(const Dispatch& action, const RequestFact& fact) {
    std::uint32_t kept = 0;
    for (const AttemptFact& one : fact.attempts) {
        const WorkerFact& worker = workers_[one.sent.worker.value];
        const bool is_kept = one.is_answered && one.code == Errc::ok;
        const bool is_under_way =
            !one.is_answered && worker.is_usable() && worker.generation == one.sent.generation;
        kept += is_kept ? 1 : 0;
        if ((is_kept || is_under_way) && one.sent.worker == action.worker)
            object("two copies of a request are at one worker");
    }
    const std::uint32_t others = under_way(fact);
    if (action.is_beside != (kept + others != 0)) object("Dispatch tells of others that are not");
    if (fact.wanted == 1 && others != 0) {
        if (!fact.meta.may_hedge || !fact.meta.idempotent || fact.is_hedged)
            object("a request is executed twice at a time that must not be");
        requests_[action.request.value].is_hedged = true;
    }
    if (kept + others + 1 > std::max(fact.wanted, 2U)) object("more copies than are wanted");
}

/// What became of several attempts: the answer of one, of most, or of none.
void Ledger::judge_answer_of_copies(const Complete& action, const RequestFact& fact) {
    const bool may_be_alone = action.code == Errc::ok && least_wanted(fact) == 1;
    if (fact.wanted > 1 && !may_be_alone &&
        (action.code == Errc::ok || action.code == Errc::answers_disagree))
        return judge_vote(action, fact);
    if (action.code == Errc::no_worker_available || action.code == Errc::model_rejected) return;
    const std::uint32_t attempt = action.attempt != 0 ? action.attempt : fact.dispatches;
    const bool is_an_answer = std::ranges::any_of(fact.attempts, [&](const AttemptFact& one) {
        return one.is_answered && one.code == action.code &&
               (action.code != Errc::ok || one.sent.attempt == attempt);
    });
    if (!is_an_answer && action.code != Errc::worker_lost) object("an answer is invented");
    if (action.code != Errc::ok && fact.wanted == 1 && under_way(fact) != 0)
        object("a request is given up that somebody works on");
}

void Ledger::judge_vote(const Complete& action, const RequestFact& fact) {
    const auto votes_for = [&](std::uint32_t value) {
        return static_cast<std::uint32_t>(std::ranges::count_if(
            fact.counted, [&](std::uint32_t i) { return fact.attempts[i - 1].value == value; }));
    };
    if (action.code == Errc::answers_disagree) {
        const std::uint32_t majority = fact.wanted / 2 + 1;
        for (const std::uint32_t attempt : fact.counted)
            if (votes_for(fact.attempts[attempt - 1].value) >= majority)
                object("answers are said to disagree that do not");
        return;
    }
    if (std::ranges::find(fact.counted, action.attempt) == fact.counted.end())
        return object("an answer is delivered that was not voted on");
    const std::uint32_t value = fact.attempts[action.attempt - 1].value;
    const auto wrong = fact.counted.size() - votes_for(0);
    const std::uint32_t wanted = least_wanted(fact);
    if (value != 0 && wrong <= (wanted - 1) / 2) object("a wrong answer is delivered");
    if (votes_for(value) < wanted / 2 + 1) object("an answer is delivered without a majority");
}

bool Ledger::may_be_repeated(const RequestFact& fact, TimePoint now) const noexcept {
    return (fact.meta.idempotent || !fact.was_sent) && fact.meta.lease.value == 0 &&
           fact.dispatches < fact.meta.max_attempts && now < fact.meta.deadline;
}

void Ledger::judge_giving_up(const RequestFact& fact, TimePoint now) {
    if (may_be_repeated(fact, now)) object("a request is given up that may be tried again");
}

/// Of a new request: as many as may wait do so.
void Ledger::judge_full_queue(const RequestFact& fact) {
    const auto* submit = std::get_if<Submit>(&cause_);
    if (submit == nullptr || submit->meta.id != fact.meta.id)
        return object("queue_full of a request that was let in");
    std::size_t waiting = 0; // at most; without this one
    for (const std::uint64_t id : open_requests_) {
        const RequestFact& other = requests_[id];
        if (other.meta.priority != fact.meta.priority) continue;
        std::size_t placed = 0;
        for (const WorkerFact& worker : workers_)
            if (worker.is_usable()) placed += worker.requests.count(id);
        for (const AttemptFact& one : other.attempts)
            if (other.wanted > 1 && one.is_answered && one.code == Errc::ok) ++placed;
        if (placed < other.wanted) waiting += other.wanted - placed;
    }
    if (waiting < config_.queue_limit(fact.meta.priority))
        object("queue_full while there is room in the queue");
}

/// Codes that requests and leases share.
void Ledger::judge_refusal(Errc code, ModelId model, bool is_after_drain, bool is_after_stop) {
    switch (code) {
    case Errc::pool_not_running:
        if (!is_after_stop) object("pool_not_running of what came before the stop");
        return;
    case Errc::pool_draining:
        if (!is_after_drain) object("pool_draining of what came before the drain");
        return;
    case Errc::unknown_model:
        if (model.is_none() || model.value < config_.model_count)
            object("unknown_model of a model that is known");
        return;
    case Errc::model_rejected:
        if (model.is_none() || is_servable(model)) object("model_rejected while a worker is left");
        return;
    case Errc::no_worker_available:
        if (is_servable(ModelId::none())) object("no_worker_available while a worker is left");
        return;
    default: object("something completes with " + std::string(name_of(code)));
    }
}

/// Is there a worker that may serve it, now or later?
bool Ledger::is_servable(ModelId model) const {
    return std::any_of(workers_.begin(), workers_.end(), [&](const WorkerFact& worker) {
        return !worker.is_failed && worker.rejected.count(model.value) == 0;
    });
}

} // namespace everpool::simulation
