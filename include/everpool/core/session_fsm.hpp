// Everpool core: is a connected worker alive, and how much has it been given?
// SPDX-License-Identifier: BSL-1.0
//
// Both connections are pinged, because they fail apart: an endless loop in the page's main thread
// leaves the compute thread answering and the other way round, and pings of the WebSocket protocol
// are answered by the browser's network service whatever the page does. A ping is sent each
// interval even while an older one is unanswered, since a driver may fail to send one; a pong
// answers all pings up to its sequence number.
//
// Silence is measured in time for which the host was awake (on_host_late()): while it stands still,
// pongs lie unread in its sockets. A result is a sign of life of the compute thread as good as a
// pong, which waits behind all operations that were sent before its ping.
//
// What has been given: operations in flight and their bytes. An operation that the caller has given
// up (cancelled, deadline) still occupies its place, because the worker may still be busy with it.
#pragma once

#include "everpool/core/core_config.hpp"
#include "everpool/core/event.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

namespace everpool::core {

/// What is to be done next?
enum class NextSessionStep : std::uint8_t {
    nothing,           ///< until deadline()
    send_control_ping, ///< with last_sequence(control); then ask again
    send_data_ping,    ///< with last_sequence(data); then ask again
    unresponsive,      ///< it is not alive: restart the worker
};

class SessionFsm {
public:
    ///     quiet --- watch() --> idle --- on_time() --> asked --- on_time() past limit --> silent
    ///       ^                    |  ^                    |
    ///       +----- reset() ------+  +----- on_pong() ----+       (one such machine per channel)
    ///
    /// Facts:
    ///   quiet   not watched: no deadline, pongs are unexpected
    ///   idle    every ping has been answered
    ///   asked   the worker has been silent since waiting_since at the latest
    ///   (silent is not kept: unresponsive is said, and the owner resets the session)
    enum class State : std::uint8_t { quiet, idle, asked };

    explicit SessionFsm(const CoreConfig& config)
        : interval_(config.ping_interval),
          count_max_(config.max_in_flight_per_worker),
          bytes_max_(config.in_flight_bytes_max) {
        at(wire::Channel::control).timeout = config.ping_timeout;
        at(wire::Channel::data).timeout = config.compute_ping_timeout;
    }

    /// A new life: nothing is watched, nothing is in flight.
    void reset() noexcept {
        for (Channel& channel : channels_) {
            channel.state = State::quiet;
            channel.last_sequence = channel.last_answered = 0;
        }
        in_flight_ = abandoned_ = 0;
        bytes_ = 0;
        stuck_at_ = never;
    }

    /// Ask this connection from now on.
    void watch(wire::Channel which, TimePoint now) noexcept {
        Channel& channel = at(which);
        if (channel.state != State::quiet) return;
        channel.state = State::idle;
        channel.next_ping_at = later(now, interval_);
    }

    /// \return whether it answers a ping that had no answer yet
    bool on_pong(wire::Channel which, std::uint64_t sequence, TimePoint now) noexcept {
        Channel& channel = at(which);
        if (channel.state != State::asked || sequence <= channel.last_answered ||
            sequence > channel.last_sequence)
            return false;
        channel.last_answered = sequence;
        // Alive a moment ago, so the wait for the younger pings starts here.
        channel.waiting_since = now;
        if (sequence == channel.last_sequence) channel.state = State::idle;
        return true;
    }

    /// The host stood still for `lost` until now. That time does not count.
    void on_host_late(Duration lost, TimePoint now) noexcept {
        for (Channel& channel : channels_) {
            channel.next_ping_at = std::max(channel.next_ping_at, now);
            if (channel.state != State::asked) continue;
            const bool is_all_lost = lost >= now - channel.waiting_since;
            channel.waiting_since = is_all_lost ? now : channel.waiting_since + lost;
        }
        stuck_at_ = later(stuck_at_, lost);
    }

    /// The compute thread has proved that it moves on: what is asked of it, be it a pong or the end
    /// of an operation that nobody waits for, has another whole timeout.
    void on_sign_of_life(TimePoint now) noexcept {
        at(wire::Channel::data).waiting_since = now;
        if (abandoned_ != 0) arm_stuck(now);
    }

    /// To be asked again until it says nothing or unresponsive.
    NextSessionStep on_time(TimePoint now) noexcept {
        if (now >= stuck_at_) return NextSessionStep::unresponsive;
        for (Channel& channel : channels_) {
            if (channel.state == State::quiet) continue;
            if (channel.state == State::asked &&
                now >= later(channel.waiting_since, channel.timeout))
                return NextSessionStep::unresponsive;
            if (now < channel.next_ping_at) continue;
            channel.next_ping_at = later(now, interval_);
            ++channel.last_sequence;
            if (channel.state == State::idle) channel.waiting_since = now;
            channel.state = State::asked;
            return &channel == &channels_[0] ? NextSessionStep::send_control_ping
                                             : NextSessionStep::send_data_ping;
        }
        return NextSessionStep::nothing;
    }

    /// When to call on_time() at the latest.
    [[nodiscard]] TimePoint deadline() const noexcept {
        TimePoint first = stuck_at_;
        for (const Channel& channel : channels_) {
            if (channel.state == State::quiet) continue;
            first = std::min(first, channel.next_ping_at);
            if (channel.state == State::asked)
                first = std::min(first, later(channel.waiting_since, channel.timeout));
        }
        return first;
    }

    [[nodiscard]] std::uint64_t last_sequence(wire::Channel which) const noexcept {
        return channels_[static_cast<std::size_t>(which)].last_sequence;
    }
    [[nodiscard]] State state(wire::Channel which) const noexcept {
        return channels_[static_cast<std::size_t>(which)].state;
    }

    // --- what it has been given ------------------------------------------------------------------

    /// One request alone is always allowed, however large.
    [[nodiscard]] bool has_room(std::uint64_t bytes) const noexcept {
        if (in_flight_ == 0) return true;
        return in_flight_ < count_max_ && bytes <= bytes_max_ && bytes_ <= bytes_max_ - bytes;
    }
    void on_sent(std::uint64_t bytes) noexcept {
        ++in_flight_;
        bytes_ += bytes;
    }
    /// An operation has left. Whether it was the worker who answered, on_sign_of_life() is told.
    void on_answered(std::uint64_t bytes, bool was_abandoned) noexcept {
        --in_flight_;
        bytes_ -= bytes;
        if (was_abandoned && --abandoned_ == 0) stuck_at_ = never;
    }
    /// The caller does not wait any more; the place stays taken.
    void on_abandoned(TimePoint now) noexcept {
        ++abandoned_;
        if (abandoned_ == 1) arm_stuck(now);
    }

    [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }
    [[nodiscard]] std::uint32_t abandoned() const noexcept { return abandoned_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }

private:
    struct Channel {
        State state{State::quiet};
        Duration timeout{};
        TimePoint next_ping_at{never};
        TimePoint waiting_since{}; ///< meaningful if asked
        std::uint64_t last_sequence{0}, last_answered{0};
    };

    [[nodiscard]] Channel& at(wire::Channel which) noexcept {
        return channels_[static_cast<std::size_t>(which)];
    }
    void arm_stuck(TimePoint now) noexcept {
        stuck_at_ = later(now, at(wire::Channel::data).timeout);
    }

    Duration interval_;
    std::uint32_t count_max_;
    std::uint64_t bytes_max_;
    std::array<Channel, 2> channels_; ///< by wire::Channel
    std::uint32_t in_flight_{0}, abandoned_{0};
    std::uint64_t bytes_{0};
    TimePoint stuck_at_{never};
};

} // namespace everpool::core
