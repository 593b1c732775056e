// Everpool core: is it rising, how steeply, and how likely would chance do that?
// SPDX-License-Identifier: BSL-1.0
//
// Mann-Kendall counts the pairs that rise and those that fall; Theil-Sen takes the median slope of
// all pairs. Neither believes in a normal distribution, and a few wild values change neither; a
// line of least squares does both. Both look at n^2 / 2 pairs but touch n log n: the one counts
// inversions in a merge sort, the other narrows a bracket of slopes by such counts.
//
// Neighbouring latencies resemble each other, which makes chance look like a trend. So the variance
// is widened by the autocorrelation of the ranks (Hamed and Rao, 1998), and never narrowed.
#pragma once

#include "everpool/core/outliers.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/statistics.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace everpool::core {

struct Trend {
    double slope{0};   ///< Theil-Sen: change of y per unit of x
    double p_value{1}; ///< two-sided: of a trend at least so clear by chance
    double tau{0};     ///< Kendall's: -1 all fall, 1 all rise
};

/// \pre x.size() == y.size(); x ascending (equal ones are allowed); all finite
Trend find_trend(std::span<const double> x, std::span<const double> y);

namespace trend_detail {

/// Sorts and returns how many pairs were the wrong way round. `on_pair(left, right)` is called for
/// each of them if `Report`, with the payloads.
template <bool Report, class OnPair>
std::uint64_t sort_counting(std::vector<std::pair<double, std::uint32_t>>& items,
                            std::vector<std::pair<double, std::uint32_t>>& scratch,
                            const OnPair& on_pair) {
    std::uint64_t inversions = 0;
    scratch.resize(items.size());
    for (std::size_t width = 1; width < items.size(); width *= 2) {
        for (std::size_t begin = 0; begin < items.size(); begin += 2 * width) {
            const std::size_t middle = std::min(begin + width, items.size());
            const std::size_t end = std::min(begin + 2 * width, items.size());
            std::size_t left = begin, right = middle;
            for (std::size_t out = begin; out < end; ++out) {
                if (left < middle && (right == end || items[left].first <= items[right].first)) {
                    scratch[out] = items[left++];
                    continue;
                }
                inversions += middle - left;
                if constexpr (Report)
                    for (std::size_t i = left; i < middle; ++i)
                        on_pair(items[i].second, items[right].second);
                scratch[out] = items[right++];
            }
        }
        items.swap(scratch);
    }
    return inversions;
}

/// Points in order of (x, y), and the questions about the slopes between them.
class Slopes {
public:
    Slopes(std::span<const double> x, std::span<const double> y) {
        for (std::size_t i = 0; i < x.size(); ++i) points_.emplace_back(x[i], y[i]);
        std::sort(points_.begin(), points_.end());
        pair_count_ = points_.size() * (points_.size() - 1) / 2;
        for (std::size_t i = 0, same = 0; i < points_.size(); ++i) {
            same = i != 0 && points_[i].first == points_[i - 1].first ? same + 1 : 0;
            pair_count_ -= same;
        }
    }

    /// Pairs with different x.
    [[nodiscard]] std::uint64_t pair_count() const noexcept { return pair_count_; }
    /// Pairs whose slope is below.
    [[nodiscard]] std::uint64_t count_below(double slope) {
        lay_out(slope);
        return sort_counting<false>(items_, scratch_, [](auto, auto) {});
    }
    [[nodiscard]] double median();

private:
    [[nodiscard]] double slope(std::size_t i, std::size_t j) const noexcept {
        return (points_[j].second - points_[i].second) / (points_[j].first - points_[i].first);
    }
    /// Seen along a slope, the pairs that are less steep are the wrong way round.
    void lay_out(double slope) {
        items_.resize(points_.size());
        for (std::uint32_t i = 0; i < points_.size(); ++i)
            items_[i] = {points_[i].second - slope * points_[i].first, i};
    }
    [[nodiscard]] double median_of_all() const;
    [[nodiscard]] std::pair<double, double> guess();
    [[nodiscard]] double median_between(double low, double high, std::uint64_t skip);

    std::vector<std::pair<double, double>> points_;
    std::vector<std::pair<double, std::uint32_t>> items_, scratch_;
    std::uint64_t pair_count_{0};
};

inline double Slopes::median_of_all() const {
    std::vector<double> slopes;
    slopes.reserve(pair_count_);
    for (std::size_t i = 0, other_x = 0; i < points_.size(); ++i) {
        while (other_x < points_.size() && points_[other_x].first <= points_[i].first) ++other_x;
        for (std::size_t j = other_x; j < points_.size(); ++j) slopes.push_back(slope(i, j));
    }
    return median_of(slopes);
}

/// A bracket that holds the median of all slopes but once in some thousand times, from a sample.
inline std::pair<double, double> Slopes::guess() {
    constexpr std::size_t sample_count = 4000;
    Prng prng(points_.size()); // any seed would do; the answer does not depend on it
    std::vector<double> sample;
    while (sample.size() < sample_count) {
        const std::uint64_t i = prng.below(points_.size()), j = prng.below(points_.size());
        if (points_[i].first < points_[j].first) sample.push_back(slope(i, j));
        else if (points_[j].first < points_[i].first) sample.push_back(slope(j, i));
        // Many equal x: the chance of a pair is still positive, as pair_count() > 0.
    }
    std::sort(sample.begin(), sample.end());
    constexpr std::size_t margin = 110; // 3.5 standard deviations of a sample median's rank
    return {sample[sample_count / 2 - margin], sample[sample_count / 2 + margin]};
}

inline double Slopes::median_between(double low, double high, std::uint64_t skip) {
    lay_out(low);
    std::stable_sort(items_.begin(), items_.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    // In this order the pairs that are reversed along `high` are those between the two.
    for (auto& [seen, i] : items_) seen = points_[i].second - high * points_[i].first;
    std::vector<double> slopes;
    sort_counting<true>(items_, scratch_, [&](std::uint32_t i, std::uint32_t j) {
        if (points_[i].first != points_[j].first) slopes.push_back(slope(i, j));
    });
    if (slopes.empty()) return (low + high) / 2;
    const auto at = [&](std::uint64_t rank) {
        const std::uint64_t place =
            std::min<std::uint64_t>(rank - std::min(rank, skip), slopes.size() - 1);
        const auto nth = slopes.begin() + static_cast<std::ptrdiff_t>(place);
        std::nth_element(slopes.begin(), nth, slopes.end());
        return *nth;
    };
    const double upper = at(pair_count_ / 2);
    return pair_count_ % 2 != 0 ? upper : (at(pair_count_ / 2 - 1) + upper) / 2;
}

inline double Slopes::median() {
    // Few points, or nearly all at the same x: a sample would draw few pairs that count.
    constexpr std::uint64_t few_pairs = 20'000;
    if (pair_count_ <= std::max(few_pairs, std::uint64_t{64} * points_.size()))
        return median_of_all();
    const std::uint64_t upper_rank = pair_count_ / 2, lower_rank = (pair_count_ - 1) / 2;
    auto [low, high] = guess();
    const auto [least, most] = std::minmax_element(
        points_.begin(), points_.end(), [](auto& a, auto& b) { return a.second < b.second; });
    const double scale =
        (most->second - least->second) / (points_.back().first - points_.front().first);
    double step = std::max(high - low, scale * 1e-9);
    std::uint64_t below_low = count_below(low), below_high = count_below(high);
    for (; below_low > lower_rank; step *= 2) below_low = count_below(low -= step);
    for (; below_high <= upper_rank; step *= 2) below_high = count_below(high += step);
    // Few enough to be looked at one by one, or so close that it does not matter (many are equal).
    const std::uint64_t enough = 4 * points_.size();
    for (int i = 0; i < 60 && below_high - below_low > enough; ++i) {
        const double share = static_cast<double>(upper_rank - below_low) /
                             static_cast<double>(below_high - below_low);
        // Aim beside the median, alternately, so that both ends move; halve if that does not help.
        const double aim =
            i % 3 == 2 ? 0.5 : std::clamp(share + (i % 2 == 0 ? .02 : -.02), .01, .99);
        const double middle = low + (high - low) * aim;
        if (middle <= low || middle >= high) return middle;
        const std::uint64_t below = count_below(middle);
        if (below <= lower_rank) {
            low = middle;
            below_low = below;
        } else if (below > upper_rank) {
            high = middle;
            below_high = below;
        } else {
            return middle; // between the two middle ones
        }
    }
    if (below_high - below_low > enough) return (low + high) / 2;
    return median_between(low, high, below_low);
}

/// What groups of equal values take from the variance, and from the number of pairs.
struct Ties {
    double pairs{0}, triples{0}, variance{0};

    void add(std::size_t equal) noexcept {
        const auto t = static_cast<double>(equal);
        pairs += t * (t - 1);
        triples += t * (t - 1) * (t - 2);
        variance += t * (t - 1) * (2 * t + 5);
    }
    static Ties of(std::vector<double> values) {
        std::sort(values.begin(), values.end());
        Ties ties;
        for (std::size_t begin = 0, end; begin < values.size(); begin = end) {
            for (end = begin + 1; end < values.size() && values[end] == values[begin];) ++end;
            ties.add(end - begin);
        }
        return ties;
    }
};

/// The ranks of what remains beside the trend, about zero. Equal ones share the mean of their
/// ranks; so do those that only rounding tells apart, or a straight line would be said to resemble
/// itself and have no trend.
inline std::vector<double> ranks_of_rest(std::span<const double> x, std::span<const double> y,
                                         double slope) {
    const std::size_t n = x.size();
    std::vector<std::pair<double, std::uint32_t>> order(n);
    double largest = 0;
    for (std::uint32_t i = 0; i < n; ++i) {
        order[i] = {y[i] - slope * x[i], i};
        largest = std::max({largest, std::abs(y[i]), std::abs(slope * x[i])});
    }
    std::sort(order.begin(), order.end());
    const double rounding = largest * 1e-14;
    const double middle = static_cast<double>(n - 1) / 2;
    std::vector<double> ranks(n);
    for (std::size_t begin = 0, end; begin < n; begin = end) {
        for (end = begin + 1; end < n && order[end].first - order[end - 1].first <= rounding;)
            ++end;
        const double rank = static_cast<double>(begin + end - 1) / 2 - middle;
        for (std::size_t i = begin; i < end; ++i) ranks[order[i].second] = rank;
    }
    return ranks;
}

/// By how much the variance of S is larger than for independent values. At least 1.
inline double autocorrelation_factor(std::span<const double> x, std::span<const double> y,
                                     double slope) {
    const std::size_t n = x.size();
    const std::vector<double> ranks = ranks_of_rest(x, y, slope);
    const double power = std::inner_product(ranks.begin(), ranks.end(), ranks.begin(), 0.0);
    if (power <= 0) return 1; // all equal: nothing remains that could resemble itself
    const double significant = 1.96 / std::sqrt(static_cast<double>(n));
    const std::size_t lag_max = std::min<std::size_t>(n / 4, 30);
    double sum = 0;
    for (std::size_t lag = 1; lag <= lag_max; ++lag) {
        const double correlation =
            std::inner_product(ranks.begin() + static_cast<std::ptrdiff_t>(lag), ranks.end(),
                               ranks.begin(), 0.0) /
            power;
        if (std::abs(correlation) < significant) continue;
        const auto rest = static_cast<double>(n - lag);
        sum += rest * (rest - 1) * (rest - 2) * correlation;
    }
    const auto count = static_cast<double>(n);
    return std::max(1.0, 1 + 2 * sum / (count * (count - 1) * (count - 2)));
}

} // namespace trend_detail

inline Trend find_trend(std::span<const double> x, std::span<const double> y) {
    using namespace trend_detail;
    assert(x.size() == y.size() && std::is_sorted(x.begin(), x.end()));
    Trend trend;
    if (x.size() < 4) return trend; // three values in a row rise once in six by chance
    Slopes slopes(x, y);
    if (slopes.pair_count() == 0) return trend;
    const auto n = static_cast<double>(x.size());
    const Ties x_ties = Ties::of({x.begin(), x.end()}), y_ties = Ties::of({y.begin(), y.end()});
    // Falling pairs are those below a slope of zero; rising ones those that fall when mirrored.
    const auto falling = static_cast<double>(slopes.count_below(0));
    std::vector<double> mirrored(y.size());
    std::transform(y.begin(), y.end(), mirrored.begin(), [](double value) { return -value; });
    const auto rising = static_cast<double>(Slopes(x, mirrored).count_below(0));
    // Where many values are equal the median slope is often exactly zero, and no bracket gets
    // there.
    const auto half = static_cast<double>(slopes.pair_count()) / 2;
    if (falling >= half || rising >= half) trend.slope = slopes.median();
    const double s = rising - falling;
    double variance = (n * (n - 1) * (2 * n + 5) - x_ties.variance - y_ties.variance) / 18 +
                      x_ties.pairs * y_ties.pairs / (2 * n * (n - 1)) +
                      x_ties.triples * y_ties.triples / (9 * n * (n - 1) * (n - 2));
    if (variance <= 0) return {.slope = trend.slope};
    variance *= autocorrelation_factor(x, y, trend.slope);
    const double towards_zero = s > 0 ? s - 1 : s < 0 ? s + 1 : 0; // S moves in steps of two
    trend.p_value = normal_two_sided(towards_zero / std::sqrt(variance));
    trend.tau = s / static_cast<double>(slopes.pair_count());
    return trend;
}

} // namespace everpool::core
