// What may become of a FakeWorker, and what is seen of it.
// SPDX-License-Identifier: BSL-1.0
#include "fake_worker.hpp"

#include <algorithm>
#include <utility>

namespace everpool::simulation {

using namespace core;

/// From now on only this rung or a larger one brings it back. Some trouble sits deeper than it
/// looks: with these settings, in this browser, with this provider, it will not work again.
void FakeWorker::breaks(RecoveryRung rung) {
    if (with_.world.chance(with_.faults.stubborn))
        rung = static_cast<RecoveryRung>(
            with_.world.between(static_cast<std::uint64_t>(rung),
                                static_cast<std::uint64_t>(std::max(rung, highest_rung_))));
    broken_ = std::max(broken_, rung);
}

void FakeWorker::strike(Trouble trouble) {
    if (health_ == Health::dead) return;
    switch (trouble) {
    case Trouble::page_dies:
    case Trouble::browser_dies:
    case Trouble::memory_ends: return die(trouble);
    case Trouble::device_goes: return lose_device();
    case Trouble::context_goes: return lose_context();
    case Trouble::software_only:
        if (!is_connected_) return;
        lose_device();
        is_gpu_gone_ = true;
        return breaks(RecoveryRung::reload_page);
    case Trouble::slows_down:
        return slow_down(static_cast<std::uint32_t>(with_.world.between(4, slowdown_max)));
    default: return fall_silent(trouble);
    }
}

/// What is seen of it: the socket's end, the engine's word, both in either order, or the process's
/// exit after the socket's end.
void FakeWorker::die(Trouble how) {
    World& world = with_.world;
    end_life();
    ++connection_;
    health_ = Health::dead;
    const bool is_browser = how == Trouble::browser_dies;
    breaks(is_browser ? RecoveryRung::restart_browser : RecoveryRung::reload_page);
    LossCause word = is_browser ? LossCause::process_exited : LossCause::page_crashed;
    if (how == Trouble::memory_ends ||
        (how == Trouble::page_dies && world.chance(with_.faults.memory)))
        word = LossCause::memory_exhausted;
    const WorkerLost closed{id_, generation_, LossCause::connection_closed};
    const WorkerLost cause{id_, generation_, word};
    const std::uint64_t signs = world.between(0, 3);
    if ((signs & 1) != 0)
        world.after(world.skewed(10ms, 80ms), [this, closed] { with_.feed(closed); });
    if ((signs & 2) != 0)
        world.after(world.skewed(10ms, 200ms), [this, cause] { with_.feed(cause); });
}

/// Nothing tells of it but the pings that stay unanswered.
void FakeWorker::fall_silent(Trouble trouble) {
    is_suspicious_ = true;
    health_ = Health::silent;
    switch (trouble) {
    case Trouble::compute_hangs:
        breaks(RecoveryRung::replace_compute);
        is_compute_silent_ = true;
        break;
    case Trouble::page_hangs:
        breaks(RecoveryRung::new_page); // a busy page does not reload
        is_page_silent_ = is_page_hung_ = true;
        break;
    case Trouble::page_stops:
        breaks(RecoveryRung::new_page);
        is_page_silent_ = is_page_hung_ = is_compute_silent_ = true;
        break;
    case Trouble::network_stops:
        breaks(RecoveryRung::reload_page);
        is_page_silent_ = is_compute_silent_ = true;
        break;
    case Trouble::browser_stops:
        breaks(RecoveryRung::restart_browser);
        is_browser_silent_ = true;
        break;
    default:
        breaks(RecoveryRung::restart_browser);
        is_page_silent_ = is_page_hung_ = is_compute_silent_ = is_browser_silent_ = true;
    }
}

/// What it had been given and has not answered. Its pings stay where they are.
std::vector<Dispatch> FakeWorker::let_go_of_work() {
    std::vector<Dispatch> work;
    if (running_) work.push_back(*std::exchange(running_, std::nullopt));
    for (const auto& job : queue_)
        if (const auto* one = std::get_if<Dispatch>(&job)) work.push_back(*one);
    std::erase_if(queue_, [](const auto& job) { return std::holds_alternative<Dispatch>(job); });
    is_stuck_ = false;
    return work;
}

/// The page answers all that it holds, then tells why, and refuses what comes until its compute
/// thread is replaced, which itself lives.
void FakeWorker::lose_device() {
    World& world = with_.world;
    if (!has_device()) return;
    for (const Dispatch& one : let_go_of_work()) answer(one, Errc::device_lost);
    answer_waiting_pings();
    report(WorkerLost{id_, generation_, LossCause::device_lost}, world.skewed(1ms, 50ms));
    health_ = Health::silent;
    has_lost_device_ = is_suspicious_ = true;
    is_gpu_gone_ = world.chance(with_.faults.software);
    breaks(!is_gpu_gone_        ? RecoveryRung::replace_compute
           : world.chance(1, 2) ? RecoveryRung::reload_page
                                : RecoveryRung::restart_browser);
}

/// The page tells why, then answers what it holds, which its answers alone would not tell: the
/// compute thread lives. The connection is kept by the rung that cures it, so that these answers
/// may come under the next life's generation.
void FakeWorker::lose_context() {
    if (!has_device() || is_context_gone_) return;
    health_ = Health::silent;
    is_context_gone_ = is_suspicious_ = true;
    breaks(RecoveryRung::recreate_device);
    report(WorkerLost{id_, generation_, LossCause::context_lost}, with_.world.skewed(50us, 2ms));
    const Duration delay = std::max(last_arrival_, with_.world.now()) - with_.world.now() + 10us;
    for (const Dispatch& one : let_go_of_work())
        with_.world.after(delay, [this, one, connection = connection_] {
            if (connection == connection_)
                with_.feed(Replied{id_, generation_, one.request, one.attempt, Errc::device_lost});
        });
    begin_next();
}

void FakeWorker::slow_down(std::uint32_t times) {
    slowdown_ = times;
    is_suspicious_ = true; // longer than anything that was seen before
}

} // namespace everpool::simulation
