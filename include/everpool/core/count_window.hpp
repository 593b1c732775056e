// Everpool core: outcomes of the last n calls, exactly.
// SPDX-License-Identifier: BSL-1.0
//
// A ring of words, one per call: the call's epoch, its number and its outcome.
//
//     63          40 39                    3    2       1       0
//     |    epoch    |        number         | used | failure | slow |
//
// A call takes the next number and writes its word; the sum takes the words whose numbers are among
// the last n. A thread that is interrupted between the two leaves an older word in place, which is
// not taken, and must not overwrite a newer one when it wakes up a lap later. All threads meet at
// the cursor: where that costs too much, use a window by time, which has lanes.
#pragma once

#include "everpool/core/slice_window.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace everpool::core {

template <class Traits>
class CountWindow {
public:
    /// With 0 calls it costs nothing and holds nothing.
    explicit CountWindow(std::size_t call_count)
        : words_(call_count == 0 ? nullptr : std::make_unique<Word[]>(call_count)),
          call_count_(call_count) {}

    [[nodiscard]] bool is_used() const noexcept { return call_count_ != 0; }

    /// \pre is_used()
    void add(std::uint32_t epoch, CallMark mark) noexcept {
        const std::uint64_t number = cursor_.fetch_add(1, std::memory_order_relaxed);
        const std::uint64_t bits = std::uint64_t{epoch} << 40 | (number & number_mask) << 3 |
                                   std::uint64_t{4} | (mark.is_failure ? 2U : 0U) |
                                   (mark.is_slow ? 1U : 0U);
        Word& word = words_[number % call_count_];
        std::uint64_t old = word.load(std::memory_order_relaxed);
        while (old == 0 || age(number, old) < number_mask / 2)
            if (word.compare_exchange_strong(old, bits, std::memory_order_relaxed)) return;
    }

    /// \pre is_used()
    [[nodiscard]] CallCounts counts(std::uint32_t epoch) const noexcept {
        const std::uint64_t end = cursor_.load(std::memory_order_relaxed);
        CallCounts sum;
        for (std::size_t i = 0; i < call_count_; ++i) {
            const std::uint64_t bits = words_[i].load(std::memory_order_relaxed);
            if (bits == 0 || bits >> 40 != epoch || age(end - 1, bits) >= call_count_) continue;
            sum.add({.is_failure = (bits & 2) != 0, .is_slow = (bits & 1) != 0});
        }
        return sum;
    }

private:
    using Word = typename Traits::template Atomic<std::uint64_t>;
    static constexpr std::uint64_t number_mask = (std::uint64_t{1} << 37) - 1;

    /// How many calls the word lies behind `number`; huge if it is ahead.
    static constexpr std::uint64_t age(std::uint64_t number, std::uint64_t bits) noexcept {
        return (number - (bits >> 3)) & number_mask;
    }

    std::unique_ptr<Word[]> words_;
    std::size_t call_count_;
    alignas(64) typename Traits::template Atomic<std::uint64_t> cursor_{0};
};

} // namespace everpool::core
