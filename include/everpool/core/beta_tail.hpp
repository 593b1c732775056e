// Everpool core: how sure are we that a rate is above a limit, after a handful of calls?
// SPDX-License-Identifier: BSL-1.0
//
// An unknown rate with the prior Beta(a, b) has, after `hits` in `hits + misses` trials, the
// posterior Beta(a + hits, b + misses). For whole a and b its upper tail is a sum of binomial
// probabilities:
//
//     P(rate > x) = P(Binomial(n, x) < a)     with n = a + b - 1
//
// The sum is taken relative to the largest term, outwards in both directions: no logarithm, no
// gamma function, nothing that underflows, and only + - * /, which IEEE 754 makes the same on every
// machine. (It must not be compiled with -ffast-math.) About 12 sqrt(n) steps.
#pragma once

#include <cassert>
#include <cstdint>

namespace everpool::core {

/// P(rate > x) when the rate's distribution is Beta(a, b).
/// \pre a >= 1, b >= 1, 0 < x < 1, a + b < 2^31
constexpr double beta_tail_above(std::uint32_t a, std::uint32_t b, double x) noexcept {
    assert(a >= 1 && b >= 1 && x > 0 && x < 1);
    const std::uint32_t n = a + b - 1;
    const double odds = x / (1 - x);
    const auto mode = static_cast<std::uint32_t>(static_cast<double>(n) * x);
    constexpr double negligible = 1e-18; // of the largest term, which is 1
    double below = 0, above = 0;         // the terms j < a, and the others
    const auto add = [&](std::uint32_t j, double term) { (j < a ? below : above) += term; };
    add(mode, 1);
    double term = 1;
    for (std::uint32_t j = mode; j > 0 && term > negligible; --j) {
        term *= static_cast<double>(j) / (static_cast<double>(n - j + 1) * odds);
        add(j - 1, term);
    }
    term = 1;
    for (std::uint32_t j = mode; j < n && term > negligible; ++j) {
        term *= static_cast<double>(n - j) * odds / static_cast<double>(j + 1);
        add(j + 1, term);
    }
    return below / (below + above);
}

} // namespace everpool::core
