// A breaker with a clock of its own and a diary of what it told.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/circuit_breaker.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace everpool {

inline std::ostream& operator<<(std::ostream& out, BreakerState state) {
    return out << name_of(state);
}
inline std::ostream& operator<<(std::ostream& out, BreakerReason reason) {
    return out << name_of(reason);
}

} // namespace everpool

namespace everpool::test {

using namespace std::chrono_literals;

/// Times are kept to about a millisecond, and nothing happens early.
inline constexpr Duration tick = 3ms;

/// As the specification has it, without chance and ramp where a test is not about them.
inline CircuitBreakerConfig plain(CircuitBreakerConfig config = {}) {
    config.jitter_percent = 0;
    config.ramp = 0s;
    return config;
}

struct BreakerRig {
    explicit BreakerRig(CircuitBreakerConfig config = plain())
        : breaker(config,
                  {.on_change = [this](const BreakerChange& change) { changes.push_back(change); },
                   .on_reject = [this](Rejection why, TimePoint) { rejects.push_back(why); },
                   .on_slow_call = [this](Duration) { ++slow_calls; }}) {}

    CircuitBreaker::Permit acquire() { return breaker.try_acquire(now); }

    /// A call that takes no time. False if it was rejected.
    bool call(Outcome outcome, Duration duration = 0s) {
        CircuitBreaker::Permit permit = acquire();
        if (!permit) return false;
        permit.record(outcome, now, duration);
        return true;
    }
    void calls(int count, Outcome outcome, Duration duration = 0s) {
        for (int i = 0; i < count; ++i) REQUIRE(call(outcome, duration));
    }
    /// Until it is open, and on until its open time is over.
    void open_and_wait() {
        breaker.trip(now);
        now += breaker.stats(now).remaining + tick;
    }
    /// Opens it, waits, and closes it by probes.
    void recover() {
        open_and_wait();
        while (breaker.state() == BreakerState::open || breaker.state() == BreakerState::half_open)
            calls(1, Outcome::success);
    }
    [[nodiscard]] BreakerState state() const { return breaker.state(); }
    [[nodiscard]] CircuitBreakerStats stats() const { return breaker.stats(now); }
    /// "closed>open failure_rate, open>half_open open_time_over"
    [[nodiscard]] std::string diary() const {
        std::string text;
        for (const BreakerChange& change : changes) {
            if (!text.empty()) text += ", ";
            text += std::string(name_of(change.from)) + '>' + std::string(name_of(change.to)) +
                    ' ' + std::string(name_of(change.reason));
            if (change.is_dry_run) text += " (dry run)";
        }
        return text;
    }

    TimePoint now{1h};
    std::vector<BreakerChange> changes;
    std::vector<Rejection> rejects;
    int slow_calls{0};
    CircuitBreaker breaker;
};

} // namespace everpool::test
