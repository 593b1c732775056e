// SPDX-License-Identifier: BSL-1.0
#include "simulation.hpp"

#include "everpool/core/event_text.hpp"
#include "everpool/core/invariants.hpp"

#include <cstdio>
#include <optional>

namespace everpool::simulation {

using namespace core;

namespace {

/// A wakeup or an event comes to the core at most this late, stalls aside.
constexpr Duration wakeup_lateness_max = 2ms;
constexpr Duration stall_max = 20s;

/// Once the faults have stopped: a silence must be noticed, a restart escalate through three levels
/// with start timeouts and delays between them, and late messages arrive. Sixteen failures in a row
/// cost no more than this with the longest timeouts that are drawn.
constexpr Duration recovery_max = 15min;

std::uint64_t mix(std::uint64_t hash, const std::string& text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100'0000'01b3ULL;
    return hash;
}

} // namespace

Simulation::Simulation(const RunOptions& options) : options_(options), world_(options.seed) {
    prepare();
}

CoreConfig Simulation::draw_config() {
    CoreConfig config;
    config.worker_browsers.resize(world_.between(1, 5));
    for (BrowserType& type : config.worker_browsers)
        type = static_cast<BrowserType>(world_.between(0, 3));
    config.model_count = habits_.model_count;
    config.max_in_flight_per_worker = static_cast<std::uint32_t>(world_.between(1, 4));
    config.in_flight_bytes_max = 1000;
    config.queue_count_max = static_cast<std::uint32_t>(world_.between(2, 60));
    config.lease_count_max = static_cast<std::uint32_t>(world_.between(1, 6));
    config.start_timeout = world_.between(Duration(8s), Duration(30s));
    config.ping_interval = world_.between(Duration(200ms), Duration(2s));
    config.ping_timeout = world_.between(Duration(3s), Duration(10s));
    config.compute_ping_timeout = world_.between(Duration(10s), Duration(30s));
    // Most seeds never give a worker up, so that all must be ready in the end.
    config.restart_count_max =
        habits_.may_fail_for_good ? static_cast<std::uint32_t>(world_.between(1, 5)) : 1000;
    config.stop_timeout = 15s;
    return config;
}

void Simulation::prepare() {
    habits_.burst_max = static_cast<std::uint32_t>(world_.between(1, 16));
    habits_.pause_max = world_.between(Duration(20ms), Duration(8s));
    habits_.model_count = static_cast<std::uint32_t>(world_.between(0, 4));
    habits_.bytes_max = world_.between(0, 1500);
    habits_.stops_in_faults = world_.chance(1, 16);
    habits_.may_fail_for_good = world_.chance(1, 8);
    config_ = draw_config();
    core_ =
        std::make_unique<CoreUnderTest>(config_, world_.between(0, UINT64_MAX - 1), options_.bug);
    ledger_ =
        std::make_unique<Ledger>(config_.worker_browsers.size(), wakeup_lateness_max + stall_max);
    surroundings_ = std::make_unique<Surroundings>(
        Surroundings{world_, *ledger_, FaultMenu::random(world_), config_.start_timeout,
                     [this](const Event& event) { feed(event); }});
    habits_.always_has_deadlines = surroundings_->faults.stuck.numerator != 0;
    if (habits_.may_fail_for_good && world_.chance(1, 2))
        surroundings_->faults.permanent_start = {1, 10};
    for (std::uint32_t i = 0; i < config_.worker_browsers.size(); ++i) {
        std::set<std::uint32_t> rejected;
        for (std::uint32_t m = 0; m < habits_.model_count; ++m)
            if (world_.chance(1, 8)) rejected.insert(m);
        workers_.push_back(
            std::make_unique<FakeWorker>(WorkerId{i}, *surroundings_, std::move(rejected)));
    }
}

// --- the engine ----------------------------------------------------------------------------------

void Simulation::trace(const std::string& line) {
    report_.trace_hash = mix(report_.trace_hash, line);
    if (!options_.is_traced) return;
    const auto ns = (world_.now() - TimePoint(1h)).count();
    std::printf("%6lld.%09lld %s\n", static_cast<long long>(ns / 1'000'000'000),
                static_cast<long long>(ns % 1'000'000'000), line.c_str());
}

void Simulation::feed(const Event& event) {
    if (has_failed()) return;
    trace(text_of(event));
    ledger_->note(event, world_.now());
    actions_.clear();
    core_->on(event, world_.now(), actions_);
    perform_all();
}

void Simulation::wake() {
    trace("wakeup");
    ledger_->note(Event{Start{}}, world_.now()); // no answer may come of this
    actions_.clear();
    core_->on_wakeup(world_.now(), actions_);
    perform_all();
}

void Simulation::perform_all() {
    ++report_.events;
    for (const Action& action : actions_) {
        trace("  " + text_of(action));
        ledger_->note(action, world_.now());
    }
    for (const Action& action : actions_)
        std::visit(
            [this](const auto& one) {
                if constexpr (requires(FakeWorker worker) { worker.perform(one); })
                    if (one.worker.value < workers_.size())
                        workers_[one.worker.value]->perform(one);
            },
            action);
    check();
}

void Simulation::check() {
    if (const auto broken = check_invariants(core_->core()))
        ledger_->object("invariant broken: " + std::string(*broken));
    if (has_failed()) trace("VIOLATION: " + ledger_->violation());
}

/// Lets things happen until `end`, or until it is done. \return whether it was
bool Simulation::run_until(TimePoint end, const std::function<bool()>& is_done) {
    while (!has_failed()) {
        if (is_done()) return true;
        const TimePoint wakeup = core_->core().next_wakeup();
        const TimePoint next = std::min(world_.next(), wakeup);
        if (next > end) break;
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

// --- the host ------------------------------------------------------------------------------------

std::uint32_t Simulation::draw_preferences() {
    std::vector<BrowserType> order(world_.between(0, 3));
    for (BrowserType& type : order) type = static_cast<BrowserType>(world_.between(0, 3));
    return pack_preferences(order);
}

void Simulation::submit(LeaseId lease) {
    RequestMeta meta;
    meta.id = ledger_->next_request();
    if (habits_.model_count != 0 && world_.chance(3, 4))
        meta.model = {static_cast<std::uint32_t>(world_.between(0, habits_.model_count - 1))};
    meta.lease = lease;
    if (habits_.always_has_deadlines || !world_.chance(1, 8))
        meta.deadline = world_.now() + world_.skewed(5ms, 40s);
    meta.bytes = world_.between(0, habits_.bytes_max);
    meta.preferred_browsers = draw_preferences();
    meta.max_attempts = static_cast<std::uint8_t>(world_.between(1, 4));
    meta.idempotent = world_.chance(3, 4);
    feed(Submit{meta});
    // A host that stutters. (An id that has been answered would be a new request.)
    if (world_.chance(1, 200) && !ledger_->request(meta.id).is_completed) feed(Submit{meta});
}

void Simulation::cancel_one() {
    const std::uint64_t count = ledger_->request_count();
    if (count == 0) return;
    // Mostly a recent one, which may be under way.
    const std::uint64_t back = std::min(count - 1, world_.between(0, 20));
    feed(Cancel{RequestId{count - back}});
}

void Simulation::use_leases() {
    for (std::size_t i = 0; i < leases_.size();) {
        const LeaseId id = leases_[i];
        const LeaseFact& lease = ledger_->lease(id);
        const bool is_over = lease.state == LeaseFact::State::over;
        if (!is_over && lease.state == LeaseFact::State::held && world_.chance(3, 4)) submit(id);
        if (!is_over && world_.chance(1, 4)) feed(Release{id});
        if (is_over || ledger_->lease(id).is_released)
            leases_.erase(leases_.begin() + static_cast<std::ptrdiff_t>(i));
        else ++i;
    }
    if (!world_.chance(1, 6)) return;
    Acquire acquire;
    acquire.lease = ledger_->next_lease();
    if (habits_.model_count != 0 && world_.chance(1, 2))
        acquire.model = {static_cast<std::uint32_t>(world_.between(0, habits_.model_count - 1))};
    if (!world_.chance(1, 8)) acquire.deadline = world_.now() + world_.skewed(5ms, 20s);
    acquire.preferred_browsers = draw_preferences();
    leases_.push_back(acquire.lease);
    feed(acquire);
}

/// A burst of requests, then a pause, for ever.
void Simulation::be_busy() {
    if (!is_host_active_) return;
    const std::uint64_t burst = world_.between(1, habits_.burst_max);
    for (std::uint64_t i = 0; i < burst; ++i) submit(LeaseId{});
    if (world_.chance(1, 4)) cancel_one();
    if (world_.chance(1, 2)) use_leases();
    ledger_->check_deadlines(world_.now());
    world_.after(world_.skewed(1ms, habits_.pause_max), [this] { be_busy(); });
}

/// Once a second: what strikes the host as a whole.
void Simulation::disturb() {
    if (world_.chance(surroundings_->faults.stray)) feed(stray_event());
    if (world_.chance(surroundings_->faults.host_stall))
        world_.stand_still(world_.skewed(50ms, stall_max));
    if (is_host_active_) world_.after(1s, [this] { disturb(); });
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
    switch (world_.between(0, 8)) {
    case 0: return WorkerConnected{id, other};
    case 1: return WorkerLost{id, other, static_cast<LossCause>(world_.between(0, 6))};
    case 2: return WorkerStartFailed{id, other, Errc::browser_not_found, true};
    case 3: return WorkerStopped{id, other};
    case 4: return ModelWarmedUp{id, other, model};
    case 5: return ModelRejected{id, other, model, Errc::model_rejected};
    case 6: return Replied{id, other, request, 1, Errc::ok};
    case 7: return Replied{id, now, request, 200, Errc::ok}; // an attempt that was never made
    default: return PongArrived{id, now, wire::Channel::data, UINT64_MAX - world_.between(0, 9)};
    }
}

// --- the phases ----------------------------------------------------------------------------------

void Simulation::demand(bool is_fine, const char* what) {
    if (is_fine || has_failed()) return;
    ledger_->object(what);
    trace("VIOLATION: " + ledger_->violation());
}

/// Every worker is ready, or has failed in a seed where that may be.
bool Simulation::is_whole() {
    for (std::uint32_t i = 0; i < workers_.size(); ++i) {
        const WorkerState state = core_->core().worker(WorkerId{i}).state;
        const bool is_fine = state == WorkerState::ready ||
                             (habits_.may_fail_for_good && state == WorkerState::failed);
        if (!is_fine) return false;
    }
    return true;
}

void Simulation::quiet_phase() {
    surroundings_->faults = {};
    // The host goes on for a while: the pool must become whole under load, not only at rest.
    (void)run_until(world_.now() + 10s, [] { return false; });
    is_host_active_ = false;
    for (const LeaseId lease : std::exchange(leases_, {})) feed(Release{lease});
    const bool is_recovered = run_until(world_.now() + recovery_max, [this] {
        return ledger_->open_requests() == 0 && ledger_->open_leases() == 0 && is_whole();
    });
    demand(ledger_->open_requests() == 0, "liveness: a request is not answered");
    demand(ledger_->open_leases() == 0, "liveness: a lease is not answered");
    demand(is_recovered, "liveness: the pool is not full");
    demand(ledger_->is_start_finished(), "liveness: the start is not finished");
    // And it works: a request without a model succeeds, if anybody is left.
    bool is_any_ready = false;
    for (std::uint32_t i = 0; i < workers_.size(); ++i)
        is_any_ready |= core_->core().worker(WorkerId{i}).state == WorkerState::ready;
    const std::uint64_t before = core_->core().stats().succeeded;
    feed(Submit{{.id = ledger_->next_request(), .deadline = world_.now() + 10min}});
    (void)run_until(world_.now() + 10min, [this] { return ledger_->open_requests() == 0; });
    demand(!is_any_ready || core_->core().stats().succeeded == before + 1,
           "liveness: a healthy pool does not serve");
}

void Simulation::last_phase() {
    if (!habits_.stops_in_faults) {
        for (int i = 0; i < 5; ++i) submit(LeaseId{});
        feed(Drain{});
        (void)run_until(world_.now() + recovery_max,
                        [this] { return ledger_->is_drain_finished(); });
        demand(ledger_->is_drain_finished(), "liveness: the drain does not finish");
        // Stops may be stuck; the timeout must see to it.
        surroundings_->faults.stuck_stop = {1, 4};
    }
    is_host_active_ = false;
    feed(Stop{});
    demand(ledger_->open_requests() == 0, "a stop leaves a request unanswered");
    demand(ledger_->open_leases() == 0, "a stop leaves a lease unanswered");
    const bool is_stopped = run_until(world_.now() + config_.stop_timeout + stall_max,
                                      [this] { return ledger_->is_stop_finished(); });
    demand(is_stopped, "liveness: the stop does not finish");
    demand(ledger_->is_start_finished(), "liveness: the start is not finished by the stop");
    demand(has_failed() || core_->core().next_wakeup() == never,
           "a stopped pool wants to be woken");
    // What still arrives must change nothing.
    (void)run_until(world_.now() + 1min, [] { return false; });
}

RunReport Simulation::run() {
    const TimePoint begin = world_.now();
    feed(Start{});
    be_busy();
    disturb();
    (void)run_until(begin + options_.faults_for, [] { return false; });
    if (!habits_.stops_in_faults) quiet_phase();
    last_phase();
    report_.violation = ledger_->violation();
    report_.simulated = world_.now() - begin;
    report_.requests = ledger_->request_count();
    report_.stats = core_->core().stats();
    report_.outcomes = ledger_->outcomes();
    return report_;
}

} // namespace everpool::simulation
