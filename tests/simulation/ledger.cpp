// SPDX-License-Identifier: BSL-1.0
#include "ledger.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace everpool::simulation {

using namespace core;

Ledger::Ledger(const CoreConfig& config, Duration lateness_max)
    : config_(config),
      lateness_max_(lateness_max),
      workers_(config.worker_browsers.size() + config.rival_count),
      requests_(1),
      leases_(1) {
    const std::size_t browsers = config.worker_browsers.size();
    for (std::size_t i = browsers - config.standby_count; i < browsers; ++i)
        workers_[i].role = WorkerRole::standby;
    for (std::size_t i = browsers; i < workers_.size(); ++i) {
        workers_[i].role = WorkerRole::dormant;
        workers_[i].is_failed = true; // as long as nobody starts it
    }
}

// --- events --------------------------------------------------------------------------------------

void Ledger::note(const Event& event, TimePoint now) {
    cause_ = event;
    now_ = now;
    std::visit(
        [this](const auto& one) {
            if constexpr (requires { this->on(one); }) on(one);
        },
        event);
    if (std::holds_alternative<Drain>(event)) {
        ++drains_asked_;
        is_draining_ = true;
    } else if (std::holds_alternative<Stop>(event)) {
        ++stops_asked_;
        is_stopping_ = true;
    }
}

void Ledger::on(const Submit& event) {
    if (event.meta.id != next_request()) return; // a duplicate, which must not be answered
    open_requests_.insert(event.meta.id.value);
    requests_.push_back({.meta = event.meta,
                         .submitted = now_,
                         .is_after_drain = is_draining_,
                         .is_after_stop = is_stopping_});
    RequestFact& fact = requests_.back();
    if (event.meta.max_attempts == 0) fact.meta.max_attempts = config_.max_attempts;
    if (!event.meta.idempotent || event.meta.lease.value != 0) return;
    fact.wanted = std::clamp<std::uint32_t>(event.meta.copies, 1, copies_max);
}

/// Workers that have failed for good, or have rejected the model, are not asked. (Some of the
/// latter may be: in another browser, or with another provider.)
std::uint32_t Ledger::least_wanted(const RequestFact& fact) const {
    const auto workers = std::ranges::count_if(workers_, [&](const WorkerFact& worker) {
        return !worker.is_failed && worker.role != WorkerRole::dormant &&
               worker.rejected.count(fact.meta.model.value) == 0;
    });
    return std::clamp(static_cast<std::uint32_t>(workers), 1U, std::min(fact.wanted, fact.least));
}

void Ledger::on(const Cancel& event) {
    if (event.id.value < requests_.size()) requests_[event.id.value].is_cancelled = true;
}

void Ledger::on(const Acquire& event) {
    if (event.lease != next_lease()) return;
    open_leases_.insert(event.lease.value);
    leases_.push_back(
        {.asked = event, .is_after_drain = is_draining_, .is_after_stop = is_stopping_});
}

void Ledger::on(const Release& event) {
    if (event.lease.value >= leases_.size()) return;
    LeaseFact& lease = leases_[event.lease.value];
    lease.is_released = true;
    if (lease.state != LeaseFact::State::held) return;
    lease.state = LeaseFact::State::over;
    workers_[lease.worker.value].lent_to = {};
}

WorkerFact* Ledger::in_force(WorkerId worker, Generation generation) {
    const bool is_so =
        worker.value < workers_.size() && generation == workers_[worker.value].generation;
    return is_so ? &workers_[worker.value] : nullptr;
}

void Ledger::on(const WorkerConnected& event) {
    if (WorkerFact* worker = in_force(event.worker, event.generation)) worker->is_connected = true;
}

void Ledger::on(const WorkerStopped& event) {
    if (WorkerFact* worker = in_force(event.worker, event.generation))
        worker->is_gone = worker->is_stopped;
}

void Ledger::on(const WorkerLost& event) {
    if (WorkerFact* worker = in_force(event.worker, event.generation)) worker->is_lost = true;
}

void Ledger::on(const ModelWarmedUp& event) {
    if (WorkerFact* worker = in_force(event.worker, event.generation))
        worker->models.insert(event.model.value);
}

void Ledger::on(const Replied& event) {
    if (event.request.value >= requests_.size()) return;
    RequestFact& fact = requests_[event.request.value];
    WorkerFact* worker = in_force(event.worker, event.generation);
    if (worker == nullptr || event.attempt == 0 || event.attempt > fact.attempts.size()) return;
    AttemptFact& attempt = fact.attempts[event.attempt - 1];
    if (attempt.sent.worker != event.worker || attempt.sent.generation != event.generation) return;
    // An answer that comes after the loss of its worker has become known counts no more.
    if (!worker->is_lost && !std::exchange(attempt.is_answered, true)) attempt.code = event.code;
    if (fact.last.attempt == event.attempt) fact.was_sent = event.was_sent;
    worker->requests.erase(event.request.value);
}

void Ledger::on(const VotesCounted& event) {
    if (event.request.value < requests_.size()) requests_[event.request.value].is_counting = false;
}

/// Those in a majority, if there is one. Who is wrong in the same way agrees.
VotesCounted Ledger::count(const CountVotes& action) const {
    const RequestFact& fact = requests_[action.request.value];
    const auto value = [&](std::size_t i) { return fact.attempts[action.attempts[i] - 1].value; };
    for (std::size_t i = 0; i < action.count; ++i) {
        std::uint32_t agreeing = 0, count = 0;
        for (std::size_t j = 0; j < action.count; ++j) {
            if (value(j) != value(i)) continue;
            agreeing |= 1U << j;
            ++count;
        }
        if (2 * count <= action.count) continue;
        return {action.request, count == action.count ? VoteVerdict::agreed : VoteVerdict::majority,
                action.attempts[i], agreeing};
    }
    return {action.request, VoteVerdict::undecided, 0, 0};
}

void Ledger::note_execution(const Dispatch& dispatch, std::uint32_t value) {
    RequestFact& fact = requests_[dispatch.request.value];
    fact.attempts[dispatch.attempt - 1].value = value;
    ++fact.executions;
    if (!fact.meta.idempotent && fact.executions > 1)
        object("a request that must not be repeated was executed twice: " +
               std::to_string(dispatch.request.value));
}

/// What was due before the last stall has been answered before, or was overdue then.
bool Ledger::is_overdue(TimePoint deadline, TimePoint now) const noexcept {
    if (deadline == never) return false;
    const bool was_due_in_stall = deadline + lateness_max_ >= stall_from_ && deadline < stall_to_;
    return now > (was_due_in_stall ? stall_to_ : deadline) + lateness_max_;
}

void Ledger::check_deadlines(TimePoint now) {
    for (const std::uint64_t id : open_requests_) {
        const RequestFact& fact = requests_[id];
        if (is_overdue(fact.meta.deadline, now))
            return object("a request is kept waiting beyond its deadline: " + std::to_string(id));
        const bool is_to_be_rejected = fact.meta.timeout_action == TimeoutAction::reject;
        if (is_to_be_rejected && is_overdue(patience_of(fact), now))
            return object("a request is kept waiting beyond its patience: " + std::to_string(id));
    }
    for (const std::uint64_t id : open_leases_)
        if (is_overdue(leases_[id].asked.deadline, now))
            return object("a lease is kept waiting beyond its deadline: " + std::to_string(id));
}

// --- actions: workers ----------------------------------------------------------------------------

void Ledger::note(const Action& action, TimePoint now) {
    std::visit([&](const auto& one) { on(one, now); }, action);
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

void Ledger::on(const StartWorker& action, TimePoint now) {
    if (action.worker.value >= workers_.size()) return object("StartWorker of no worker");
    WorkerFact& worker = workers_[action.worker.value];
    if (action.generation.value != worker.generation.value + 1)
        object("a worker's generations do not grow by one");
    if (is_stopping_) object("a worker is started in a stopping pool");
    if (worker.is_stopped && !worker.is_gone) object("a worker is started that is being stopped");
    worker.is_stopped = worker.is_gone = worker.is_failed = worker.is_ready = false;
    if (!prober_.is_none() && prober_ != action.worker)
        object("a worker is started while the fleet waits for another one");
    if (worker.lent_to.value != 0) object("a worker is restarted under a lease that was not ended");
    // What it had waits for another attempt, which is nobody's action yet; if it may have one.
    for (const std::uint64_t id : worker.requests)
        if (!has_copies(requests_[id]) && !may_be_repeated(requests_[id], now))
            object("a worker is restarted and a request that it had is not answered: " +
                   std::to_string(id));
    worker.requests.clear();
    worker.generation = action.generation;
    worker.is_connected = worker.is_lost = false;
    worker.models.clear();
}

void Ledger::on(const StopWorker& action, TimePoint) {
    if (!is_in_force(action.worker, action.generation, "StopWorker")) return;
    WorkerFact& worker = workers_[action.worker.value];
    worker.is_gone = worker.is_stopped; // for the second time: it is not waited for any longer
    worker.is_stopped = true;
    worker.is_ready = false;
    if (!is_stopping_) worker.is_failed = true; // given up, or dormant
}

void Ledger::on(const LoadModel& action, TimePoint) {
    if (is_in_force(action.worker, action.generation, "LoadModel") &&
        !workers_[action.worker.value].is_usable())
        object("a model is loaded on a worker that is not connected");
}

void Ledger::on(const WarmUpModel& action, TimePoint) {
    if (is_in_force(action.worker, action.generation, "WarmUpModel") &&
        !workers_[action.worker.value].is_usable())
        object("a model is warmed up on a worker that is not connected");
}

void Ledger::on(const SendPing& action, TimePoint) {
    if (is_in_force(action.worker, action.generation, "SendPing") &&
        !workers_[action.worker.value].is_usable())
        object("a ping is sent to a worker that is not connected");
}

void Ledger::on(const AskControl& action, TimePoint) {
    if (is_in_force(action.worker, action.generation, "AskControl") &&
        !workers_[action.worker.value].is_usable())
        object("a browser is asked whose worker is not connected");
}

void Ledger::on(const Notice& notice, TimePoint) {
    if (notice.worker.value >= workers_.size()) return;
    WorkerFact& worker = workers_[notice.worker.value];
    if (notice.what == Notice::What::fleet_failing) prober_ = notice.worker;
    if (notice.what == Notice::What::fleet_recovered) prober_ = WorkerId::none();
    // Another one may try then.
    if (notice.what == Notice::What::worker_failed && notice.worker == prober_)
        prober_ = WorkerId::none();
    if (notice.what == Notice::What::worker_lost) worker.is_lost = true;
    if (notice.what == Notice::What::worker_lost) worker.is_ready = false;
    if (notice.what == Notice::What::worker_ready) worker.is_ready = true;
    if (notice.what == Notice::What::worker_failed) worker.is_failed = true;
    if (notice.what == Notice::What::worker_replaced) {
        // Whoever comes may serve what the other one did not; of older requests he is not asked.
        for (const std::uint64_t id : open_requests_)
            requests_[id].least = least_wanted(requests_[id]);
        std::swap(worker.role, workers_[notice.other.value].role);
        worker.is_failed = true; // it is stopped, and will be somebody's rival at most
    }
    if (notice.what == Notice::What::model_rejected) worker.rejected.insert(notice.model.value);
}

// --- actions: leases -----------------------------------------------------------------------------

void Ledger::on(const LeaseGranted& action, TimePoint now) {
    if (!is_in_force(action.worker, action.generation, "LeaseGranted")) return;
    if (action.lease.value == 0 || action.lease.value >= leases_.size())
        return object("a lease is granted that was never asked for");
    LeaseFact& lease = leases_[action.lease.value];
    WorkerFact& worker = workers_[action.worker.value];
    if (lease.state != LeaseFact::State::asked) object("a lease is answered twice");
    if (lease.is_released) object("a lease is granted that was withdrawn");
    if (now > lease.asked.deadline) object("a lease is granted after its deadline");
    if (worker.lent_to.value != 0) object("a worker holds two leases");
    if (!worker.requests.empty()) object("a worker is lent that has work to do");
    if (!worker.is_usable()) object("a worker is lent that is not connected");
    if (!lease.asked.model.is_none() && worker.models.count(lease.asked.model.value) == 0)
        object("a worker is lent that has not warmed up the model");
    lease.state = LeaseFact::State::held;
    lease.worker = action.worker;
    worker.lent_to = action.lease;
    open_leases_.erase(action.lease.value);
}

void Ledger::on(const LeaseEnded& action, TimePoint now) {
    if (action.lease.value == 0 || action.lease.value >= leases_.size())
        return object("a lease ends that was never asked for");
    LeaseFact& lease = leases_[action.lease.value];
    const bool was_held = lease.state == LeaseFact::State::held;
    if (lease.state == LeaseFact::State::over) return object("a lease ends that is over");
    lease.state = LeaseFact::State::over;
    open_leases_.erase(action.lease.value);
    if (was_held) workers_[lease.worker.value].lent_to = {};
    switch (action.code) {
    case Errc::worker_lost:
        if (!was_held || !workers_[lease.worker.value].is_lost)
            object("a lease ends with worker_lost though no worker was lost with it");
        return;
    case Errc::cancelled:
        if (!lease.is_released && !is_stopping_) object("a lease is cancelled by nobody");
        return;
    case Errc::deadline_exceeded:
        if (was_held || now < lease.asked.deadline) object("a lease ends before its deadline");
        return;
    case Errc::queue_full: return;
    case Errc::pool_draining: // also of those that waited when the drain began
        if (was_held || !is_draining_) object("a lease ends with pool_draining");
        return;
    default:
        if (was_held) return object("a lease that is held ends though its worker was not lost");
        judge_refusal(action.code, lease.asked.model, lease.is_after_drain, lease.is_after_stop);
    }
}

// --- actions: the pool ---------------------------------------------------------------------------

void Ledger::on(const StartFinished&, TimePoint) {
    if (++starts_ > 1) object("the start is finished twice");
}

void Ledger::on(const DrainFinished&, TimePoint) {
    if (++drains_ > drains_asked_) object("a drain is finished that nobody asked for");
    if (has_open_requests()) object("a drain is finished while requests are open");
}

void Ledger::on(const StopFinished&, TimePoint) {
    if (++stops_ > stops_asked_) object("a stop is finished that nobody asked for");
    for (const WorkerFact& worker : workers_)
        if (worker.generation.value != 0 && !worker.is_stopped)
            object("the stop is finished and a worker is left running");
    if (has_open_requests() || has_open_leases())
        object("the stop is finished while something is open");
}

} // namespace everpool::simulation
