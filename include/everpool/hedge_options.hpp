// Everpool: when a pool asks a second worker because the first one is late.
// SPDX-License-Identifier: BSL-1.0
//
// A request that has taken longer than nearly all of its kind is asked of an idle worker as well;
// the first answer counts, and the other worker is told to stop. That cuts off the tail that a busy
// or hung browser makes, and costs the work of a few requests twice. Only idempotent requests
// without a lease, of which no vote decides, are hedged; each of them once at most; and a budget
// that the successes pay into keeps hedges from becoming a load of their own when everything is
// late.
#pragma once

#include "everpool/retry_budget.hpp"
#include "everpool/time.hpp"

#include <chrono>
#include <cstdint>

namespace everpool {

struct HedgeOptions {
    /// Default true: below delay_min, where an echo ends, nothing is ever hedged.
    bool enabled{true};

    /// Late is who has taken longer than this share of the last ones of its kind, times the number
    /// of operations that its worker had with it. Default 0.95; range 0.5 to 0.999.
    double quantile{0.95};

    /// Nothing is late before this. Default 5 ms; range 0 to 1 min.
    Duration delay_min{std::chrono::milliseconds{5}};

    /// Of fewer run times nothing is concluded. They are looked at in fifties. Default 50; range 10
    /// to 20000.
    std::uint32_t sample_count_min{50};

    /// What hedges may cost: by default one for five successes, at most 100 in a burst.
    RetryBudgetConfig budget{};
};

} // namespace everpool
