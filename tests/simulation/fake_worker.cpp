// SPDX-License-Identifier: BSL-1.0
#include "fake_worker.hpp"

#include <algorithm>
#include <utility>

namespace everpool::simulation {

using namespace core;

template <class Next>
void FakeWorker::later_in_life(Duration delay, Next next) {
    with_.world.after(delay, [this, life = life_, next] {
        if (life == life_) next();
    });
}

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
    is_connected_ = false;
    is_stuck_ = false;
}

// --- start and stop ------------------------------------------------------------------------------

void FakeWorker::perform(const StartWorker& action) {
    World& world = with_.world;
    const FaultMenu& faults = with_.faults;
    end_life();
    generation_ = action.generation;
    last_arrival_ = {};
    const Duration usual = replaces_browser(action.rung) ? world.skewed(100ms, 2500ms)
                           : replaces_page(action.rung)  ? world.skewed(30ms, 200ms)
                                                         : world.skewed(5ms, 50ms);
    is_elsewhere_ = with_.is_elsewhere && with_.is_elsewhere(action);
    if (!is_elsewhere_ && replaces_browser(action.rung) && world.now() < with_.broken_until) {
        health_ = Health::dead;
        breaks(RecoveryRung::restart_browser);
        return report(WorkerStartFailed{id_, generation_, Errc::browser_launch_failed}, usual);
    }
    if (health_ != Health::fine && action.rung < broken_) {
        // Something below is broken that this does not replace. The dead say so; the silent do not.
        if (health_ == Health::dead)
            report(WorkerStartFailed{id_, generation_, Errc::browser_launch_failed}, usual);
        return;
    }
    health_ = Health::fine;
    is_compute_silent_ = is_page_silent_ = is_page_hung_ = is_browser_silent_ = false;
    is_suspicious_ = false;
    wrong_ = 0; // the warm-up would have told
    broken_ = RecoveryRung::ping;
    if (world.chance(faults.permanent_start)) {
        report(WorkerStartFailed{id_, generation_, Errc::browser_not_found, true}, usual);
    } else if (world.chance(faults.failed_start)) {
        report(WorkerStartFailed{id_, generation_, Errc::browser_launch_failed}, usual);
    } else if (world.chance(faults.hung_start)) {
        health_ = Health::silent;
        breaks(std::min(action.rung, RecoveryRung::restart_browser));
    } else if (world.chance(faults.crashed_start)) {
        later_in_life(usual, [this] { die(with_.world.chance(1, 2)); });
    } else if (world.chance(faults.reconnect_storm)) {
        later_in_life(usual, [this] { storm(with_.world.between(1, 20)); });
    } else if (world.chance(faults.slow_start)) {
        later_in_life(world.between(with_.start_timeout / 2, with_.start_timeout * 3 / 2),
                      [this] { connect(); });
    } else {
        later_in_life(usual, [this] { connect(); });
    }
}

void FakeWorker::connect() {
    is_connected_ = true;
    report(WorkerConnected{id_, generation_}, with_.world.skewed(50us, 2ms));
}

void FakeWorker::storm(std::uint64_t rounds) {
    if (rounds == 0) return connect();
    report(WorkerConnected{id_, generation_}, with_.world.skewed(50us, 2ms));
    report(WorkerLost{id_, generation_, LossCause::connection_closed},
           with_.world.skewed(50us, 2ms));
    later_in_life(with_.world.skewed(1ms, 100ms), [this, rounds] { storm(rounds - 1); });
}

void FakeWorker::perform(const StopWorker& action) {
    end_life();
    generation_ = action.generation;
    health_ = Health::dead;
    breaks(RecoveryRung::restart_browser);
    if (with_.world.chance(with_.faults.stuck_stop)) return;
    report(WorkerStopped{id_, generation_}, with_.world.skewed(10ms, 3s));
}

void FakeWorker::perform(const LoadModel& action) {
    if (!is_connected_ || is_compute_silent_) return;
    const Duration delay = with_.world.skewed(2ms, 500ms);
    const bool is_rejected = rejected_models_.count(action.model.value) != 0;
    later_in_life(delay, [this, action, is_rejected] {
        if (is_rejected)
            report(ModelRejected{id_, generation_, action.model, Errc::model_rejected}, 100us);
        else report(ModelLoaded{id_, generation_, action.model}, 100us);
    });
}

void FakeWorker::perform(const WarmUpModel& action) {
    if (!is_connected_ || is_compute_silent_) return;
    // Once it has been right, it is a canary.
    const bool is_canary =
        std::exchange(warmed_up_[action.model.value], generation_) == generation_;
    if (is_canary && with_.world.chance(with_.faults.swallowed_canary)) return;
    const bool is_wrong = is_canary && with_.world.chance(with_.faults.wrong_canary);
    later_in_life(with_.world.skewed(2ms, 1s), [this, action, is_wrong] {
        if (is_wrong)
            report(ModelRejected{id_, generation_, action.model, Errc::model_rejected}, 100us);
        else report(ModelWarmedUp{id_, generation_, action.model}, 100us);
    });
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
    const Duration duration =
        is_long ? with_.world.skewed(50ms, with_.operation_max) : with_.world.skewed(200us, 50ms);
    // It answers as ever, and what it says is wrong, from now on.
    if (wrong_ == 0 && with_.world.chance(with_.faults.wrong))
        wrong_ = static_cast<std::uint32_t>(with_.world.between(1, 3));
    with_.ledger.note_execution(*running_, wrong_);
    later_in_life(duration, [this] {
        const Dispatch done = *running_;
        compute(done);
    });
}

/// The end of an operation, or of more than that.
void FakeWorker::compute(const Dispatch& done) {
    World& world = with_.world;
    const FaultMenu& faults = with_.faults;
    if (world.chance(faults.crash)) return die(world.chance(1, 2));
    if (world.chance(faults.hang))
        return fall_silent(
            static_cast<Trouble>(world.between(0, static_cast<std::uint64_t>(Trouble::all_stops))));
    if (world.chance(faults.stuck)) {
        is_stuck_ = is_suspicious_ = true;
        return answer_waiting_pings();
    }
    running_.reset();
    if (world.chance(faults.device_lost)) {
        answer(done, Errc::device_lost);
        if (world.chance(1, 2))
            report(WorkerLost{id_, generation_, LossCause::device_lost}, world.skewed(1ms, 50ms));
        health_ = Health::silent;
        breaks(RecoveryRung::replace_compute);
        is_compute_silent_ = is_suspicious_ = true;
        return;
    }
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

// --- failures ------------------------------------------------------------------------------------

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
    if (trouble == Trouble::page_dies || trouble == Trouble::browser_dies)
        return die(trouble == Trouble::browser_dies);
    fall_silent(trouble);
}

/// What is seen of it: the socket's end, the engine's word, both in either order, or the process's
/// exit after the socket's end.
void FakeWorker::die(bool is_browser) {
    World& world = with_.world;
    end_life();
    health_ = Health::dead;
    breaks(is_browser ? RecoveryRung::restart_browser : RecoveryRung::reload_page);
    const WorkerLost closed{id_, generation_, LossCause::connection_closed};
    const WorkerLost cause{id_, generation_,
                           is_browser ? LossCause::process_exited : LossCause::page_crashed};
    const std::uint64_t signs = world.between(0, 3);
    if ((signs & 1) != 0)
        with_.world.after(world.skewed(10ms, 80ms), [this, closed] { with_.feed(closed); });
    if ((signs & 2) != 0)
        with_.world.after(world.skewed(10ms, 200ms), [this, cause] { with_.feed(cause); });
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
    if (!is_compute_silent_ && running_) {
        answer(*running_, Errc::ok);
        running_.reset();
        begin_next();
    }
}

} // namespace everpool::simulation
