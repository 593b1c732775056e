// Everpool: a circuit breaker, which stops asking a peer that keeps failing.
// SPDX-License-Identifier: BSL-1.0
//
// Use it when calls to something (a worker, a model, a connection, a remote host) fail in spells,
// and a call that will fail costs more than one that is not made. It needs nothing else of
// Everpool: no pool, no Asio, no threads, no clock. Time is an argument.
//
//     CircuitBreaker breaker{{.open_time = 10s}};
//     if (auto permit = breaker.try_acquire(now)) {
//         const bool is_good = call_the_peer(permit.deadline());
//         permit.record(is_good ? Outcome::success : Outcome::failure, later_now);
//     } else {
//         call_somebody_else(); // permit.rejection() says why, permit.retry_at() until when
//     }
//
// States
//
//                too many failures            open time over
//       closed ----------------------> open ------------------> half_open
//         ^                            ^  ^                      |     |
//         |          too many failures |  '----------------------'     | enough probes
//         | ramp over                  |    probes failed or overdue   | have succeeded
//         '------------------------ ramping <--------------------------'
//
//     trip(): open, from any state. reset(): closed, from any state.
//     forced_open, disabled, metrics_only: entered and left only by request.
//
// When it opens. Whichever comes first: a fatal outcome; consecutive_failures in a row; the failure
// rate, or the rate of slow calls, is above its limit with confidence. The last is what makes it
// work with few calls, where a plain rate needs a minimum number of calls and is blind below it:
// with a uniform prior, P(rate > 1/2) is after so many failures and successes
//
//     failures    0 successes   1       2       3
//        1           0.750    0.500   0.313   0.188
//        2           0.875    0.688   0.500   0.344
//        3           0.938    0.813   0.656   0.500
//        4           0.969 *  0.891   0.773   0.637
//        5           0.984 *  0.938   0.855   0.746      * opens: 0.95 or more
//        6           0.992 *  0.965 * 0.910   0.828
//
// so four straight failures open it and one does not. With many calls the same rule becomes "above
// the limit by more than chance". It is evaluated only when a failure or a slow call is recorded.
//
// Permits. A permit belongs to the epoch in which it was given; each change of state begins a new
// epoch. A result from an earlier epoch is counted and changes nothing: what was sent before the
// breaker opened cannot close it, nor can what was sent before it closed open it. A permit that is
// dropped unrecorded gives its probe back. One that never comes back costs at most
// half_open_max_wait.
//
// Clocks. Times are kept to about a millisecond, and nothing happens early. Two threads' clocks may
// differ by up to a second. Whatever the clock does, the breaker comes to a decision: one that
// jumps back or by days can let it probe early, and cannot keep it open for longer than
// open_time_max and a second.
//
// Thread safety: everything may be called from any thread at any time. No locks: a call that is
// interrupted anywhere holds up nobody. No allocation after construction, no exceptions but from
// restore(). Lifetime: the breaker outlives its permits; it is neither copied nor moved.
#pragma once

#include "everpool/circuit_breaker_config.hpp"
#include "everpool/core/beta_tail.hpp"
#include "everpool/core/breaker_word.hpp"
#include "everpool/core/count_window.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/slice_window.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>

namespace everpool {

template <class Traits>
class BasicCircuitBreaker {
public:
    class Permit;

    /// Throws std::invalid_argument if check_config() does, and std::bad_alloc.
    explicit BasicCircuitBreaker(CircuitBreakerConfig config = {},
                                 CircuitBreakerListener listener = {});
    BasicCircuitBreaker(const BasicCircuitBreaker&) = delete;
    BasicCircuitBreaker& operator=(const BasicCircuitBreaker&) = delete;

    /// May the call be made? Ask the permit: it is true or false. `lane`: see lane_count.
    [[nodiscard]] Permit try_acquire(TimePoint now, std::size_t lane = 0) noexcept;

    [[nodiscard]] BreakerState state() const noexcept { return read_word().state; }
    [[nodiscard]] CircuitBreakerStats stats(TimePoint now) const noexcept;
    [[nodiscard]] const CircuitBreakerConfig& config() const noexcept { return config_; }

    /// Closed, healthy, nothing held against it; from any state.
    void reset(TimePoint now) noexcept { go(BreakerState::closed, now); }
    /// Open now: for its usual open time, or for `at_least` if that is longer (what the peer has
    /// asked for in a retry-after, say; cut to open_time_max). If it is open already, this can make
    /// it longer, never shorter, and is no further strike: ten calls that come back with the same
    /// retry-after are one failure.
    void trip(TimePoint now, Duration at_least = {}) noexcept;
    /// No calls until another of these functions is called.
    void force_open(TimePoint now) noexcept { go(BreakerState::forced_open, now); }
    /// All calls, counted and not judged.
    void disable(TimePoint now) noexcept { go(BreakerState::disabled, now); }
    /// All calls, judged; that it would have opened is reported and counted, and that is all.
    void observe_only(TimePoint now) noexcept { go(BreakerState::metrics_only, now); }

    /// What to keep across a restart of the host.
    [[nodiscard]] CircuitBreakerMemory memory(TimePoint now) const noexcept;
    /// Goes on where another one stopped. Half-open comes back as open with its open time over, as
    /// its probes are lost. Throws std::invalid_argument if the state is no enumerator.
    void restore(const CircuitBreakerMemory& memory, TimePoint now);

private:
    using State = BreakerState;
    using Reason = BreakerReason;
    using Word = typename Traits::template Atomic<std::uint64_t>;

    [[nodiscard]] core::BreakerWord read_word() const noexcept {
        return core::BreakerWord::unpack(word_.load(std::memory_order_acquire));
    }
    static void count(Word& counter) noexcept { counter.fetch_add(1, std::memory_order_relaxed); }

    Permit acquire_slowly(TimePoint now, std::size_t lane) noexcept;
    std::optional<Permit> take_probe(core::BreakerWord word, TimePoint now,
                                     std::size_t lane) noexcept;
    [[nodiscard]] TimePoint call_deadline(TimePoint now) const noexcept {
        return later(now, config_.call_timeout);
    }
    Permit admit(std::uint32_t epoch, TimePoint now, TimePoint deadline, std::size_t lane) noexcept;
    Permit reject(Rejection why, TimePoint now, TimePoint retry_at) noexcept;
    [[nodiscard]] core::Tick ticks_left(core::BreakerWord word, TimePoint now) const noexcept;
    [[nodiscard]] std::uint32_t ramp_percent(core::BreakerWord word, TimePoint now) const noexcept;

    void settle(const Permit& permit, Outcome outcome, TimePoint now, Duration duration) noexcept;
    void abandon(const Permit& permit) noexcept;
    void judge(std::uint32_t epoch, Outcome outcome, std::uint32_t failures_in_a_row,
               TimePoint now) noexcept;
    [[nodiscard]] std::optional<Reason> verdict(std::uint32_t epoch, Outcome outcome,
                                                std::uint32_t failures_in_a_row,
                                                TimePoint now) const noexcept;
    [[nodiscard]] CallCounts window_counts(std::uint32_t epoch, TimePoint now) const noexcept;
    [[nodiscard]] bool is_above(double limit, std::uint64_t hits,
                                std::uint64_t calls) const noexcept;
    [[nodiscard]] double probability_above(double limit, std::uint64_t hits,
                                           std::uint64_t calls) const noexcept;
    void count_probe(core::BreakerWord word, Outcome outcome, bool is_slow, TimePoint now) noexcept;
    void release_probe(std::uint32_t epoch) noexcept;

    [[nodiscard]] core::BreakerWord opened(core::BreakerWord from, TimePoint now,
                                           Duration at_least = {}) const noexcept;
    bool change(core::BreakerWord from, core::BreakerWord to, Reason reason,
                TimePoint now) noexcept;
    void go(State to, TimePoint now) noexcept;

    const CircuitBreakerConfig config_;
    const CircuitBreakerListener listener_;

    // Read by every call, written by changes of state and by failures.
    alignas(64) Word word_{core::BreakerWord{}.pack()};
    core::EpochCounter<Traits> streak_;
    core::SliceWindow<Traits> window_;
    core::CountWindow<Traits> last_calls_;

    // Written by calls that are not admitted, or that are probes.
    alignas(64) Word probes_{0};
    core::EpochCounter<Traits> ramp_calls_;
    Word rejected_{0}, ignored_{0}, abandoned_{0}, stale_{0}, opened_{0}, would_have_opened_{0};
};

/// The right to make one call, or the reason why not. Record it once; a permit that is destroyed
/// unrecorded counts as abandoned. Move-only; one thread at a time.
template <class Traits>
class BasicCircuitBreaker<Traits>::Permit {
public:
    Permit(Permit&& other) noexcept
        : breaker_(std::exchange(other.breaker_, nullptr)),
          started_(other.started_),
          until_(other.until_),
          epoch_(other.epoch_),
          lane_(other.lane_),
          rejection_(other.rejection_) {}
    Permit& operator=(Permit&& other) noexcept {
        if (this == &other) return *this;
        drop();
        breaker_ = std::exchange(other.breaker_, nullptr);
        started_ = other.started_;
        until_ = other.until_;
        epoch_ = other.epoch_;
        lane_ = other.lane_;
        rejection_ = other.rejection_;
        return *this;
    }
    ~Permit() { drop(); }

    /// True: the call may be made, and has not been recorded yet.
    [[nodiscard]] explicit operator bool() const noexcept { return breaker_ != nullptr; }
    [[nodiscard]] Rejection rejection() const noexcept { return rejection_; }
    /// Admitted: by when to give up. If somebody asks the breaker after a probe's deadline, it
    /// opens again and the probe's result no longer counts; another result counts whenever it
    /// comes.
    [[nodiscard]] TimePoint deadline() const noexcept { return until_; }
    /// Rejected: when it may be worth asking again; `never` if somebody has to intervene.
    [[nodiscard]] TimePoint retry_at() const noexcept { return until_; }
    [[nodiscard]] std::uint32_t epoch() const noexcept { return epoch_; }

    /// What became of the call, which lasted from try_acquire() until `now`. If *this is false
    /// there is nothing to record, and nothing happens.
    void record(Outcome outcome, TimePoint now) noexcept { record(outcome, now, now - started_); }
    /// The same with a duration of your own: without the time in a queue, say.
    void record(Outcome outcome, TimePoint now, Duration duration) noexcept {
        if (auto* const breaker = std::exchange(breaker_, nullptr))
            breaker->settle(*this, outcome, now, duration);
    }
    /// Gives it back unused, as the destructor does.
    void drop() noexcept {
        if (auto* const breaker = std::exchange(breaker_, nullptr)) breaker->abandon(*this);
    }

private:
    friend class BasicCircuitBreaker;
    Permit(BasicCircuitBreaker* breaker, TimePoint started, TimePoint until, std::uint32_t epoch,
           std::size_t lane, Rejection rejection) noexcept
        : breaker_(breaker),
          started_(started),
          until_(until),
          epoch_(epoch),
          lane_(static_cast<std::uint16_t>(lane)),
          rejection_(rejection) {}

    BasicCircuitBreaker* breaker_;
    TimePoint started_;
    TimePoint until_;
    std::uint32_t epoch_;
    std::uint16_t lane_;
    Rejection rejection_;
};

using CircuitBreaker = BasicCircuitBreaker<core::BreakerTraits>;

} // namespace everpool

#include "everpool/circuit_breaker_body.hpp"
