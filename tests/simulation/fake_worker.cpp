// SPDX-License-Identifier: BSL-1.0
#include "fake_worker.hpp"

#include <algorithm>
#include <utility>

namespace everpool::simulation {

using namespace core;

void FakeWorker::report(Event event, Duration delay) {
    World& world = with_.world;
    const FaultMenu& faults = with_.faults;
    if (world.chance(faults.garbage))
        event = WorkerLost{id_, generation_, LossCause::protocol_error};
    if (std::holds_alternative<PongArrived>(event) && world.chance(faults.lost_pong)) {
        is_suspicious_ = true;
        return;
    }
    if (world.chance(faults.duplicate))
        with_.world.after(delay + world.skewed(0s, 2s), [this, event] { with_.feed(event); });
    if (world.chance(faults.late)) {
        delay += world.skewed(100ms, message_lateness_max);
        is_suspicious_ = true;
    } else if (world.chance(faults.reordered)) {
        delay += world.skewed(1ms, 100ms);
    } else {
        last_arrival_ = std::max(last_arrival_, world.now() + delay);
        delay = last_arrival_ - world.now();
    }
    world.after(delay, [this, event] { with_.feed(event); });
}

void FakeWorker::end_life() {
    ++life_;
    // Some of what it was about to say is on its way already: answers from the dead.
    if (running_ && with_.world.chance(with_.faults.late))
        report(Replied{id_, generation_, running_->request, running_->attempt, Errc::ok},
               with_.world.skewed(1ms, 5s));
    queue_.clear();
    running_.reset();
    is_connected_ = is_launching_ = false;
    is_stuck_ = false;
}

// --- operations ----------------------------------------------------------------------------------

void FakeWorker::perform(const Dispatch& action) {
    const auto refuse = [&](Errc code) {
        const Replied refusal{
            action.worker, action.generation, action.request, action.attempt, code, false};
        with_.world.after(0s, [this, refusal] { with_.feed(refusal); });
    };
    if (with_.world.chance(with_.faults.unsent)) return refuse(Errc::worker_lost);
    if (with_.world.chance(with_.faults.backpressure)) return refuse(Errc::queue_full);
    if (!is_connected_) return; // it has died, and the core has not heard of it yet
    // Nor has it heard of that.
    if ((has_lost_device_ || is_context_gone_) && !is_compute_silent_)
        return answer(action, Errc::device_lost);
    queue_.push_back(action);
    later_in_life(with_.world.skewed(50us, 500us), [this] { begin_next(); });
}

void FakeWorker::begin_next() {
    if (running_ || is_compute_silent_) return;
    while (!queue_.empty() && std::holds_alternative<SendPing>(queue_.front())) {
        answer_ping(std::get<SendPing>(queue_.front()));
        queue_.pop_front();
    }
    if (queue_.empty()) return;
    running_ = std::get<Dispatch>(queue_.front());
    running_since_ = with_.world.now();
    queue_.pop_front();
    const bool is_long = with_.world.chance(with_.long_operation);
    if (is_long) is_suspicious_ = true; // longer than anything that was seen before, perhaps
    if (slowdown_ == 1 && with_.world.chance(with_.faults.slow)) strike(Trouble::slows_down);
    const Duration duration =
        std::min(slowdown_ * (is_long ? with_.world.skewed(50ms, with_.operation_max)
                                      : with_.world.skewed(200us, 50ms)),
                 with_.operation_max);
    // It answers as ever, and what it says is wrong, from now on.
    if (wrong_ == 0 && with_.world.chance(with_.faults.wrong))
        wrong_ = static_cast<std::uint32_t>(with_.world.between(1, 3));
    with_.ledger.note_execution(*running_, wrong_);
    later_in_life(duration, [this, done = *running_] {
        if (running_ == done && !is_compute_silent_) compute(done);
    });
}

/// The end of an operation, or of more than that.
void FakeWorker::compute(const Dispatch& done) {
    World& world = with_.world;
    const FaultMenu& faults = with_.faults;
    if (world.chance(faults.crash))
        return die(world.chance(1, 2) ? Trouble::browser_dies : Trouble::page_dies);
    if (world.chance(faults.hang))
        fall_silent(
            static_cast<Trouble>(world.between(0, static_cast<std::uint64_t>(Trouble::all_stops))));
    if (is_compute_silent_) return;
    if (world.chance(faults.stuck)) {
        is_stuck_ = is_suspicious_ = true;
        return answer_waiting_pings();
    }
    if (world.chance(faults.device_lost)) return lose_device();
    if (world.chance(faults.context_lost)) return lose_context();
    running_.reset();
    Errc code = world.chance(faults.failure) ? Errc::operation_failed : Errc::ok;
    if (world.chance(faults.lie)) code = world.chance(1, 2) ? Errc::queue_full : Errc::worker_lost;
    answer(done, code);
    begin_next();
}

void FakeWorker::answer(const Dispatch& done, Errc code) {
    report(Replied{id_, generation_, done.request, done.attempt, code},
           with_.world.skewed(50us, 500us));
}

void FakeWorker::perform(const SendCancel& action) {
    if (is_compute_silent_) return; // a thread that hangs does not hear of it
    const auto found = std::find_if(queue_.begin(), queue_.end(), [&](const auto& job) {
        const auto* one = std::get_if<Dispatch>(&job);
        return one != nullptr && one->request == action.request && one->attempt == action.attempt;
    });
    if (found == queue_.end()) return; // too late, or running: its answer will come
    const Dispatch cancelled = std::get<Dispatch>(*found);
    queue_.erase(found);
    answer(cancelled, Errc::cancelled);
}

void FakeWorker::perform(const SendPing& action) {
    if (!is_connected_ || health_ == Health::dead) return;
    const bool is_data = action.channel == wire::Channel::data;
    if (is_data ? is_compute_silent_ : is_page_silent_) return;
    if (is_data && running_ && !is_stuck_) queue_.push_back(action);
    else answer_ping(action);
}

void FakeWorker::perform(const AskControl& action) {
    if (action.question == ControlQuestion::starvation) {
        if (is_elsewhere_) return;
        const bool does_compute_loop = is_compute_silent_ && !is_page_silent_;
        ThreadsSeen seen{.does_any_wait = with_.world.chance(with_.faults.starvation)};
        seen.does_compute_wait = seen.does_any_wait && with_.world.chance(1, 2);
        // A loop takes all that it gets.
        seen.compute_ran = running_ && !is_stuck_   ? with_.world.now() - running_since_
                           : !does_compute_loop     ? with_.world.skewed(1us, 20ms)
                           : seen.does_compute_wait ? with_.world.skewed(1ms, 1s)
                                                    : with_.world.skewed(100ms, 1s);
        report(ControlAnswered{id_, generation_, action.question, action.sequence, seen}, 40ms);
        return;
    }
    if (health_ == Health::dead || is_browser_silent_) return;
    const bool is_page = action.question == ControlQuestion::page;
    if (is_page && (is_page_hung_ || !is_connected_)) return;
    later_in_life(with_.world.skewed(100us, 5ms), [this, action, is_page] {
        if (is_browser_silent_ || (is_page && is_page_hung_)) return;
        report(ControlAnswered{id_, generation_, action.question, action.sequence}, 50us);
    });
}

void FakeWorker::answer_waiting_pings() {
    for (const auto& job : queue_)
        if (const auto* ping = std::get_if<SendPing>(&job)) answer_ping(*ping);
    std::erase_if(queue_, [](const auto& job) { return std::holds_alternative<SendPing>(job); });
}

void FakeWorker::answer_ping(const SendPing& action) {
    later_in_life(with_.world.skewed(100us, 5ms), [this, action] {
        if (action.channel == wire::Channel::data ? is_compute_silent_ : is_page_silent_) return;
        report(PongArrived{id_, generation_, action.channel, action.sequence}, 50us);
    });
}

} // namespace everpool::simulation
