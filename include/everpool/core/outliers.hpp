// Everpool core: which values do not belong to the others.
// SPDX-License-Identifier: BSL-1.0
//
// Median and median absolute deviation: up to half of the values may be arbitrarily wrong before
// they mislead, whereas one browser that hung for a minute moves a mean and a deviation at will.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstddef>
#include <span>
#include <vector>

namespace everpool::core {

/// The median; of an even count the mean of the middle two. Reorders the values. \pre not empty
inline double median_of(std::span<double> values) noexcept {
    assert(!values.empty());
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    if (values.size() % 2 != 0) return *middle;
    return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

struct Spread {
    double median{0};
    double deviation{0}; ///< as large as the standard deviation if the values are normal
};

/// \param scratch is overwritten
inline Spread spread_of(std::span<const double> values, std::vector<double>& scratch) {
    scratch.assign(values.begin(), values.end());
    const double median = median_of(scratch);
    for (double& value : scratch) value = std::abs(value - median);
    return {median, 1.4826 * median_of(scratch)};
}

/// The indices of values more than `threshold` deviations from the median. None if more than half
/// of the values are equal: then there is no measure of what is usual.
inline std::vector<std::size_t> mad_outliers(std::span<const double> values, double threshold = 5) {
    std::vector<std::size_t> outliers;
    if (values.empty()) return outliers;
    std::vector<double> scratch;
    const Spread spread = spread_of(values, scratch);
    if (spread.deviation <= 0) return outliers;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (std::abs(values[i] - spread.median) > threshold * spread.deviation)
            outliers.push_back(i);
    return outliers;
}

/// The values, with each that is more than `threshold` deviations from the median of its neighbours
/// replaced by that median (a Hampel filter). Each value has as many neighbours after as before it,
/// so a step stays a step where it is; up to `reach` - 1 values in a row are a spike.
inline std::vector<double> without_spikes(std::span<const double> values, std::size_t reach = 7,
                                          double threshold = 4) {
    std::vector<double> result(values.begin(), values.end());
    std::vector<double> scratch;
    for (std::size_t i = 0; i < values.size(); ++i) {
        const std::size_t begin = i < reach ? 0 : i - reach;
        const std::size_t end = std::min(values.size(), i + reach + 1);
        const Spread spread = spread_of(values.subspan(begin, end - begin), scratch);
        if (spread.deviation > 0 &&
            std::abs(values[i] - spread.median) > threshold * spread.deviation)
            result[i] = spread.median;
    }
    return result;
}

} // namespace everpool::core
