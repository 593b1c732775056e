// Everpool history: sums and quantiles of groups of series.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/history/group.hpp"
#include "everpool/performance_history_tracker.hpp"

#include <algorithm>
#include <map>

namespace everpool {

inline HistoryResult<GroupStats> PerformanceHistoryTracker::stats(const HistoryFilter& filter,
                                                                  HistoryWindow window,
                                                                  TimePoint now) const {
    history::Group group;
    for (const auto& series : series_)
        if (series && filter.admits(series->key())) group.add(series->numbers, window, now);
    if (group.is_empty()) return HistoryErrc::no_data;
    return group.stats({});
}

inline HistoryResult<Duration> PerformanceHistoryTracker::quantile(SeriesId id,
                                                                   HistoryWindow window, double q,
                                                                   TimePoint now) const {
    const history::Series* series = find_series(id);
    if (series == nullptr) return HistoryErrc::no_data;
    const core::SlidingSketch& durations = series->numbers.durations;
    const auto counts = durations.counts(window, now);
    if (counts.successes == 0)
        return counts.failures == 0 ? HistoryErrc::no_data : HistoryErrc::no_successes;
    return durations.quantile(window, q, now);
}

inline std::vector<GroupStats> PerformanceHistoryTracker::grouped(
    HistoryWindow window, TimePoint now,
    const std::function<std::string_view(const SeriesKey&)>& name) const {
    std::map<std::string_view, history::Group> groups;
    for (const auto& series : series_)
        if (series)
            if (const std::string_view group = name(series->key()); !group.empty())
                groups[group].add(series->numbers, window, now);
    std::vector<GroupStats> result;
    for (const auto& [group, numbers] : groups)
        if (!numbers.is_empty()) result.push_back(numbers.stats(std::string(group)));
    return result;
}

inline std::vector<GroupStats> PerformanceHistoryTracker::stats_by_browser(HistoryWindow window,
                                                                           TimePoint now) const {
    return grouped(window, now, [](const SeriesKey& key) { return name_of(key.browser); });
}
inline std::vector<GroupStats> PerformanceHistoryTracker::stats_by_model(HistoryWindow window,
                                                                         TimePoint now) const {
    return grouped(window, now, [](const SeriesKey& key) { return key.model; });
}
inline std::vector<GroupStats> PerformanceHistoryTracker::stats_by_operation(HistoryWindow window,
                                                                             TimePoint now) const {
    return grouped(window, now, [](const SeriesKey& key) { return key.operation; });
}
inline std::vector<GroupStats> PerformanceHistoryTracker::stats_by_strategy(HistoryWindow window,
                                                                            TimePoint now) const {
    return grouped(window, now, [](const SeriesKey& key) { return key.strategy; });
}

inline InFlight PerformanceHistoryTracker::in_flight(const HistoryFilter& filter,
                                                     TimePoint now) const {
    InFlight result;
    for (const history::StartedTable::Started& started : started_.slots()) {
        if (started.id.value == 0 || now - started.at > config_.started_age_max) continue;
        const history::Series* series = find_series(started.series);
        if (series == nullptr || !filter.admits(series->key())) continue;
        ++result.count;
        result.oldest_age = std::max(result.oldest_age, now - started.at);
    }
    return result;
}

} // namespace everpool
