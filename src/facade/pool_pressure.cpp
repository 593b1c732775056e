// Everpool facade: who has what, and since when; for callers who are refused, and for those who ask
// before.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/pool_core.hpp"
#include "facade/pool_driver.hpp"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>

namespace everpool::facade {

namespace {

/// Of larger pools the first ones are enough to see what is wrong.
constexpr std::size_t workers_told_max = 8;

std::string seconds(Duration duration) {
    return fmt::format("{:.1f} s", std::chrono::duration<double>(duration).count());
}

} // namespace

/// "1000 of 1000 requests of priority low wait, the first for 12.0 s; worker 0 (chromium) has 4
/// operations, the first for 3.2 s; worker 1 (firefox) is starting"
std::string PoolDriver::holders(Priority priority) const {
    const TimePoint time = now();
    std::string out = fmt::format("{} of {} requests of priority {} wait", core_.queued(priority),
                                  core_.config().queue_limit(priority), name_of(priority));
    if (const TimePoint since = core_.waiting_since(priority); since != never)
        out += ", the first for " + seconds(time - since);
    for (std::size_t i = 0; i < workers_.size(); ++i) {
        if (i == workers_told_max) return out + fmt::format("; and {} more", workers_.size() - i);
        const core::WorkerView view = core_.worker(workers_[i]->id());
        if (view.role == WorkerRole::dormant) continue;
        out += fmt::format("; worker {} ({}) ", i, name_of(view.browser));
        if (view.state != WorkerState::ready) out += fmt::format("is {}", name_of(view.state));
        else
            out += fmt::format("{}has {} operation{}", view.leased ? "is leased and " : "",
                               view.in_flight, view.in_flight == 1 ? "" : "s");
        if (view.busy_since != never) out += ", the first for " + seconds(time - view.busy_since);
    }
    return out;
}

PressureSnapshot PoolDriver::pressure() const {
    const auto get = [](const auto& atomic) { return atomic.load(std::memory_order_relaxed); };
    PressureSnapshot out;
    out.reason = get(board_.counters.pressure);
    out.running = get(board_.counters.in_flight);
    for (std::size_t i = 0; i < priority_count; ++i) {
        out.queued_by_priority[i] = get(board_.counters.queued[i]);
        out.queued += out.queued_by_priority[i];
    }
    out.recently_rejected = board_.rejected.count(now());
    out.is_available = out.reason == PressureReason::none;
    return out;
}

PressureReason PoolDriver::pressure_now() const noexcept {
    if (phase_ == Phase::draining) return PressureReason::draining;
    if (phase_ != Phase::starting && phase_ != Phase::running) return PressureReason::not_running;
    if (core_.is_broken()) return PressureReason::not_running;
    if (!core_.has_hope()) return PressureReason::no_worker;
    const bool is_full =
        core_.queued(Priority::normal) >= core_.config().queue_limit(Priority::normal);
    return is_full ? PressureReason::queue_full : PressureReason::none;
}

} // namespace everpool::facade
