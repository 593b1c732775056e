// Everpool core: when did a series of measurements change its level?
// SPDX-License-Identifier: BSL-1.0
//
// The algorithm of Hunter (Fleming et al., 2023) as Apache Otava has it: windows slide over the
// series; in each, E-divisive means (Matteson and James, 2014) proposes the split whose sides
// differ most in energy distance; a t-test instead of permutations decides, first leniently ("weak"
// points), then, over the whole pieces between the points, strictly, and the weakest point goes
// until all are good. Nothing is drawn by lot, so the same series has the same points.
//
// Where it differs from Otava, and why
//   - Spikes are taken out first (without_spikes): t-tests lose their power over a single wild
//     value.
//   - The t-test divides by n - 1; Otava's divides by n, and finds too much in short pieces.
//   - The strict p-value is multiplied by the number of places where the split could have been
//     made: it is the best of them that is tested, and the best of many looks good by chance alone.
//   - A point that stays is moved to where the whole pieces beside it, not one window, differ most.
//
// About w^2 / 2 steps per window of w values.
#pragma once

#include "everpool/core/outliers.hpp"
#include "everpool/core/statistics.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace everpool::core {

struct ChangePoint {
    std::size_t index{0}; ///< of the first value of the new level
    double mean_before{0}, mean_after{0};
    double p_value{1};

    /// The larger of the relative changes forwards and backwards. 0 if a mean is 0.
    [[nodiscard]] double magnitude() const noexcept {
        if (mean_before == 0 || mean_after == 0) return 0;
        return std::max(std::abs(mean_after / mean_before - 1),
                        std::abs(mean_before / mean_after - 1));
    }
};

struct ChangePointOptions {
    std::size_t window{50}; ///< values looked at together. Range 4 to 256
    double p_value_max{0.001};
    double magnitude_min{0}; ///< changes that are not larger do not matter
    bool removes_spikes{true};
};

/// In ascending order of index. Fewer than four values have none. \pre all finite
std::vector<ChangePoint> find_change_points(std::span<const double> series,
                                            const ChangePointOptions& options = {});

namespace change_points_detail {

/// The split of a stretch whose sides differ most.
struct Candidate {
    std::size_t index{0};
    double divergence{-1};
};

/// Sums of distances, as the split moves to the right, are those before plus one row; so all splits
/// and all ends of the right side cost two operations each. \pre values.size() >= 2
inline Candidate best_split(std::span<const double> values) {
    const std::size_t count = values.size();
    std::vector<double> before(count, 0); // by j: distances to all i < j
    for (std::size_t j = 1; j < count; ++j)
        for (std::size_t i = 0; i < j; ++i) before[j] += std::abs(values[i] - values[j]);
    std::vector<double> from_left(count, 0); // by j: distances to all i < split
    double within_left = 0;
    Candidate best;
    for (std::size_t split = 1; split < count; ++split) {
        within_left += before[split - 1];
        for (std::size_t j = split; j < count; ++j)
            from_left[j] += std::abs(values[split - 1] - values[j]);
        double across = 0, within_right = 0;
        const auto n = static_cast<double>(split);
        for (std::size_t end = split + 1; end <= count; ++end) {
            across += from_left[end - 1];
            within_right += before[end - 1] - from_left[end - 1];
            const auto m = static_cast<double>(end - split);
            double divergence = across;
            if (split > 1) divergence -= m / (n - 1) * within_left;
            if (end - split > 1) divergence -= n / (m - 1) * within_right;
            divergence *= 2 / (m + n);
            if (divergence > best.divergence) best = {split, divergence};
        }
    }
    return best;
}

inline ChangePoint compare(std::span<const double> series, std::size_t begin, std::size_t index,
                           std::size_t end) {
    struct Side {
        double count, mean{0}, squares{0};
        explicit Side(std::span<const double> values) : count(static_cast<double>(values.size())) {
            for (const double value : values) mean += value / count;
            for (const double value : values) squares += (value - mean) * (value - mean);
        }
    };
    const Side left(series.subspan(begin, index - begin)),
        right(series.subspan(index, end - index));
    ChangePoint point{.index = index, .mean_before = left.mean, .mean_after = right.mean};
    const double degrees = left.count + right.count - 2;
    const double difference = right.mean - left.mean;
    if (degrees <= 0 || difference == 0) return point;
    const double variance =
        (left.squares + right.squares) / degrees * (1 / left.count + 1 / right.count);
    point.p_value = variance > 0 ? student_two_sided(difference / std::sqrt(variance), degrees) : 0;
    return point;
}

/// Splits one window again and again, always where the divergence is largest.
inline void split_window(std::span<const double> series, std::size_t begin, std::size_t end,
                         double p_value_max, std::vector<std::size_t>& points) {
    struct Piece {
        std::size_t begin, end;
        Candidate best;
    };
    const auto make_piece = [&](std::size_t from, std::size_t to) {
        Piece piece{from, to, {}};
        if (to - from >= 2) {
            piece.best = best_split(series.subspan(from, to - from));
            piece.best.index += from;
        }
        return piece;
    };
    std::vector<Piece> pieces{make_piece(begin, end)};
    for (;;) {
        const auto best =
            std::max_element(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
                return a.best.divergence < b.best.divergence;
            });
        if (best->best.divergence < 0) return;
        const Piece piece = *best;
        const std::size_t at = piece.best.index;
        if (compare(series, piece.begin, at, piece.end).p_value > p_value_max) return;
        points.push_back(at);
        *best = make_piece(piece.begin, at);
        pieces.push_back(make_piece(at, piece.end));
    }
}

inline std::vector<std::size_t> find_weak(std::span<const double> series, std::size_t window,
                                          double p_value_max) {
    std::vector<std::size_t> points, found;
    for (std::size_t start = 0; start < series.size();) {
        const std::size_t end = std::min(start + window, series.size());
        found.clear();
        split_window(series, start, end, p_value_max, found);
        points.insert(points.end(), found.begin(), found.end());
        const std::size_t next = start + window / 2;
        start =
            found.empty() ? next : std::max(next, *std::max_element(found.begin(), found.end()));
    }
    std::sort(points.begin(), points.end());
    points.erase(std::unique(points.begin(), points.end()), points.end());
    return points;
}

/// Where in ]begin, end[ the two sides' means explain most of the variance. \pre end - begin >= 2
inline std::size_t best_level_split(std::span<const double> series, std::size_t begin,
                                    std::size_t end) {
    const auto count = static_cast<double>(end - begin);
    double total = 0;
    for (std::size_t i = begin; i < end; ++i) total += series[i];
    double left = 0, best_gain = -1;
    std::size_t best = begin + 1;
    for (std::size_t i = begin + 1; i < end; ++i) {
        left += series[i - 1];
        const auto n = static_cast<double>(i - begin);
        const double surplus = left - total * n / count;
        const double gain = surplus * surplus / (n * (count - n));
        if (gain > best_gain) {
            best_gain = gain;
            best = i;
        }
    }
    return best;
}

} // namespace change_points_detail

inline std::vector<ChangePoint> find_change_points(std::span<const double> series,
                                                   const ChangePointOptions& options) {
    using namespace change_points_detail;
    assert(options.window >= 4); // below two, windows would stand still
    std::vector<ChangePoint> points;
    if (series.size() < 4) return points;
    std::vector<double> smooth;
    if (options.removes_spikes) {
        smooth = without_spikes(series);
        series = smooth;
    }
    const double weak = options.p_value_max < 0.05 ? options.p_value_max * 10 : 0.5;
    for (const std::size_t index : find_weak(series, options.window, weak))
        points.push_back({.index = index});
    const auto begin_of = [&](std::size_t i) { return i == 0 ? 0 : points[i - 1].index; };
    const auto end_of = [&](std::size_t i) {
        return i + 1 == points.size() ? series.size() : points[i + 1].index;
    };
    const auto judge = [&](std::size_t i) {
        if (i >= points.size()) return;
        const std::size_t begin = begin_of(i), end = end_of(i);
        points[i] = compare(series, begin, points[i].index, end);
        points[i].p_value = std::min(1.0, points[i].p_value * static_cast<double>(end - begin - 1));
    };
    for (std::size_t i = 0; i < points.size(); ++i) judge(i);
    while (!points.empty()) {
        auto weakest = std::max_element(points.begin(), points.end(),
                                        [](auto& a, auto& b) { return a.p_value < b.p_value; });
        if (weakest->p_value < options.p_value_max) {
            weakest = std::min_element(points.begin(), points.end(), [](auto& a, auto& b) {
                return a.magnitude() < b.magnitude();
            });
            if (weakest->magnitude() > options.magnitude_min) break;
        }
        // Its neighbours get longer sides.
        const auto i = static_cast<std::size_t>(weakest - points.begin());
        points.erase(weakest);
        if (i > 0) judge(i - 1);
        judge(i);
    }
    for (std::size_t i = 0; i < points.size(); ++i)
        points[i].index = best_level_split(series, begin_of(i), end_of(i));
    for (std::size_t i = 0; i < points.size(); ++i) judge(i);
    return points;
}

} // namespace everpool::core
