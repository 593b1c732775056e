// Everpool core: when to ask a second worker, because the first one is late.
// SPDX-License-Identifier: BSL-1.0
//
// A hedge (Dean and Barroso, "The Tail at Scale"): when an operation has taken longer than 95 % of
// its kind do, the same is asked of another worker, the first answer counts, and the other one is
// cancelled. That costs one operation in twenty twice, and cuts off the tail that a busy or hung
// worker makes. Three things keep it from becoming the load that it cures:
//
//   * at most one hedge for an operation
//   * a RetryBudget, shared with the retries of all: if everything is late, hedges stop
//   * a floor: what is over in a millisecond is not worth asking for twice
//
// This file says when. PoolCore (pool_core_copies.hpp) keeps that time, looks for a worker that is
// idle by then, pays for the hedge, and cancels the loser.
//
// What the quantile is taken of. Of each attempt's own time on its worker, the loser's included: if
// only the winners counted, hedges would make the quantile smaller and themselves more frequent. A
// loser that was cancelled counts with the time it had taken until then, which is too little, but
// never less than the quantile that it was hedged at.
//
// An operation that must not run twice is never to be hedged; its caller says so.
#pragma once

#include "everpool/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>

namespace everpool::core {

struct HedgeConfig {
    /// Late is who has taken longer than this share of the others. Default 0.95. 0.5 to 0.999.
    double quantile{0.95};
    /// Never earlier than this. Default 5 ms: an echo through a browser takes a fraction of one,
    /// and a busy scheduler some of them. 0 to 1 min.
    Duration delay_min{std::chrono::milliseconds{5}};
    /// Of fewer run times no quantile is known, and there is no hedge. Default 50. 10 to 100000.
    std::uint64_t sample_count_min{50};
};

/// Throws std::invalid_argument that names the first member out of its range.
inline void check_config(const HedgeConfig& config) {
    using namespace std::chrono_literals;
    const auto demand = [](bool is_met, const char* text) {
        if (!is_met) throw std::invalid_argument(text);
    };
    demand(config.quantile >= 0.5 && config.quantile <= 0.999,
           "HedgeConfig::quantile must be 0.5 to 0.999");
    demand(config.delay_min >= 0s && config.delay_min <= 1min,
           "HedgeConfig::delay_min must be 0 to 1 min");
    demand(config.sample_count_min >= 10 && config.sample_count_min <= 100'000,
           "HedgeConfig::sample_count_min must be 10 to 100000");
}

/// What is known when an operation is sent.
struct HedgeQuestion {
    std::uint64_t sample_count{0}; ///< run times of its model that the next two are taken of
    Duration median{};
    Duration quantile{};                          ///< of HedgeConfig::quantile
    Duration time_left{never.time_since_epoch()}; ///< until the operation's own deadline
};

/// How long after sending to hedge; empty: not at all.
[[nodiscard]] inline std::optional<Duration> hedge_delay(const HedgeConfig& config,
                                                         const HedgeQuestion& question) noexcept {
    if (question.sample_count < config.sample_count_min) return {};
    const Duration delay = std::max({question.quantile, config.delay_min, Duration{}});
    // A hedge that would not even half the time be answered in time is waste.
    if (delay > question.time_left || question.median > question.time_left - delay) return {};
    return delay;
}

} // namespace everpool::core
