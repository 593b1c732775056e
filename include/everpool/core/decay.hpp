// Everpool core: numbers that forget.
// SPDX-License-Identifier: BSL-1.0
//
// Weights halve with every half-life that passes, whether one measurement came in it or a million:
// an average per count would remember a quiet night as long as a busy minute.
//
// Floating point: these are statistics. They use additions, multiplications and divisions only, so
// the same input gives the same bits on every machine (not with -ffast-math).
#pragma once

#include "everpool/time.hpp"

#include <array>
#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>

namespace everpool::core {

/// 2^(-elapsed / half_life), by a polynomial: a call of exp() would cost more than all the rest of
/// recording one number.
class Decay {
public:
    /// \pre half_life > 0
    explicit Decay(Duration half_life) noexcept
        : per_tick_(1.0 / static_cast<double>(half_life.count())) {
        assert(half_life.count() > 0);
    }

    /// 1 at once, 0.5 after a half-life, 0 at last; 1 if time went backwards.
    [[nodiscard]] double factor(Duration elapsed) const noexcept {
        const double x = static_cast<double>(elapsed.count()) * per_tick_;
        if (!(x > 0)) return 1;
        if (x >= 1000) return 0;
        const auto whole = static_cast<std::int32_t>(x);
        const double y = (whole - x) * 0.6931471805599453;
        // e^y for -ln 2 < y <= 0, by its series; the next term is below 1e-9. Divisions in a row
        // would take longer than all the rest of recording a value, and mostly little time has
        // passed.
        if (x < 0.01) return 1 + y * (1 + y * (1. / 2) * (1 + y * (1. / 3)));
        double fraction = 1;
        for (int n = 10; n > 0; --n) fraction = 1 + y * reciprocals[n] * fraction;
        const auto scale = static_cast<std::uint64_t>(1023 - whole) << 52;
        return fraction * std::bit_cast<double>(scale);
    }

private:
    static constexpr std::array<double, 11> reciprocals{
        0, 1, 1. / 2, 1. / 3, 1. / 4, 1. / 5, 1. / 6, 1. / 7, 1. / 8, 1. / 9, 1. / 10};
    double per_tick_;
};

/// Mean and variance under decay (West's update, with weights that shrink).
struct DecayedMoments {
    double weight{0};     ///< sum of the weights: how much is remembered
    double square_sum{0}; ///< of the weights' squares
    double mean{0};
    double deviation{0}; ///< weighted sum of squared deviations

    /// \pre 0 <= factor <= 1
    void add(double value, double factor) noexcept {
        fade(factor);
        add(value);
    }
    /// Adds a value to what was faded to its time, and gives the share that it has of the mean.
    double add(double value) noexcept {
        weight += 1;
        square_sum += 1;
        const double share = 1 / weight;
        const double delta = value - mean;
        mean += delta * share;
        deviation += delta * (value - mean);
        return share;
    }
    /// Forgets without anything new.
    void fade(double factor) noexcept {
        weight *= factor;
        square_sum *= factor * factor;
        deviation *= factor;
    }
    void merge(const DecayedMoments& other) noexcept {
        if (other.weight <= 0) return;
        const double delta = other.mean - mean, sum = weight + other.weight;
        mean += delta * other.weight / sum;
        deviation += other.deviation + delta * delta * weight * other.weight / sum;
        weight = sum;
        square_sum += other.square_sum;
    }
    [[nodiscard]] double variance() const noexcept { return weight > 0 ? deviation / weight : 0; }
    /// How many equally weighted values would be worth as much (Kish).
    [[nodiscard]] double effective_count() const noexcept {
        return square_sum > 0 ? weight * weight / square_sum : 0;
    }
    [[nodiscard]] double standard_deviation() const noexcept { return std::sqrt(variance()); }

    friend bool operator==(const DecayedMoments&, const DecayedMoments&) = default;
};

} // namespace everpool::core
