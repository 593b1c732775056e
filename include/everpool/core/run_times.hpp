// Everpool core: how long operations of a kind take at most, but for a pause.
// SPDX-License-Identifier: BSL-1.0
//
// For the question whether a worker that computes is late or hung. The answer is the p99 of the run
// times seen, and a little for the machine; before enough has been seen there is none. A silent
// worker is granted a pause beyond it in any case, and only what even that does not cover makes the
// answer larger: the p99.9, and twice the p99, because on a machine that gets twice the work all of
// them take twice as long. Old run times fade: at 20,000 the counts are begun anew, with the limit
// so far as the opening bid.
// And for the question whether it is worth while to ask another worker as well (hedge_delay.hpp).
#pragma once

#include "everpool/core/dd_sketch.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace everpool::core {

class RunTimes {
public:
    /// Of fewer run times nothing is concluded.
    static constexpr std::uint64_t count_min = 50;
    /// What a busy machine may add to any run time.
    static constexpr Duration allowance = std::chrono::milliseconds{100};

    /// `late_quantile`: see Usual::late. `pause`: what who waits grants beyond expected(), at least.
    explicit RunTimes(std::size_t kind_count, double late_quantile = 0.95, Duration pause = {})
        : kinds_(kind_count), late_quantile_(late_quantile), pause_(pause) {}

    /// What is usual.
    struct Usual {
        std::uint64_t count{0}; ///< run times seen
        Duration median{};
        Duration late{}; ///< of the constructor's late_quantile
    };

    /// \pre kind < the constructor's kind_count
    void record(std::uint32_t kind, Duration took) {
        Kind& one = kinds_[kind];
        const auto us = std::max<Duration::rep>(took.count() / 1000, 1);
        (void)one.sketch.add(static_cast<double>(us));
        if (one.sketch.count() < count_min || one.sketch.count() % refresh_every != 0) return;
        const auto quantile = [&one](double q) -> Duration {
            return std::chrono::microseconds(static_cast<std::int64_t>(one.sketch.quantile(q)));
        };
        const Duration p99 = quantile(0.99);
        one.limit = allowance + std::max({p99, 2 * p99 - pause_, quantile(0.999) - pause_});
        one.usual = {std::max(one.usual.count, one.sketch.count()), quantile(0.5),
                     quantile(late_quantile_)};
        if (one.sketch.count() >= count_max) one.sketch.clear();
    }

    /// Together with the pause it is more than 999 of 1000 take. Empty: not known yet.
    /// \pre as record()
    [[nodiscard]] std::optional<Duration> expected(std::uint32_t kind) const noexcept {
        return kinds_[kind].limit;
    }
    /// Count 0: not known yet. \pre as record()
    [[nodiscard]] const Usual& usual(std::uint32_t kind) const noexcept {
        return kinds_[kind].usual;
    }

private:
    static constexpr std::uint64_t refresh_every = 50;
    static constexpr std::uint64_t count_max = 20'000;

    struct Kind {
        DdSketch sketch;
        std::optional<Duration> limit;
        Usual usual;
    };
    std::vector<Kind> kinds_;
    double late_quantile_;
    Duration pause_;
};

} // namespace everpool::core
