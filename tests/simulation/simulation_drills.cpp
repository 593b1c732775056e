// A Simulation's drills: one trouble in a world that is quiet, so that it is known what must come.
// SPDX-License-Identifier: BSL-1.0
#include "simulation.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <vector>

namespace everpool::simulation {

using namespace core;

namespace {

/// What is told or found soon, the smallest first, and the rung that cures it.
struct Curable {
    Trouble trouble;
    RecoveryRung cure;
};
constexpr std::array curables{Curable{Trouble::context_goes, RecoveryRung::recreate_device},
                              Curable{Trouble::device_goes, RecoveryRung::replace_compute},
                              Curable{Trouble::memory_ends, RecoveryRung::reload_page},
                              Curable{Trouble::page_dies, RecoveryRung::reload_page},
                              Curable{Trouble::page_hangs, RecoveryRung::new_page},
                              Curable{Trouble::browser_dies, RecoveryRung::restart_browser},
                              Curable{Trouble::all_stops, RecoveryRung::restart_browser}};

} // namespace

/// One of them in half of the seeds: each takes as long as some of the faults' minutes.
void Simulation::drill() {
    const std::uint64_t which = world_.between(0, 15);
    if (which < 2) drill_storm();
    else if (which < 6) drill_failing_starts();
    else if (which < 8) drill_slowness();
}

std::vector<std::uint32_t> Simulation::ready_workers() const {
    std::vector<std::uint32_t> ready;
    for (std::uint32_t i = 0; i < workers_.size(); ++i) {
        const WorkerView worker = core_->core().worker(WorkerId{i});
        if (worker.state == WorkerState::ready && worker.role == WorkerRole::active)
            ready.push_back(i);
    }
    return ready;
}

/// Is the pool whole again, with all that was asked of it answered?
void Simulation::demand_recovery(const char* what) {
    const bool is_recovered = run_until(world_.now() + pool_->recovery_max(), [this] {
        return !ledger_->has_open_requests() && is_whole();
    });
    demand(is_recovered, what);
}

/// All workers fail alike while they have work, whose callers wait for as long as it takes.
void Simulation::drill_storm() {
    if (ready_workers().empty()) return;
    ++surroundings_->tally.storm_drills;
    const std::uint64_t asked = world_.between(1, pool_->config.queue_limit(Priority::normal));
    const std::uint64_t answered = core_->core().stats().succeeded;
    for (std::uint64_t i = 0; i < asked; ++i)
        feed(Submit{{.id = ledger_->next_request(), .max_attempts = 100}});
    world_.after(world_.skewed(0s, 20ms),
                 [this] { storm(static_cast<Trouble>(world_.between(0, trouble_count - 1))); });
    run_for(50ms); // or it would be whole before it is struck
    demand_recovery("liveness: the pool is not full after a storm");
    // Whoever is given up for good takes with him what nobody else can serve.
    demand(pool_->may_fail_for_good || core_->core().stats().succeeded == answered + asked,
           "a storm costs a request");
}

/// One that is tried with this worker sooner or later. The larger ones are there in a few pools
/// only, and are taken where they are.
RecoveryRung Simulation::draw_rung(std::uint32_t worker) {
    const RecoveryRung highest = pool_->highest_rung(worker);
    const RungSet possible = pool_->possible_rungs(worker);
    std::vector<RecoveryRung> all, large;
    for (const RecoveryRung rung : recovery_rungs) {
        if (rung > highest || !possible.contains(rung)) continue;
        all.push_back(rung);
        if (rung > RecoveryRung::restart_browser) large.push_back(rung);
    }
    return world_.one_of(large.empty() || world_.chance(1, 3) ? all : large);
}

/// A worker fails, and the start that is to cure it does as well, at a step of a rung; the next one
/// is a success.
void Simulation::drill_failing_starts() {
    const std::vector<std::uint32_t> ready = ready_workers();
    if (ready.empty()) return;
    ++surroundings_->tally.start_drills;
    const std::uint32_t id = world_.one_of(ready);
    const RecoveryRung last = draw_rung(id);
    const auto curable = static_cast<std::uint64_t>(
        std::ranges::count_if(curables, [last](const Curable& one) { return one.cure <= last; }));
    workers_[id]->fail(
        {.last = last,
         .how = {static_cast<StartStep>(world_.between(0, start_step_names.size() - 1)),
                 world_.chance(1, 2)}});
    const Generation before = core_->core().worker(WorkerId{id}).generation;
    workers_[id]->strike(curables.at(world_.between(0, curable - 1)).trouble);
    const bool is_found = run_until(world_.now() + pool_->recovery_max(), [&] {
        return core_->core().worker(WorkerId{id}).generation != before;
    });
    demand(is_found, "liveness: a worker that has failed is not found");
    demand_recovery("liveness: the pool is not full after a start that failed");
}

/// One worker becomes slow, and the others do not.
void Simulation::drill_slowness() {
    if (ready_workers().size() < 2) return;
    surroundings_->long_operation = {}; // which would be slow by themselves
    // What they did among the faults is no measure.
    storm(Trouble::device_goes);
    run_for(1s);
    demand_recovery("liveness: the pool is not full after a storm");
    const std::vector<std::uint32_t> ready = ready_workers();
    if (ready.size() < 2) return;
    ++surroundings_->tally.slowness_drills;
    is_loaded_ = true;
    keep_busy();
    run_for(5s);
    const std::uint32_t id = world_.one_of(ready);
    const WorkerView before = core_->core().worker(WorkerId{id});
    // Not so slow that it is taken for hung.
    if (!has_failed()) workers_[id]->slow_down(4);
    const bool is_found = run_until(world_.now() + 1min, [&] {
        return core_->core().worker(WorkerId{id}).generation != before.generation;
    });
    is_loaded_ = false;
    demand(is_found && core_->core().worker(WorkerId{id}).last_cause == LossCause::slow,
           "liveness: a worker that has become slow is not found");
    demand_recovery("liveness: the pool is not full after a worker was slow");
}

/// As many requests of one kind as the workers take at the same time, so that each has some.
void Simulation::keep_busy() {
    if (!is_loaded_ || has_failed()) return;
    const std::size_t enough = ready_workers().size() * pool_->config.max_in_flight_per_worker;
    while (ledger_->open_requests().size() < enough && !has_failed()) {
        const RequestId id = ledger_->next_request();
        feed(Submit{{.id = id, .max_attempts = 100}});
        if (ledger_->request(id).is_completed) break; // refused, as a worker takes nothing new
    }
    world_.after(2ms, [this] { keep_busy(); });
}

} // namespace everpool::simulation
