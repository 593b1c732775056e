// Everpool core: one of a worker's channels, asked for signs of life again and again.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/core_config.hpp"
#include "everpool/core/phi_accrual.hpp"
#include "everpool/time.hpp"

#include <cstdint>

namespace everpool::core {

struct AskedChannel {
    /// Facts:
    ///   quiet   not watched: no deadline, answers are unexpected
    ///   idle    every question has been answered
    ///   asked   a question has not been answered
    enum class State : std::uint8_t { quiet, idle, asked };

    explicit AskedChannel(const CoreConfig& config)
        : detector({.ping_interval = config.ping_interval,
                    .acceptable_pause = config.acceptable_pause,
                    .silence_max = config.ping_timeout,
                    .busy_silence_min = config.ping_interval}) {} // run times are known here

    /// A new life.
    void reset() noexcept {
        state = State::quiet;
        last_sequence = last_answered = 0;
        heard_at = {};
        detector.unwatch();
    }
    void watch(TimePoint now, Duration interval) noexcept {
        if (state != State::quiet) return;
        state = State::idle;
        next_question_at = later(now, interval);
        detector.watch(now);
    }
    /// \return whether it answers a question that had no answer yet
    bool on_answer(std::uint64_t sequence, TimePoint now) noexcept {
        if (state != State::asked || sequence <= last_answered || sequence > last_sequence)
            return false;
        last_answered = sequence;
        heard_at = now;
        detector.on_heartbeat(now);
        if (sequence == last_sequence) state = State::idle;
        return true;
    }

    [[nodiscard]] bool is_suspect(TimePoint now) const noexcept {
        return state != State::quiet && detector.is_suspect(now);
    }

    State state{State::quiet};
    TimePoint next_question_at{never};
    TimePoint heard_at{};
    std::uint64_t last_sequence{0}, last_answered{0};
    PhiAccrual detector;
};

} // namespace everpool::core
