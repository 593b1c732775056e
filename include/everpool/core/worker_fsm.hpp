// Everpool core: the life of one worker slot.
// SPDX-License-Identifier: BSL-1.0
//
// Knows lives, models and restarts; knows nothing of requests, connections' pings or other workers.
// PoolCore checks the generation of an event before it comes here.
#pragma once

#include "everpool/core/backoff.hpp"
#include "everpool/core/core_config.hpp"
#include "everpool/core/event.hpp"
#include "everpool/core/model_set.hpp"
#include "everpool/core/prng.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

namespace everpool::core {

/// What is to be done next?
enum class NextWorkerStep : std::uint8_t {
    nothing,       ///< wait for what comes
    unexpected,    ///< nothing; the event means nothing in this state: count it
    launch,        ///< bring it to life at level(), under generation()
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
    /// launching, preparing, ready -> launching, waiting, failed   on_lost(), on_start_failed();
    ///                                                             on_time() past start_timeout
    /// waiting   -> launching   on_time()
    /// idle      -> stopped     stop()
    /// launching, preparing, ready, waiting -> stopping   stop()
    /// stopping  -> stopped     on_stopped()
    ///
    /// Facts:
    ///   idle       generation is 0
    ///   launching  no model is ready; deadline() is the end of the start
    ///   preparing  as launching, and model() is being loaded or warmed up
    ///   ready      every model is ready or rejected; no deadline
    ///   waiting    no model is ready; deadline() is the restart
    ///   stopping, stopped, failed   final but for stopping -> stopped; no deadline
    ///   A rejected model stays rejected in later lives: the driver says so only for reasons that a
    ///   restart would not cure.
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

    explicit WorkerFsm(const CoreConfig& config)
        : start_timeout_(config.start_timeout),
          start_count_max_(config.restart_count_max),
          backoff_(config.restart_delay_min, config.restart_delay_max,
                   config.restart_healthy_after),
          rejected_(config.model_count),
          ready_models_(config.model_count),
          model_count_(config.model_count) {}

    NextWorkerStep start(TimePoint now) {
        if (state_ != State::idle) return NextWorkerStep::unexpected;
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
        ++model_.value;
        return prepare_next(now);
    }

    NextWorkerStep on_model_rejected(ModelId model, TimePoint now) {
        if (!is_asked_of(model)) return NextWorkerStep::unexpected;
        rejected_.insert(model);
        ++model_.value;
        return prepare_next(now);
    }

    NextWorkerStep on_lost(LossCause cause, TimePoint now, Prng& prng) {
        if (!is_alive() && state_ != State::waiting) return NextWorkerStep::unexpected;
        last_cause_ = cause;
        const RestartLevel wanted = level_of(cause);
        if (state_ ==
            State::waiting) { // one failure, two signs of it: a page dies, then its browser
            level_ = std::max(level_, wanted);
            return NextWorkerStep::nothing;
        }
        if (state_ == State::launching && wanted > level_) {
            // The failure that is being recovered from was larger than it looked. Not a new one.
            level_ = wanted;
            return launch(now);
        }
        return fail(wanted, Errc::browser_launch_failed, now, prng);
    }

    NextWorkerStep on_start_failed(Errc code, bool is_permanent, TimePoint now, Prng& prng) {
        if (state_ != State::launching && state_ != State::preparing)
            return NextWorkerStep::unexpected;
        if (is_permanent) failed_starts_ = start_count_max_ - 1;
        return fail(RestartLevel::process, code, now, prng);
    }

    /// \return launch if a delay is over; nothing otherwise. A start that took too long is for the
    /// caller to report as on_lost(start_timed_out), because operations may hang on it.
    NextWorkerStep on_time(TimePoint now) {
        return state_ == State::waiting && now >= deadline_ ? launch(now) : NextWorkerStep::nothing;
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

    NextWorkerStep on_stopped() {
        if (state_ != State::stopping) return NextWorkerStep::unexpected;
        state_ = State::stopped;
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
    [[nodiscard]] RestartLevel level() const noexcept { return level_; }
    [[nodiscard]] ModelId model() const noexcept { return model_; }
    [[nodiscard]] TimePoint deadline() const noexcept { return deadline_; }
    [[nodiscard]] const ModelSet& ready_models() const noexcept { return ready_models_; }
    [[nodiscard]] bool has_rejected(ModelId model) const noexcept {
        return rejected_.contains(model);
    }
    [[nodiscard]] std::uint32_t failed_starts() const noexcept { return failed_starts_; }
    [[nodiscard]] std::optional<LossCause> last_cause() const noexcept { return last_cause_; }
    /// Why the last start failed; ok if none did.
    [[nodiscard]] Errc last_start_error() const noexcept { return last_start_error_; }

    /// Can it serve this request now? none(): any ready worker will do.
    [[nodiscard]] bool serves(ModelId model) const noexcept {
        return state_ == State::ready && (model.is_none() || ready_models_.contains(model));
    }

    /// The smallest restart that can cure this.
    [[nodiscard]] static constexpr RestartLevel level_of(LossCause cause) noexcept {
        switch (cause) {
        case LossCause::device_lost: return RestartLevel::compute;
        case LossCause::page_crashed:
        case LossCause::connection_closed:
        case LossCause::unresponsive:
        case LossCause::protocol_error: return RestartLevel::page;
        case LossCause::process_exited:
        case LossCause::start_timed_out: break;
        }
        return RestartLevel::process;
    }

private:
    [[nodiscard]] bool is_asked_of(ModelId model) const noexcept {
        return state_ == State::preparing && model == model_;
    }

    NextWorkerStep launch(TimePoint now) {
        state_ = State::launching;
        ++generation_.value;
        ready_models_.clear();
        deadline_ = later(now, start_timeout_);
        return NextWorkerStep::launch;
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
        return NextWorkerStep::serve;
    }

    NextWorkerStep fail(RestartLevel wanted, Errc code, TimePoint now, Prng& prng) {
        if (state_ == State::ready) {
            backoff_.on_healthy_spell(now - ready_since_);
            level_ = wanted;
        } else {
            ++failed_starts_;
            last_start_error_ = code;
            const bool is_highest = level_ == RestartLevel::process;
            const auto next = static_cast<RestartLevel>(static_cast<int>(level_) + 1);
            level_ = std::max(wanted, is_highest ? level_ : next);
        }
        ready_models_.clear();
        deadline_ = never;
        if (failed_starts_ >= start_count_max_) {
            state_ = State::failed;
            return NextWorkerStep::give_up;
        }
        const Duration delay = backoff_.next_delay(prng);
        if (delay == Duration{}) return launch(now);
        state_ = State::waiting;
        deadline_ = later(now, delay);
        return NextWorkerStep::nothing;
    }

    Duration start_timeout_;
    std::uint32_t start_count_max_;
    Backoff backoff_;
    ModelSet rejected_, ready_models_;
    std::uint32_t model_count_;

    State state_{State::idle};
    RestartLevel level_{RestartLevel::process};
    bool is_warming_up_{false};
    Generation generation_{};
    ModelId model_{0};
    TimePoint deadline_{never};
    TimePoint ready_since_{};
    std::uint32_t failed_starts_{0};
    std::optional<LossCause> last_cause_;
    Errc last_start_error_{Errc::ok};
};

} // namespace everpool::core
