// How a FakeWorker starts and stops, and where that fails.
// SPDX-License-Identifier: BSL-1.0
#include "fake_worker.hpp"

#include <algorithm>
#include <cstddef>

namespace everpool::simulation {

using namespace core;

void FakeWorker::perform(const StartWorker& action) {
    World& world = with_.world;
    end_life();
    generation_ = action.generation;
    rung_ = action.rung;
    if (action.rung > RecoveryRung::recreate_device) ++connection_;
    failure_.reset();
    last_arrival_ = {};
    is_elsewhere_ = with_.is_elsewhere && with_.is_elsewhere(action);
    const Duration usual = replaces_browser(action.rung) ? world.skewed(100ms, 2500ms)
                           : replaces_page(action.rung)  ? world.skewed(30ms, 200ms)
                                                         : world.skewed(5ms, 50ms);
    if (!starts_in_vain(action, usual)) begin_life(action, usual);
}

/// Because of what is broken already. Whatever the rung replaces has been replaced.
bool FakeWorker::starts_in_vain(const StartWorker& action, Duration usual) {
    if (!is_elsewhere_ && replaces_browser(action.rung) && with_.world.now() < with_.broken_until) {
        health_ = Health::dead;
        breaks(RecoveryRung::restart_browser);
        report(WorkerStartFailed{id_, generation_, Errc::browser_launch_failed}, usual);
        return true;
    }
    if (health_ == Health::fine || action.rung >= broken_) return false;
    // Something below is broken that this does not replace. The dead say so; the silent do not. But
    // a page says what adapter it has been given, and makes WebNN sessions only with a context.
    if (health_ == Health::dead)
        report(WorkerStartFailed{id_, generation_, Errc::browser_launch_failed}, usual);
    else if (is_context_gone_ && action.rung == RecoveryRung::recreate_device)
        later_in_life(usual, [this] { connect(); });
    else if (is_gpu_gone_ && action.rung >= RecoveryRung::replace_compute &&
             !replaces_browser(action.rung))
        report(WorkerLost{id_, generation_, LossCause::software_adapter}, usual);
    return true;
}

void FakeWorker::begin_life(const StartWorker& action, Duration usual) {
    World& world = with_.world;
    const FaultMenu& faults = with_.faults;
    health_ = Health::fine;
    is_compute_silent_ = is_page_silent_ = is_page_hung_ = is_browser_silent_ = false;
    is_gpu_gone_ = is_context_gone_ = false;
    is_suspicious_ = has_lost_device_ = false;
    wrong_ = 0;                                               // the warm-up would have told
    // Kinder than a page's process that stays slow: who has been recovered from something else is
    // measured anew, and nobody would ever see that it is slow.
    if (action.rung >= RecoveryRung::replace_compute) slowdown_ = 1;
    else if (slowdown_ != 1) is_suspicious_ = true;
    broken_ = RecoveryRung::ping;
    is_launching_ = replaces_browser(action.rung);
    failure_ = draw_failure(action.rung);
    if (failure_ && failure_->step <= StartStep::connection) {
        fail_before_connection(usual);
    } else if (world.chance(faults.permanent_start)) {
        fail_start(usual, Errc::browser_not_found);
    } else if (world.chance(faults.failed_start)) {
        fail_start(usual, Errc::browser_launch_failed);
    } else if (world.chance(faults.hung_start)) {
        hang_launch();
    } else if (world.chance(faults.crashed_start)) {
        later_in_life(usual, [this] {
            die(with_.world.chance(1, 2) ? Trouble::browser_dies : Trouble::page_dies);
        });
    } else if (world.chance(faults.reconnect_storm)) {
        later_in_life(usual, [this] { reconnect(with_.world.between(1, 20)); });
    } else if (world.chance(faults.slow_start)) {
        later_in_life(world.between(with_.start_timeout / 2, with_.start_timeout * 3 / 2),
                      [this] { connect(); });
    } else {
        later_in_life(usual, [this] { connect(); });
    }
}

std::optional<StartFailure> FakeWorker::draw_failure(RecoveryRung rung) {
    if (failing_starts_) {
        if (rung < failing_starts_->last) return StartFailure{StartStep::launch, false};
        if (rung == failing_starts_->last && failing_starts_->times-- > 0)
            return failing_starts_->how;
        failing_starts_.reset();
    }
    if (!with_.world.chance(with_.faults.failed_step)) return std::nullopt;
    return StartFailure{static_cast<StartStep>(with_.world.between(0, start_step_names.size() - 1)),
                        with_.world.chance(1, 2)};
}

/// Has this life's start been bound to fail here? Then it has, and will not again.
std::optional<StartFailure> FakeWorker::take_failure(StartStep step) {
    if (!failure_ || failure_->step != step) return std::nullopt;
    ++with_.tally.failed_steps.at(static_cast<std::size_t>(rung_))
          .at(static_cast<std::size_t>(step))
          .at(failure_->does_hang ? 1 : 0);
    return std::exchange(failure_, std::nullopt);
}

void FakeWorker::fail_before_connection(Duration usual) {
    if (const auto failure = take_failure(StartStep::launch)) {
        if (failure->does_hang) return hang_launch();
        return fail_start(usual, Errc::browser_launch_failed);
    }
    // The browser is there, and its page does not come.
    is_launching_ = false;
    const auto failure = take_failure(StartStep::connection);
    if (failure && failure->does_hang) {
        health_ = Health::silent;
        return breaks(std::min(rung_, RecoveryRung::new_page));
    }
    later_in_life(usual, [this] {
        if (with_.world.chance(1, 2)) return die(Trouble::page_dies);
        report(WorkerLost{id_, generation_, LossCause::connection_closed}, 50us);
    });
}

/// Its driver does not wait for ever for a browser, if the core does not lose patience before. Of a
/// page that never connects nobody tells.
void FakeWorker::hang_launch() {
    health_ = Health::silent;
    breaks(std::min(rung_, RecoveryRung::restart_browser));
    if (replaces_browser(rung_))
        later_in_life(with_.world.between(Duration(10s), Duration(20s)),
                      [this] { fail_start(100us, Errc::browser_launch_failed); });
}

/// What was to be replaced is gone, and nothing has taken its place.
void FakeWorker::fail_start(Duration delay, Errc code) {
    health_ = Health::dead;
    breaks(std::min(rung_, RecoveryRung::restart_browser));
    is_launching_ = false;
    report(WorkerStartFailed{id_, generation_, code, code == Errc::browser_not_found}, delay);
}

void FakeWorker::connect() {
    is_connected_ = true;
    is_launching_ = false;
    report(WorkerConnected{id_, generation_}, with_.world.skewed(50us, 2ms));
}

void FakeWorker::reconnect(std::uint64_t rounds) {
    if (rounds == 0) return connect();
    is_launching_ = false;
    report(WorkerConnected{id_, generation_}, with_.world.skewed(50us, 2ms));
    report(WorkerLost{id_, generation_, LossCause::connection_closed},
           with_.world.skewed(50us, 2ms));
    later_in_life(with_.world.skewed(1ms, 100ms), [this, rounds] { reconnect(rounds - 1); });
}

void FakeWorker::perform(const StopWorker& action) {
    const bool was_launching = is_launching_;
    end_life();
    ++connection_;
    generation_ = action.generation;
    health_ = Health::dead;
    breaks(RecoveryRung::restart_browser);
    if (was_launching) // which has come to nothing
        report(WorkerStartFailed{id_, generation_, Errc::cancelled}, 100us);
    if (with_.world.chance(with_.faults.stuck_stop)) return;
    report(WorkerStopped{id_, generation_}, with_.world.skewed(10ms, 3s));
}

// --- models --------------------------------------------------------------------------------------

void FakeWorker::perform(const LoadModel& action) {
    if (!has_device()) return;
    if (is_context_gone_) return lose_device(); // it cannot have another one in this realm
    if (const auto failure = take_failure(StartStep::loading)) {
        if (!failure->does_hang) fail_model(action.model, with_.world.chance(1, 2));
        return;
    }
    const Duration delay = with_.world.skewed(2ms, 500ms);
    const bool is_rejected = rejected_models_.count(action.model.value) != 0;
    later_in_life(delay, [this, action, is_rejected] {
        if (!has_device()) return;
        if (is_rejected)
            report(ModelRejected{id_, generation_, action.model, Errc::model_rejected}, 100us);
        else report(ModelLoaded{id_, generation_, action.model}, 100us);
    });
}

void FakeWorker::perform(const WarmUpModel& action) {
    if (!has_device()) return;
    World& world = with_.world;
    // Once it has been right, it is a canary.
    const auto known = warmed_up_.find(action.model.value);
    const bool is_canary = known != warmed_up_.end() && known->second == generation_;
    if (const auto failure = take_failure(StartStep::verification); failure && !is_canary) {
        if (!failure->does_hang) fail_model(action.model, true);
        return;
    }
    const bool is_misjudged = misjudged_models_.count(action.model.value) != 0;
    if (!is_misjudged) warmed_up_[action.model.value] = generation_;
    if (is_canary && world.chance(with_.faults.swallowed_canary)) return;
    const bool is_wrong = is_misjudged || (is_canary && world.chance(with_.faults.wrong_canary));
    const Duration usual = world.skewed(2ms, 1s);
    const Duration took = is_canary ? std::min(slowdown_ * usual, with_.operation_max) : usual;
    later_in_life(took, [this, action, is_wrong] {
        if (!has_device()) return;
        if (is_wrong)
            report(ModelRejected{id_, generation_, action.model, Errc::model_rejected}, 100us);
        else report(ModelWarmedUp{id_, generation_, action.model}, 100us);
    });
}

/// One that was served before cannot be loaded any more, or answers wrongly; or its file cannot be
/// fetched. A model that never worked is not refused here, or it would be so for good.
void FakeWorker::fail_model(ModelId model, bool is_refused) {
    is_refused = is_refused && warmed_up_.count(model.value) != 0;
    later_in_life(with_.world.skewed(2ms, 500ms), [this, model, is_refused] {
        if (is_refused) report(ModelRejected{id_, generation_, model, Errc::model_rejected}, 100us);
        else report(WorkerLost{id_, generation_, LossCause::connection_closed}, 100us);
    });
}

} // namespace everpool::simulation
