// SPDX-License-Identifier: BSL-1.0
#include "drawn_pool.hpp"

#include "everpool/core/worker_shape.hpp"
#include "fake_host.hpp"

#include <algorithm>
#include <cstddef>

namespace everpool::simulation {

using namespace core;

namespace {

BrowserType any_browser_type(World& world) {
    return static_cast<BrowserType>(
        world.between(0, static_cast<std::uint64_t>(BrowserType::webkit)));
}

} // namespace

DrawnPool::DrawnPool(World& world, std::uint32_t model_count, bool may_fail)
    : may_fail_for_good(may_fail) {
    config.worker_browsers.resize(world.between(1, 5));
    for (BrowserType& type : config.worker_browsers) type = any_browser_type(world);
    // Where there are standbys, at least one worker is none.
    const auto others = static_cast<std::uint32_t>(config.worker_browsers.size() - 1);
    if (world.chance(1, 3))
        config.standby_count = static_cast<std::uint32_t>(world.between(0, std::min(others, 2U)));
    config.model_count = model_count;
    config.max_in_flight_per_worker = static_cast<std::uint32_t>(world.between(1, 4));
    config.in_flight_bytes_max = 1000;
    config.queue_count_max = static_cast<std::uint32_t>(world.between(2, 60));
    if (world.chance(1, 3))
        for (std::uint32_t& limit : config.queue_count_max_of)
            limit = static_cast<std::uint32_t>(world.between(0, 30));
    config.priority_aging = world.between(Duration(0s), Duration(3s));
    config.lease_count_max = static_cast<std::uint32_t>(world.between(1, 6));
    config.max_attempts = static_cast<std::uint8_t>(world.between(1, 4));
    config.start_timeout = world.between(Duration(8s), Duration(30s));
    config.ping_interval = world.between(Duration(50ms), Duration(2s));
    config.acceptable_pause = world.between(Duration(300ms), Duration(2s));
    config.ping_timeout = world.between(Duration(3s), Duration(10s));
    config.hung_operation_grace = world.between(Duration(500ms), Duration(5s));
    config.work_count = static_cast<std::uint32_t>(world.between(1, 4));
    if (world.chance(1, 2)) draw_batching(world);
    config.asks_control = world.chance(3, 4);
    config.compute_ping_timeout = world.between(Duration(10s), Duration(30s));
    config.canary_interval =
        world.chance(1, 2) ? world.between(Duration(1s), Duration(60s)) : Duration{};
    config.page_start_timeout = world.between(Duration(5s), Duration(15s));
    config.hedge.sample_count_min = world.between(10, 100);
    config.hedge.delay_min = world.between(Duration(0ms), Duration(20ms));
    config.hedge_budget.floor = static_cast<std::uint32_t>(world.between(0, 20));
    config.provider_count_max = static_cast<std::uint8_t>(world.between(1, 3));
    if (world.chance(1, 2)) config.family = static_cast<ModelFamily>(world.between(0, 4));
    if (world.chance(1, 2)) draw_alternatives(world);
    config.restart_intensity = static_cast<std::uint32_t>(world.between(1, 8));
    config.restart_period = world.between(Duration(0s), Duration(2min));
    config.restart_healthy_after = world.between(Duration(0s), Duration(90s));
    if (world.chance(1, 2)) config.launch_pause = world.between(Duration(0s), Duration(500ms));
    draw_strategy(world);
    // Most seeds never give a worker up, so that all must be ready in the end.
    config.restart_count_max =
        may_fail_for_good ? static_cast<std::uint32_t>(world.between(1, 5)) : 1000;
    others_ = config.worker_alternatives;
    others_.resize(config.worker_browsers.size() + config.rival_count);
}

/// Those of one model may be such that each goes alone.
void DrawnPool::draw_batching(World& world) {
    for (std::uint32_t i = 0; i < config.model_count; ++i) {
        BatchRule& rule = config.batching.emplace_back();
        rule.rows_max = static_cast<std::uint32_t>(world.between(1, 8));
        if (world.chance(1, 2)) rule.delay_max = world.between(Duration(0ms), Duration(200ms));
        for (std::uint32_t rows = 1; rows <= rule.rows_max; ++rows)
            if (world.chance(1, 6)) rule.preferred.push_back(rows);
        rule.first_work = static_cast<std::uint16_t>(config.work_count);
        config.work_count += 2 * rule.work_count() + 1; // as many as twice the rows would be
    }
}

/// Another browser of the same type on the same machine would be drawn rarely, and is a rung.
void DrawnPool::draw_alternatives(World& world) {
    for (const BrowserType own : config.worker_browsers) {
        auto& alternatives = config.worker_alternatives.emplace_back();
        alternatives.resize(world.between(0, 3));
        for (WorkerAlternative& other : alternatives)
            other = {.type = world.chance(1, 3) ? own : any_browser_type(world),
                     .machine =
                         static_cast<std::uint8_t>(world.chance(1, 3) ? 0 : world.between(0, 2))};
    }
}

void DrawnPool::draw_strategy(World& world) {
    strategy = world.chance(1, 2) ? RecoveryStrategy::progressive
                                  : static_cast<RecoveryStrategy>(world.between(0, 2));
    if (world.chance(1, 4)) {
        strategy = RecoveryStrategy::parallel;
        config.rival_count = static_cast<std::uint32_t>(world.between(1, 4));
    } else if (world.chance(1, 4)) {
        strategy = RecoveryStrategy::custom;
        config.strategy = hosts_own_ =
            std::make_shared<const HostStrategy>(HostStrategy::random(world));
        return;
    }
    config.strategy = make_recovery_strategy(strategy);
}

/// The largest rung that the strategy in force tries with this worker sooner or later. Never
/// restart_adjusted: whether there is something to adjust goes by what fails.
RecoveryRung DrawnPool::highest_rung(std::uint32_t worker) const {
    if (strategy == RecoveryStrategy::parallel) return RecoveryRung::restart_browser;
    const RungSet rungs = possible_rungs(worker);
    if (hosts_own_) return hosts_own_->largest(rungs);
    const auto largest = [&](RecoveryRung first, RecoveryRung last) {
        RecoveryRung found = RecoveryRung::restart_browser;
        for (const RecoveryRung rung : recovery_rungs)
            if (rung >= first && rung <= last && rungs.contains(rung) &&
                rung != RecoveryRung::restart_adjusted)
                found = rung;
        return found;
    };
    switch (strategy) {
    case RecoveryStrategy::reconnect:
    case RecoveryStrategy::restart: return RecoveryRung::restart_browser;
    case RecoveryStrategy::failover:
        return largest(RecoveryRung::other_browser, RecoveryRung::other_machine);
    default: return largest(RecoveryRung::ping, RecoveryRung::other_machine);
    }
}

RungSet DrawnPool::possible_rungs(std::uint32_t worker) const {
    // A rival is what it stands in for.
    const std::size_t like = worker < config.worker_browsers.size() ? worker : 0;
    return WorkerShape(config, like).possible(config.rungs, BrowserFailureCategory::unknown, {});
}

RecoveryRung DrawnPool::smallest_rung() const {
    return hosts_own_ ? hosts_own_->smallest() : RecoveryRung::ping;
}

/// As a driver knows it, which takes over what a rival may turn into from the worker that it stands
/// in for. The browsers that are configured all run on this machine.
bool DrawnPool::is_elsewhere(const StartWorker& action) {
    auto& others = others_.at(action.worker.value);
    if (!action.like.is_none()) others = others_.at(action.like.value);
    const std::size_t browser = action.form.browser;
    return browser != 0 && others.at(browser - 1).machine != 0;
}

/// What may come after the last fault, one after the other:
///   * the host stands still, what is late arrives, what never ends is given up at its deadline;
///   * that is noticed;
///   * the whole ladder, and once more from the browser on, each rung delayed and timed out.
Duration DrawnPool::recovery_max() const {
    return stall_max + std::max(message_lateness_max, patience_max) + config.ping_interval +
           config.compute_ping_timeout + 16 * (config.restart_delay_max + config.start_timeout);
}

} // namespace everpool::simulation
