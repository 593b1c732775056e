// Everpool core: quantiles over the last minute, hour and day, and since the start, in one.
// SPDX-License-Identifier: BSL-1.0
//
// Each window is five slices that take turns: a new slice begins empty, and the oldest leaves. So a
// window slides in steps of a fifth and never starts from nothing, as a fixed window does at its
// boundary; a question about "the last minute" covers the last 48 to 60 seconds.
//
// All windows share their bins, and a bin is one row of sixteen counts: five slices of the minute,
// five of the hour, five of the day, one since the start. A row is one cache line, so recording a
// value in all windows touches one line. The price is paid when a slice begins: its column is
// cleared, row by row, once in twelve seconds at most.
//
//     minute 0..4 | hour 5..9 | day 10..14 | since start 15
//
// Not thread-safe. Time never runs backwards here: what comes late counts where the latest counts.
// Times before the clock's epoch are times like others: who loads what another process saved looks
// back further than a clock that has just been started.
#pragma once

#include "everpool/core/dd_sketch.hpp"
#include "everpool/core/log_bins.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace everpool {

/// Over which time. Each value is a window of its own; none is derived from another.
enum class HistoryWindow : std::uint8_t { minute, hour, day, since_start };

} // namespace everpool

namespace everpool::core {

class SlidingSketch {
public:
    static constexpr std::size_t slice_count = 5;
    static constexpr std::size_t column_count = 16;
    static constexpr std::size_t last_column = column_count - 1;
    /// 896 bins of 1 % span a factor of 5 * 10^7: a microsecond to most of a minute. See DdSketch
    /// for what happens beyond.
    static constexpr std::uint32_t bin_count_max = 896;
    /// Rows are made in batches, so that a slowly widening range does not allocate each time.
    static constexpr std::size_t rows_per_batch = 32;

    /// What is counted beside the bins.
    struct Counts {
        std::uint64_t successes{0}, failures{0};
        double sum{0}; ///< of the successes' durations, in nanoseconds, as are the next two
        double min{std::numeric_limits<double>::infinity()};
        double max{-std::numeric_limits<double>::infinity()};

        void merge(const Counts& other) noexcept;
    };
    static constexpr std::int64_t unused = std::numeric_limits<std::int64_t>::min();
    struct Slice {
        std::int64_t number{unused}; ///< how many slice's lengths after the epoch it begins
        std::uint64_t binned{0};
        Counts counts{};
    };
    using Row = std::array<std::uint32_t, column_count>;

    /// Only successes have a duration that says something: a failure may be fast or time out.
    void record_success(Duration duration, TimePoint now);
    void record_failure(TimePoint now);

    /// The quantile of the successes' durations, within 1 %.
    /// \pre 0 <= q <= 1, counts(window, now).successes > 0
    [[nodiscard]] Duration quantile(HistoryWindow window, double q, TimePoint now) const;
    [[nodiscard]] Counts counts(HistoryWindow window, TimePoint now) const noexcept;
    /// To be merged with others: in nanoseconds.
    [[nodiscard]] DdSketch sketch(HistoryWindow window, TimePoint now) const;

    /// Adds another one's slices to those of the same time, as far as they are not too old.
    void merge(const SlidingSketch& other, TimePoint now);

    /// Bytes on the heap, and how many more a value of that duration would need.
    [[nodiscard]] std::size_t heap_bytes() const noexcept { return rows_.capacity() * sizeof(Row); }
    [[nodiscard]] std::size_t growth_bytes(Duration duration) const noexcept {
        const std::int32_t index = bin_of(nanoseconds(duration));
        if (has_row(index)) [[likely]]
            return 0;
        return growth_bytes_for(index);
    }

    /// How long a slice of the window is. \pre window != since_start
    static constexpr Duration slice_length(HistoryWindow window) noexcept {
        constexpr std::array<Duration, 3> lengths{
            std::chrono::seconds(12), std::chrono::minutes(12), std::chrono::minutes(288)};
        return lengths[static_cast<std::size_t>(window)];
    }

    /// The number of the slice that a time lies in. \pre window != since_start
    static constexpr std::int64_t slice_number(HistoryWindow window, TimePoint at) noexcept {
        const Duration time = at.time_since_epoch(), length = slice_length(window);
        return time / length - (time % length < Duration{} ? 1 : 0); // down, also below zero
    }
    /// Where a window's slice of that number stands. \pre window != since_start
    static constexpr std::size_t column_of(HistoryWindow window, std::int64_t number) noexcept {
        constexpr auto count = static_cast<std::int64_t>(slice_count);
        return static_cast<std::size_t>(window) * slice_count +
               static_cast<std::size_t>((number % count + count) % count);
    }

    // For those who write it to disk and read it again.
    [[nodiscard]] const std::vector<Row>& rows() const noexcept { return rows_; }
    [[nodiscard]] std::int32_t first_bin() const noexcept { return first_; }
    [[nodiscard]] const std::array<Slice, column_count>& slices() const noexcept { return slices_; }
    /// \pre rows.size() <= bin_count_max; the counts of each column add up to its slice's `binned`
    void restore(std::int32_t first_bin, std::vector<Row> rows,
                 const std::array<Slice, column_count>& slices);

private:
    using Mask = std::array<std::uint32_t, column_count>;

    void roll(TimePoint now);
    [[nodiscard]] bool has_row(std::int32_t index) const noexcept {
        return static_cast<std::size_t>(static_cast<std::int64_t>(index) - first_) < rows_.size();
    }
    [[nodiscard]] std::size_t growth_bytes_for(std::int32_t index) const noexcept;
    void begin_slice(std::size_t column, std::int64_t number) noexcept;
    [[nodiscard]] Row& reach(std::int32_t index);
    void extend_down(std::int32_t index);
    void extend_up(std::int32_t index);
    void add(Row& row, std::size_t column, std::uint32_t count) noexcept;
    void merge_last_column(const SlidingSketch& other);
    void halve_last_column() noexcept;
    /// All ones in the columns of the window that are not out of date.
    [[nodiscard]] Mask mask(HistoryWindow window, TimePoint now) const noexcept;
    static std::uint64_t sum(const Row& row, const Mask& mask) noexcept;
    static double nanoseconds(Duration duration) noexcept {
        return static_cast<double>(std::max<Duration::rep>(duration.count(), 0));
    }
    /// Zero shares the bin of one nanosecond, and nobody can tell them apart.
    static std::int32_t bin_of(double value) noexcept { return map_.index(std::max(value, 1.0)); }

    static constexpr LogBins map_{0.01};
    std::vector<Row> rows_;
    std::int32_t first_{0};
    std::array<Slice, column_count> slices_{};
    std::array<std::uint8_t, 4> current_{0, 5, 10, last_column}; ///< column by window
    /// When the first of the three current slices is over.
    TimePoint roll_at_{TimePoint::min()};
};

} // namespace everpool::core

#include "everpool/core/sliding_sketch_rows.hpp"
