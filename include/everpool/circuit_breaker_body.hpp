// Everpool: the bodies of CircuitBreaker. Include circuit_breaker.hpp, which says what they
// promise. SPDX-License-Identifier: BSL-1.0
//
// The order in every function: read the word; decide by it; change the word from exactly what was
// read. If that fails, another thread was first, and the decision is made again or is no longer
// due.
#pragma once

#include "everpool/circuit_breaker.hpp"

namespace everpool {

template <class Traits>
BasicCircuitBreaker<Traits>::BasicCircuitBreaker(CircuitBreakerConfig config,
                                                 CircuitBreakerListener listener)
    : config_((check_config(config), config)),
      listener_(std::move(listener)),
      window_(config.window, config.lane_count),
      last_calls_(config.window_calls) {}

// --- asking --------------------------------------------------------------------------------------

template <class Traits>
auto BasicCircuitBreaker<Traits>::try_acquire(TimePoint now, std::size_t lane) noexcept -> Permit {
    const std::uint64_t bits = word_.load(std::memory_order_acquire);
    if (core::BreakerWord::state_of(bits) == State::closed) [[likely]]
        return admit(core::BreakerWord::epoch_of(bits), now, call_deadline(now), lane);
    return acquire_slowly(now, lane);
}

template <class Traits>
auto BasicCircuitBreaker<Traits>::admit(std::uint32_t epoch, TimePoint now, TimePoint deadline,
                                        std::size_t lane) noexcept -> Permit {
    return Permit(this, now, deadline, epoch, lane, Rejection::none);
}

template <class Traits>
auto BasicCircuitBreaker<Traits>::reject(Rejection why, TimePoint now, TimePoint retry_at) noexcept
    -> Permit {
    count(rejected_);
    if (listener_.on_reject) listener_.on_reject(why, now);
    return Permit(nullptr, now, retry_at, 0, 0, why);
}

template <class Traits>
auto BasicCircuitBreaker<Traits>::acquire_slowly(TimePoint now, std::size_t lane) noexcept
    -> Permit {
    for (;;) {
        const core::BreakerWord word = read_word();
        const core::Tick left = ticks_left(word, now);
        switch (word.state) {
        case State::closed:
        case State::disabled:
        case State::metrics_only: return admit(word.epoch, now, call_deadline(now), lane);
        case State::forced_open: return reject(Rejection::forced_open, now, never);
        case State::open:
            if (left != 0)
                return reject(Rejection::open, now, later(now, core::duration_of(left)));
            change(word,
                   word.next(State::half_open, word.strikes,
                             core::tick_after(now, config_.half_open_max_wait)),
                   Reason::open_time_over, now);
            break;
        case State::half_open:
            if (left == 0) change(word, opened(word, now), Reason::probes_overdue, now);
            else if (std::optional<Permit> permit = take_probe(word, now, lane))
                return std::move(*permit);
            break;
        case State::ramping: {
            const std::uint32_t percent = ramp_percent(word, now);
            if (percent == 100) {
                // The same epoch: what was sent during the ramp is judged like everything after it.
                core::BreakerWord closed = word;
                closed.state = State::closed;
                change(word, closed, Reason::ramp_over, now);
                break;
            }
            // Evenly spread, the first one included: with few calls, chance would be a gamble.
            const std::uint64_t call = ramp_calls_.increase(word.epoch);
            if (call == 0) break; // the epoch is over
            if ((call - 1) * percent % 100 >= percent) return reject(Rejection::ramping, now, now);
            return admit(word.epoch, now, call_deadline(now), lane);
        }
        }
    }
}

/// A permit or a rejection; nothing if the epoch is over.
template <class Traits>
auto BasicCircuitBreaker<Traits>::take_probe(core::BreakerWord word, TimePoint now,
                                             std::size_t lane) noexcept -> std::optional<Permit> {
    const TimePoint overdue_at = later(now, core::duration_of(ticks_left(word, now)));
    std::uint64_t bits = probes_.load(std::memory_order_relaxed);
    for (;;) {
        core::ProbeWord probes = core::ProbeWord::unpack(bits);
        if (core::is_later(probes.epoch, word.epoch, 24)) return std::nullopt;
        if (probes.epoch != word.epoch) probes = {.epoch = word.epoch};
        if (probes.issued >= config_.half_open_probes)
            return reject(Rejection::probes_taken, now, overdue_at);
        ++probes.issued;
        if (probes_.compare_exchange_strong(bits, probes.pack(), std::memory_order_relaxed))
            return admit(word.epoch, now, overdue_at, lane);
    }
}

/// Until the open time or the wait for probes is over; 0 in the other states.
template <class Traits>
core::Tick BasicCircuitBreaker<Traits>::ticks_left(core::BreakerWord word,
                                                   TimePoint now) const noexcept {
    if (word.state == State::open)
        return core::ticks_until(word.tick, core::tick_at(now), config_.open_time_max);
    if (word.state == State::half_open)
        return core::ticks_until(word.tick, core::tick_at(now), config_.half_open_max_wait);
    return 0;
}

/// The share of the calls that passes: three steps, then everything.
template <class Traits>
std::uint32_t BasicCircuitBreaker<Traits>::ramp_percent(core::BreakerWord word,
                                                        TimePoint now) const noexcept {
    if (word.state != State::ramping) return 100;
    const core::Tick here = core::tick_at(now);
    if (core::ticks_until(word.tick, here, {}) != 0) return 10; // a clock that is a little behind
    const Duration passed = core::duration_of(here - word.tick);
    if (passed >= config_.ramp) return 100;
    if (passed >= config_.ramp / 3 * 2) return 50;
    return passed >= config_.ramp / 3 ? 25 : 10;
}

// --- recording -----------------------------------------------------------------------------------

template <class Traits>
void BasicCircuitBreaker<Traits>::settle(const Permit& permit, Outcome outcome, TimePoint now,
                                         Duration duration) noexcept {
    const core::BreakerWord word = read_word();
    const bool is_stale = word.epoch != permit.epoch_;
    if (outcome == Outcome::ignored) {
        count(ignored_);
        if (!is_stale && word.state == State::half_open) release_probe(word.epoch);
        return;
    }
    const core::CallMark mark{.is_failure = outcome != Outcome::success,
                              .is_slow = duration >= config_.slow_call_duration};
    if (is_stale) {
        count(stale_);
        window_.add_to_totals(permit.lane_, mark);
    } else {
        window_.add(permit.lane_, word.epoch, word_, now, mark);
        if (last_calls_.is_used()) last_calls_.add(word.epoch, mark);
    }
    if (mark.is_slow && listener_.on_slow_call) listener_.on_slow_call(duration);
    if (is_stale) return;

    std::uint32_t failures_in_a_row = 0;
    if (mark.is_failure) failures_in_a_row = streak_.increase(word.epoch);
    else streak_.clear(word.epoch);

    if (word.state == State::half_open) count_probe(word, outcome, mark.is_slow, now);
    else if ((mark.is_failure || mark.is_slow) && word.state != State::disabled)
        judge(word.epoch, outcome, failures_in_a_row, now);
}

template <class Traits>
void BasicCircuitBreaker<Traits>::abandon(const Permit& permit) noexcept {
    count(abandoned_);
    const core::BreakerWord word = read_word();
    if (word.epoch == permit.epoch_ && word.state == State::half_open) release_probe(word.epoch);
}

/// Opens if it has to, and if this epoch is not over yet.
template <class Traits>
void BasicCircuitBreaker<Traits>::judge(std::uint32_t epoch, Outcome outcome,
                                        std::uint32_t failures_in_a_row, TimePoint now) noexcept {
    const std::optional<Reason> reason = verdict(epoch, outcome, failures_in_a_row, now);
    if (!reason) return;
    // Within an epoch the word changes at most once, from ramping to closed.
    for (core::BreakerWord word = read_word(); word.epoch == epoch; word = read_word()) {
        const bool is_dry_run = word.state == State::metrics_only;
        // A dry run begins anew as well, or it would report the same failures with each call.
        const core::BreakerWord to =
            is_dry_run ? word.next(State::metrics_only, 0, word.tick) : opened(word, now);
        if (change(word, to, *reason, now)) return;
    }
}

template <class Traits>
std::optional<BreakerReason> BasicCircuitBreaker<Traits>::verdict(std::uint32_t epoch,
                                                                  Outcome outcome,
                                                                  std::uint32_t failures_in_a_row,
                                                                  TimePoint now) const noexcept {
    if (outcome == Outcome::fatal) return Reason::fatal_outcome;
    if (config_.consecutive_failures != 0 && failures_in_a_row >= config_.consecutive_failures)
        return Reason::consecutive_failures;
    const CallCounts window = window_counts(epoch, now);
    if (is_above(config_.failure_rate_limit, window.failures, window.calls()))
        return Reason::failure_rate;
    if (is_above(config_.slow_rate_limit, window.slow, window.calls())) return Reason::slow_rate;
    return std::nullopt;
}

/// Is the rate above the limit, with confidence?
template <class Traits>
bool BasicCircuitBreaker<Traits>::is_above(double limit, std::uint64_t hits,
                                           std::uint64_t calls) const noexcept {
    // Now and then a call fails where all is well: that must not cost a sum. At most 1 - 1/e of a
    // log-concave distribution, which Beta(a >= 1, b >= 1) is, lies above its mean (Gruenbaum).
    const double mean =
        static_cast<double>(config_.prior_failures + hits) /
        static_cast<double>(config_.prior_failures + config_.prior_successes + calls);
    if (mean <= limit && config_.confidence > 0.64) return false;
    return probability_above(limit, hits, calls) >= config_.confidence;
}

template <class Traits>
CallCounts BasicCircuitBreaker<Traits>::window_counts(std::uint32_t epoch,
                                                      TimePoint now) const noexcept {
    return last_calls_.is_used() ? last_calls_.counts(epoch) : window_.counts(epoch, now);
}

template <class Traits>
double BasicCircuitBreaker<Traits>::probability_above(double limit, std::uint64_t hits,
                                                      std::uint64_t calls) const noexcept {
    // Halving a full slice rounds, so there may be one slow call more than there are calls.
    const std::uint64_t misses = calls > hits ? calls - hits : 0;
    return core::beta_tail_above(config_.prior_failures + static_cast<std::uint32_t>(hits),
                                 config_.prior_successes + static_cast<std::uint32_t>(misses),
                                 limit);
}

// --- probes --------------------------------------------------------------------------------------

template <class Traits>
void BasicCircuitBreaker<Traits>::count_probe(core::BreakerWord word, Outcome outcome, bool is_slow,
                                              TimePoint now) noexcept {
    // A slow success proves little: a peer that was shut out for slowness would come back by it.
    const bool has_passed = outcome == Outcome::success && !is_slow;
    std::uint64_t bits = probes_.load(std::memory_order_relaxed);
    core::ProbeWord probes;
    do {
        probes = core::ProbeWord::unpack(bits);
        if (probes.epoch != word.epoch) return;
        ++(has_passed ? probes.succeeded : probes.failed);
    } while (!probes_.compare_exchange_strong(bits, probes.pack(), std::memory_order_relaxed));

    if (outcome == Outcome::fatal) {
        change(word, opened(word, now), Reason::fatal_outcome, now);
    } else if (probes.failed > config_.half_open_probes - config_.half_open_successes) {
        change(word, opened(word, now), Reason::probes_failed, now);
    } else if (probes.succeeded >= config_.half_open_successes) {
        const State to = config_.ramp > Duration{} ? State::ramping : State::closed;
        change(word, word.next(to, word.strikes, core::tick_at(now)), Reason::probes_passed, now);
    }
}

template <class Traits>
void BasicCircuitBreaker<Traits>::release_probe(std::uint32_t epoch) noexcept {
    std::uint64_t bits = probes_.load(std::memory_order_relaxed);
    core::ProbeWord probes;
    do {
        probes = core::ProbeWord::unpack(bits);
        if (probes.epoch != epoch || probes.issued == 0) return;
        --probes.issued;
    } while (!probes_.compare_exchange_strong(bits, probes.pack(), std::memory_order_relaxed));
}

// --- changing ------------------------------------------------------------------------------------

/// The open word that follows `from`: its open time doubles with each strike, and is jittered by a
/// hash of seed and epoch, so that no generator is shared and a run can be repeated. If it is open
/// already, the spell goes on: no strike more, and until whichever time is later.
template <class Traits>
core::BreakerWord BasicCircuitBreaker<Traits>::opened(core::BreakerWord from, TimePoint now,
                                                      Duration at_least) const noexcept {
    std::uint32_t strikes = from.strikes;
    if (from.state == State::closed || from.state == State::ramping) {
        const core::Tick here = core::tick_at(now);
        const bool is_behind = core::ticks_until(from.tick, here, {}) != 0;
        const Duration spell = is_behind ? Duration{} : core::duration_of(here - from.tick);
        if (spell >= config_.healthy_after) strikes = 0;
    }
    const core::Tick left = from.state == State::open ? ticks_left(from, now) : 0;
    if (left != 0 && strikes > 0) --strikes;
    Duration time = config_.open_time;
    for (std::uint32_t i = 0; i < strikes && time < config_.open_time_max; ++i) time += time;
    if (time > config_.open_time_max) time = config_.open_time_max;

    core::BreakerWord to = from.next(State::open, strikes + 1, 0);
    std::uint64_t chance = config_.seed ^ std::uint64_t{to.epoch} << 32;
    const auto permille = static_cast<Duration::rep>(core::splitmix64(chance) % 1001);
    time -= time / 100 * config_.jitter_percent / 1000 * permille;
    if (at_least > config_.open_time_max) at_least = config_.open_time_max;
    to.tick = core::tick_after(now, time > at_least ? time : at_least);
    if (to.tick - core::tick_at(now) < left) to.tick = from.tick;
    return to;
}

/// True if this thread has made the change; it alone tells of it.
template <class Traits>
bool BasicCircuitBreaker<Traits>::change(core::BreakerWord from, core::BreakerWord to,
                                         Reason reason, TimePoint now) noexcept {
    std::uint64_t expected = from.pack();
    if (!word_.compare_exchange_strong(expected, to.pack(), std::memory_order_acq_rel))
        return false;
    const bool is_dry_run = to.state == State::metrics_only && reason != Reason::asked;
    if (is_dry_run) count(would_have_opened_);
    if (to.state == State::open && from.state != State::open) count(opened_);
    if (listener_.on_change)
        listener_.on_change({from.state, to.state, reason, to.epoch, now, is_dry_run});
    return true;
}

template <class Traits>
void BasicCircuitBreaker<Traits>::go(State to, TimePoint now) noexcept {
    core::BreakerWord word;
    do word = read_word();
    while (!change(word, word.next(to, 0, core::tick_at(now)), Reason::asked, now));
}

template <class Traits>
void BasicCircuitBreaker<Traits>::trip(TimePoint now, Duration at_least) noexcept {
    core::BreakerWord word, to;
    do {
        word = read_word();
        to = opened(word, now, at_least);
        if (word.state == State::open && to.tick == word.tick) return; // it is as asked already
    } while (!change(word, to, Reason::asked, now));
}

// --- looking -------------------------------------------------------------------------------------

template <class Traits>
CircuitBreakerStats BasicCircuitBreaker<Traits>::stats(TimePoint now) const noexcept {
    const core::BreakerWord word = read_word();
    CircuitBreakerStats stats{.state = word.state, .epoch = word.epoch, .strikes = word.strikes};
    const bool is_timed = word.state == State::open || word.state == State::half_open;
    stats.remaining = core::duration_of(ticks_left(word, now));
    if (!is_timed && word.state != State::forced_open)
        stats.admitted_percent = ramp_percent(word, now);

    stats.window = window_counts(word.epoch, now);
    const auto calls = static_cast<double>(stats.window.calls());
    if (calls > 0) {
        stats.failure_rate = static_cast<double>(stats.window.failures) / calls;
        stats.slow_rate = static_cast<double>(stats.window.slow) / calls;
    }
    stats.failing_probability =
        probability_above(config_.failure_rate_limit, stats.window.failures, stats.window.calls());
    stats.failures_in_a_row = streak_.count(word.epoch);
    const auto probes = core::ProbeWord::unpack(probes_.load(std::memory_order_relaxed));
    if (word.state == State::half_open && probes.epoch == word.epoch)
        stats.probes_under_way = probes.issued - probes.succeeded - probes.failed;

    stats.totals = window_.totals();
    stats.rejected = rejected_.load(std::memory_order_relaxed);
    stats.ignored = ignored_.load(std::memory_order_relaxed);
    stats.abandoned = abandoned_.load(std::memory_order_relaxed);
    stats.stale = stale_.load(std::memory_order_relaxed);
    stats.opened = opened_.load(std::memory_order_relaxed);
    stats.would_have_opened = would_have_opened_.load(std::memory_order_relaxed);
    return stats;
}

template <class Traits>
CircuitBreakerMemory BasicCircuitBreaker<Traits>::memory(TimePoint now) const noexcept {
    const core::BreakerWord word = read_word();
    if (word.state == State::half_open) return {State::open, word.strikes, Duration{}};
    return {word.state, word.strikes, core::duration_of(ticks_left(word, now))};
}

template <class Traits>
void BasicCircuitBreaker<Traits>::restore(const CircuitBreakerMemory& memory, TimePoint now) {
    if (memory.state > State::metrics_only)
        throw std::invalid_argument("CircuitBreakerMemory::state is no state");
    const State state = memory.state == State::half_open ? State::open : memory.state;
    core::Tick tick = core::tick_at(now);
    if (memory.state == State::open && memory.remaining > Duration{})
        tick = core::tick_after(now, std::min(memory.remaining, config_.open_time_max));
    core::BreakerWord word;
    do word = read_word();
    while (!change(word, word.next(state, memory.strikes, tick), Reason::asked, now));
}

} // namespace everpool
