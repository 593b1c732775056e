// Everpool core: quantiles of a stream, each within a promised share of the exact one.
// SPDX-License-Identifier: BSL-1.0
//
// DDSketch: counts in LogBins. Which bin a value falls into depends on the value alone, so two
// sketches merge by adding counts, and the result is the very sketch that one host would have made
// of both streams. (A t-digest promises no relative error and depends on the order; an HDR
// histogram needs its range beforehand.)
//
//     DdSketch sketch;                                // 1 %, at most 2048 bins
//     for (double ms : durations) sketch.add(ms);
//     sketch.quantile(0.99);                          // within 1 % of the exact value of that rank
//
// The limit: 2048 bins of 1 % span a factor of 5 * 10^17. What lies further below the largest value
// than the bins reach is counted in the lowest bin: small quantiles become too large, never large
// ones wrong. `accurate_from()` says from which quantile on the promise holds.
//
// Memory: 8 bytes per bin between the smallest and the largest value seen. Copyable, not
// thread-safe; adding allocates only when the range grows.
#pragma once

#include "everpool/core/log_bins.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace everpool::core {

class DdSketch {
public:
    /// \pre bin_count_max > 0
    explicit DdSketch(double relative_error = 0.01, std::uint32_t bin_count_max = 2048)
        : map_(relative_error), bin_count_max_(bin_count_max) {
        assert(bin_count_max > 0);
    }

    /// Counts a value; zero has a place of its own. False, and nothing is counted, if it is
    /// negative, infinite or no number: the source is wrong, and no bin would be right.
    bool add(double value, std::uint64_t count = 1);

    /// As if everything that `other` was given had been given to this one.
    /// \pre other.relative_error() == relative_error()
    void merge(const DdSketch& other);

    /// The value of rank floor(q * (count() - 1)) in ascending order, within relative_error().
    /// \pre 0 <= q <= 1, count() > 0
    [[nodiscard]] double quantile(double q) const;

    /// Quantiles below this may be too large, because bins were folded. 0: all are good.
    [[nodiscard]] double accurate_from() const noexcept;

    /// Counts in a bin of the same LogBins, as another container of them keeps it. Does not touch
    /// min, max and sum: give these with `add_summary`.
    void add_to_bin(std::int32_t index, std::uint64_t count);
    void add_zeros(std::uint64_t count) noexcept {
        zero_count_ += count;
        count_ += count;
    }
    void add_summary(double sum, double min, double max) noexcept;

    void clear() noexcept;

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] double sum() const noexcept { return sum_; }
    /// \pre count() > 0
    [[nodiscard]] double mean() const noexcept { return sum_ / static_cast<double>(count_); }
    [[nodiscard]] double min() const noexcept { return min_; } ///< exact; +infinity if empty
    [[nodiscard]] double max() const noexcept { return max_; } ///< exact; -infinity if empty
    [[nodiscard]] double relative_error() const noexcept { return map_.relative_error(); }
    [[nodiscard]] std::size_t bin_count() const noexcept { return bins_.size(); }

private:
    /// The bin of that index, after making room for it; the lowest if it lies below the reach.
    std::uint64_t& reach(std::int32_t index);
    /// No bin lies below `lowest` any more.
    void fold_below(std::int32_t lowest);

    LogBins map_;
    std::uint32_t bin_count_max_;
    std::vector<std::uint64_t> bins_;
    std::int32_t first_{0};         ///< index of bins_[0]
    std::uint64_t folded_count_{0}; ///< in the lowest bin, though they belong below it
    std::uint64_t zero_count_{0};
    std::uint64_t count_{0};
    double sum_{0};
    double min_{std::numeric_limits<double>::infinity()};
    double max_{-std::numeric_limits<double>::infinity()};
};

inline bool DdSketch::add(double value, std::uint64_t count) {
    if (!(value >= 0) || std::isinf(value)) return false;
    if (count == 0) return true;
    if (value < LogBins::value_min) add_zeros(count);
    else add_to_bin(map_.index(value), count);
    add_summary(value * static_cast<double>(count), value, value);
    return true;
}

inline void DdSketch::add_to_bin(std::int32_t index, std::uint64_t count) {
    if (count == 0) return;
    reach(index) += count;
    if (index < first_) folded_count_ += count;
    count_ += count;
}

inline void DdSketch::add_summary(double sum, double min, double max) noexcept {
    sum_ += sum;
    min_ = std::min(min_, min);
    max_ = std::max(max_, max);
}

inline void DdSketch::merge(const DdSketch& other) {
    assert(other.map_ == map_);
    if (!other.bins_.empty()) {
        // The ends first: what lies between them needs no more room.
        reach(other.first_ + static_cast<std::int32_t>(other.bins_.size()) - 1);
        reach(other.first_);
        // What the other one has folded may belong below its lowest bin, so nothing below is sure.
        if (other.folded_count_ != 0) fold_below(other.first_);
        for (std::size_t i = 0; i < other.bins_.size(); ++i)
            add_to_bin(other.first_ + static_cast<std::int32_t>(i), other.bins_[i]);
        folded_count_ += other.folded_count_;
    }
    add_zeros(other.zero_count_);
    add_summary(other.sum_, other.min_, other.max_);
}

inline double DdSketch::quantile(double q) const {
    assert(q >= 0 && q <= 1 && count_ > 0);
    const auto rank = static_cast<std::uint64_t>(q * static_cast<double>(count_ - 1));
    if (rank < zero_count_) return 0;
    std::uint64_t below = zero_count_;
    for (std::size_t i = 0; i < bins_.size(); ++i) {
        below += bins_[i];
        if (below > rank)
            return std::clamp(map_.middle(first_ + static_cast<std::int32_t>(i)), min_, max_);
    }
    return max_;
}

inline double DdSketch::accurate_from() const noexcept {
    if (folded_count_ == 0) return 0;
    // The whole of the lowest bin is in doubt: who came from where is not known any more.
    return static_cast<double>(zero_count_ + bins_.front()) / static_cast<double>(count_);
}

inline void DdSketch::clear() noexcept {
    std::fill(bins_.begin(), bins_.end(), 0);
    folded_count_ = zero_count_ = count_ = 0;
    sum_ = 0;
    min_ = std::numeric_limits<double>::infinity();
    max_ = -min_;
}

inline std::uint64_t& DdSketch::reach(std::int32_t index) {
    if (bins_.empty()) {
        first_ = index;
        bins_.push_back(0);
    }
    const std::int32_t last = first_ + static_cast<std::int32_t>(bins_.size()) - 1;
    if (index > last) {
        fold_below(index - static_cast<std::int32_t>(bin_count_max_) + 1);
        bins_.resize(static_cast<std::size_t>(index - first_) + 1, 0);
    } else if (index < first_) {
        const std::int32_t lowest = last - static_cast<std::int32_t>(bin_count_max_) + 1;
        const std::int32_t first = std::max(index, lowest);
        // Once something was folded the lowest bin stays where it is: it means "here or below".
        if (first < first_ && folded_count_ == 0) {
            bins_.insert(bins_.begin(), static_cast<std::size_t>(first_ - first), 0);
            first_ = first;
        }
    }
    return bins_[static_cast<std::size_t>(std::max(index, first_) - first_)];
}

inline void DdSketch::fold_below(std::int32_t lowest) {
    if (lowest <= first_) return;
    const auto drop = std::min(bins_.size(), static_cast<std::size_t>(lowest - first_));
    std::uint64_t moved = 0;
    for (std::size_t i = 0; i < drop; ++i) moved += bins_[i];
    bins_.erase(bins_.begin(), bins_.begin() + static_cast<std::ptrdiff_t>(drop));
    first_ = lowest;
    if (bins_.empty()) bins_.push_back(0);
    bins_.front() += moved;
    folded_count_ += moved;
}

} // namespace everpool::core
