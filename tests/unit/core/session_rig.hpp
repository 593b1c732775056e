// A session and the worker that it watches, in invented time.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/session_fsm.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace everpool::core {

using namespace std::chrono_literals;
using Channel = WorkerChannel;

inline const TimePoint start{1h};
inline constexpr std::uint64_t kilobyte = 1024;

inline CoreConfig config() {
    CoreConfig out;
    out.in_flight_bytes_max = 100;
    return out;
}

/// A session and a worker whose parts answer at once, or do not.
struct SessionRig {
    TimePoint now{start};
    SessionFsm session{config()};
    bool is_page_silent{false}, is_compute_silent{false}, is_browser_silent{false};
    bool is_page_hung{false}; ///< asked over the control channel
    bool is_system_silent{false};
    ThreadsSeen threads{}; ///< as the operating system sees them
    std::array<TimePoint, 3> heard_at{start, start, start};

    void watch_all() {
        for (const Channel which : {Channel::page, Channel::compute, Channel::control})
            session.watch(which, now);
    }
    void answer(Channel which, bool is_silent) {
        if (is_silent) return;
        heard_at[static_cast<std::size_t>(which)] = now;
        session.on_answer(which, session.last_sequence(which), now);
    }
    /// \return whether it hangs
    bool tick() {
        for (;;) {
            switch (session.on_time(now)) {
            case NextSessionStep::nothing: return false;
            case NextSessionStep::hung: return true;
            case NextSessionStep::send_control_ping: answer(Channel::page, is_page_silent); break;
            case NextSessionStep::send_data_ping:
                answer(Channel::compute, is_compute_silent);
                break;
            case NextSessionStep::ask_browser: answer(Channel::control, is_browser_silent); break;
            case NextSessionStep::ask_page:
                if (!is_page_hung && !is_browser_silent)
                    session.on_page_answer(session.last_sequence(Channel::control));
                break;
            case NextSessionStep::ask_starvation:
                if (!is_system_silent)
                    session.on_threads_seen(session.last_sequence(Channel::control), threads, now);
                break;
            }
        }
    }
    /// Runs until it hangs, for this long at most. \return the time that it took
    std::optional<Duration> run(Duration most) {
        const TimePoint begin = now;
        while (now - begin < most) {
            now = std::max(now + 1ns, session.deadline());
            if (now - begin >= most) break;
            if (tick()) return now - begin;
        }
        now = begin + most;
        return std::nullopt;
    }
    /// Until all are asked because one has been silent for the whole pause, and this much longer.
    void run_to_look(Duration longer) {
        SessionRig ahead = *this;
        const auto is_there = [&ahead] {
            const Duration silence = ahead.now - std::ranges::min(ahead.heard_at);
            return ahead.session.is_looking() &&
                   silence > config().acceptable_pause + config().ping_interval;
        };
        for (int i = 0; i < 5000 && !is_there(); ++i) REQUIRE_FALSE(ahead.run(1ms));
        REQUIRE(is_there());
        REQUIRE_FALSE(run(ahead.now - now + longer));
    }
};

/// All its channels have answered for 5 s.
inline SessionRig watched() {
    SessionRig rig;
    rig.watch_all();
    CHECK_FALSE(rig.run(5s));
    return rig;
}

} // namespace everpool::core
