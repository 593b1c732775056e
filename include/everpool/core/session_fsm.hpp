// Everpool core: is a connected worker alive, and how much has it been given?
// SPDX-License-Identifier: BSL-1.0
//
// Three channels are asked for a sign of life, because they fail apart: the compute thread and the
// page's main thread over their connections, and the browser over its control channel. An endless
// loop in the page leaves the compute thread answering, a stopped browser process leaves both, and
// pings of the WebSocket protocol are answered by the browser's network service whatever the page
// does. A question is asked each interval even while an older one is unanswered, since a driver may
// fail to send one; an answer answers all questions up to its sequence number.
//
// How long a channel may be silent is learnt from how regularly it answers (phi_accrual.hpp). Who
// has been silent for longer is not dead yet: all channels are asked at once, and the page's main
// thread over the control channel besides. Who has answered since, and who has not although page
// and browser have had the time that they have on any day, tells which part hangs
// (browser/silence.hpp).
//
// The operating system is asked as well: as long as threads of the browser wait for a processor,
// nobody is judged by silence, but looked at again, and then for a while, in which it catches up
// (catch_up.hpp), until somebody has been silent for ping_timeout. Else a compute thread that is
// silent alone has no excuse but a wait of its own. One that is known to loop has none, and nobody
// else is waited for then (starvation_answer.hpp); so it is looked at after half of the pause that
// others are granted. The time limits of operations are not put off.
//
// Silence is measured in time for which the host was awake (on_host_late()): while it stands still,
// answers lie unread in its sockets. A result is a sign of life of the compute thread as good as a
// pong, which waits behind all operations that were sent before its ping.
//
// What it has been given, and how long that may take: work_in_hand.hpp.
#pragma once

#include "everpool/browser/silence.hpp"
#include "everpool/browser_failure.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/core/asked_channel.hpp"
#include "everpool/core/asked_channels.hpp"
#include "everpool/core/catch_up.hpp"
#include "everpool/core/core_config.hpp"
#include "everpool/core/event.hpp"
#include "everpool/core/loss_of_silence.hpp"
#include "everpool/core/phi_accrual.hpp"
#include "everpool/core/session_look.hpp"
#include "everpool/core/starvation_answer.hpp"
#include "everpool/core/work_in_hand.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

namespace everpool::core {

/// What is to be done next?
enum class NextSessionStep : std::uint8_t {
    nothing,           ///< until deadline()
    send_control_ping, ///< with last_sequence(page); then ask again
    send_data_ping,    ///< with last_sequence(compute); then ask again
    ask_browser,       ///< with last_sequence(control); then ask again
    ask_page,          ///< over the control channel, with last_sequence(control); then ask again
    ask_starvation,    ///< the operating system, with last_sequence(control); then ask again
    hung,              ///< cause() says what: restart the worker
};

class SessionFsm {
public:
    ///     quiet --- watch() --> idle --- on_time() --> asked        (one such machine per channel)
    ///       ^                    |  ^                    |
    ///       +----- reset() ------+  +---- on_answer() ---+
    ///
    ///     calm --- on_time(), one is suspect --> looking --- on_time(), verdict_at() --> hung
    ///       ^                                       |
    ///       +--- all have answered, or may be busy -+                  (one for the worker)
    ///     looking --- verdict_at(), starved or catching up --> looking, anew
    ///     calm --- on_time(), loop_look_at() --> looking, early --- verdict_at() --> calm
    ///     looking, early --- on_time(), one is suspect --> looking, anew
    ///     looking, early or not --- is_loop_certain() --> hung
    ///
    /// Facts:
    ///   quiet, idle, asked: see AskedChannel::State
    ///   looking every watched channel has been asked since SessionLook::since
    ///   (hung is not kept: it is said, and the owner resets the session)
    using State = AskedChannel::State;

    /// From the suspicion to the verdict, at least, but of a loop. Page and browser have as long as
    /// they have on any day to answer: on a loaded machine a verdict after this takes a slow browser
    /// for a dead one.
    static constexpr Duration look_time = std::chrono::milliseconds{100};

    explicit SessionFsm(const CoreConfig& config)
        : channels_(config),
          interval_(config.ping_interval),
          silence_max_(config.ping_timeout),
          loop_pause_(config.loop_pause()),
          catch_up_(config.acceptable_pause),
          work_(config) {}

    /// A new life: nothing is watched, nothing is in flight.
    void reset() noexcept {
        for (Channel& channel : channels_) channel.reset();
        look_.reset();
        looked_at_ = {};
        catch_up_.reset();
        is_system_mute_ = false;
        cause_.reset();
        work_.reset();
    }

    /// Ask this channel from now on.
    void watch(WorkerChannel which, TimePoint now) noexcept { at(which).watch(now, interval_); }

    /// \return whether it answers a question that had no answer yet
    bool on_answer(WorkerChannel which, std::uint64_t sequence, TimePoint now) noexcept {
        if (!at(which).on_answer(sequence, now)) return false;
        if (which == WorkerChannel::control && look_ && !look_->control_heard_at)
            look_->control_heard_at = now;
        return true;
    }
    /// The page's main thread has answered ask_page. \return whether it had been asked
    bool on_page_answer(std::uint64_t sequence) noexcept {
        if (!look_ || !look_->is_page_asked || sequence != look_->sequence) return false;
        return !std::exchange(look_->has_page_answered, true);
    }
    /// The operating system has answered ask_starvation. \return whether it had been asked
    bool on_threads_seen(std::uint64_t sequence, const ThreadsSeen& seen, TimePoint now) noexcept {
        return look_ && sequence == look_->sequence &&
               look_->starvation.on_answer(seen, work_, now);
    }

    /// The host stood still for `lost` until now. That time does not count.
    void on_host_late(Duration lost, TimePoint now) noexcept {
        for (Channel& channel : channels_) {
            channel.next_question_at = std::max(channel.next_question_at, now);
            channel.detector.on_host_late(lost, now);
        }
        if (look_) {
            const auto moved = [&](TimePoint at) { return lost >= now - at ? now : at + lost; };
            const TimePoint since = moved(look_->since);
            for (Channel& channel : channels_) // who has answered has answered
                if (channel.heard_at >= look_->since)
                    channel.heard_at = std::max(channel.heard_at, since);
            if (look_->control_heard_at) look_->control_heard_at = moved(*look_->control_heard_at);
            look_->since = since;
        }
        catch_up_.on_host_late(lost);
        work_.on_host_late(lost);
    }

    /// To be asked again until it says nothing or hung.
    NextSessionStep on_time(TimePoint now) noexcept {
        if (now >= end_expected_at()) {
            // Its compute thread moves on, or does not; the operation does not in either case.
            const bool is_watched = state(WorkerChannel::compute) != State::quiet;
            cause_ = !is_watched || has_compute_answered() ? LossCause::gpu_hung
                                                           : LossCause::compute_hung;
            return NextSessionStep::hung;
        }
        const bool is_time_to_look =
            channels_.is_any_suspect(now) ? !is_looking_at_all() : !look_ && now >= loop_look_at();
        if (is_time_to_look) look(now);
        if (const auto question = next_question(now)) return *question;
        if (const auto question = next_question_of_look()) return *question;
        if (now < verdict_at()) return NextSessionStep::nothing;
        if (!is_stale()) return judge(now);
        look(now);
        return on_time(now);
    }

    /// When to call on_time() at the latest.
    [[nodiscard]] TimePoint deadline() const noexcept {
        TimePoint first = end_expected_at();
        for (const Channel& channel : channels_) {
            if (channel.state == State::quiet) continue;
            first = std::min(first, channel.next_question_at);
            if (!is_looking_at_all()) first = std::min(first, channel.detector.deadline());
        }
        return std::min(first, look_ ? verdict_at() : loop_look_at());
    }

    /// After hung.
    [[nodiscard]] LossCause cause() const noexcept {
        return cause_.value_or(LossCause::unresponsive);
    }
    /// Which engine's rules tell who hangs.
    void set_engine(BrowserEngine engine) noexcept { engine_ = engine; }

    [[nodiscard]] std::uint64_t last_sequence(WorkerChannel which) const noexcept {
        return at(which).last_sequence;
    }
    [[nodiscard]] State state(WorkerChannel which) const noexcept { return at(which).state; }
    [[nodiscard]] bool is_looking() const noexcept { return look_.has_value(); }

    // --- what it has been given ------------------------------------------------------------------

    /// As WorkInHand's members of these names.
    [[nodiscard]] bool has_room(std::uint64_t bytes, std::uint32_t limit) const noexcept {
        return work_.has_room(bytes, limit);
    }
    [[nodiscard]] bool has_space(std::uint64_t bytes) const noexcept {
        return work_.has_space(bytes);
    }
    void on_sent(std::uint64_t bytes, std::optional<Duration> expected, Duration allowed,
                 TimePoint now, std::uint64_t batch = 0) {
        work_.on_sent(bytes, expected, allowed, batch);
        at(WorkerChannel::compute).detector.begin_busy(now, work_.run_time());
    }
    /// Whether it was the worker who answered, on_sign_of_life() is told.
    void on_answered(std::uint64_t bytes, bool was_new, bool was_abandoned,
                     std::uint64_t batch = 0) noexcept {
        work_.on_answered(bytes, was_new, was_abandoned, batch);
        if (work_.is_empty()) at(WorkerChannel::compute).detector.end_busy();
    }
    bool is_first_answer(std::uint64_t batch) noexcept { return work_.is_first_answer(batch); }
    void on_sign_of_life(TimePoint now) noexcept {
        on_progress(now);
        work_.on_sign_of_life(now);
    }
    /// It has given back what waited behind something else, of which that says nothing.
    void on_taken_back(TimePoint now) noexcept { on_progress(now); }
    void on_abandoned(TimePoint now) noexcept { work_.on_abandoned(now); }

    /// An inference of the pool's own takes a place as well. \pre none is in flight
    void on_canary_sent(std::optional<Duration> expected, TimePoint now) {
        is_canary_new_ = !expected;
        on_sent(0, expected, work_.unknown_run_time(), now);
    }
    /// A sign of life, but what nobody waits for any more gets no more time by it, or canaries
    /// would keep it for ever.
    void on_canary_answered(TimePoint now) noexcept {
        on_answered(0, is_canary_new_, false);
        on_progress(now);
    }

    [[nodiscard]] std::uint32_t in_flight() const noexcept { return work_.in_flight(); }
    [[nodiscard]] std::uint32_t batches() const noexcept { return work_.batches(); }
    [[nodiscard]] std::uint32_t abandoned() const noexcept { return work_.abandoned(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return work_.bytes(); }

private:
    using Channel = AskedChannel;

    [[nodiscard]] Channel& at(WorkerChannel which) noexcept { return channels_.at(which); }
    [[nodiscard]] const Channel& at(WorkerChannel which) const noexcept {
        return channels_.at(which);
    }

    /// Heard of since all were asked?
    [[nodiscard]] bool has_answered(WorkerChannel which) const noexcept {
        return state(which) == State::quiet || at(which).heard_at >= look_->since;
    }
    /// The page is waited for, and if it is silent the browser as well, and then what the page says
    /// over the control channel. The compute thread is not: whether it has had its time is judged.
    /// Never before the answer that brings it on, for what was due long ago looks like a host that
    /// stood still.
    [[nodiscard]] TimePoint verdict_at() const noexcept {
        if (!look_) return never;
        if (is_loop_certain()) return std::max(loop_deadline(), *look_->starvation.loop_known_at());
        const TimePoint out = later(look_->since, look_time);
        if (look_->is_early) return out;
        const Channel& page = at(WorkerChannel::page);
        const Channel& control = at(WorkerChannel::control);
        if (page.state == State::quiet) return out;
        if (has_answered(WorkerChannel::page)) return std::max(out, page.heard_at);
        const TimePoint page_had_its_time = std::max(out, page.detector.deadline());
        if (control.state == State::quiet) return page_had_its_time;
        return std::max(page_had_its_time, look_->control_heard_at
                                               ? later(*look_->control_heard_at, look_time)
                                               : control.detector.deadline());
    }
    /// Not for a loop alone.
    [[nodiscard]] bool is_looking_at_all() const noexcept { return look_ && !look_->is_early; }
    /// The compute thread loops, and has not answered in its time: nobody else need be heard.
    [[nodiscard]] bool is_loop_certain() const noexcept {
        const Channel& compute = at(WorkerChannel::compute);
        return look_->starvation.loop_known_at() && compute.state != State::quiet &&
               !has_answered(WorkerChannel::compute) &&
               loop_deadline() <= later(look_->since, look_time);
    }
    /// A compute thread that is known to loop is not granted more.
    [[nodiscard]] TimePoint loop_deadline() const noexcept {
        return at(WorkerChannel::compute).detector.deadline(loop_pause_);
    }
    /// When to look whether it loops. Whom the last look has left in doubt has a moment.
    [[nodiscard]] TimePoint loop_look_at() const noexcept {
        if (at(WorkerChannel::control).state == State::quiet || is_system_mute_) return never;
        return std::max(loop_deadline(), later(looked_at_, look_time));
    }
    /// The page has been waited for so long that the others' answers say nothing of now.
    [[nodiscard]] bool is_stale() const noexcept {
        const Channel& page = at(WorkerChannel::page);
        return !look_->is_early && !is_loop_certain() && page.state != State::quiet &&
               !has_answered(WorkerChannel::page) &&
               page.detector.deadline() > later(look_->since, look_time);
    }

    /// All are asked at once, whatever is due.
    void look(TimePoint now) noexcept {
        look_ = SessionLook{.since = now, .is_early = !channels_.is_any_suspect(now)};
        for (Channel& channel : channels_)
            if (channel.state != State::quiet) channel.next_question_at = now;
    }

    [[nodiscard]] std::optional<NextSessionStep> next_question(TimePoint now) noexcept {
        for (Channel& channel : channels_) {
            if (channel.state == State::quiet || now < channel.next_question_at) continue;
            channel.next_question_at = later(now, interval_);
            ++channel.last_sequence;
            channel.state = State::asked;
            if (&channel == &at(WorkerChannel::page)) return NextSessionStep::send_control_ping;
            return &channel == &at(WorkerChannel::compute) ? NextSessionStep::send_data_ping
                                                           : NextSessionStep::ask_browser;
        }
        return std::nullopt;
    }

    /// What is asked once in a look.
    [[nodiscard]] std::optional<NextSessionStep> next_question_of_look() noexcept {
        if (!look_ || at(WorkerChannel::control).state == State::quiet) return std::nullopt;
        if (!std::exchange(look_->is_page_asked, true)) {
            look_->sequence = at(WorkerChannel::control).last_sequence;
            return NextSessionStep::ask_page;
        }
        if (look_->starvation.ask()) return NextSessionStep::ask_starvation;
        return std::nullopt;
    }

    /// Who has answered since all were asked?
    NextSessionStep judge(TimePoint now) noexcept {
        const auto answer_of = [&](WorkerChannel which) {
            if (state(which) == State::quiet) return ChannelAnswer::unknown;
            return has_answered(which) ? ChannelAnswer::answers : ChannelAnswer::silent;
        };
        ChannelsSilent seen;
        seen.page = answer_of(WorkerChannel::page);
        seen.compute = answer_of(WorkerChannel::compute);
        seen.control = answer_of(WorkerChannel::control);
        if (seen.control == ChannelAnswer::silent &&
            !at(WorkerChannel::control).detector.is_suspect(now))
            seen.control = ChannelAnswer::unknown; // slow; it has its own time
        // Two ways to the page's main thread: an answer by either shows that it lives.
        const bool is_page_alive = look_->has_page_answered || seen.page == ChannelAnswer::answers;
        if (seen.control != ChannelAnswer::unknown)
            seen.evaluate = is_page_alive ? ChannelAnswer::answers : ChannelAnswer::silent;
        seen.is_compute_in_time = !at(WorkerChannel::compute).detector.is_suspect(now);
        const bool is_certain = is_loop_certain();
        const SessionLook over = *std::exchange(look_, std::nullopt);
        looked_at_ = now;
        is_system_mute_ = !over.starvation.is_answered();
        if (is_certain) {
            cause_ = LossCause::compute_hung;
            return NextSessionStep::hung;
        }
        if (over.is_early) return NextSessionStep::nothing;
        cause_ = loss_of(browser::diagnose_silence(engine_, seen));
        catch_up_.on_look(cause_ && over.starvation.excuses(*cause_), over.since, now);
        if (!cause_) return NextSessionStep::nothing;
        // For a processor alone nobody waits as long as that.
        if (!catch_up_.is_under_way(now) || channels_.is_any_silent_for(silence_max_, now))
            return NextSessionStep::hung;
        cause_.reset();
        look(now);
        return on_time(now);
    }

    void on_progress(TimePoint now) noexcept {
        Channel& compute = at(WorkerChannel::compute);
        compute.heard_at = now;
        compute.detector.on_sign_of_life(now);
        compute.detector.end_busy(); // what was granted to those before
        if (!work_.is_empty()) compute.detector.begin_busy(now, work_.run_time());
    }
    [[nodiscard]] bool has_compute_answered() const noexcept {
        return work_.moves_on(at(WorkerChannel::compute).heard_at);
    }
    [[nodiscard]] TimePoint end_expected_at() const noexcept {
        return work_.end_expected_at(at(WorkerChannel::compute).heard_at);
    }

    AskedChannels channels_;
    Duration interval_, silence_max_, loop_pause_;
    BrowserEngine engine_{BrowserEngine::chromium};
    std::optional<LossCause> cause_;

    std::optional<SessionLook> look_;
    TimePoint looked_at_{}; ///< when the last one ended
    CatchUp catch_up_;
    bool is_system_mute_{false}; ///< it did not answer in that one: it cannot know of this browser

    WorkInHand work_;
    bool is_canary_new_{false};
};

} // namespace everpool::core
