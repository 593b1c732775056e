// Everpool core: the bodies of SlidingSketch. Include sliding_sketch.hpp.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/sliding_sketch.hpp"

#include <utility>

namespace everpool::core {

inline void SlidingSketch::Counts::merge(const Counts& other) noexcept {
    successes += other.successes;
    failures += other.failures;
    sum += other.sum;
    min = std::min(min, other.min);
    max = std::max(max, other.max);
}

inline void SlidingSketch::record_success(Duration duration, TimePoint now) {
    if (now >= roll_at_) roll(now);
    const double value = nanoseconds(duration);
    Row& row = reach(bin_of(value));
    for (const std::uint8_t column : current_) {
        add(row, column, 1);
        Counts& counts = slices_[column].counts;
        ++counts.successes;
        counts.sum += value;
        counts.min = std::min(counts.min, value);
        counts.max = std::max(counts.max, value);
    }
}

inline void SlidingSketch::record_failure(TimePoint now) {
    if (now >= roll_at_) roll(now);
    for (const std::uint8_t column : current_) ++slices_[column].counts.failures;
}

inline void SlidingSketch::roll(TimePoint now) {
    roll_at_ = never;
    for (std::size_t i = 0; i < 3; ++i) {
        const auto window = static_cast<HistoryWindow>(i);
        std::int64_t number = slice_number(window, now);
        // The newest may be newer than now, if it was merged or loaded.
        for (std::size_t column = i * slice_count; column < (i + 1) * slice_count; ++column)
            number = std::max(number, slices_[column].number);
        const std::size_t column = column_of(window, number);
        if (slices_[column].number != number) begin_slice(column, number);
        current_[i] = static_cast<std::uint8_t>(column);
        roll_at_ = std::min(roll_at_, TimePoint(slice_length(window) * (number + 1)));
    }
    slices_[last_column].number = 0;
}

inline void SlidingSketch::begin_slice(std::size_t column, std::int64_t number) noexcept {
    if (slices_[column].binned != 0)
        for (Row& row : rows_) row[column] = 0;
    slices_[column] = Slice{.number = number};
}

inline void SlidingSketch::add(Row& row, std::size_t column, std::uint32_t count) noexcept {
    constexpr std::uint32_t count_max = std::numeric_limits<std::uint32_t>::max();
    if (row[column] > count_max - count) [[unlikely]] {
        // The counts of all time fill up after weeks. Halving them all keeps their proportions, and
        // these are all that a quantile needs; the exact number is in Counts. In a window it takes
        // four thousand million in a bin within a day: the bin stays full.
        if (column == last_column) halve_last_column();
        count = std::min(count, count_max - row[column]);
    }
    row[column] += count;
    slices_[column].binned += count;
}

inline void SlidingSketch::halve_last_column() noexcept {
    std::uint64_t& binned = slices_[last_column].binned;
    binned = 0;
    for (Row& row : rows_) binned += row[last_column] /= 2;
}

inline SlidingSketch::Row& SlidingSketch::reach(std::int32_t index) {
    if (has_row(index)) [[likely]]
        return rows_[static_cast<std::size_t>(index - first_)];
    if (rows_.empty()) {
        first_ = index - static_cast<std::int32_t>(rows_per_batch) / 2;
        rows_.resize(rows_per_batch);
    } else if (index < first_) {
        extend_down(index);
    } else {
        extend_up(index);
    }
    return rows_[static_cast<std::size_t>(std::max(index, first_) - first_)];
}

inline void SlidingSketch::extend_down(std::int32_t index) {
    const auto wanted = static_cast<std::size_t>(first_ - index) + rows_per_batch - 1;
    const std::size_t more = std::min(wanted / rows_per_batch * rows_per_batch,
                                      std::size_t{bin_count_max} - rows_.size());
    if (more == 0) return; // it goes into the lowest
    std::vector<Row> rows;
    rows.reserve(rows_.size() + more);
    rows.resize(more);
    rows.insert(rows.end(), rows_.begin(), rows_.end());
    rows_ = std::move(rows);
    first_ -= static_cast<std::int32_t>(more);
}

inline void SlidingSketch::extend_up(std::int32_t index) {
    const auto needed = static_cast<std::size_t>(index - first_) + 1;
    const std::size_t batches = (needed + rows_per_batch - 1) / rows_per_batch * rows_per_batch;
    if (batches <= bin_count_max) {
        rows_.reserve(batches);
        rows_.resize(batches);
        return;
    }
    rows_.reserve(bin_count_max);
    rows_.resize(bin_count_max);
    if (needed <= bin_count_max) return;
    // No room: the lowest rows become one, and all move down. Happens once per new maximum.
    const std::size_t drop = needed - bin_count_max;
    const std::size_t folded = std::min(drop, rows_.size() - 1);
    for (std::size_t i = 0; i < folded; ++i)
        for (std::size_t column = 0; column < column_count; ++column) {
            const std::uint64_t count = std::uint64_t{rows_[i][column]} + rows_[folded][column];
            rows_[folded][column] = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(count, std::numeric_limits<std::uint32_t>::max()));
        }
    std::move(rows_.begin() + static_cast<std::ptrdiff_t>(folded), rows_.end(), rows_.begin());
    std::fill(rows_.end() - static_cast<std::ptrdiff_t>(folded), rows_.end(), Row{});
    first_ += static_cast<std::int32_t>(drop);
}

inline std::size_t SlidingSketch::growth_bytes_for(std::int32_t index) const noexcept {
    const auto last = first_ + static_cast<std::int32_t>(rows_.size()) - 1;
    if (rows_.empty()) return rows_per_batch * sizeof(Row);
    const auto beyond = static_cast<std::size_t>(index < first_ ? first_ - index : index - last) +
                        rows_per_batch - 1;
    return std::min(beyond / rows_per_batch * rows_per_batch,
                    std::size_t{bin_count_max} - rows_.size()) *
           sizeof(Row);
}

inline SlidingSketch::Mask SlidingSketch::mask(HistoryWindow window, TimePoint now) const noexcept {
    constexpr std::uint32_t all = std::numeric_limits<std::uint32_t>::max();
    Mask mask{};
    if (window == HistoryWindow::since_start) {
        mask[last_column] = all;
        return mask;
    }
    const std::int64_t oldest =
        slice_number(window, now) - static_cast<std::int64_t>(slice_count) + 1;
    const std::size_t begin = static_cast<std::size_t>(window) * slice_count;
    for (std::size_t i = begin; i < begin + slice_count; ++i)
        if (slices_[i].number >= oldest) mask[i] = all;
    return mask;
}

inline std::uint64_t SlidingSketch::sum(const Row& row, const Mask& mask) noexcept {
    // Two halves in 32 bits could overflow only beyond what add() lets in within a day.
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < column_count; ++i) sum += row[i] & mask[i];
    return sum;
}

inline SlidingSketch::Counts SlidingSketch::counts(HistoryWindow window,
                                                   TimePoint now) const noexcept {
    const Mask active = mask(window, now);
    Counts counts;
    for (std::size_t i = 0; i < column_count; ++i)
        if (active[i] != 0) counts.merge(slices_[i].counts);
    return counts;
}

inline Duration SlidingSketch::quantile(HistoryWindow window, double q, TimePoint now) const {
    assert(q >= 0 && q <= 1);
    const Mask active = mask(window, now);
    Counts counts;
    std::uint64_t binned = 0;
    for (std::size_t i = 0; i < column_count; ++i)
        if (active[i] != 0) {
            counts.merge(slices_[i].counts);
            binned += slices_[i].binned;
        }
    assert(binned > 0);
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(binned - 1));
    std::size_t i = 0;
    if (q <= 0.5) {
        for (std::uint64_t below = 0; i < rows_.size(); ++i)
            if ((below += sum(rows_[i], active)) > rank) break;
    } else { // from above: the high quantiles are asked for most
        i = rows_.size();
        for (std::uint64_t above = binned; i-- > 0;)
            if ((above -= sum(rows_[i], active)) <= rank) break;
    }
    i = std::min(i, rows_.size() - 1); // if a count was at its limit, the sum is short
    const double value = map_.middle(first_ + static_cast<std::int32_t>(i));
    return Duration(static_cast<Duration::rep>(std::clamp(value, counts.min, counts.max) + 0.5));
}

inline DdSketch SlidingSketch::sketch(HistoryWindow window, TimePoint now) const {
    const Mask active = mask(window, now);
    DdSketch sketch(map_.relative_error());
    for (std::size_t i = rows_.size(); i-- > 0;)
        sketch.add_to_bin(first_ + static_cast<std::int32_t>(i), sum(rows_[i], active));
    const Counts all = counts(window, now);
    if (all.successes > 0) sketch.add_summary(all.sum, all.min, all.max);
    return sketch;
}

inline void SlidingSketch::merge(const SlidingSketch& other, TimePoint now) {
    roll(now);
    if (!other.rows_.empty()) {
        static_cast<void>(reach(other.first_ + static_cast<std::int32_t>(other.rows_.size()) - 1));
        static_cast<void>(reach(other.first_));
    }
    for (std::size_t column = 0; column < column_count; ++column) {
        const Slice& theirs = other.slices_[column];
        Slice& ours = slices_[column];
        if (theirs.number == unused || theirs.number < ours.number) continue;
        if (theirs.number > ours.number) {
            // Of the window's time, but nothing was recorded here then; from the future if clocks
            // disagree, and then it is not believed.
            const auto window = static_cast<HistoryWindow>(column / slice_count);
            if (theirs.number > slice_number(window, now)) continue;
            begin_slice(column, theirs.number);
        }
        if (column == last_column) {
            merge_last_column(other);
            continue;
        }
        for (std::size_t i = 0; i < other.rows_.size(); ++i)
            if (const std::uint32_t count = other.rows_[i][column]; count != 0)
                add(reach(other.first_ + static_cast<std::int32_t>(i)), column, count);
        ours.counts.merge(theirs.counts);
    }
}

inline void SlidingSketch::merge_last_column(const SlidingSketch& other) {
    // Either may have been halved, so each bin stands for so many values of its own side.
    const auto weight = [](const Slice& slice) {
        return slice.binned == 0 ? 0.0
                                 : static_cast<double>(slice.counts.successes) /
                                       static_cast<double>(slice.binned);
    };
    Slice& ours = slices_[last_column];
    const Slice& theirs = other.slices_[last_column];
    const double our_weight = weight(ours), their_weight = weight(theirs);
    std::vector<double> sums(rows_.size());
    for (std::size_t i = 0; i < rows_.size(); ++i) sums[i] = our_weight * rows_[i][last_column];
    for (std::size_t i = 0; i < other.rows_.size(); ++i) {
        const std::int32_t at = other.first_ + static_cast<std::int32_t>(i) - first_;
        sums[static_cast<std::size_t>(std::max(at, 0))] +=
            their_weight * other.rows_[i][last_column];
    }
    constexpr double room = 1u << 31;
    const double largest = sums.empty() ? 0 : *std::max_element(sums.begin(), sums.end());
    const double scale = largest > room ? room / largest : 1;
    ours.binned = 0;
    for (std::size_t i = 0; i < rows_.size(); ++i) {
        rows_[i][last_column] = static_cast<std::uint32_t>(sums[i] * scale + 0.5);
        ours.binned += rows_[i][last_column];
    }
    ours.counts.merge(theirs.counts);
}

inline void SlidingSketch::restore(std::int32_t first_bin, std::vector<Row> rows,
                                   const std::array<Slice, column_count>& slices) {
    assert(rows.size() <= bin_count_max);
    first_ = first_bin;
    rows_ = std::move(rows);
    slices_ = slices;
    roll_at_ = TimePoint::min();
}

} // namespace everpool::core
