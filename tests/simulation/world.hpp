// Simulator: owns time, order and chance.
// SPDX-License-Identifier: BSL-1.0
//
// What happens is ordered by time, then by the sequence number in which it was asked for; so a seed
// fixes the whole run. Nothing in the simulator reads a clock, an address or a hash's order.
#pragma once

#include "everpool/core/prng.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

namespace everpool::simulation {

using namespace std::chrono_literals;

/// `numerator` of `denominator` times.
struct Ratio {
    std::uint32_t numerator{0}, denominator{1};
};

class World {
public:
    explicit World(std::uint64_t seed) : prng_(seed) {}

    [[nodiscard]] TimePoint now() const noexcept { return now_; }

    void after(Duration delay, std::function<void()> what) {
        heap_.push_back({now_ + delay, ++sequence_, std::move(what)});
        std::push_heap(heap_.begin(), heap_.end(), comes_later);
    }

    /// When the next thing happens.
    [[nodiscard]] TimePoint next() const noexcept {
        return heap_.empty() ? never : heap_.front().at;
    }

    void run_next() {
        std::pop_heap(heap_.begin(), heap_.end(), comes_later);
        const Happening happening = std::move(heap_.back());
        heap_.pop_back();
        advance_to(happening.at);
        happening.what();
    }

    void advance_to(TimePoint at) noexcept { now_ = std::max(now_, at); }

    /// Everything that would happen meanwhile happens afterwards.
    void stand_still(Duration duration) noexcept { now_ += duration; }

    // --- chance ----------------------------------------------------------------------------------

    bool chance(Ratio ratio) { return prng_.ratio(ratio.numerator, ratio.denominator); }
    bool chance(std::uint32_t numerator, std::uint32_t denominator) {
        return prng_.ratio(numerator, denominator);
    }
    /// low to high, both possible.
    std::uint64_t between(std::uint64_t low, std::uint64_t high) {
        return low + prng_.below(high - low + 1);
    }
    Duration between(Duration low, Duration high) {
        return low + Duration(static_cast<Duration::rep>(
                         prng_.below(static_cast<std::uint64_t>((high - low).count()) + 1)));
    }
    /// Small ones often, large ones rarely: as latencies are.
    Duration skewed(Duration low, Duration high) {
        return std::min(between(low, high), std::min(between(low, high), between(low, high)));
    }
    template <class T>
    const T& one_of(const std::vector<T>& choices) {
        return choices[prng_.below(choices.size())];
    }

private:
    struct Happening {
        TimePoint at;
        std::uint64_t sequence;
        std::function<void()> what;
    };
    static bool comes_later(const Happening& a, const Happening& b) noexcept {
        return a.at != b.at ? a.at > b.at : a.sequence > b.sequence;
    }

    core::Prng prng_;
    TimePoint now_{1h};
    std::uint64_t sequence_{0};
    std::vector<Happening> heap_;
};

} // namespace everpool::simulation
