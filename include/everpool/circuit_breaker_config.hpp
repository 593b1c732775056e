// Everpool: the knobs of CircuitBreaker, and what it reports.
// SPDX-License-Identifier: BSL-1.0
//
// Every member has a default that suits a worker with a handful of calls per minute as well as one
// with thousands per second. A member out of its range makes the constructor throw
// std::invalid_argument with the member's name and its range.
#pragma once

#include "everpool/core/breaker_word.hpp"
#include "everpool/core/slice_window.hpp"
#include "everpool/time.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string_view>

namespace everpool {

using core::BreakerState;
using core::CallCounts;
using core::name_of;

/// What became of a call, as its caller judges it.
enum class Outcome : std::uint8_t {
    success,
    failure, ///< counts against the peer
    fatal,   ///< the peer is gone (process dead, GPU lost): the breaker opens at once
    ignored, ///< says nothing of the peer (caller's mistake, cancelled): as if it had not been made
};

constexpr std::string_view name_of(Outcome outcome) noexcept {
    switch (outcome) {
    case Outcome::success: return "success";
    case Outcome::failure: return "failure";
    case Outcome::fatal: return "fatal";
    case Outcome::ignored: return "ignored";
    }
    return "unrecognised";
}

/// Why a breaker changed its state.
enum class BreakerReason : std::uint8_t {
    fatal_outcome,        ///< Outcome::fatal
    consecutive_failures, ///< CircuitBreakerConfig::consecutive_failures in a row
    failure_rate,         ///< the failure rate is above its limit, with the asked confidence
    slow_rate,            ///< the same for slow calls
    open_time_over,       ///< open long enough: probes may pass
    probes_passed,        ///< enough probes succeeded
    probes_failed,        ///< so many probes failed that enough successes have become impossible
    probes_overdue,       ///< half-open for longer than half_open_max_wait
    ramp_over,            ///< all calls pass again
    asked,                ///< reset(), trip(), force_open(), disable(), observe_only(), restore()
};

constexpr std::string_view name_of(BreakerReason reason) noexcept {
    switch (reason) {
    case BreakerReason::fatal_outcome: return "fatal_outcome";
    case BreakerReason::consecutive_failures: return "consecutive_failures";
    case BreakerReason::failure_rate: return "failure_rate";
    case BreakerReason::slow_rate: return "slow_rate";
    case BreakerReason::open_time_over: return "open_time_over";
    case BreakerReason::probes_passed: return "probes_passed";
    case BreakerReason::probes_failed: return "probes_failed";
    case BreakerReason::probes_overdue: return "probes_overdue";
    case BreakerReason::ramp_over: return "ramp_over";
    case BreakerReason::asked: return "asked";
    }
    return "unrecognised";
}

struct CircuitBreakerConfig {
    // --- when it opens ---------------------------------------------------------------------------

    /// So many failures in a row open it, whatever the window holds. Default 5, the
    /// specification's: after a long healthy spell the window still holds many successes, and this
    /// rule does not wait until they have left. 1 to 1000; 0 turns the rule off.
    std::uint32_t consecutive_failures{5};

    /// It opens when the failure rate is above this, with `confidence`. Default 0.5: a worker that
    /// fails every second call is worse than none, as each failure costs a retry elsewhere. Above
    /// 0, below 1.
    double failure_rate_limit{0.5};

    /// How sure it must be that a rate is above its limit. Default 0.95, which with the uniform
    /// prior Beta(1, 1) opens after four straight failures (0.969) and not after three (0.938) or
    /// one (0.75); circuit_breaker.hpp has the table. From 0.5, below 1.
    double confidence{0.95};

    /// The prior: as if so many failures and successes had been seen before the first call. Default
    /// 1 and 1, which says nothing. More of both means more patience. 1 to 1000.
    std::uint32_t prior_failures{1};
    std::uint32_t prior_successes{1};

    /// A call that lasts this long is slow. Default: 24 h, which is never: only you know what is
    /// slow. Above 0, at most 24 h.
    Duration slow_call_duration{core::breaker_time_max};

    /// It opens when the share of slow calls is above this, with `confidence`. Default 0.8:
    /// thirteen straight slow calls. Slow answers are answers, so more are borne than failures.
    /// Above 0, below 1.
    double slow_rate_limit{0.8};

    /// The time window: what is older is not judged. It slides in steps of 1/16 to 1/8 of its
    /// length, and is as exact as one step. Default 60 s: long enough that one call in ten seconds
    /// makes six. 1 ms to 24 h.
    Duration window{std::chrono::seconds{60}};

    /// Not 0: the rates are judged over exactly the last so many calls, however old, instead of
    /// over `window`. All threads then meet at one counter. Default 0; at most 1024.
    std::size_t window_calls{0};

    // --- how it recovers -------------------------------------------------------------------------

    /// How long it stays open the first time. Default 30 s, the specification's: a browser restarts
    /// in a few seconds, and a graphics driver that was reset needs longer. 1 ms to 24 h.
    Duration open_time{std::chrono::seconds{30}};

    /// Each time that it opens again without a healthy spell between, the open time doubles, up to
    /// this. Default 5 min. open_time to 24 h.
    Duration open_time_max{std::chrono::minutes{5}};

    /// The open time is shortened by a random share of up to this many percent, so that breakers
    /// which opened together do not probe together. Default 20. 0 to 100.
    std::uint32_t jitter_percent{20};

    /// Closed for this long, it has been healthy, and its open time starts over. Default 5 min, the
    /// longest that it is kept out: what fails more often than that is not healthy. 0 to 24 h.
    Duration healthy_after{std::chrono::minutes{5}};

    /// How many calls pass as probes while half-open. Default 3, the specification's. 1 to 1000.
    std::uint32_t half_open_probes{3};

    /// How many of them must succeed. Default 3, the specification's: a worker that has just
    /// restarted has no excuse. With 5 probes and 3 successes, a flaky one does not cost a whole
    /// open time. A slow success is none: it proves little. 1 to half_open_probes.
    std::uint32_t half_open_successes{3};

    /// A half-open breaker that has not decided after this time opens again: a probe that hangs, or
    /// whose permit is leaked, cannot hold it. Default 60 s, the time limit of a request. 1 ms to
    /// 24 h; there is no "for ever".
    Duration half_open_max_wait{std::chrono::seconds{60}};

    /// After closing, 10 % of the calls pass, then 25 %, then 50 %, for a third of this time each,
    /// so that the first peer to recover is not buried under everybody's traffic. Default 3 s. 0 to
    /// 24 h; 0 is no ramp.
    Duration ramp{std::chrono::seconds{3}};

    // --- how it is used --------------------------------------------------------------------------

    /// What a permit gives as its deadline while the breaker is closed: a hint for its holder, who
    /// has the timers. Default 60 s, the time limit of a request. Above 0, at most 24 h.
    Duration call_timeout{std::chrono::seconds{60}};

    /// Threads that pass different lanes count without meeting each other. 256 bytes each.
    /// Default 4. 1 to 64.
    std::size_t lane_count{4};

    /// For the jitter. Breakers with the same seed jitter alike. Any value.
    std::uint64_t seed{0};
};

/// The breaker has changed its state.
struct BreakerChange {
    BreakerState from{};
    BreakerState to{};
    BreakerReason reason{};
    std::uint32_t epoch{0}; ///< of the new state: puts changes in order that two threads report
    TimePoint at{};
    bool is_dry_run{false}; ///< metrics-only: it would have opened
};

/// Why a call was not let through.
enum class Rejection : std::uint8_t {
    none,
    open,
    probes_taken, ///< half-open, and all probes are under way
    ramping,      ///< this call is not among the share that passes
    forced_open,
};

constexpr std::string_view name_of(Rejection rejection) noexcept {
    switch (rejection) {
    case Rejection::none: return "none";
    case Rejection::open: return "open";
    case Rejection::probes_taken: return "probes_taken";
    case Rejection::ramping: return "ramping";
    case Rejection::forced_open: return "forced_open";
    }
    return "unrecognised";
}

/// Told what happens, by the thread that made it happen, after it happened, and with no lock held.
/// Must not throw. May use the breaker. Empty members cost nothing.
struct CircuitBreakerListener {
    std::function<void(const BreakerChange&)> on_change{};
    std::function<void(Rejection, TimePoint)> on_reject{};
    std::function<void(Duration)> on_slow_call{};
};

/// A snapshot. Its members are read one after the other, while calls go on.
struct CircuitBreakerStats {
    BreakerState state{};
    std::uint32_t epoch{0};   ///< grows by one with each change of state, modulo 2^24
    std::uint32_t strikes{0}; ///< times opened since it was last healthy
    Duration remaining{};     ///< open: until probes pass; half-open: until it opens again
    std::uint32_t admitted_percent{0};

    CallCounts window{};    ///< what is judged
    double failure_rate{0}; ///< of the window; 0 if it is empty
    double slow_rate{0};
    double failing_probability{0}; ///< P(failure rate > limit)
    std::uint32_t failures_in_a_row{0};
    std::uint32_t probes_under_way{0};

    CallCounts totals{}; ///< since construction
    std::uint64_t rejected{0};
    std::uint64_t ignored{0};           ///< recorded as Outcome::ignored
    std::uint64_t abandoned{0};         ///< permits dropped unrecorded
    std::uint64_t stale{0};             ///< results of an earlier epoch
    std::uint64_t opened{0};            ///< times it opened
    std::uint64_t would_have_opened{0}; ///< the same in a dry run
};

/// What a breaker remembers across a restart of the host. Times are relative, as clocks differ.
struct CircuitBreakerMemory {
    BreakerState state{BreakerState::closed};
    std::uint32_t strikes{0};
    Duration remaining{}; ///< of the open time

    friend bool operator==(const CircuitBreakerMemory&, const CircuitBreakerMemory&) = default;
};

/// Throws std::invalid_argument that names the first member out of its range.
inline void check_config(const CircuitBreakerConfig& config) {
    const auto demand = [](bool is_met, const char* text) {
        if (!is_met) throw std::invalid_argument(text);
    };
    const auto is_time = [](Duration time, Duration least) {
        return time >= least && time <= core::breaker_time_max;
    };
    const auto is_share = [](double share) { return share > 0 && share < 1; };
    constexpr Duration millisecond = std::chrono::milliseconds{1};
    demand(config.consecutive_failures <= 1000,
           "CircuitBreakerConfig::consecutive_failures must be 0 to 1000");
    demand(is_share(config.failure_rate_limit),
           "CircuitBreakerConfig::failure_rate_limit must be above 0 and below 1");
    demand(config.confidence >= 0.5 && config.confidence < 1,
           "CircuitBreakerConfig::confidence must be at least 0.5 and below 1");
    demand(config.prior_failures >= 1 && config.prior_failures <= 1000,
           "CircuitBreakerConfig::prior_failures must be 1 to 1000");
    demand(config.prior_successes >= 1 && config.prior_successes <= 1000,
           "CircuitBreakerConfig::prior_successes must be 1 to 1000");
    demand(is_time(config.slow_call_duration, Duration{1}),
           "CircuitBreakerConfig::slow_call_duration must be above 0 and at most 24 h");
    demand(is_share(config.slow_rate_limit),
           "CircuitBreakerConfig::slow_rate_limit must be above 0 and below 1");
    demand(is_time(config.window, millisecond),
           "CircuitBreakerConfig::window must be 1 ms to 24 h");
    demand(config.window_calls <= 1024, "CircuitBreakerConfig::window_calls must be 0 to 1024");
    demand(is_time(config.open_time, millisecond),
           "CircuitBreakerConfig::open_time must be 1 ms to 24 h");
    demand(is_time(config.open_time_max, config.open_time),
           "CircuitBreakerConfig::open_time_max must be open_time to 24 h");
    demand(config.jitter_percent <= 100, "CircuitBreakerConfig::jitter_percent must be 0 to 100");
    demand(is_time(config.healthy_after, Duration{}),
           "CircuitBreakerConfig::healthy_after must be 0 to 24 h");
    demand(config.half_open_probes >= 1 && config.half_open_probes <= 1000,
           "CircuitBreakerConfig::half_open_probes must be 1 to 1000");
    demand(config.half_open_successes >= 1 && config.half_open_successes <= config.half_open_probes,
           "CircuitBreakerConfig::half_open_successes must be 1 to half_open_probes");
    demand(is_time(config.half_open_max_wait, millisecond),
           "CircuitBreakerConfig::half_open_max_wait must be 1 ms to 24 h");
    demand(is_time(config.ramp, Duration{}), "CircuitBreakerConfig::ramp must be 0 to 24 h");
    demand(is_time(config.call_timeout, Duration{1}),
           "CircuitBreakerConfig::call_timeout must be above 0 and at most 24 h");
    demand(config.lane_count >= 1 && config.lane_count <= 64,
           "CircuitBreakerConfig::lane_count must be 1 to 64");
}

} // namespace everpool
