// SPDX-License-Identifier: BSL-1.0
#include "simulation.hpp"

#include "everpool/core/event_text.hpp"
#include "everpool/core/invariants.hpp"

#include <algorithm>
#include <cstdio>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

namespace everpool::simulation {

using namespace core;

namespace {

/// A wakeup comes to the core at most this late, stalls aside.
constexpr Duration wakeup_lateness_max = 2ms;

/// FNV-1a: any difference between two traces makes another hash, but for one case in 2^64.
std::uint64_t mix(std::uint64_t hash, std::uint64_t bits) {
    return (hash ^ bits) * 0x100'0000'01b3ULL;
}

} // namespace

Simulation::Simulation(const RunOptions& options) : options_(options), world_(options.seed) {

    if (world_.chance(1, 8)) ending_ = world_.chance(1, 2) ? Ending::drain : Ending::stop;
    may_fail_for_good_ = world_.chance(1, 8);
    FaultMenu faults = FaultMenu::random(world_);
    if (may_fail_for_good_ && world_.chance(1, 2)) faults.permanent_start = {1, 10};
    const HostHabits habits = HostHabits::random(world_, faults);
    config_ = draw_config(habits.model_count);
    core_ = std::make_unique<CoreUnderTest>(config_, world_.between(0, UINT64_MAX - 1),
                                            options_.bug, options_.run);
    ledger_ = std::make_unique<Ledger>(config_, wakeup_lateness_max + stall_max);
    surroundings_ =
        std::make_unique<Surroundings>(Surroundings{world_,
                                                    *ledger_,
                                                    faults,
                                                    config_.start_timeout,
                                                    config_.compute_ping_timeout * 2 / 3,
                                                    {1, world_.chance(1, 8) ? 3U : 50U},
                                                    [this](const Event& event) { feed(event); }});
    others_ = config_.worker_alternatives;
    others_.resize(core_->core().worker_count());
    surroundings_->is_elsewhere = [this](const StartWorker& action) {
        return is_elsewhere(action);
    };
    for (std::uint32_t i = 0; i < core_->core().worker_count(); ++i) {
        std::set<std::uint32_t> rejected;
        for (std::uint32_t m = 0; m < config_.model_count; ++m)
            if (world_.chance(1, 8)) rejected.insert(m);
        workers_.push_back(std::make_unique<FakeWorker>(WorkerId{i}, *surroundings_,
                                                        std::move(rejected), highest_rung(i)));
    }
    host_ = std::make_unique<FakeHost>(habits, *surroundings_);
}

BrowserType Simulation::any_browser_type() {
    return static_cast<BrowserType>(
        world_.between(0, static_cast<std::uint64_t>(BrowserType::webkit)));
}

CoreConfig Simulation::draw_config(std::uint32_t model_count) {
    CoreConfig config;
    config.worker_browsers.resize(world_.between(1, 5));
    for (BrowserType& type : config.worker_browsers) type = any_browser_type();
    // Where there are standbys, at least one worker is none.
    const auto others = static_cast<std::uint32_t>(config.worker_browsers.size() - 1);
    if (world_.chance(1, 3))
        config.standby_count = static_cast<std::uint32_t>(world_.between(0, std::min(others, 2U)));
    config.model_count = model_count;
    config.max_in_flight_per_worker = static_cast<std::uint32_t>(world_.between(1, 4));
    config.in_flight_bytes_max = 1000;
    config.queue_count_max = static_cast<std::uint32_t>(world_.between(2, 60));
    config.lease_count_max = static_cast<std::uint32_t>(world_.between(1, 6));
    config.max_attempts = static_cast<std::uint8_t>(world_.between(1, 4));
    config.start_timeout = world_.between(Duration(8s), Duration(30s));
    config.ping_interval = world_.between(Duration(50ms), Duration(2s));
    config.acceptable_pause = world_.between(Duration(300ms), Duration(2s));
    config.ping_timeout = world_.between(Duration(3s), Duration(10s));
    config.hung_operation_grace = world_.between(Duration(500ms), Duration(5s));
    config.work_count = static_cast<std::uint32_t>(world_.between(1, 4));
    config.asks_control = world_.chance(3, 4);
    config.compute_ping_timeout = world_.between(Duration(10s), Duration(30s));
    config.canary_interval =
        world_.chance(1, 2) ? world_.between(Duration(1s), Duration(60s)) : Duration{};
    config.page_start_timeout = world_.between(Duration(5s), Duration(15s));
    config.hedge.sample_count_min = world_.between(10, 100);
    config.hedge.delay_min = world_.between(Duration(0ms), Duration(20ms));
    config.hedge_budget.floor = static_cast<std::uint32_t>(world_.between(0, 20));
    config.provider_count_max = static_cast<std::uint8_t>(world_.between(1, 3));
    if (world_.chance(1, 2)) config.family = static_cast<ModelFamily>(world_.between(0, 4));
    if (world_.chance(1, 2)) {
        config.worker_alternatives.resize(config.worker_browsers.size());
        for (auto& alternatives : config.worker_alternatives) {
            alternatives.resize(world_.between(0, 3));
            for (WorkerAlternative& other : alternatives)
                other = {.type = any_browser_type(),
                         .machine = static_cast<std::uint8_t>(world_.between(0, 2))};
        }
    }
    config.restart_intensity = static_cast<std::uint32_t>(world_.between(1, 8));
    config.restart_period = world_.between(Duration(0s), Duration(2min));
    config.restart_healthy_after = world_.between(Duration(0s), Duration(90s));
    if (world_.chance(1, 2)) config.launch_pause = world_.between(Duration(0s), Duration(500ms));
    strategy_ = world_.chance(1, 2) ? RecoveryStrategy::progressive
                                    : static_cast<RecoveryStrategy>(world_.between(0, 2));
    if (world_.chance(1, 4)) {
        strategy_ = RecoveryStrategy::parallel;
        config.rival_count = static_cast<std::uint32_t>(world_.between(1, 4));
    }
    config.strategy = make_recovery_strategy(strategy_);
    // Most seeds never give a worker up, so that all must be ready in the end.
    config.restart_count_max =
        may_fail_for_good_ ? static_cast<std::uint32_t>(world_.between(1, 5)) : 1000;
    return config;
}

/// The largest rung that the strategy in force tries with this worker sooner or later. Never
/// restart_adjusted: whether there is something to adjust goes by what fails.
RecoveryRung Simulation::highest_rung(std::uint32_t worker) const {
    if (strategy_ == RecoveryStrategy::parallel) return RecoveryRung::restart_browser;
    const RungSet rungs =
        WorkerShape(config_, worker).possible(config_.rungs, BrowserFailureCategory::unknown, {});
    const auto largest = [&](RecoveryRung first, RecoveryRung last) {
        RecoveryRung found = RecoveryRung::restart_browser;
        for (const RecoveryRung rung : recovery_rungs)
            if (rung >= first && rung <= last && rungs.contains(rung) &&
                rung != RecoveryRung::restart_adjusted)
                found = rung;
        return found;
    };
    switch (strategy_) {
    case RecoveryStrategy::reconnect:
    case RecoveryStrategy::restart: return RecoveryRung::restart_browser;
    case RecoveryStrategy::failover:
        return largest(RecoveryRung::other_browser, RecoveryRung::other_machine);
    default: return largest(RecoveryRung::ping, RecoveryRung::other_machine);
    }
}

/// As a driver knows it, which takes over what a rival may turn into from the worker that it stands
/// in for. The browsers that are configured all run on this machine.
bool Simulation::is_elsewhere(const StartWorker& action) {
    auto& others = others_.at(action.worker.value);
    if (!action.like.is_none()) others = others_.at(action.like.value);
    const std::size_t browser = action.form.browser;
    return browser != 0 && others.at(browser - 1).machine != 0;
}

/// What may come after the last fault, one after the other:
///   * the host stands still, what is late arrives, what never ends is given up at its deadline;
///   * that is noticed;
///   * the whole ladder, and once more from the browser on, each rung delayed and timed out.
Duration Simulation::recovery_max() const {
    return stall_max + std::max(message_lateness_max, patience_max) + config_.ping_interval +
           config_.compute_ping_timeout + 16 * (config_.restart_delay_max + config_.start_timeout);
}

// --- the engine ----------------------------------------------------------------------------------

void Simulation::trace(const std::string& line) {
    const auto ns = (world_.now() - TimePoint(1h)).count();
    report_.trace_hash = mix(report_.trace_hash, static_cast<std::uint64_t>(ns));
    for (const char c : line)
        report_.trace_hash = mix(report_.trace_hash, static_cast<unsigned char>(c));
    if (!options_.is_traced) return;
    std::printf("%6lld.%09lld %s\n", static_cast<long long>(ns / 1'000'000'000),
                static_cast<long long>(ns % 1'000'000'000), line.c_str());
}

void Simulation::feed(const Event& event) {
    if (has_failed()) return;
    trace(text_of(event));
    ledger_->note(event);
    core_->on(event, world_.now(), actions_);
    perform_all();
}

void Simulation::wake() {
    trace("wakeup");
    ledger_->note_wakeup();
    core_->on_wakeup(world_.now(), actions_);
    perform_all();
}

void Simulation::perform_all() {
    ++report_.events;
    for (std::uint32_t i = 0; i < workers_.size(); ++i) {
        const WorkerView worker = core_->core().worker(WorkerId{i});
        ledger_->note_finishing(WorkerId{i}, worker.is_finishing,
                                worker.state == WorkerState::ready);
    }
    for (const Action& action : actions_) {
        trace("  " + text_of(action));
        ledger_->note(action, world_.now());
        ++report_.actions[action.index()];
        if (const auto* notice = std::get_if<Notice>(&action)) judge_suspicion(*notice);
    }
    for (const Action& action : actions_)
        std::visit(
            [this](const auto& one) {
                if constexpr (requires(FakeWorker worker) { worker.perform(one); })
                    if (one.worker.value < workers_.size())
                        workers_[one.worker.value]->perform(one);
                if constexpr (std::is_same_v<std::remove_cvref_t<decltype(one)>, CountVotes>)
                    world_.after(world_.skewed(0s, 1ms),
                                 [this, counted = ledger_->count(one)] { feed(counted); });
            },
            action);
    actions_.clear();
    if (const auto broken = check_invariants(core_->core()))
        ledger_->object("invariant broken: " + std::string(*broken));
    if (has_failed()) trace("VIOLATION: " + ledger_->violation());
}

/// Whoever answers in time is not to be taken for dead, however long the host stood still.
void Simulation::judge_suspicion(const Notice& notice) {
    const bool is_suspicion =
        notice.cause == LossCause::compute_hung || notice.cause == LossCause::page_hung ||
        notice.cause == LossCause::browser_hung || notice.cause == LossCause::network_hung ||
        notice.cause == LossCause::gpu_hung;
    if (notice.what != Notice::What::worker_lost || !is_suspicion) return;
    if (workers_[notice.worker.value]->is_above_suspicion())
        ledger_->object("a worker that answers is taken for dead");
}

/// Lets things happen until `end`, or until it is done. \return whether it was
bool Simulation::run_until(TimePoint end, const std::function<bool()>& is_done) {
    while (!has_failed()) {
        if (is_done()) return true;
        const TimePoint wakeup = core_->core().next_wakeup();
        if (std::min(world_.next(), wakeup) > end) break;
        if (world_.next() <= wakeup) {
            world_.run_next();
        } else {
            world_.advance_to(wakeup + world_.skewed(0s, wakeup_lateness_max));
            wake();
        }
    }
    if (!has_failed()) world_.advance_to(end);
    return false;
}

void Simulation::run_for(Duration duration) {
    (void)run_until(world_.now() + duration, [] { return false; });
}

void Simulation::demand(bool is_fine, const char* what) {
    if (is_fine || has_failed()) return;
    ledger_->object(what);
    trace("VIOLATION: " + ledger_->violation());
}

// --- what strikes the host as a whole ------------------------------------------------------------

/// Once a second.
void Simulation::disturb() {
    if (!are_faults_on_) return;
    if (world_.chance(surroundings_->faults.stray)) feed(stray_event());
    if (world_.now() >= surroundings_->broken_until &&
        world_.chance(surroundings_->faults.broken_machine))
        surroundings_->broken_until = world_.now() + world_.skewed(5s, broken_machine_max);
    if (world_.chance(surroundings_->faults.host_stall))
        world_.stand_still(world_.skewed(50ms, stall_max));
    world_.after(1s, [this] { disturb(); });
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
        if (worker.state == WorkerState::failed && may_fail_for_good_) continue;
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
    report_.recovery_max = recovery_max();
    const bool is_recovered = run_until(quiet_since + report_.recovery_max, [this] {
        return !ledger_->has_open_requests() && !ledger_->has_open_leases() && is_whole();
    });
    report_.recovery = world_.now() - quiet_since;
    demand(!ledger_->has_open_requests(), "liveness: a request is not answered");
    demand(!ledger_->has_open_leases(), "liveness: a lease is not answered");
    demand(is_recovered, "liveness: the pool is not full");
    demand(ledger_->is_start_finished(), "liveness: the start is not finished");
    serve_once();
}

/// A healthy pool executes a request and lends a worker.
void Simulation::serve_once() {
    bool is_any_ready = false;
    for (std::uint32_t i = 0; i < workers_.size(); ++i)
        is_any_ready |= core_->core().worker(WorkerId{i}).state == WorkerState::ready;
    const CoreStats before = core_->core().stats();
    feed(Submit{{.id = ledger_->next_request(), .deadline = world_.now() + 1min}});
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
    const bool is_drained =
        run_until(world_.now() + recovery_max(), [this] { return ledger_->is_drain_finished(); });
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
    const bool is_stopped = run_until(world_.now() + config_.stop_timeout + stall_max,
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
    return report_;
}

} // namespace everpool::simulation
