// A Simulation's faults that strike the host as a whole, and its phases.
// SPDX-License-Identifier: BSL-1.0
#include "simulation.hpp"

namespace everpool::simulation {

using namespace core;

// --- what strikes the host as a whole ------------------------------------------------------------

/// Once a second.
void Simulation::disturb() {
    if (!are_faults_on_) return;
    if (world_.chance(surroundings_->faults.stray)) feed(stray_event());
    if (world_.now() >= surroundings_->broken_until &&
        world_.chance(surroundings_->faults.broken_machine))
        surroundings_->broken_until = world_.now() + world_.skewed(5s, broken_machine_max);
    const FaultMenu& faults = surroundings_->faults;
    if (world_.chance(faults.report)) report_failure();
    if (world_.chance(faults.storm))
        storm(static_cast<Trouble>(world_.between(0, trouble_count - 1)));
    if (world_.chance(faults.host_stall)) {
        ++surroundings_->tally.stalls;
        stand_still(world_.skewed(50ms, stall_max));
    }
    if (world_.chance(faults.host_sleep)) {
        ++surroundings_->tally.sleeps;
        stand_still(world_.skewed(1min, sleep_max));
    }
    world_.after(1s, [this] { disturb(); });
}

void Simulation::stand_still(Duration duration) {
    const TimePoint from = world_.now();
    world_.stand_still(duration);
    ledger_->note_stall(from, world_.now());
}

/// A host may know better than the pool, or think so; see RecoveryManager::async_recover().
void Simulation::report_failure() {
    const WorkerId id{static_cast<std::uint32_t>(world_.between(0, workers_.size() - 1))};
    if (core_->core().worker(id).state != WorkerState::ready) return;
    workers_[id.value]->be_suspected();
    feed(WorkerLost{id, core_->core().worker(id).generation,
                    static_cast<LossCause>(world_.between(0, loss_cause_count - 1))});
}

/// The same happens to all: a GPU's reset, a machine without memory, an update of what they share.
void Simulation::storm(Trouble trouble) {
    ++surroundings_->tally.storms;
    const bool is_at_once = world_.chance(1, 2);
    for (const auto& worker : workers_)
        world_.after(is_at_once ? 0ms : world_.skewed(0s, 20ms),
                     [struck = worker.get(), trouble] { struck->strike(trouble); });
}

/// Of a life that was never, of a worker that is not, about a request that was not sent there.
Event Simulation::stray_event() {
    const auto worker = static_cast<std::uint32_t>(world_.between(0, workers_.size()));
    const WorkerId id = worker == workers_.size() ? WorkerId::none() : WorkerId{worker};
    const Generation now = id.is_none() ? Generation{1} : core_->core().worker(id).generation;
    Generation other{world_.between(0, now.value + 2)};
    if (other == now) other.value += 3;
    const ModelId model{static_cast<std::uint32_t>(world_.between(0, 5))};
    const RequestId request{world_.between(0, ledger_->request_count() + 2)};
    switch (world_.between(0, 11)) {
    case 0: return WorkerConnected{id, other};
    case 1:
        return WorkerLost{id, other,
                          static_cast<LossCause>(world_.between(0, loss_cause_count - 1))};
    case 2: return WorkerStartFailed{id, other, Errc::browser_not_found, true};
    case 3: return WorkerStopped{id, other};
    case 4: return ModelWarmedUp{id, other, model};
    case 5: return ModelRejected{id, other, model, Errc::model_rejected};
    case 6: return Replied{id, other, request, 1, Errc::ok};
    case 7: return Replied{id, now, request, 200, Errc::ok}; // an attempt that was never made
    case 8: return Start{};                                  // once more
    case 9:
        return ControlAnswered{id, now, static_cast<ControlQuestion>(world_.between(0, 2)),
                               UINT64_MAX - world_.between(0, 9)};
    case 10:
        if (request.value == 0 || request.value > ledger_->request_count() ||
            !ledger_->request(request).is_counting)
            return VotesCounted{request, VoteVerdict::agreed, 1, 1};
        [[fallthrough]];
    default: return PongArrived{id, now, wire::Channel::data, UINT64_MAX - world_.between(0, 9)};
    }
}

// --- the phases ----------------------------------------------------------------------------------

/// Every worker is ready and idle, or has failed in a seed where that may be.
bool Simulation::is_whole() const {
    for (std::uint32_t i = 0; i < workers_.size(); ++i) {
        const WorkerView worker = core_->core().worker(WorkerId{i});
        const bool is_over = worker.state == WorkerState::stopped ||
                             worker.state == WorkerState::idle ||
                             worker.state == WorkerState::failed;
        if (worker.role == WorkerRole::dormant && is_over) continue;
        if (worker.state == WorkerState::failed && pool_->may_fail_for_good) continue;
        // Busy: perhaps with what nobody waits for any more, which must end as well.
        if (worker.state != WorkerState::ready || worker.in_flight != 0 || worker.leased)
            return false;
    }
    return true;
}

void Simulation::recover() {
    const TimePoint quiet_since = world_.now();
    // The host goes on for a while: the pool must become whole under load, not only at rest.
    run_for(10s);
    host_->rest();
    report_.recovery_max = pool_->recovery_max();
    const bool is_recovered = run_until(quiet_since + report_.recovery_max, [this] {
        return !ledger_->has_open_requests() && !ledger_->has_open_leases() && is_whole();
    });
    report_.recovery = world_.now() - quiet_since;
    demand(!ledger_->has_open_requests(), "liveness: a request is not answered");
    demand(!ledger_->has_open_leases(), "liveness: a lease is not answered");
    demand(is_recovered, "liveness: the pool is not full");
    demand(ledger_->is_start_finished(), "liveness: the start is not finished");
    serve_once();
    if (!has_failed()) drill();
}

/// A healthy pool executes a request and lends a worker.
void Simulation::serve_once() {
    bool is_any_ready = false;
    for (std::uint32_t i = 0; i < workers_.size(); ++i)
        is_any_ready |= core_->core().worker(WorkerId{i}).state == WorkerState::ready;
    const CoreStats before = core_->core().stats();
    // Work that takes longer than any before may cost some attempts, but not the answer.
    feed(Submit{
        {.id = ledger_->next_request(), .deadline = world_.now() + 1min, .max_attempts = 100}});
    (void)run_until(world_.now() + 1min, [this] { return !ledger_->has_open_requests(); });
    const LeaseId lease = ledger_->next_lease();
    feed(Acquire{.lease = lease, .deadline = world_.now() + 1min});
    (void)run_until(world_.now() + 1min, [this] { return !ledger_->has_open_leases(); });
    feed(Release{lease});
    const CoreStats& after = core_->core().stats();
    demand(!is_any_ready || after.succeeded == before.succeeded + 1,
           "liveness: a healthy pool does not serve");
    demand(!is_any_ready || after.leases_granted == before.leases_granted + 1,
           "liveness: a healthy pool does not lend");
}

/// With work accepted, and more asked for while it goes on. The faults have just stopped.
void Simulation::drain() {
    for (int i = 0; i < 5; ++i) host_->submit();
    feed(Drain{});
    for (int i = 0; i < 3; ++i) host_->submit();
    host_->acquire();
    host_->rest();
    if (world_.chance(1, 4)) feed(Drain{});
    if (world_.chance(1, 4)) return; // overtaken by the stop
    const bool is_drained = run_until(world_.now() + pool_->recovery_max(),
                                      [this] { return ledger_->is_drain_finished(); });
    demand(is_drained, "liveness: the drain does not finish");
}

void Simulation::stop() {
    surroundings_->faults.stuck_stop = {1, 4}; // the timeout must see to it
    feed(Stop{});
    demand(!ledger_->has_open_requests(), "a stop leaves a request unanswered");
    demand(!ledger_->has_open_leases(), "a stop leaves a lease unanswered");
    demand(ledger_->is_start_finished(), "the start is not finished by the stop");
    host_->submit();
    host_->acquire();
    host_->rest();
    if (world_.chance(1, 4)) feed(Stop{});
    if (world_.chance(1, 4)) feed(Drain{});
    const bool is_stopped = run_until(world_.now() + pool_->config.stop_timeout + stall_max,
                                      [this] { return ledger_->is_stop_finished(); });
    demand(is_stopped, "liveness: the stop does not finish");
    demand(has_failed() || core_->core().next_wakeup() == never,
           "a stopped pool wants to be woken");
    run_for(1min); // what still arrives must change nothing
}

RunReport Simulation::run() {
    const TimePoint begin = world_.now();
    feed(Start{});
    host_->be_busy();
    disturb();
    run_for(options_.faults_for);
    if (ending_ != Ending::stop) {
        surroundings_->faults = {};
        surroundings_->broken_until = {};
        are_faults_on_ = false;
    }
    if (ending_ == Ending::recovery) recover();
    if (ending_ != Ending::stop) drain();
    stop();
    report_.violation = ledger_->violation();
    report_.simulated = world_.now() - begin;
    report_.requests = ledger_->request_count();
    report_.stats = core_->core().stats();
    report_.outcomes = ledger_->outcomes();
    report_.tally = surroundings_->tally;
    if (const auto found = report_.outcomes.find(Errc::queue_timeout);
        found != report_.outcomes.end())
        report_.tally.timed_out = found->second;
    report_.tally.delayed = core_->core().stats().delayed;
    report_.tally.batches = ledger_->batch_count();
    return report_;
}

} // namespace everpool::simulation
