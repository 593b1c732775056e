// Everpool core: how likely is it that a worker fails within the next minutes?
// SPDX-License-Identifier: BSL-1.0
//
// A worker's life is cut into minutes; each minute it either survived or failed. A logistic
// regression on what was known at the minute's beginning gives the chance of the second. It is
// fitted one minute at a time by the recursive Bayesian update (a Newton step with the inverse
// Hessian kept), so it needs no store of past lives, has no learning rate to choose, and knows how
// unsure it still is.
//
// What is known: age and operations (as logarithms: the second hour matters less than the first),
// the slope of memory, and the share of recent operations that failed.
#pragma once

#include "everpool/time.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace everpool::core {

struct WorkerSample {
    Duration age{};
    std::uint64_t operations{0};
    double memory_mib_per_minute{0}; ///< counted between -100 and 100
    double error_rate{0};            ///< 0 to 1, of recent operations
};

struct HazardEstimate {
    double failure_probability{0}; ///< within the horizon
    double low{0}, high{0};        ///< where it lies with 95 %, by what has been observed
    std::uint64_t failures_observed{0};
    std::uint64_t minutes_observed{0};

    /// Better to replace the worker now, at a time of our choosing? Not before there is evidence.
    [[nodiscard]] bool should_retire(double probability_max = 0.2,
                                     std::uint64_t failures_min = 5) const noexcept {
        return failures_observed >= failures_min && failure_probability > probability_max;
    }
};

class HazardModel {
public:
    static constexpr Duration step = std::chrono::minutes(1);

    /// A worker was like this, and a step later it had failed or not.
    void observe(const WorkerSample& sample, bool has_failed) noexcept;

    /// The chance to fail within the horizon, the worker growing older and busier as it did so far.
    [[nodiscard]] HazardEstimate estimate(const WorkerSample& sample,
                                          Duration horizon) const noexcept;

    static constexpr std::size_t size = 5;
    using Vector = std::array<double, size>;
    /// All that was learnt, for who keeps it.
    struct State {
        /// Before anything is known: a failure in about seven hours, give or take a factor of
        /// fifty; and that nothing matters, give or take a doubling per unit.
        Vector weights{-6, 0, 0, 0, 0};
        std::array<Vector, size> covariance{{{4, 0, 0, 0, 0},
                                             {0, 0.5, 0, 0, 0},
                                             {0, 0, 0.5, 0, 0},
                                             {0, 0, 0, 0.5, 0},
                                             {0, 0, 0, 0, 0.5}}};
        std::uint64_t failures{0}, minutes{0};
    };
    [[nodiscard]] const State& state() const noexcept { return state_; }
    /// What is no covariance is noticed when it is used, and all is forgotten then.
    void restore(const State& state) noexcept { state_ = state; }

private:
    static Vector features(const WorkerSample& sample) noexcept {
        using Minutes = std::chrono::duration<double, std::ratio<60>>;
        const double minutes = std::max(0.0, Minutes(sample.age).count());
        return {1, std::log2(1 + minutes),
                std::log2(1 + static_cast<double>(sample.operations) / 100),
                std::clamp(sample.memory_mib_per_minute, -100.0, 100.0) / 10,
                5 * std::clamp(sample.error_rate, 0.0, 1.0)};
    }
    static double dot(const Vector& a, const Vector& b) noexcept {
        double sum = 0;
        for (std::size_t i = 0; i < size; ++i) sum += a[i] * b[i];
        return sum;
    }
    static double logistic(double x) noexcept { return 1 / (1 + std::exp(-x)); }
    [[nodiscard]] Vector spread(const Vector& x) const noexcept {
        Vector result{};
        for (std::size_t i = 0; i < size; ++i) result[i] = dot(state_.covariance[i], x);
        return result;
    }

    State state_;
};

inline void HazardModel::observe(const WorkerSample& sample, bool has_failed) noexcept {
    const Vector x = features(sample);
    const double p = logistic(dot(state_.weights, x));
    const Vector direction = spread(x);
    const double variance = p * (1 - p), doubt = dot(x, direction);
    // A sum of squares, unless the state came from a file that lies. (Written so that NaN is bad.)
    constexpr double doubt_max = 1e6;
    if (!(doubt >= 0 && doubt <= doubt_max && p >= 0)) {
        state_ = {};
        return observe(sample, has_failed);
    }
    const double shrink = variance / (1 + variance * doubt);
    for (std::size_t i = 0; i < size; ++i)
        for (std::size_t j = 0; j < size; ++j)
            state_.covariance[i][j] -= shrink * direction[i] * direction[j];
    const Vector gain = spread(x);
    const double error = (has_failed ? 1 : 0) - p;
    for (std::size_t i = 0; i < size; ++i) state_.weights[i] += gain[i] * error;
    state_.failures += has_failed ? 1 : 0;
    ++state_.minutes;
}

inline HazardEstimate HazardModel::estimate(const WorkerSample& sample,
                                            Duration horizon) const noexcept {
    constexpr std::int64_t step_count_max = 24 * 60;
    const std::int64_t steps = std::clamp<std::int64_t>(horizon / step, 1, step_count_max);
    const double growth = sample.age > Duration{} ? static_cast<double>(step.count()) /
                                                        static_cast<double>(sample.age.count())
                                                  : 0;
    // Before anything is known the doubt is some hundreds at most; a state that lies is not asked.
    const Vector now = features(sample);
    if (!std::isfinite(dot(state_.weights, now)) || !std::isfinite(dot(now, spread(now))))
        return {.failure_probability = 0, .low = 0, .high = 1};
    double survival = 1, low_survival = 1, high_survival = 1;
    WorkerSample later = sample;
    for (std::int64_t i = 0; i < steps; ++i) {
        const Vector x = features(later);
        const double logit = dot(state_.weights, x);
        const double room = 1.96 * std::sqrt(std::max(0.0, dot(x, spread(x))));
        survival *= 1 - logistic(logit);
        low_survival *= 1 - logistic(logit + room);
        high_survival *= 1 - logistic(logit - room);
        later.age += step;
        later.operations =
            sample.operations + static_cast<std::uint64_t>(static_cast<double>(sample.operations) *
                                                           growth * static_cast<double>(i + 1));
    }
    return {.failure_probability = 1 - survival,
            .low = 1 - high_survival,
            .high = 1 - low_survival,
            .failures_observed = state_.failures,
            .minutes_observed = state_.minutes};
}

} // namespace everpool::core
