// Everpool core: random numbers of a few distributions, drawn from a Prng.
// SPDX-License-Identifier: BSL-1.0
//
// By hand because the standard's distributions differ between standard libraries, so that a seed
// would not repeat a run. (The last bit may still differ where a libm's log or exp does.)
#pragma once

#include "everpool/core/prng.hpp"

#include <cassert>
#include <cmath>

namespace everpool::core {

/// Between 0 and 1, neither included.
inline double uniform_variate(Prng& prng) noexcept {
    return (static_cast<double>(prng.next() >> 11) + 0.5) * 0x1p-53;
}

/// Mean 0, deviation 1, by Marsaglia's polar method. Its second number is thrown away: keeping it
/// would be a state beside the Prng's.
inline double normal_variate(Prng& prng) noexcept {
    for (;;) {
        const double u = 2 * uniform_variate(prng) - 1, v = 2 * uniform_variate(prng) - 1;
        const double s = u * u + v * v;
        if (s > 0 && s < 1) return u * std::sqrt(-2 * std::log(s) / s);
    }
}

/// Gamma(shape, 1), by Marsaglia and Tsang's squeeze. \pre shape > 0
inline double gamma_variate(Prng& prng, double shape) noexcept {
    assert(shape > 0);
    if (shape < 1)
        return gamma_variate(prng, shape + 1) * std::pow(uniform_variate(prng), 1 / shape);
    const double d = shape - 1.0 / 3, c = 1 / std::sqrt(9 * d);
    for (;;) {
        const double x = normal_variate(prng);
        const double root = 1 + c * x;
        if (root <= 0) continue;
        const double v = root * root * root;
        if (std::log(uniform_variate(prng)) < 0.5 * x * x + d - d * v + d * std::log(v))
            return d * v;
    }
}

/// \pre a > 0, b > 0
inline double beta_variate(Prng& prng, double a, double b) noexcept {
    const double x = gamma_variate(prng, a), y = gamma_variate(prng, b);
    if (x + y > 0) return x / (x + y);
    return uniform_variate(prng) < a / (a + b) ? 1 : 0; // both so small that they became zero
}

} // namespace everpool::core
