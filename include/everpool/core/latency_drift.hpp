// Everpool core: has a worker become slow, measured by what it was itself?
// SPDX-License-Identifier: BSL-1.0
//
// A worker whose adapter fell back to software, or whose machine throttles it, answers rightly and
// late. No timeout notices, for each single answer is in time. So each worker's run times of one
// model are compared with those it had before: a worker's own, because a slow machine among fast
// ones is not ill, and one model's, because models differ by orders of magnitude.
//
// In logarithms: twice as slow is the same step for a model of a millisecond and of a minute, and
// an outlier of a hundredfold is worth seven doublings instead of a hundred values. Two questions
// are asked, and slow is who is told so by both:
//
//   is it chance?     a cumulative sum of residuals (core/cusum.hpp) has passed its threshold: at
//                     least five values in a row that are far off, more if they are less far
//   does it matter?   the median of the last values is slow_ratio times the baseline's mean
//
// As long as the first says no, the baseline learns, and forgets with its half-life, so that what
// creeps slowly in a direction is followed; from the first alarm on it stands still, so that a
// failure is not learnt as normal. A worker that has become faster for good gets a new baseline.
//
//     if (drift.add(run_time, now)) on_slow(drift.report());
//
// All workers slow at once is no worker's failure: compare the reports before acting. What a pool
// must not do is to count the time that an operation waits in a queue.
//
// Not thread-safe; no allocation. Time is an argument.
#pragma once

#include "everpool/core/cusum.hpp"
#include "everpool/core/decay.hpp"
#include "everpool/core/outliers.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>

namespace everpool::core {

struct LatencyDriftConfig {
    /// So many times the baseline is a failure. Default 2. Above back_ratio; at most 1000.
    double slow_ratio{2};
    /// Below this it counts as recovered. Default 1.25. 1 to below slow_ratio.
    double back_ratio{1.25};
    /// Nothing is judged before so many values have made a baseline. Default 30. 8 to 10000.
    std::uint32_t baseline_min{30};
    /// After this long a baseline's value is worth half. Default 30 min. 1 s to 24 h.
    Duration half_life{std::chrono::minutes{30}};
    /// The spread is never taken to be smaller than this factor, for a model of constant run time
    /// would otherwise be alarmed by a percent. Default 1.05. Above 1, at most 10.
    double spread_min{1.05};
};

/// Throws std::invalid_argument that names the first member out of its range.
inline void check_config(const LatencyDriftConfig& config) {
    using namespace std::chrono_literals;
    const auto demand = [](bool is_met, const char* text) {
        if (!is_met) throw std::invalid_argument(text);
    };
    demand(config.slow_ratio > config.back_ratio && config.slow_ratio <= 1000,
           "LatencyDriftConfig::slow_ratio must be above back_ratio, at most 1000");
    demand(config.back_ratio >= 1, "LatencyDriftConfig::back_ratio must be at least 1");
    demand(config.baseline_min >= 8 && config.baseline_min <= 10'000,
           "LatencyDriftConfig::baseline_min must be 8 to 10000");
    demand(config.half_life >= 1s && config.half_life <= 24h,
           "LatencyDriftConfig::half_life must be 1 s to 24 h");
    demand(config.spread_min > 1 && config.spread_min <= 10,
           "LatencyDriftConfig::spread_min must be above 1, at most 10");
}

struct LatencyDriftReport {
    bool is_slow{false};
    /// The median of the last values over the baseline: 2 is twice as slow. 1 if there is no
    /// baseline yet.
    double ratio{1};
    Duration baseline{}; ///< the baseline's (geometric) mean
    std::uint64_t sample_count{0};

    friend bool operator==(const LatencyDriftReport&, const LatencyDriftReport&) = default;
};

class LatencyDrift {
public:
    /// Of which the median is taken.
    static constexpr std::size_t recent_count = 9;

    /// Throws std::invalid_argument if check_config() does.
    explicit LatencyDrift(const LatencyDriftConfig& config = {})
        : config_((check_config(config), config)), decay_(config.half_life) {}

    /// An operation took so long on the worker.
    /// \return whether the worker is slow
    bool add(Duration run_time, TimePoint now) noexcept;

    [[nodiscard]] bool is_slow() const noexcept { return is_slow_; }
    [[nodiscard]] LatencyDriftReport report() const noexcept;

    /// Another worker has taken its place, or the model's version has changed.
    void reset() noexcept { *this = LatencyDrift(config_, decay_); }
    /// What it is now is normal from now on: a baseline of the last values.
    void accept(TimePoint now) noexcept { rebase(now); }

private:
    LatencyDrift(const LatencyDriftConfig& config, const Decay& decay) noexcept
        : config_(config), decay_(decay) {}

    [[nodiscard]] bool is_judging() const noexcept { return learnt_count_ >= config_.baseline_min; }
    [[nodiscard]] double recent_median() const noexcept;
    /// The logarithm of the ratio.
    [[nodiscard]] double rise() const noexcept { return recent_median() - baseline_.mean; }
    void learn(double value, TimePoint now) noexcept;
    void rebase(TimePoint now) noexcept;

    LatencyDriftConfig config_;
    Decay decay_;
    DecayedMoments baseline_;
    Cusum cusum_;
    std::array<double, recent_count> recent_{}; ///< logarithms; a ring
    std::uint64_t sample_count_{0}, learnt_count_{0};
    TimePoint learnt_at_{};
    bool is_doubted_{false}; ///< there was an alarm: the baseline stands still
    bool is_slow_{false};
};

// -------------------------------------------------------------------------------------------------

inline bool LatencyDrift::add(Duration run_time, TimePoint now) noexcept {
    const double value =
        std::log(static_cast<double>(std::max<Duration::rep>(run_time.count(), 1)));
    recent_[sample_count_++ % recent_count] = value;
    if (!is_judging()) {
        learn(value, now);
        return false;
    }
    const double spread = std::max(baseline_.standard_deviation(), std::log(config_.spread_min));
    switch (cusum_.add((value - baseline_.mean) / spread)) {
    case CusumAlarm::up: is_doubted_ = true; break;
    case CusumAlarm::down:
        // Faster for good, or the baseline was made of a cold start: this is the better baseline.
        if (rise() < -std::log(config_.back_ratio)) rebase(now);
        break;
    case CusumAlarm::none: break;
    }
    if (is_doubted_) {
        if (rise() >= std::log(config_.slow_ratio)) is_slow_ = true;
        else if (rise() < std::log(config_.back_ratio)) is_slow_ = is_doubted_ = false;
    }
    // An outlier counts as one that is just rare, or else some would be the baseline.
    const double rare = Cusum::clip * spread;
    if (!is_doubted_) learn(baseline_.mean + std::clamp(value - baseline_.mean, -rare, rare), now);
    return is_slow_;
}

inline LatencyDriftReport LatencyDrift::report() const noexcept {
    LatencyDriftReport out{.is_slow = is_slow_, .sample_count = sample_count_};
    if (learnt_count_ == 0) return out;
    out.baseline = Duration(static_cast<Duration::rep>(std::llround(std::exp(baseline_.mean))));
    if (is_judging()) out.ratio = std::exp(rise());
    return out;
}

inline double LatencyDrift::recent_median() const noexcept {
    std::array<double, recent_count> values = recent_;
    return median_of(std::span(values).first(std::min<std::uint64_t>(sample_count_, recent_count)));
}

inline void LatencyDrift::learn(double value, TimePoint now) noexcept {
    baseline_.add(value, learnt_count_ == 0 ? 1 : decay_.factor(now - learnt_at_));
    learnt_at_ = learnt_count_ == 0 ? now : std::max(learnt_at_, now);
    ++learnt_count_;
}

inline void LatencyDrift::rebase(TimePoint now) noexcept {
    baseline_ = {};
    cusum_ = {};
    learnt_count_ = 0;
    is_doubted_ = is_slow_ = false;
    for (std::size_t i = 0; i < std::min<std::uint64_t>(sample_count_, recent_count); ++i)
        learn(recent_[i], now);
}

} // namespace everpool::core
