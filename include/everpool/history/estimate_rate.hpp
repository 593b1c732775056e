// Everpool history: what a few successes and failures say about a rate.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/statistics.hpp"
#include "everpool/performance_history.hpp"

namespace everpool::history {

/// The uniform prior: a coin that was never thrown is 50 %, give or take 47 %.
inline RateEstimate estimate_rate(double successes, double failures) noexcept {
    const double a = 1 + successes, b = 1 + failures;
    const double count = successes + failures;
    return {.rate = count > 0 ? successes / count : a / (a + b),
            .low = core::beta_quantile(a, b, 0.025),
            .high = core::beta_quantile(a, b, 0.975)};
}

} // namespace everpool::history
