// Everpool core: how unlikely is it that a worker that has been silent for so long is still alive?
// SPDX-License-Identifier: BSL-1.0
//
// The phi-accrual failure detector (Hayashibara et al., 2004). The times between signs of life are
// taken to be normally distributed, with mean and deviation of the last of them; then
//
//     phi(silence) = -log10 P(a worker that lives is silent for longer)
//
// and a worker with phi 8 is suspected: wrongly once in 10^8 silences, if the assumption held. It
// does not hold in the tail, where garbage is collected and a busy machine schedules somebody else;
// so a pause of `acceptable_pause` is granted before silence begins to count.
//
//     PhiAccrual detector;
//     detector.watch(now);
//     detector.on_heartbeat(now);                          // a pong
//     arm_timer(detector.deadline());                      // phi reaches the threshold then
//     if (detector.is_suspect(now)) look_closer();
//
// What a hang takes to be noticed. The last pong before it came up to one interval earlier, so the
// suspicion comes mean + acceptable_pause + 5.6 deviations after that pong: with the defaults and
// pings answered on time 0.05 + 1 + 5.6 * 0.01 = 1.11 s, less the time by which the hang came after
// the pong. The interval decides: a page that stops for one whole second just before a ping arrives
// has been silent for a second and one interval, and that is not to be a false alarm. With pings
// each 250 ms no limit both grants that second and finds a hang in 1.2 s; with 100 ms one does on
// an idle machine, and with 50 ms on one that is fully loaded as well. (A worker that has given a
// result within the interval need not be pinged: say on_sign_of_life().)
//
// A pause of the whole second, ended by an answer that is late for another reason, is suspected now
// and then (3 of 1800 in the simulated load of phi_accrual_traffic_tests.cpp, which prints all
// figures). So what is suspected is looked at more closely, not killed: the operations in flight
// may be hedged at once, which costs little if the worker lives.
//
// Time for which the host stood still does not count, as in SessionFsm. Nothing here is a ping:
// SessionFsm or a driver sends these.
//
// Floating point, as in statistics: a square root and the normal distribution's tail. Not
// thread-safe; no allocation after construction.
#pragma once

#include "everpool/time.hpp"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

namespace everpool::core {

struct PhiAccrualConfig {
    /// How often pings are sent, and the estimate of the time between pongs before any came.
    /// Default 50 ms; see above. 1 ms to 30 s.
    Duration ping_interval{std::chrono::milliseconds{50}};

    /// This much more than usual is granted: a page that collects garbage, a machine that schedules
    /// somebody else. Default 1 s. 0 to 1 h.
    Duration acceptable_pause{std::chrono::seconds{1}};

    /// Pongs are never taken to be more regular than this, for perfect regularity would make the
    /// first hiccup a failure. Default 10 ms. 1 us to 1 min.
    Duration deviation_min{std::chrono::milliseconds{10}};

    /// Silence of this length is suspect whatever was usual, so that a worker that has been bad
    /// cannot be silent for ever longer. Default 3 s. At least ping_interval; at most 1 h.
    Duration silence_max{std::chrono::seconds{3}};

    /// A worker that is busy with an operation is granted at least this from the operation's start:
    /// its compute thread cannot answer meanwhile. The caller may say more, see begin_busy().
    /// Default 1 s. 0 to 24 h.
    Duration busy_silence_min{std::chrono::seconds{1}};

    /// The phi that is suspect. Default 8. 1 to 300.
    double threshold{8};

    /// So many times between pongs are remembered. Default 400: the last 20 s. 2 to 1000.
    std::uint32_t window{400};
};

/// Throws std::invalid_argument that names the first member out of its range.
inline void check_config(const PhiAccrualConfig& config) {
    using namespace std::chrono_literals;
    const auto demand = [](bool is_met, const char* text) {
        if (!is_met) throw std::invalid_argument(text);
    };
    demand(config.ping_interval >= 1ms && config.ping_interval <= 30s,
           "PhiAccrualConfig::ping_interval must be 1 ms to 30 s");
    demand(config.acceptable_pause >= 0s && config.acceptable_pause <= 1h,
           "PhiAccrualConfig::acceptable_pause must be 0 to 1 h");
    demand(config.deviation_min >= 1us && config.deviation_min <= 1min,
           "PhiAccrualConfig::deviation_min must be 1 us to 1 min");
    demand(config.silence_max >= config.ping_interval && config.silence_max <= 1h,
           "PhiAccrualConfig::silence_max must be ping_interval to 1 h");
    demand(config.busy_silence_min >= 0s && config.busy_silence_min <= 24h,
           "PhiAccrualConfig::busy_silence_min must be 0 to 24 h");
    demand(config.threshold >= 1 && config.threshold <= 300,
           "PhiAccrualConfig::threshold must be 1 to 300");
    demand(config.window >= 2 && config.window <= 1000,
           "PhiAccrualConfig::window must be 2 to 1000");
}

/// -log10 P(N(0,1) > z): without loss of digits however improbable, and for any z.
[[nodiscard]] inline double normal_tail_phi(double z) noexcept {
    constexpr double ln_10 = 2.302585092994046, root_half = 0.7071067811865476;
    // 1 - F(z) would be 0 from z = 8.3 on; erfc has all its digits up to z = 37.
    if (z < 30) return -std::log10(0.5 * std::erfc(z * root_half)) + 0.0;
    // ln P = -z^2/2 - ln(z sqrt(2 pi)) + ln(1 - 1/z^2 + 3/z^4 - 15/z^6 ...); the next term is
    // 10^-10 of the sum at z = 30, and less beyond.
    const double s = 1 / (z * z);
    const double series = -s * (1 - s * (3 - s * (15 - s * 105)));
    constexpr double ln_root_2_pi = 0.9189385332046727;
    return (z * z / 2 + std::log(z) + ln_root_2_pi - std::log1p(series)) / ln_10;
}

/// The z at which normal_tail_phi() is `phi`. \pre phi > 0.31 (z is positive), phi <= 10^6
[[nodiscard]] inline double normal_tail_quantile(double phi) noexcept {
    double low = 0, high = 2200;
    for (int i = 0; i < 64; ++i) {
        const double middle = (low + high) / 2;
        (normal_tail_phi(middle) < phi ? low : high) = middle;
    }
    return high;
}

class PhiAccrual {
public:
    /// Throws std::invalid_argument if check_config() does.
    explicit PhiAccrual(const PhiAccrualConfig& config = {})
        : config_((check_config(config), config)),
          deviations_granted_(normal_tail_quantile(config.threshold)),
          ring_(config.window) {
        forget();
    }

    /// A new life: the worker has just said hello.
    void watch(TimePoint now) noexcept {
        forget();
        is_watched_ = true;
        heard_at_ = alive_at_ = now;
    }
    /// Nothing is expected of it any more.
    void unwatch() noexcept { is_watched_ = false; }

    /// A pong. The time since the pong before it is what is learnt from, unless the worker was busy
    /// meanwhile: then it tells of the operation.
    void on_heartbeat(TimePoint now) noexcept {
        if (!is_watched_) return;
        if (!was_busy_ && now > heard_at_) learn(now - heard_at_);
        was_busy_ = is_busy_;
        heard_at_ = std::max(heard_at_, now);
        on_sign_of_life(now);
    }

    /// It has proved otherwise that it lives (a result): silence starts over, nothing is learnt.
    void on_sign_of_life(TimePoint now) noexcept { alive_at_ = std::max(alive_at_, now); }

    /// It has begun something during which it cannot answer, which takes `expected` at most
    /// (see RunTimes), or until the operation's own deadline. Until then and
    /// acceptable_pause more, silence is no sign of anything. Said again, the later end counts.
    void begin_busy(TimePoint now, Duration expected = {}) noexcept {
        const Duration granted = std::max(expected, config_.busy_silence_min);
        busy_until_ = is_busy_ ? std::max(busy_until_, later(now, granted)) : later(now, granted);
        is_busy_ = was_busy_ = true;
    }
    /// The last of these has ended, by a result or by being given up.
    void end_busy() noexcept { is_busy_ = false; }

    /// The host stood still for `lost` until now. That time does not count.
    void on_host_late(Duration lost, TimePoint now) noexcept {
        const auto moved = [&](TimePoint at) { return lost >= now - at ? now : at + lost; };
        heard_at_ = moved(heard_at_);
        alive_at_ = moved(alive_at_);
        busy_until_ = later(busy_until_, lost);
    }

    /// When phi reaches the threshold if nothing is heard until then. Never, if not watched.
    [[nodiscard]] TimePoint deadline() const noexcept { return deadline(config_.acceptable_pause); }
    /// The same if this much more than usual is granted.
    [[nodiscard]] TimePoint deadline(Duration pause) const noexcept {
        if (!is_watched_) return never;
        const TimePoint usual = later(alive_at_, silence_granted(pause));
        return is_busy_ ? std::max(usual, later(busy_until_, pause)) : usual;
    }
    [[nodiscard]] bool is_suspect(TimePoint now) const noexcept { return now >= deadline(); }

    /// For how long it could have given a sign of life and has not: since the last one, or since it
    /// should have been done with what keeps it busy. Zero, if not watched.
    [[nodiscard]] Duration silence(TimePoint now) const noexcept {
        if (!is_watched_) return {};
        return std::max(Duration{},
                        now - (is_busy_ ? std::max(alive_at_, busy_until_) : alive_at_));
    }
    /// How unlikely the silence is: 1 is one in ten, 8 one in 10^8. Zero as long as the worker is
    /// busy and may be. At deadline() it is the threshold, unless busy or silence_max decides that.
    [[nodiscard]] double phi(TimePoint now) const noexcept {
        if (!is_watched_ || now <= alive_at_) return 0;
        if (is_busy_ && now < later(busy_until_, config_.acceptable_pause)) return 0;
        const auto silence = static_cast<double>((now - alive_at_).count());
        const auto pause = static_cast<double>(config_.acceptable_pause.count());
        return std::max(0.0, normal_tail_phi((silence - pause - mean()) / deviation()));
    }

    /// From the last sign of life to the suspicion, if it is not busy.
    [[nodiscard]] Duration silence_granted() const noexcept {
        return silence_granted(config_.acceptable_pause);
    }

    /// In nanoseconds, of the times between pongs.
    [[nodiscard]] double mean() const noexcept {
        return (static_cast<double>(sum_) / static_cast<double>(count_) + base()) * unit;
    }
    [[nodiscard]] double deviation() const noexcept {
        const auto n = static_cast<double>(count_), s = static_cast<double>(sum_);
        const double variance = static_cast<double>(square_sum_) / n - s / n * (s / n);
        return std::max(std::sqrt(std::max(variance, 0.0)) * unit,
                        static_cast<double>(config_.deviation_min.count()));
    }
    [[nodiscard]] const PhiAccrualConfig& config() const noexcept { return config_; }

private:
    // Microseconds, so that sums of squares are exact in 64 bits: no drift, however long it runs.
    static constexpr double unit = 1000;
    static constexpr Duration sample_max = std::chrono::seconds(90); ///< longer ones count as this

    [[nodiscard]] Duration silence_granted(Duration pause) const noexcept {
        const double nanoseconds = mean() + deviations_granted_ * deviation();
        const auto usual = pause + Duration(static_cast<Duration::rep>(std::ceil(nanoseconds)));
        return std::min(usual, config_.silence_max);
    }

    [[nodiscard]] double base() const noexcept {
        return static_cast<double>(config_.ping_interval.count() / 1000);
    }

    /// As if two pongs had come, a quarter of an interval early and late.
    void forget() noexcept {
        next_ = count_ = 0;
        sum_ = square_sum_ = 0;
        is_watched_ = is_busy_ = was_busy_ = false;
        busy_until_ = TimePoint{};
        learn(config_.ping_interval - config_.ping_interval / 4);
        learn(config_.ping_interval + config_.ping_interval / 4);
    }

    /// Samples are kept as differences to the interval: small numbers, small squares. A pause is
    /// granted apart and is not learnt as irregularity on top of that; or else each collection of
    /// garbage would delay all suspicion for the next 20 s.
    void learn(Duration interval) noexcept {
        const Duration longest = config_.ping_interval + config_.acceptable_pause / 10;
        const std::int64_t sample = std::min({interval, longest, sample_max}).count() / 1000 -
                                    config_.ping_interval.count() / 1000;
        if (count_ == ring_.size()) {
            const std::int64_t oldest = ring_[next_];
            sum_ -= oldest;
            square_sum_ -= oldest * oldest;
        } else {
            ++count_;
        }
        ring_[next_] = static_cast<std::int32_t>(sample);
        sum_ += sample;
        square_sum_ += sample * sample;
        next_ = (next_ + 1) % ring_.size();
    }

    PhiAccrualConfig config_;
    double deviations_granted_;
    std::vector<std::int32_t> ring_;
    std::size_t next_{0}, count_{0};
    std::int64_t sum_{0}, square_sum_{0};
    TimePoint heard_at_{}, alive_at_{}, busy_until_{};
    bool is_watched_{false}, is_busy_{false}, was_busy_{false};
};

} // namespace everpool::core
