// SPDX-License-Identifier: BSL-1.0
#include "simulation.hpp"

#include "everpool/core/event_text.hpp"
#include "everpool/core/invariants.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <set>
#include <type_traits>
#include <utility>
#include <variant>

namespace everpool::simulation {

using namespace core;

namespace {

/// FNV-1a: any difference between two traces makes another hash, but for one case in 2^64.
std::uint64_t mix(std::uint64_t hash, std::uint64_t bits) {
    return (hash ^ bits) * 0x100'0000'01b3ULL;
}

} // namespace

Simulation::Simulation(const RunOptions& options) : options_(options), world_(options.seed) {

    if (world_.chance(1, 8)) ending_ = world_.chance(1, 2) ? Ending::drain : Ending::stop;
    const bool may_fail_for_good = world_.chance(1, 8);
    FaultMenu faults = FaultMenu::random(world_);
    if (may_fail_for_good && world_.chance(1, 2)) faults.permanent_start = {1, 10};
    const HostHabits habits = HostHabits::random(world_, faults);
    pool_ = std::make_unique<DrawnPool>(world_, habits.model_count, may_fail_for_good);
    const CoreConfig& config = pool_->config;
    core_ = std::make_unique<CoreUnderTest>(config, world_.between(0, UINT64_MAX - 1), options_.bug,
                                            options_.run);
    const bool has_clock_errors = faults.clock_error.numerator != 0;
    ledger_ =
        std::make_unique<Ledger>(config, wakeup_lateness_max + vote_count_max +
                                             (has_clock_errors ? clock_error_max : Duration{}));
    surroundings_ =
        std::make_unique<Surroundings>(Surroundings{world_,
                                                    *ledger_,
                                                    faults,
                                                    config.start_timeout,
                                                    config.compute_ping_timeout * 2 / 3,
                                                    {1, world_.chance(1, 8) ? 3U : 50U},
                                                    [this](const Event& event) { feed(event); }});
    surroundings_->is_elsewhere = [this](const StartWorker& action) {
        return pool_->is_elsewhere(action);
    };
    ++surroundings_->tally.strategies.at(static_cast<std::size_t>(pool_->strategy));
    for (std::uint32_t i = 0; i < core_->core().worker_count(); ++i) {
        std::set<std::uint32_t> rejected, misjudged;
        for (std::uint32_t m = 0; m < config.model_count; ++m)
            if (world_.chance(1, 8)) rejected.insert(m);
            else if (world_.chance(1, 16)) misjudged.insert(m);
        workers_.push_back(std::make_unique<FakeWorker>(WorkerId{i}, *surroundings_,
                                                        std::move(rejected), pool_->highest_rung(i),
                                                        std::move(misjudged)));
    }
    host_ = std::make_unique<FakeHost>(habits, *surroundings_);
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

/// The time that the core is told. Who calls it may have read the clock before somebody else did
/// who called first, or be told by another clock that is ahead.
TimePoint Simulation::stamp() {
    TimePoint now = world_.now();
    if (world_.chance(surroundings_->faults.clock_error)) {
        const Duration error = world_.skewed(1us, clock_error_max);
        now = world_.chance(1, 2) ? now - error : now + error;
        ++surroundings_->tally.clock_errors;
        trace("clock error");
    }
    told_ = std::max(told_, now);
    return now;
}

void Simulation::feed(const Event& event) {
    if (has_failed()) return;
    trace(text_of(event));
    const TimePoint now = stamp();
    ledger_->note(event, told_);
    core_->on(event, now, actions_);
    perform_all();
}

void Simulation::wake() {
    trace("wakeup");
    ledger_->note_wakeup();
    core_->on_wakeup(stamp(), actions_);
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
        ledger_->note(action, told_);
        ++report_.actions[action.index()];
        if (const auto* notice = std::get_if<Notice>(&action)) judge_suspicion(*notice);
        if (const auto* start = std::get_if<StartWorker>(&action);
            start != nullptr && start->rung < pool_->smallest_rung())
            ledger_->object("a rung is tried that the strategy does not name");
    }
    for (const Action& action : actions_)
        std::visit(
            [this](const auto& one) {
                if constexpr (requires(FakeWorker worker) { worker.perform(one); })
                    if (one.worker.value < workers_.size())
                        workers_[one.worker.value]->perform(one);
                if constexpr (std::is_same_v<std::remove_cvref_t<decltype(one)>, CountVotes>)
                    world_.after(world_.skewed(0s, vote_count_max),
                                 [this, counted = ledger_->count(one)] { feed(counted); });
            },
            action);
    actions_.clear();
    if (const auto broken = check_invariants(core_->core()))
        ledger_->object("invariant broken: " + std::string(*broken));
    if (has_failed()) trace("VIOLATION: " + ledger_->violation());
}

/// Whoever answers in time is not to be taken for dead, however long the host stood still; nor for
/// slow, if nothing of what it did took longer than ever.
void Simulation::judge_suspicion(const Notice& notice) {
    if (notice.what != Notice::What::worker_lost) return;
    ++surroundings_->tally.losses.at(static_cast<std::size_t>(notice.cause));
    const bool is_suspicion =
        notice.cause == LossCause::compute_hung || notice.cause == LossCause::page_hung ||
        notice.cause == LossCause::browser_hung || notice.cause == LossCause::network_hung ||
        notice.cause == LossCause::gpu_hung;
    if (!is_suspicion && notice.cause != LossCause::slow) return;
    if (workers_[notice.worker.value]->is_above_suspicion())
        ledger_->object(is_suspicion ? "a worker that answers is taken for dead"
                                     : "a worker is taken for slow that is as fast as ever");
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

} // namespace everpool::simulation
