// Everpool history: trends, changes of level, and where failures gather.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/change_points.hpp"
#include "everpool/core/outliers.hpp"
#include "everpool/core/trend.hpp"
#include "everpool/history/bounds.hpp"
#include "everpool/history/estimate_rate.hpp"
#include "everpool/performance_history_tracker.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <map>
#include <numeric>
#include <span>
#include <tuple>
#include <utility>

namespace everpool {

template <class Visit>
void PerformanceHistoryTracker::visit_entries(const HistoryFilter& filter, Duration window,
                                              TimePoint now, Visit visit) const {
    std::vector<char> is_admitted(series_.size());
    for (std::size_t slot = 0; slot < series_.size(); ++slot)
        is_admitted[slot] = series_[slot] && filter.admits(series_[slot]->key());
    for (std::size_t i = entries_.find(history::earlier(now, window)); i < entries_.size(); ++i) {
        const HistoryEntry& entry = entries_[i];
        if (!is_admitted[entry.series.slot] || !is_evidence(entry.outcome)) continue;
        const history::Series& series = *series_[entry.series.slot];
        // A place is used again after a series was forgotten, and its entries with it.
        if (series.generation == entry.series.generation) visit(entry, series.key());
    }
}

namespace history {

inline double mean_of(std::span<const double> values) noexcept {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Fills in what follows from the durations. \pre durations_ms is not empty
inline void describe_durations(std::span<const double> hours, std::span<const double> durations_ms,
                               double p_value_max, TrendReport& report) {
    const auto [least, most] = std::minmax_element(durations_ms.begin(), durations_ms.end());
    report.min_duration_ms = *least;
    report.max_duration_ms = *most;
    report.avg_duration_ms = mean_of(durations_ms);
    report.avg_recent_duration_ms = report.avg_oldest_duration_ms = report.avg_duration_ms;
    constexpr std::size_t end_count = 10;
    if (durations_ms.size() >= end_count) {
        report.avg_oldest_duration_ms = mean_of(durations_ms.first(end_count));
        report.avg_recent_duration_ms = mean_of(durations_ms.last(end_count));
        if (report.avg_oldest_duration_ms > 0)
            report.improvement_rate =
                (report.avg_oldest_duration_ms - report.avg_recent_duration_ms) /
                report.avg_oldest_duration_ms;
    }
    const core::Trend trend = core::find_trend(hours, durations_ms);
    report.slope_ms_per_hour = trend.slope;
    report.p_value = trend.p_value;
    if (trend.p_value < p_value_max && trend.slope != 0) {
        report.trend_magnitude = std::abs(trend.slope);
        report.trend_direction =
            trend.slope > 0 ? TrendDirection::degrading : TrendDirection::improving;
    }
    report.outlier_count = core::mad_outliers(durations_ms).size();
}

/// Bounds of the ages at which workers are told apart.
inline std::string_view age_band(Duration age) noexcept {
    using namespace std::chrono_literals;
    return age < 1min ? "< 1 min" : age < 10min ? "1-10 min" : age < 1h ? "10-60 min" : "> 1 h";
}

/// P(at least `here` of `failures` fall among `operations` of `total`) if it does not matter where.
inline double gathering_p_value(std::uint64_t here, std::uint64_t failures,
                                std::uint64_t operations, std::uint64_t total) {
    const auto log_choose = [](std::uint64_t n, std::uint64_t k) {
        const auto of = [](std::uint64_t x) { return core::log_gamma(static_cast<double>(x) + 1); };
        return of(n) - of(k) - of(n - k);
    };
    double p_value = 0;
    for (std::uint64_t k = here; k <= std::min(failures, operations); ++k)
        if (failures - k <= total - operations)
            p_value +=
                std::exp(log_choose(operations, k) + log_choose(total - operations, failures - k) -
                         log_choose(total, failures));
    return std::min(p_value, 1.0);
}

/// Counts operations and failures by dimension and value.
class PatternCounter {
public:
    void add(const HistoryEntry& entry, const SeriesKey& key) {
        ++total_;
        if (entry.outcome != Errc::ok) ++failures_[entry.outcome];
        const std::array<std::pair<const char*, std::string_view>, 5> places{
            {{"browser", name_of(key.browser)},
             {"model", key.model},
             {"provider", key.provider},
             {"operation", key.operation},
             {"worker_age", entry.metrics.worker_age > Duration{}
                                ? age_band(entry.metrics.worker_age)
                                : std::string_view{}}}};
        for (const auto& [dimension, value] : places) {
            if (value.empty()) continue; // not known
            Place& place = places_[{dimension, value}];
            ++place.operations;
            if (entry.outcome != Errc::ok) ++place.failures[entry.outcome];
        }
    }

    [[nodiscard]] std::vector<FailurePattern> patterns() const {
        constexpr std::uint64_t failures_min = 3;
        constexpr double p_value_max = 0.01;
        const auto is_asked = [&](const auto& place) { return place.second.operations != total_; };
        const auto places = std::count_if(places_.begin(), places_.end(), is_asked);
        const double questions =
            static_cast<double>(places) * static_cast<double>(failures_.size());
        std::vector<FailurePattern> result;
        for (const auto& [where, place] : places_)
            for (const auto& [category, here] : place.failures) {
                if (here < failures_min || place.operations == total_) continue;
                const std::uint64_t all = failures_.at(category);
                const double p_value =
                    gathering_p_value(here, all, place.operations, total_) * questions;
                if (p_value >= p_value_max) continue;
                result.push_back({.category = category,
                                  .dimension = where.first,
                                  .value = std::string(where.second),
                                  .failures = here,
                                  .operations = place.operations,
                                  .rate = share(here, place.operations),
                                  .rate_elsewhere = share(all - here, total_ - place.operations),
                                  .p_value = p_value});
            }
        std::stable_sort(result.begin(), result.end(),
                         [](const auto& a, const auto& b) { return a.p_value < b.p_value; });
        return result;
    }

private:
    struct Place {
        std::uint64_t operations{0};
        std::map<Errc, std::uint64_t> failures;
    };
    static double share(std::uint64_t part, std::uint64_t whole) noexcept {
        return static_cast<double>(part) / static_cast<double>(whole);
    }

    std::uint64_t total_{0};
    std::map<Errc, std::uint64_t> failures_;
    std::map<std::pair<std::string, std::string_view>, Place> places_;
};

} // namespace history

inline HistoryResult<TrendReport>
PerformanceHistoryTracker::analyze_performance_trends(const HistoryFilter& filter, Duration window,
                                                      TimePoint now) const {
    TrendReport report{.window = window};
    std::vector<double> hours, durations_ms;
    std::vector<TimePoint> times;
    TimePoint first_at{};
    visit_entries(filter, window, now, [&](const HistoryEntry& entry, const SeriesKey&) {
        ++report.entries_analyzed;
        if (entry.outcome != Errc::ok) return;
        using Hours = std::chrono::duration<double, std::ratio<3600>>;
        using Milliseconds = std::chrono::duration<double, std::milli>;
        if (times.empty()) first_at = entry.completed_at;
        hours.push_back(Hours(entry.completed_at - first_at).count());
        durations_ms.push_back(Milliseconds(entry.metrics.duration).count());
        times.push_back(entry.completed_at);
    });
    if (report.entries_analyzed == 0) return HistoryErrc::no_data;
    if (durations_ms.empty()) return HistoryErrc::no_successes;
    const auto successes = static_cast<double>(durations_ms.size());
    report.success_rate =
        history::estimate_rate(successes, static_cast<double>(report.entries_analyzed) - successes);
    history::describe_durations(hours, durations_ms, config_.p_value_max, report);
    for (const core::ChangePoint& point :
         core::find_change_points(durations_ms, {.p_value_max = config_.p_value_max}))
        report.change_points.push_back({.at = times[point.index],
                                        .before_ms = point.mean_before,
                                        .after_ms = point.mean_after,
                                        .p_value = point.p_value});
    return report;
}

inline std::vector<FailurePattern>
PerformanceHistoryTracker::failure_patterns(const HistoryFilter& filter, Duration window,
                                            TimePoint now) const {
    history::PatternCounter counter;
    visit_entries(filter, window, now, [&](const HistoryEntry& entry, const SeriesKey& key) {
        counter.add(entry, key);
    });
    return counter.patterns();
}

} // namespace everpool
