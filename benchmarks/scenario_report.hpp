// What every scenario program shares: rows of pairwise measurements, and the JSON line at the end.
// SPDX-License-Identifier: BSL-1.0
//
// A row is measured in rounds; each round takes our figure and the floor's right after each other,
// so that a ratio within one round is little disturbed by what else the machine does. `ours` and
// `floor` are medians over the rounds, `ratio` is the median of the rounds' ratios.
#pragma once

#include <boost/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace scenario {

/// The scenario is over: what it needs is not there, or an answer was wrong.
[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "scenario: %s\n", what.c_str());
    std::exit(1);
}

/// Nearest-rank quantile. \pre !values.empty()
inline double quantile(std::vector<double> values, double q) {
    std::sort(values.begin(), values.end());
    const double rank = std::ceil(q * static_cast<double>(values.size())); // 1 is the smallest
    return values[static_cast<std::size_t>(std::max(rank, 1.0)) - 1];
}

inline double median(const std::vector<double>& values) { return quantile(values, 0.5); }

struct Row {
    std::string name, unit;
    std::size_t operations_per_round{0};
    std::vector<double> ours, floor; ///< one entry per round
    boost::json::object further;     ///< fields of this row only

    [[nodiscard]] boost::json::object json() const {
        std::vector<double> ratios;
        for (std::size_t i = 0; i < ours.size(); ++i) ratios.push_back(ours[i] / floor[i]);
        boost::json::object out{{"name", name},
                                {"unit", unit},
                                {"ours", median(ours)},
                                {"floor", median(floor)},
                                {"ratio", median(ratios)},
                                {"n", operations_per_round},
                                {"runs", ours.size()},
                                {"min", *std::min_element(ours.begin(), ours.end())},
                                {"max", *std::max_element(ours.begin(), ours.end())}};
        for (const auto& field : further) out.insert(field);
        return out;
    }
};

inline boost::json::object machine() {
    std::string model = "unknown", line;
    std::ifstream cpuinfo("/proc/cpuinfo");
    while (std::getline(cpuinfo, line))
        if (line.starts_with("model name")) {
            model = line.substr(line.find(':') + 2);
            break;
        }
    std::string kernel;
    std::ifstream release("/proc/sys/kernel/osrelease");
    std::getline(release, kernel);
    return {{"cpu", model}, {"cores", std::thread::hardware_concurrency()}, {"kernel", kernel}};
}

} // namespace scenario
