// Everpool core: the life of one worker slot.
// SPDX-License-Identifier: BSL-1.0
//
// Knows lives, models and restarts; knows nothing of requests, connections' pings or other workers.
// PoolCore checks the generation of an event before it comes here.
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/backoff.hpp"
#include "everpool/core/core_config.hpp"
#include "everpool/core/event.hpp"
#include "everpool/core/ladder.hpp"
#include "everpool/core/model_set.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/restart_intensity.hpp"
#include "everpool/core/worker_shape.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace everpool::core {

/// What is to be done next?
enum class NextWorkerStep : std::uint8_t {
    nothing,       ///< wait for what comes
    unexpected,    ///< nothing; the event means nothing in this state: count it
    launch,        ///< bring it to life by rung(), in form(), under generation()
    load_model,    ///< load model()
    warm_up_model, ///< warm model() up
    serve,         ///< it has just become ready: give it work
    give_up,       ///< it has just failed for good: end whatever is left of it
    close,         ///< end its process
};

class WorkerFsm {
public:
    ///                  start                on_connected             models settled
    ///      idle ------------------> launching ---------> preparing ----------------> ready
    ///                                ^  ^  |                  |                        |
    ///                 on_time (delay)|  |  +------------------+--- on_lost, ... -------+
    ///                                |  |                             |
    ///                                |  +----- (no delay) ------------+
    ///                             waiting <------- (delay) -----------+
    ///                                                                 +--> failed
    ///      any but stopped and failed --- stop ---> stopping --- on_stopped ---> stopped
    ///
    /// idle      -> launching   start()
    /// launching -> preparing   on_connected(), if a model is to be loaded
    /// launching, preparing -> ready     on_connected(), on_model_...() of the last model
    /// launching, preparing, ready -> launching, waiting, failed   on_lost(), also of a start that
    ///                                                             is overdue; on_start_failed()
    /// waiting   -> launching   on_time(), release()
    /// launching, preparing, waiting -> failed   give_up()
    /// idle      -> stopped     stop()
    /// launching, preparing, ready, waiting -> stopping   stop(), retire()
    /// failed    -> stopping    retire(), while what was left of it is being closed
    /// stopping  -> stopped     on_stopped()
    /// idle, stopped, failed -> launching   start_instead_of()
    ///
    /// Facts:
    ///   idle       generation is 0
    ///   launching  no model is ready; deadline() is the end of the start
    ///   preparing  as launching, and model() is being loaded or warmed up
    ///   ready      every model is ready or rejected; no deadline
    ///   waiting    no model is ready; deadline() is the restart; none while it is held
    ///   stopping, stopped, failed   no deadline (but of retire()); final but for stopping ->
    ///                               stopped, for retire(), and for start_instead_of(), by which a
    ///                               dormant slot becomes a rival
    ///   A rejected model stays rejected in later lives of the same form: the driver says so only
    ///   for reasons that a restart would not cure. One that was served before is not rejected
    ///   while other steps are left: is_step_in_vain().
    enum class State : std::uint8_t {
        idle,
        launching,
        preparing,
        ready,
        waiting,
        stopping,
        stopped,
        failed,
    };

    /// Of the slot with that number. \pre strategy and statistics outlive this
    WorkerFsm(const CoreConfig& config, std::size_t slot, const BrowserRecoveryStrategy& strategy,
              RungStatistics& statistics)
        : shape_(config, slot),
          ladder_({&strategy, &statistics, config.family, config.rungs}),
          rungs_(config.rungs),
          start_timeout_(config.start_timeout),
          page_start_timeout_(std::min(config.page_start_timeout, config.start_timeout)),
          healthy_after_(config.restart_healthy_after),
          launch_pause_(config.launch_pause),
          intensity_(config.restart_intensity, config.restart_period),
          start_count_max_(config.restart_count_max),
          backoff_(config.restart_delay_min, config.restart_delay_max,
                   config.restart_healthy_after),
          rejected_(config.model_count),
          proved_(config.model_count),
          ready_models_(config.model_count),
          model_count_(config.model_count) {}

    NextWorkerStep start(TimePoint now) {
        if (state_ != State::idle) return NextWorkerStep::unexpected;
        return launch(now);
    }

    /// Begins another life, to take the place of `other` if it is ready first. \pre nothing runs
    /// here
    NextWorkerStep start_instead_of(const WorkerFsm& other, RecoveryRung rung, TimePoint now) {
        if (state_ != State::idle && state_ != State::stopped && state_ != State::failed)
            return NextWorkerStep::unexpected;
        shape_ = other.shape_;
        ladder_.begin_instead_of(other.ladder_, rung);
        backoff_ = other.backoff_; // a failure that comes back soon is no newer in another slot
        intensity_ = other.intensity_;
        rejected_.clear();
        proved_.clear();
        is_held_ = false;
        failed_starts_ = 0;
        last_cause_ = other.last_cause_;
        last_start_error_ = Errc::ok;
        return launch(now);
    }

    NextWorkerStep on_connected(TimePoint now) {
        if (state_ != State::launching) return NextWorkerStep::unexpected;
        model_ = ModelId{0};
        return prepare_next(now);
    }

    NextWorkerStep on_model_loaded(ModelId model) {
        if (!is_asked_of(model) || is_warming_up_) return NextWorkerStep::unexpected;
        is_warming_up_ = true;
        return NextWorkerStep::warm_up_model;
    }

    NextWorkerStep on_model_warmed_up(ModelId model, TimePoint now) {
        if (!is_asked_of(model) || !is_warming_up_) return NextWorkerStep::unexpected;
        ready_models_.insert(model);
        proved_.insert(model);
        ++model_.value;
        return prepare_next(now);
    }

    /// A model that this slot has served cannot be loaded, or answers wrongly: what was made anew
    /// has not helped, and the next step is to be taken. False at the last one: better to serve the
    /// others.
    [[nodiscard]] bool is_step_in_vain(ModelId model) const noexcept {
        return is_asked_of(model) && proved_.contains(model) &&
               failed_starts_ + 1 < start_count_max_;
    }
    NextWorkerStep on_model_rejected(ModelId model, TimePoint now) {
        if (!is_asked_of(model)) return NextWorkerStep::unexpected;
        rejected_.insert(model);
        ++model_.value;
        return prepare_next(now);
    }

    NextWorkerStep on_lost(LossCause cause, TimePoint now, Prng& prng) {
        if (!is_alive() && state_ != State::waiting) return NextWorkerStep::unexpected;
        if (state_ == State::waiting) {
            // One failure, two signs of it: a page dies, then its browser.
            if (is_larger(cause)) last_cause_ = cause;
            deadline_ = std::max(deadline_, later(now, raise(cause)));
            return NextWorkerStep::nothing;
        }
        if (state_ == State::launching && cause != LossCause::start_timed_out && is_larger(cause)) {
            // The failure that is being recovered from was larger than it looked. Not a new one.
            last_cause_ = cause;
            const Duration pause = raise(cause);
            if (!is_held_ && pause == Duration{}) return launch(now);
            state_ = State::waiting;
            due_ = now;
            deadline_ = later(now, pause);
            return NextWorkerStep::nothing;
        }
        return fail(cause, Errc::browser_launch_failed, now, prng);
    }

    NextWorkerStep on_start_failed(Errc code, bool is_permanent, TimePoint now, Prng& prng) {
        if (state_ != State::launching && state_ != State::preparing)
            return NextWorkerStep::unexpected;
        // There is no such browser; but there may be another one.
        if (is_permanent && !shape_.has_other_browser()) failed_starts_ = start_count_max_ - 1;
        return fail(LossCause::process_exited, code, now, prng);
    }

    /// \return launch if a delay is over; nothing otherwise. A start that took too long is for the
    /// caller to report as on_lost(start_timed_out), because operations may hang on it.
    NextWorkerStep on_time(TimePoint now) {
        return state_ == State::waiting && now >= deadline() ? launch(now)
                                                             : NextWorkerStep::nothing;
    }

    /// Its browser need not wait for the sake of others. \return whether it had to
    bool end_launch_pause(TimePoint now) noexcept {
        const TimePoint due = std::max(due_, now);
        if (state_ != State::waiting || deadline_ <= due) return false;
        deadline_ = due;
        return true;
    }

    /// No further start before release(): the fleet fails, and another worker tries for all.
    void hold() noexcept { is_held_ = true; }
    /// \return launch if it waited
    NextWorkerStep release(TimePoint now) {
        if (!std::exchange(is_held_, false) || state_ != State::waiting)
            return NextWorkerStep::nothing;
        return launch(now);
    }
    /// For the reason that another worker has been given up for. \pre not ready
    NextWorkerStep give_up(Errc code) noexcept {
        if (!is_hopeful() || state_ == State::idle) return NextWorkerStep::unexpected;
        state_ = State::failed;
        last_start_error_ = code;
        ready_models_.clear();
        deadline_ = never;
        return NextWorkerStep::give_up;
    }
    [[nodiscard]] bool is_start_overdue(TimePoint now) const noexcept {
        return (state_ == State::launching || state_ == State::preparing) && now >= deadline_;
    }

    /// The host stood still for `lost` until now. That is no part of a start; and what became due
    /// meanwhile is due now, so that it is not late a second time.
    void on_host_late(Duration lost, TimePoint now) noexcept {
        if (state_ == State::launching || state_ == State::preparing)
            deadline_ = later(deadline_, lost);
        else deadline_ = std::max(deadline_, now);
    }

    NextWorkerStep stop() {
        ready_models_.clear();
        deadline_ = never;
        if (state_ == State::idle) {
            state_ = State::stopped;
        } else if (is_alive() || state_ == State::waiting) {
            state_ = State::stopping;
            return NextWorkerStep::close;
        }
        return NextWorkerStep::nothing;
    }

    /// It is dormant from now on. `is_closing`: what was left of it is being closed already.
    /// Whoever does not hear of its end by `until` does not wait for it any longer. \return close,
    /// or nothing
    NextWorkerStep retire(bool is_closing, TimePoint until) {
        ready_models_.clear();
        deadline_ = never;
        if (!is_closing && !is_alive() && state_ != State::waiting) return NextWorkerStep::nothing;
        state_ = State::stopping;
        deadline_ = until;
        return NextWorkerStep::close;
    }
    [[nodiscard]] bool is_stop_overdue(TimePoint now) const noexcept {
        return state_ == State::stopping && now >= deadline_;
    }

    NextWorkerStep on_stopped() {
        if (state_ != State::stopping) return NextWorkerStep::unexpected;
        state_ = State::stopped;
        deadline_ = never;
        return NextWorkerStep::nothing;
    }

    [[nodiscard]] State state() const noexcept { return state_; }
    /// Something of it runs, or is being started.
    [[nodiscard]] bool is_alive() const noexcept {
        return state_ == State::launching || state_ == State::preparing || state_ == State::ready;
    }
    /// It is ready, or may become so.
    [[nodiscard]] bool is_hopeful() const noexcept {
        return is_alive() || state_ == State::waiting || state_ == State::idle;
    }
    [[nodiscard]] Generation generation() const noexcept { return generation_; }
    /// The one that is under way, or due, or that made it ready.
    [[nodiscard]] RecoveryRung rung() const noexcept { return ladder_.rung(); }
    [[nodiscard]] const WorkerForm& form() const noexcept { return shape_.form(); }
    [[nodiscard]] BrowserType browser() const noexcept { return shape_.browser(); }
    [[nodiscard]] bool has_other_browser() const noexcept { return shape_.has_other_browser(); }
    [[nodiscard]] const Ladder& ladder() const noexcept { return ladder_; }
    /// That would make something else of what it is at present.
    [[nodiscard]] RungSet possible_rungs() const noexcept {
        return shape_.possible(rungs_, ladder_.category(), shape_.form());
    }
    [[nodiscard]] ModelId model() const noexcept { return model_; }
    [[nodiscard]] TimePoint deadline() const noexcept {
        return state_ == State::waiting && is_held_ ? never : deadline_;
    }
    [[nodiscard]] const ModelSet& ready_models() const noexcept { return ready_models_; }
    [[nodiscard]] bool has_rejected(ModelId model) const noexcept {
        return rejected_.contains(model);
    }
    [[nodiscard]] std::uint32_t failed_starts() const noexcept { return failed_starts_; }
    [[nodiscard]] std::optional<LossCause> last_cause() const noexcept { return last_cause_; }
    /// What it is being recovered from; of a first start, that it may not start.
    [[nodiscard]] LossCause failure() const noexcept {
        return ladder_.failure().value_or(LossCause::start_timed_out);
    }
    /// Why the last start failed; ok if none did.
    [[nodiscard]] Errc last_start_error() const noexcept { return last_start_error_; }

    /// Can it serve this request now? none(): any ready worker will do.
    [[nodiscard]] bool serves(ModelId model) const noexcept {
        return state_ == State::ready && (model.is_none() || ready_models_.contains(model));
    }

private:
    [[nodiscard]] bool is_asked_of(ModelId model) const noexcept {
        return state_ == State::preparing && model == model_;
    }

    /// Than what is being recovered from looked.
    [[nodiscard]] bool is_larger(LossCause cause) const noexcept {
        return smallest_rung(cause, shape_.browser()) > ladder_.rung();
    }

    /// \return how long a launch has to wait for that
    Duration raise(LossCause cause) noexcept {
        const bool was_new = replaces_browser(ladder_.rung());
        ladder_.raise(cause, shape_.browser());
        return replaces_browser(ladder_.rung()) && !was_new ? launch_pause_ : Duration{};
    }

    NextWorkerStep launch(TimePoint now) {
        state_ = State::launching;
        ++generation_.value;
        ready_models_.clear();
        const WorkerForm before = shape_.form();
        shape_.apply(ladder_.rung(), ladder_.category());
        if (shape_.form() != before) rejected_.clear(); // it may take what the other one did not
        ladder_.start_step(now);
        deadline_ = later(now, time_of(ladder_.rung()));
        return NextWorkerStep::launch;
    }

    [[nodiscard]] Duration time_of(RecoveryRung rung) const noexcept {
        const Duration whole = replaces_browser(rung) ? start_timeout_ : page_start_timeout_;
        return whole / 100 * budget_of(rung).time_percent;
    }

    NextWorkerStep prepare_next(TimePoint now) {
        while (model_.value < model_count_ && rejected_.contains(model_)) ++model_.value;
        is_warming_up_ = false;
        if (model_.value < model_count_) {
            state_ = State::preparing;
            return NextWorkerStep::load_model;
        }
        state_ = State::ready;
        deadline_ = never;
        ready_since_ = now;
        failed_starts_ = 0;
        if (last_cause_) ladder_.succeed(shape_.browser(), now);
        return NextWorkerStep::serve;
    }

    NextWorkerStep fail(LossCause cause, Errc code, TimePoint now, Prng& prng) {
        if (state_ == State::ready) {
            const Duration spell = now - ready_since_;
            const bool was_healthy = spell >= healthy_after_;
            backoff_.on_healthy_spell(spell);
            if (was_healthy) {
                intensity_.reset();
                ladder_.calm_down();
            }
            // Rungs that go by the form replace the browser, and so the form of who was healthy.
            ladder_.set_rungs(shape_.possible(rungs_, category_of(cause),
                                              was_healthy ? WorkerForm{} : shape_.form()));
            const RecoveryRung first =
                ladder_.begin(cause, shape_.browser(), now, intensity_.note(now));
            // What had to be changed once need not be for ever; but not because it broke at once.
            if (replaces_browser(first) && was_healthy) {
                if (shape_.form() != WorkerForm{}) rejected_.clear();
                shape_.reset();
            }
        } else {
            ++failed_starts_;
            last_start_error_ = code;
            ladder_.set_rungs(possible_rungs());
            ladder_.climb_after(cause, code, shape_.browser(), now);
        }
        last_cause_ = cause;
        ready_models_.clear();
        deadline_ = never;
        if (failed_starts_ >= start_count_max_) {
            state_ = State::failed;
            return NextWorkerStep::give_up;
        }
        Duration delay = backoff_.next_delay(prng);
        due_ = later(now, delay);
        if (replaces_browser(ladder_.rung())) delay = std::max(delay, launch_pause_);
        // From the second failed start on it takes a wakeup, so that the fleet can hold it.
        if (delay == Duration{} && failed_starts_ < 2 && !is_held_) return launch(now);
        state_ = State::waiting;
        deadline_ = later(now, delay);
        return NextWorkerStep::nothing;
    }

    WorkerShape shape_;
    Ladder ladder_;
    RungSet rungs_; ///< that the driver can carry out
    Duration start_timeout_, page_start_timeout_, healthy_after_, launch_pause_;
    RestartIntensity intensity_;
    std::uint32_t start_count_max_;
    Backoff backoff_;
    ModelSet rejected_, proved_, ready_models_;
    std::uint32_t model_count_;

    State state_{State::idle};
    bool is_warming_up_{false};
    bool is_held_{false};
    Generation generation_{};
    ModelId model_{0};
    TimePoint deadline_{never};
    TimePoint due_{}; ///< while it waits: when it could be launched, but for the launch pause
    TimePoint ready_since_{};
    std::uint32_t failed_starts_{0};
    std::optional<LossCause> last_cause_;
    Errc last_start_error_{Errc::ok};
};

} // namespace everpool::core
