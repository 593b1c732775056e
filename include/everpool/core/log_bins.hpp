// Everpool core: bins whose width is a fixed share of what falls into them.
// SPDX-License-Identifier: BSL-1.0
//
// A value belongs to bin floor(m * f(value)), where f stands in for the base-2 logarithm: the
// exponent, and a cubic of the mantissa (the "cubically interpolated mapping" of DDSketch, Masson,
// Rim and Lee, VLDB 2019). A true logarithm would need 1 % fewer bins and four times as long. And
// this is additions and multiplications only, so it gives the same bins on every machine, which a
// libm's log does not promise.
//
// Why the error is bounded: f grows by at least 10/7 per unit of the natural logarithm, so with m =
// 1 / (10/7 * ln g) no bin is wider than a factor g = (1 + e) / (1 - e), and the harmonic middle of
// two bounds that far apart is within e of everything between them.
#pragma once

#include <bit>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <limits>

namespace everpool::core {

class LogBins {
public:
    /// \pre 0.0001 <= relative_error <= 0.1
    constexpr explicit LogBins(double relative_error = 0.01) noexcept
        : relative_error_(relative_error) {
        assert(relative_error >= 0.0001 && relative_error <= 0.1);
        // ln((1 + e) / (1 - e)) = 2 atanh(e), by its series.
        double power = relative_error, sum = 0;
        for (int odd = 1; odd < 20; odd += 2, power *= relative_error * relative_error)
            sum += power / odd;
        multiplier_ = 7.0 / (10.0 * 2 * sum);
    }

    /// What is smaller, and zero, has no bin.
    static constexpr double value_min = std::numeric_limits<double>::min();

    /// \pre value >= value_min, and finite
    [[nodiscard]] constexpr std::int32_t index(double value) const noexcept {
        const auto bits = std::bit_cast<std::uint64_t>(value);
        const auto exponent = static_cast<std::int32_t>(bits >> 52) - 1023;
        const double s = std::bit_cast<double>((bits & mantissa_mask) | one_bits) - 1.0;
        const double f = exponent + ((cubic * s + square) * s + linear) * s;
        // The offset makes it positive, so that truncation is floor.
        return static_cast<std::int32_t>(f * multiplier_ + offset) - offset;
    }

    /// The smallest value of a bin.
    [[nodiscard]] double lower(std::int32_t index) const noexcept {
        const double f = index / multiplier_;
        const double whole = std::floor(f);
        // Newton on a cubic that is monotonic and nearly straight in [0, 1].
        double s = f - whole;
        for (int i = 0; i < 6; ++i) {
            const double error = ((cubic * s + square) * s + linear) * s - (f - whole);
            s -= error / ((3 * cubic * s + 2 * square) * s + linear);
        }
        return std::ldexp(1.0 + s, static_cast<int>(whole));
    }

    /// Within relative_error() of every value of the bin.
    [[nodiscard]] double middle(std::int32_t index) const noexcept {
        const double low = lower(index), high = lower(index + 1);
        return 2 * low / (low / high + 1); // 2 low high / (low + high), without an overflow
    }

    [[nodiscard]] constexpr double relative_error() const noexcept { return relative_error_; }

    friend constexpr bool operator==(const LogBins&, const LogBins&) = default;

private:
    static constexpr double cubic = 6.0 / 35, square = -3.0 / 5, linear = 10.0 / 7;
    static constexpr std::uint64_t mantissa_mask = (std::uint64_t{1} << 52) - 1;
    static constexpr std::uint64_t one_bits = std::uint64_t{1023} << 52;
    /// More than 1023 / ln(g) for the smallest error.
    static constexpr std::int32_t offset = 1 << 24;

    double relative_error_;
    double multiplier_{};
};

} // namespace everpool::core
