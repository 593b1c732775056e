// SPDX-License-Identifier: BSL-1.0
#include "ledger.hpp"

#include "everpool/core/event_text.hpp"

namespace everpool::simulation {

using namespace core;

void Ledger::note(const Event& event, TimePoint now) {
    cause_ = event;
    if (const auto* submit = std::get_if<Submit>(&event)) {
        if (submit->meta.id != next_request()) return; // a duplicate, which must not be answered
        requests_.push_back({.meta = submit->meta, .is_after_stop = is_stopping_});
        open_ids_.insert(submit->meta.id.value);
        ++open_requests_;
    } else if (const auto* cancel = std::get_if<Cancel>(&event)) {
        if (cancel->id.value < requests_.size()) requests_[cancel->id.value].is_cancelled = true;
    } else if (const auto* acquire = std::get_if<Acquire>(&event)) {
        if (acquire->lease != next_lease()) return;
        leases_.emplace_back();
        ++open_leases_;
    } else if (const auto* release = std::get_if<Release>(&event)) {
        if (release->lease.value >= leases_.size()) return;
        LeaseFact& lease = leases_[release->lease.value];
        lease.is_released = true;
        if (lease.state != LeaseFact::State::held) return;
        lease.state = LeaseFact::State::over;
        workers_[lease.worker.value].lent_to = {};
    } else if (const auto* connected = std::get_if<WorkerConnected>(&event)) {
        if (connected->worker.value < workers_.size() &&
            connected->generation == workers_[connected->worker.value].generation)
            workers_[connected->worker.value].connected = connected->generation;
    } else if (const auto* warm = std::get_if<ModelWarmedUp>(&event)) {
        if (warm->worker.value < workers_.size() &&
            warm->generation == workers_[warm->worker.value].generation)
            workers_[warm->worker.value].models.insert(warm->model.value);
    } else if (const auto* reply = std::get_if<Replied>(&event)) {
        if (reply->request.value >= requests_.size()) return;
        const Dispatch& last = requests_[reply->request.value].last;
        if (last.worker == reply->worker && last.generation == reply->generation &&
            last.attempt == reply->attempt && reply->worker.value < workers_.size())
            workers_[reply->worker.value].requests.erase(reply->request.value);
    } else if (std::holds_alternative<Drain>(event)) {
        ++drains_asked_;
    } else if (std::holds_alternative<Stop>(event)) {
        ++stops_asked_;
        is_stopping_ = true;
    }
    (void)now;
}

void Ledger::note(const Action& action, TimePoint now) {
    std::visit([&](const auto& one) { on(one, now); }, action);
}

void Ledger::check_deadlines(TimePoint now) {
    for (const std::uint64_t id : open_ids_) {
        const TimePoint deadline = requests_[id].meta.deadline;
        if (deadline != never && now > deadline + lateness_max_)
            return object("a request is kept waiting beyond its deadline: " + std::to_string(id));
    }
}

bool Ledger::is_in_force(WorkerId worker, Generation generation, const char* what) {
    if (worker.value >= workers_.size()) {
        object(std::string(what) + " for a worker that does not exist");
        return false;
    }
    if (generation != workers_[worker.value].generation) {
        object(std::string(what) + " for a life that is not in force");
        return false;
    }
    return true;
}

// --- workers -------------------------------------------------------------------------------------

void Ledger::on(const StartWorker& action, TimePoint) {
    if (action.worker.value >= workers_.size()) return object("StartWorker of no worker");
    WorkerFact& worker = workers_[action.worker.value];
    if (action.generation.value != worker.generation.value + 1)
        object("a worker's generations do not grow by one");
    if (is_stopping_ || worker.is_stopped) object("a worker is started in a stopping pool");
    if (worker.lent_to.value != 0) object("a worker is restarted under a lease that was not ended");
    // What it had waits for another attempt, which is nobody's action yet; if it may have one.
    for (const std::uint64_t id : worker.requests) {
        const RequestFact& fact = requests_[id];
        if (!fact.meta.idempotent || fact.meta.lease.value != 0 ||
            fact.dispatches >= fact.meta.max_attempts)
            object("a worker is restarted and a request that it had is not answered: " +
                   std::to_string(id));
    }
    worker.requests.clear();
    worker.generation = action.generation;
    worker.models.clear();
}

void Ledger::on(const StopWorker& action, TimePoint) {
    if (!is_in_force(action.worker, action.generation, "StopWorker")) return;
    workers_[action.worker.value].is_stopped = true;
}

void Ledger::on(const LoadModel& action, TimePoint) {
    if (is_in_force(action.worker, action.generation, "LoadModel") &&
        workers_[action.worker.value].connected != action.generation)
        object("a model is loaded on a worker that is not connected");
}

void Ledger::on(const WarmUpModel& action, TimePoint) {
    (void)is_in_force(action.worker, action.generation, "WarmUpModel");
}

void Ledger::on(const SendPing& action, TimePoint) {
    if (is_in_force(action.worker, action.generation, "SendPing") &&
        workers_[action.worker.value].connected != action.generation)
        object("a ping is sent to a worker that is not connected");
}

// --- requests ------------------------------------------------------------------------------------

void Ledger::on(const Dispatch& action, TimePoint now) {
    if (!is_in_force(action.worker, action.generation, "Dispatch")) return;
    if (action.request.value == 0 || action.request.value >= requests_.size())
        return object("Dispatch of a request that was never submitted");
    WorkerFact& worker = workers_[action.worker.value];
    RequestFact& fact = requests_[action.request.value];
    if (fact.is_completed) object("a request is dispatched after it was completed");
    if (worker.connected != action.generation) object("work is given to a worker not connected");
    if (!fact.meta.model.is_none() && worker.models.count(fact.meta.model.value) == 0)
        object("work is given to a worker that has not warmed up its model");
    if (action.attempt != fact.dispatches + 1) object("attempts are not counted one by one");
    if (action.attempt > fact.meta.max_attempts) object("more attempts than the request allows");
    if (now > fact.meta.deadline) object("a request is dispatched after its deadline");
    if (worker.lent_to.value != 0 && fact.meta.lease != worker.lent_to)
        object("a lent worker is given somebody else's work");
    if (fact.dispatches != 0) workers_[fact.last.worker.value].requests.erase(action.request.value);
    ++fact.dispatches;
    fact.last = action;
    worker.requests.insert(action.request.value);
}

void Ledger::on(const SendCancel& action, TimePoint) {
    if (!is_in_force(action.worker, action.generation, "SendCancel")) return;
    const RequestFact& fact = requests_[action.request.value];
    if (fact.last.worker != action.worker || fact.last.attempt != action.attempt)
        object("SendCancel of something that was not sent");
}

void Ledger::on(const Complete& action, TimePoint now) {
    if (action.request.value == 0 || action.request.value >= requests_.size())
        return object("Complete of a request that was never submitted");
    RequestFact& fact = requests_[action.request.value];
    if (fact.is_completed)
        return object("a request is completed twice: " + std::to_string(action.request.value));
    fact.is_completed = true;
    --open_requests_;
    open_ids_.erase(action.request.value);
    ++outcomes_[action.code];
    if (fact.dispatches != 0) workers_[fact.last.worker.value].requests.erase(action.request.value);
    if (action.attempts != fact.dispatches) object("Complete tells a wrong number of attempts");
    if (action.worker != (fact.dispatches == 0 ? WorkerId::none() : fact.last.worker))
        object("Complete tells a wrong worker");
    if (fact.meta.deadline != never && now > fact.meta.deadline + lateness_max_)
        object("a request is completed long after its deadline");
    judge_code(action, fact, now);
}

void Ledger::judge_code(const Complete& action, const RequestFact& fact, TimePoint now) {
    switch (action.code) {
    case Errc::ok:
    case Errc::operation_failed: return judge_answer(action, fact);
    case Errc::device_lost:
        if (fact.executions == 0) object("device_lost without an execution");
        break;
    case Errc::cancelled:
        if (!fact.is_cancelled && !is_stopping_)
            object("a request is cancelled that nobody cancelled");
        break;
    case Errc::deadline_exceeded:
        if (now < fact.meta.deadline) object("a request is given up before its deadline");
        break;
    case Errc::outcome_unknown:
        if (fact.meta.idempotent) object("outcome_unknown of what may be repeated");
        if (fact.dispatches == 0) object("outcome_unknown of what was never sent");
        break;
    case Errc::worker_lost:
        if (!fact.meta.idempotent && fact.executions != 0)
            object("worker_lost of what must not be repeated and was executed");
        break;
    case Errc::pool_not_running:
        if (!fact.is_after_stop) object("pool_not_running of what came before the stop");
        break;
    case Errc::queue_full:
    case Errc::model_rejected:
    case Errc::no_worker_available:
    case Errc::invalid_request: break;
    default: object("a request completes with " + std::string(name_of(action.code)));
    }
}

/// An answer of a worker's: it must be the one that has just come in, to what was asked last.
void Ledger::judge_answer(const Complete& action, const RequestFact& fact) {
    const auto* reply = std::get_if<Replied>(&cause_);
    if (reply == nullptr || reply->request != action.request || reply->code != action.code)
        return object("an answer is invented");
    if (reply->worker != fact.last.worker || reply->generation != fact.last.generation ||
        reply->attempt != fact.last.attempt)
        object("an answer of a previous life is delivered: request " +
               std::to_string(action.request.value));
    if (fact.executions == 0) object("an answer without an execution");
}

// --- leases --------------------------------------------------------------------------------------

void Ledger::on(const LeaseGranted& action, TimePoint) {
    if (!is_in_force(action.worker, action.generation, "LeaseGranted")) return;
    if (action.lease.value == 0 || action.lease.value >= leases_.size())
        return object("a lease is granted that was never asked for");
    LeaseFact& lease = leases_[action.lease.value];
    WorkerFact& worker = workers_[action.worker.value];
    if (lease.state != LeaseFact::State::asked) object("a lease is answered twice");
    if (lease.is_released) object("a lease is granted that was withdrawn");
    if (worker.lent_to.value != 0) object("a worker holds two leases");
    if (!worker.requests.empty()) object("a worker is lent that has work to do");
    if (worker.connected != action.generation) object("a worker is lent that is not connected");
    lease.state = LeaseFact::State::held;
    lease.worker = action.worker;
    worker.lent_to = action.lease;
    --open_leases_;
}

void Ledger::on(const LeaseEnded& action, TimePoint) {
    if (action.lease.value == 0 || action.lease.value >= leases_.size())
        return object("a lease ends that was never asked for");
    LeaseFact& lease = leases_[action.lease.value];
    if (lease.state == LeaseFact::State::over) return object("a lease ends that is over");
    if (lease.state == LeaseFact::State::asked) {
        --open_leases_;
    } else {
        if (action.code != Errc::worker_lost && !is_stopping_)
            object("a lease that is held ends though its worker was not lost");
        workers_[lease.worker.value].lent_to = {};
    }
    lease.state = LeaseFact::State::over;
}

// --- the pool ------------------------------------------------------------------------------------

void Ledger::on(const StartFinished&, TimePoint) {
    if (++starts_ > 1) object("the start is finished twice");
}

void Ledger::on(const DrainFinished&, TimePoint) {
    if (++drains_ > drains_asked_) object("a drain is finished that nobody asked for");
    if (open_requests_ != 0) object("a drain is finished while requests are open");
}

void Ledger::on(const StopFinished&, TimePoint) {
    if (++stops_ > stops_asked_) object("a stop is finished that nobody asked for");
    if (open_requests_ != 0 || open_leases_ != 0)
        object("the stop is finished while something is open");
}

} // namespace everpool::simulation
