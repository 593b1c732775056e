// Everpool core: outcomes of the last minute or so, in slices that roll over by themselves.
// SPDX-License-Identifier: BSL-1.0
//
// A slice is one 64-bit word: which stretch of time of which epoch it counts, and the counts. So it
// is begun anew and added to by the same compare-and-swap, without a sweeper and without a moment
// in which new counts stand under an old number:
//
//     63     56 55          36 35        20 19       10 9        0
//     | epoch  |    number    | successes  | failures  |  slow    |
//
// A slice lasts a power of two of nanoseconds, so that its number costs a shift and no division.
// Each lane has slices of its own, on its own cache lines: threads that use different lanes do not
// meet, and are added up only when somebody asks.
//
// Who is late must not begin a slice anew that is ahead of him. The epochs in a slice are too few
// bits to say which of two came first, so the authority is asked: if it still stands at the
// caller's epoch, then another epoch that was read before is an earlier one. (This is the one place
// where the order of two words matters, hence acquire and release: who sees a slice of a new epoch
// sees the authority there as well.)
//
// Limits. A slice of a lane is full at 65,535 successes or 1,023 failures or slow calls: then all
// of its counts are halved, so that the rate stays and the newest calls weigh most; the totals miss
// nothing. Numbers wrap after a million slices (with the default window after 52 days): what was
// left from exactly then would be counted once more. So would what is left from 256 changes of
// state ago, if there are as many within one window.
#pragma once

#include "everpool/core/breaker_word.hpp"

#include <atomic>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace everpool::core {

/// One call's outcome as windows see it.
struct CallMark {
    bool is_failure{false};
    bool is_slow{false};
};

struct CallCounts {
    std::uint64_t successes{0}, failures{0};
    std::uint64_t slow{0}; ///< of either kind

    [[nodiscard]] constexpr std::uint64_t calls() const noexcept { return successes + failures; }
    constexpr void add(CallMark mark) noexcept {
        ++(mark.is_failure ? failures : successes);
        slow += mark.is_slow ? 1 : 0;
    }
    constexpr void add(const CallCounts& other) noexcept {
        successes += other.successes;
        failures += other.failures;
        slow += other.slow;
    }
    friend constexpr bool operator==(const CallCounts&, const CallCounts&) = default;
};

template <class Traits>
class SliceWindow {
    using Word = typename Traits::template Atomic<std::uint64_t>;

public:
    /// \pre length > 0, lane_count > 0
    SliceWindow(Duration length, std::size_t lane_count)
        : lanes_(std::make_unique<Lane[]>(lane_count)), lane_count_(lane_count) {
        assert(length > Duration{} && lane_count > 0);
        const auto nanoseconds = static_cast<std::uint64_t>(length.count());
        const std::uint64_t shortest = nanoseconds / Traits::slice_count_max + 1;
        slice_bits_ = static_cast<unsigned>(std::countr_zero(std::bit_ceil(shortest)));
        slice_count_ = static_cast<std::uint32_t>((nanoseconds >> slice_bits_) + 1);
        if (slice_count_ > Traits::slice_count_max) slice_count_ = Traits::slice_count_max;
    }

    /// Counts a call. One of an epoch or time that has been left behind goes into the totals alone.
    /// `authority` is the BreakerWord that says which epoch it is.
    void add(std::size_t lane_index, std::uint32_t epoch, const Word& authority, TimePoint now,
             CallMark mark) noexcept {
        Lane& lane = lanes_[lane_index % lane_count_];
        const std::uint32_t number = number_at(now);
        auto& word = lane.slices[number % Traits::slice_count_max];
        const std::uint64_t tag = tag_of(epoch, number);
        std::uint64_t bits = word.load(std::memory_order_acquire);
        for (;;) {
            const bool is_current = bits >> count_bits == tag;
            if (!is_current && is_ahead(bits, epoch, authority, number)) {
                add_to_totals(lane_index, mark);
                return;
            }
            const CallCounts old = counts_of(bits);
            const CallCounts kept = !is_current ? CallCounts{} : is_full(bits) ? half(old) : old;
            const std::uint64_t next = tag << count_bits | pack(with(kept, mark));
            if (word.compare_exchange_strong(bits, next, std::memory_order_acq_rel)) {
                if (kept != old) add_to_totals(lane, difference(old, kept));
                return;
            }
        }
    }

    /// A call that must not be judged.
    void add_to_totals(std::size_t lane_index, CallMark mark) noexcept {
        CallCounts one;
        one.add(mark);
        add_to_totals(lanes_[lane_index % lane_count_], one);
    }

    /// What the window holds of this epoch, seen from `now`.
    [[nodiscard]] CallCounts counts(std::uint32_t epoch, TimePoint now) const noexcept {
        const std::uint32_t current = number_at(now);
        CallCounts sum;
        visit_slices([&](std::uint64_t bits) {
            if (epoch_of(bits) != (epoch & 0xff)) return;
            // Threads read their clocks before they come here: a slice may be a little ahead.
            const std::uint32_t age = (current - number_of(bits)) & number_mask;
            const std::uint32_t ahead = (number_of(bits) - current) & number_mask;
            if (age < slice_count_ || ahead < slice_count_) sum.add(counts_of(bits));
        });
        return sum;
    }

    /// Since the beginning, of all epochs. While a slice rolls over, what it held may be missing.
    [[nodiscard]] CallCounts totals() const noexcept {
        CallCounts sum;
        visit_slices([&](std::uint64_t bits) { sum.add(counts_of(bits)); });
        for (std::size_t i = 0; i < lane_count_; ++i) {
            sum.successes += lanes_[i].successes.load(std::memory_order_relaxed);
            sum.failures += lanes_[i].failures.load(std::memory_order_relaxed);
            sum.slow += lanes_[i].slow.load(std::memory_order_relaxed);
        }
        return sum;
    }

    [[nodiscard]] Duration slice_duration() const noexcept {
        return Duration(Duration::rep{1} << slice_bits_);
    }

private:
    static constexpr unsigned count_bits = 36;
    static constexpr std::uint32_t number_mask = 0xf'ffff;

    /// Two cache lines of slices, one of totals; twice 64 bytes, as processors fetch lines in
    /// pairs.
    struct alignas(128) Lane {
        Word slices[Traits::slice_count_max]{};
        alignas(64) Word successes{0};
        Word failures{0}, slow{0};
    };

    [[nodiscard]] std::uint32_t number_at(TimePoint now) const noexcept {
        const auto since = static_cast<std::uint64_t>(now.time_since_epoch().count());
        return static_cast<std::uint32_t>(since >> slice_bits_) & number_mask;
    }
    static constexpr std::uint64_t tag_of(std::uint32_t epoch, std::uint32_t number) noexcept {
        return std::uint64_t{epoch & 0xff} << 20 | number;
    }
    static constexpr std::uint32_t epoch_of(std::uint64_t bits) noexcept {
        return static_cast<std::uint32_t>(bits >> 56);
    }
    static constexpr std::uint32_t number_of(std::uint64_t bits) noexcept {
        return static_cast<std::uint32_t>(bits >> count_bits) & number_mask;
    }
    /// Ahead in time is a lap or a few; what seems to be further ahead is left from long ago.
    static bool is_ahead(std::uint64_t bits, std::uint32_t epoch, const Word& authority,
                         std::uint32_t number) noexcept {
        if (bits == 0) return false; // never used
        if (epoch_of(bits) != (epoch & 0xff))
            return BreakerWord::epoch_of(authority.load(std::memory_order_acquire)) != epoch;
        return ((number_of(bits) - number) & number_mask) <= 4 * Traits::slice_count_max;
    }
    static constexpr bool is_full(std::uint64_t bits) noexcept {
        return (bits >> 20 & 0xffff) == 0xffff || (bits >> 10 & 0x3ff) == 0x3ff ||
               (bits & 0x3ff) == 0x3ff;
    }
    static constexpr CallCounts counts_of(std::uint64_t bits) noexcept {
        return {bits >> 20 & 0xffff, bits >> 10 & 0x3ff, bits & 0x3ff};
    }
    static constexpr std::uint64_t pack(const CallCounts& counts) noexcept {
        return counts.successes << 20 | counts.failures << 10 | counts.slow;
    }
    static constexpr CallCounts with(CallCounts counts, CallMark mark) noexcept {
        counts.add(mark);
        return counts;
    }
    static constexpr CallCounts half(const CallCounts& counts) noexcept {
        return {counts.successes / 2, counts.failures / 2, counts.slow / 2};
    }
    static constexpr CallCounts difference(const CallCounts& a, const CallCounts& b) noexcept {
        return {a.successes - b.successes, a.failures - b.failures, a.slow - b.slow};
    }
    template <class Visitor>
    void visit_slices(Visitor visit) const noexcept {
        for (std::size_t i = 0; i < lane_count_; ++i)
            for (const Word& word : lanes_[i].slices)
                if (const std::uint64_t bits = word.load(std::memory_order_relaxed); bits != 0)
                    visit(bits);
    }
    static void add_to_totals(Lane& lane, const CallCounts& counts) noexcept {
        if (counts.successes != 0)
            lane.successes.fetch_add(counts.successes, std::memory_order_relaxed);
        if (counts.failures != 0)
            lane.failures.fetch_add(counts.failures, std::memory_order_relaxed);
        if (counts.slow != 0) lane.slow.fetch_add(counts.slow, std::memory_order_relaxed);
    }

    std::unique_ptr<Lane[]> lanes_;
    std::size_t lane_count_;
    unsigned slice_bits_{0};
    std::uint32_t slice_count_{0};
};

} // namespace everpool::core
