// Everpool core: which rung of the ladder a worker's recovery is on, and which comes next.
// SPDX-License-Identifier: BSL-1.0
//
// The strategy decides; this keeps its books: what has been tried since the worker was last ready,
// when a step began, and what the evidence of earlier recoveries says about where to begin. It also
// keeps the strategy to the rules: no rung that cannot cure what was seen, none that is not there.
//
// What is recovered from stays the failure that the recovery began with, for the strategy as for
// the evidence: that a step for a hung GPU takes too long says something of that step for hung
// GPUs, and nothing of browsers that do not start. Only which rungs are too small follows what was
// seen last.
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/core/event.hpp"
#include "everpool/recovery_rung.hpp"
#include "everpool/recovery_strategy.hpp"
#include "everpool/rung_statistics.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>

namespace everpool::core {

/// The smallest rung that can cure this in such a browser.
constexpr RecoveryRung smallest_rung(LossCause cause, BrowserType browser) noexcept {
    // Whose shaders run in the browser process has no part that could be killed for an endless one.
    if (cause == LossCause::gpu_hung && !is_chromium_family(browser))
        return RecoveryRung::restart_browser;
    switch (cause) {
    case LossCause::context_lost: return RecoveryRung::recreate_device;
    case LossCause::device_lost:
    case LossCause::compute_hung:
    case LossCause::gpu_hung:
    case LossCause::wrong_answer: return RecoveryRung::replace_compute;
    case LossCause::page_crashed:
    case LossCause::connection_closed:
    case LossCause::network_hung:
    case LossCause::unresponsive:
    case LossCause::software_adapter: // asked for by a document anew, it may be there again
    case LossCause::memory_exhausted:
    case LossCause::protocol_error: return RecoveryRung::reload_page;
    case LossCause::slow: // whatever slows its process would slow the next thread in it
    case LossCause::page_hung: return RecoveryRung::new_page; // a busy page does not reload
    case LossCause::process_exited:
    case LossCause::browser_hung:
    case LossCause::start_timed_out: break;
    }
    return RecoveryRung::restart_browser;
}

/// As categorize_browser_failure() has it for what is seen of this.
constexpr BrowserFailureCategory category_of(LossCause cause) noexcept {
    using enum BrowserFailureCategory;
    switch (cause) {
    case LossCause::process_exited:
    case LossCause::page_crashed: return crash;
    case LossCause::connection_closed:
    case LossCause::protocol_error:
    case LossCause::network_hung: return connection;
    case LossCause::unresponsive:
    case LossCause::compute_hung:
    case LossCause::page_hung:
    case LossCause::browser_hung: return timeout;
    case LossCause::device_lost:
    case LossCause::gpu_hung:
    case LossCause::software_adapter: return webgpu;
    case LossCause::context_lost: return webnn;
    case LossCause::wrong_answer: return api;
    case LossCause::start_timed_out: return launch;
    case LossCause::slow: return resource;
    case LossCause::memory_exhausted: return memory;
    }
    return unknown;
}

/// What a ladder of one worker slot leans on. What is pointed to outlives it, and is not null.
struct LadderSupport {
    const BrowserRecoveryStrategy* strategy{nullptr};
    RungStatistics* statistics{nullptr};
    std::optional<ModelFamily> family{};
    RungSet rungs{}; ///< see Ladder::set_rungs()
};

class Ladder {
public:
    explicit Ladder(LadderSupport with) noexcept : with_(with) {}

    /// Those that this slot has from now on. It goes by what the worker is and by what has failed,
    /// so it is to be said before begin() and climb_after(). \pre restart_browser is among them
    void set_rungs(RungSet rungs) noexcept { with_.rungs = rungs; }

    /// The worker failed while it was ready: a recovery begins. `is_too_often`: those before have
    /// not helped for long, so this one and the next ones begin a level higher, as far as the
    /// strategy goes. \return its first rung
    RecoveryRung begin(LossCause cause, BrowserType browser, TimePoint now,
                       bool is_too_often = false) {
        failure_ = cause;
        count_ = 0;
        began_ = now;
        if (is_too_often) lift(browser);
        RecoveryRung smallest = std::max(lowest(cause, browser), floor());
        start_ = with_.statistics->choose_start(category(), browser, smallest, liftable(smallest));
        auto rung = ask(browser, smallest);
        if (!rung) rung = ask(browser, start_ = smallest = lowest(cause, browser));
        rung_ = begun_ = rung.value_or(smallest);
        return rung_;
    }
    /// It has been healthy for long: recoveries begin as low as ever.
    void calm_down() noexcept { floor_ = RecoveryRung::ping; }

    /// Another worker's recovery is tried here as well, by this rung.
    void begin_instead_of(const Ladder& other, RecoveryRung rung) noexcept {
        with_.rungs = other.with_.rungs;
        failure_ = other.failure_;
        count_ = 0;
        rung_ = begun_ = rung;
        start_ = fallback(RecoveryRung::restart_browser);
        floor_ = other.floor_;
    }

    /// The rung under way has failed for this reason. \return the next one
    RecoveryRung climb_after(LossCause cause, Errc why, BrowserType browser, TimePoint now) {
        note(why, browser, now);
        auto rung = ask(browser, std::max(lowest(cause, browser), floor_));
        if (!rung) { // a round is over; the next one begins with the browser
            count_ = 0;
            start_ = fallback(RecoveryRung::restart_browser);
            rung = ask(browser, start_);
        }
        rung_ = rung.value_or(fallback(RecoveryRung::restart_browser));
        return rung_;
    }

    /// Another sign of the same failure. If it asks for a larger rung than the one under way, it is
    /// what has failed. \return the rung from now on
    RecoveryRung raise(LossCause cause, BrowserType browser) noexcept {
        if (smallest_rung(cause, browser) > rung_) failure_ = cause;
        rung_ = std::max(rung_, lowest(cause, browser));
        return rung_;
    }

    /// The worker has passed its verification.
    void succeed(BrowserType browser, TimePoint now) {
        note(Errc::ok, browser, now);
        count_ = 0;
    }

    /// The delay before a rung is no part of it.
    void start_step(TimePoint now) noexcept { began_ = now; }

    [[nodiscard]] RecoveryRung rung() const noexcept { return rung_; }
    /// What is recovered from. Empty: nothing was seen but that it does not start.
    [[nodiscard]] std::optional<LossCause> failure() const noexcept { return failure_; }
    [[nodiscard]] BrowserFailureCategory category() const noexcept {
        return failure_ ? category_of(*failure_) : BrowserFailureCategory::launch;
    }
    /// In this round, oldest first.
    [[nodiscard]] std::span<const RecoveryStep> tried() const noexcept {
        return {steps_.data(), count_};
    }

private:
    static constexpr std::size_t steps_max = 32;

    /// That exists in this slot.
    [[nodiscard]] RecoveryRung lowest(LossCause cause, BrowserType browser) const noexcept {
        return fallback(smallest_rung(cause, browser));
    }
    [[nodiscard]] RecoveryRung fallback(RecoveryRung rung) const noexcept {
        return with_.rungs.at_least(rung).value_or(RecoveryRung::restart_browser);
    }
    /// The floor may be gone: settings can be adjusted a few times only. Then what is next below it
    /// is as high as it goes.
    [[nodiscard]] RecoveryRung floor() const noexcept {
        return with_.rungs.at_most(floor_).value_or(RecoveryRung::ping);
    }
    /// Above where the last recovery began, if the strategy has something there.
    void lift(BrowserType browser) {
        const auto higher = with_.rungs.at_least(rung_of_next_level(std::max(begun_, floor_)));
        if (!higher) return;
        start_ = *higher;
        if (ask(browser, *higher)) floor_ = *higher;
    }
    /// What a start may be lifted to: rungs of the same browser, none that changes what it is.
    [[nodiscard]] RungSet liftable(RecoveryRung smallest) const noexcept {
        return with_.rungs & RungSet::between(smallest, RecoveryRung::restart_browser);
    }
    [[nodiscard]] std::optional<RecoveryRung> ask(BrowserType browser,
                                                  RecoveryRung smallest) const {
        try {
            const auto wanted = with_.strategy->next({.category = category(),
                                                      .browser = browser,
                                                      .family = with_.family,
                                                      .smallest = smallest,
                                                      .start = std::max(smallest, start_),
                                                      .available = with_.rungs,
                                                      .tried = tried()});
            if (!wanted) return std::nullopt;
            return with_.rungs.at_least(std::max(*wanted, smallest));
        } catch (...) { // a host's own strategy; the worker is recovered without its advice
            return std::nullopt;
        }
    }
    void note(Errc why, BrowserType browser, TimePoint now) {
        const Duration took = std::max(Duration{}, now - began_);
        if (count_ == steps_max) {
            std::shift_left(steps_.begin(), steps_.end(), 1);
            --count_;
        }
        steps_[count_++] = {rung_, why, took};
        with_.statistics->record(category(), browser, rung_, why == Errc::ok, took);
        began_ = now;
    }

    LadderSupport with_;
    std::optional<LossCause> failure_;
    RecoveryRung rung_{RecoveryRung::restart_browser};
    RecoveryRung start_{RecoveryRung::restart_browser};
    RecoveryRung begun_{RecoveryRung::ping}; ///< where the last recovery began
    RecoveryRung floor_{RecoveryRung::ping}; ///< no recovery begins below, if it can be helped
    TimePoint began_{};
    std::array<RecoveryStep, steps_max> steps_{};
    std::size_t count_{0};
};

} // namespace everpool::core
