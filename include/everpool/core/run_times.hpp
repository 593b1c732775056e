// Everpool core: how long operations of a kind take at the very most.
// SPDX-License-Identifier: BSL-1.0
//
// For the question whether a worker that computes is late or hung. The answer is twice the p99.9 of
// the run times seen, and a little for the machine; before enough has been seen there is none. Old
// run times fade: at 20,000 the counts are begun anew, with the limit so far as the opening bid.
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

    explicit RunTimes(std::size_t kind_count) : kinds_(kind_count) {}

    /// \pre kind < the constructor's kind_count
    void record(std::uint32_t kind, Duration took) {
        Kind& one = kinds_[kind];
        const auto us = std::max<Duration::rep>(took.count() / 1000, 1);
        (void)one.sketch.add(static_cast<double>(us));
        if (one.sketch.count() < count_min || one.sketch.count() % refresh_every != 0) return;
        const double p = one.sketch.quantile(0.999);
        one.limit = allowance + std::chrono::microseconds(static_cast<std::int64_t>(2 * p));
        if (one.sketch.count() >= count_max) one.sketch.clear();
    }

    /// Empty: not known yet. \pre as record()
    [[nodiscard]] std::optional<Duration> expected(std::uint32_t kind) const noexcept {
        return kinds_[kind].limit;
    }

private:
    static constexpr std::uint64_t refresh_every = 50;
    static constexpr std::uint64_t count_max = 20'000;

    struct Kind {
        DdSketch sketch;
        std::optional<Duration> limit;
    };
    std::vector<Kind> kinds_;
};

} // namespace everpool::core
