// Everpool core: the few distributions that the tests of significance need.
// SPDX-License-Identifier: BSL-1.0
//
// By hand, because Boost.Math is a large dependency of a header for three functions, and
// std::lgamma writes to a global. They feed reports and advice, never a state machine; std::exp and
// std::log may differ in the last bit between machines, and so may these.
#pragma once

#include <cassert>
#include <cmath>

namespace everpool::core {

/// P(N(0,1) beyond |z| on either side).
inline double normal_two_sided(double z) noexcept {
    return std::erfc(std::abs(z) * 0.7071067811865476);
}

/// ln(gamma(x)), by Lanczos' series (g = 7); relative error below 1e-13. \pre x > 0
inline double log_gamma(double x) noexcept {
    constexpr double coefficients[] = {
        676.5203681218851,  -1259.1392167224028,  771.32342877765313,    -176.61502916214059,
        12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7};
    if (x < 0.5) return log_gamma(x + 1) - std::log(x);
    double sum = 0.99999999999980993, divisor = x;
    for (const double coefficient : coefficients) sum += coefficient / divisor++;
    const double t = x + 6.5;
    return 0.9189385332046727 + (x - 0.5) * std::log(t) - t + std::log(sum);
}

/// The regularised incomplete beta function I_x(a, b) = P(Beta(a, b) <= x), by Lentz's continued
/// fraction. \pre a > 0, b > 0, 0 <= x <= 1
inline double incomplete_beta(double a, double b, double x) noexcept {
    assert(a > 0 && b > 0 && x >= 0 && x <= 1);
    if (x <= 0) return 0;
    if (x >= 1) return 1;
    if (x > (a + 1) / (a + b + 2)) return 1 - incomplete_beta(b, a, 1 - x);
    const double front = std::exp(log_gamma(a + b) - log_gamma(a) - log_gamma(b) + a * std::log(x) +
                                  b * std::log1p(-x)) /
                         a;
    constexpr double tiny = 1e-300;
    const auto bounded = [](double value) { return std::abs(value) < tiny ? tiny : value; };
    double c = 1, d = 1 / bounded(1 - (a + b) * x / (a + 1)), result = d;
    // It takes some sqrt(a + b) steps; beyond 10^8 trials the last digits are not waited for.
    constexpr int step_count_max = 20'000;
    for (int m = 1; m < step_count_max; ++m) {
        const double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d = 1 / bounded(1 + even * d);
        c = bounded(1 + even / c);
        result *= d * c;
        const double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d = 1 / bounded(1 + odd * d);
        c = bounded(1 + odd / c);
        result *= d * c;
        if (std::abs(d * c - 1) < 1e-14) break;
    }
    return front * result;
}

/// The value that a Beta(a, b) variate is below with probability p, by bisection.
/// \pre a > 0, b > 0, 0 < p < 1
inline double beta_quantile(double a, double b, double p) noexcept {
    double low = 0, high = 1;
    for (int i = 0; i < 50; ++i) {
        const double middle = (low + high) / 2;
        (incomplete_beta(a, b, middle) < p ? low : high) = middle;
    }
    return (low + high) / 2;
}

/// P(a t variate beyond |t| on either side). \pre degrees > 0
inline double student_two_sided(double t, double degrees) noexcept {
    return incomplete_beta(degrees / 2, 0.5, degrees / (degrees + t * t));
}

} // namespace everpool::core
