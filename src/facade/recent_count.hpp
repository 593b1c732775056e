// Everpool facade: how often something has happened within the last minute.
// SPDX-License-Identifier: BSL-1.0
//
// One thread counts, any thread reads, nobody waits. Each second has a word of its own, in which its
// number stands beside the count: so a word that is left from a minute ago is recognised, and none
// has to be swept.
#pragma once

#include "everpool/time.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace everpool::facade {

class RecentCount {
public:
    /// By one thread at a time.
    void add(TimePoint now) noexcept {
        const std::uint64_t second = second_of(now);
        std::atomic<std::uint64_t>& word = words_[second % words_.size()];
        const std::uint64_t old = word.load(std::memory_order_relaxed);
        const std::uint64_t count = old >> count_bits == second ? old & count_max : 0;
        if (count != count_max)
            word.store(second << count_bits | (count + 1), std::memory_order_relaxed);
    }

    /// In the present second and the 59 before it.
    [[nodiscard]] std::uint64_t count(TimePoint now) const noexcept {
        const std::uint64_t second = second_of(now);
        std::uint64_t sum = 0;
        for (const std::atomic<std::uint64_t>& word : words_) {
            const std::uint64_t bits = word.load(std::memory_order_relaxed);
            // A second ahead: the writer's clock was read after the reader's.
            if ((bits >> count_bits) + seconds > second) sum += bits & count_max;
        }
        return sum;
    }

private:
    static constexpr std::uint64_t seconds = 60;
    static constexpr unsigned count_bits = 30;
    static constexpr std::uint64_t count_max = (std::uint64_t{1} << count_bits) - 1;

    /// From 60 on, so that a word that was never written belongs to no minute.
    static std::uint64_t second_of(TimePoint now) noexcept {
        const auto since = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch());
        return static_cast<std::uint64_t>(since.count()) + seconds;
    }

    std::array<std::atomic<std::uint64_t>, 64> words_{};
};

} // namespace everpool::facade
