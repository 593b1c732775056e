// Everpool history: sums and quantiles of groups of series.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/history/bounds.hpp"
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

inline HistoryResult<RecentStats> PerformanceHistoryTracker::recent(SeriesId id,
                                                                    TimePoint now) const {
    const history::Series* series = find_series(id);
    if (series == nullptr) return HistoryErrc::no_data;
    history::FadingNumbers numbers = series->numbers;
    numbers.age(decay_, now);
    if (numbers.successes + numbers.failures <= 0) return HistoryErrc::no_data;
    const auto mean_of = [](const core::DecayedMoments& moments) {
        if (moments.weight <= 0) return DecayedMean{};
        return DecayedMean{.mean = moments.mean, .variance = moments.variance()};
    };
    const auto metric = [&](history::Metric which) { return mean_of(numbers.metric(which)); };
    RecentStats stats{.operations = numbers.successes + numbers.failures,
                      .success_rate = history::estimate_rate(numbers.successes, numbers.failures),
                      .duration_ms = mean_of(numbers.duration_ms),
                      .queue_ms = metric(history::Metric::queue),
                      .transfer_ms = metric(history::Metric::transfer),
                      .compute_ms = metric(history::Metric::compute),
                      .memory_bytes = metric(history::Metric::memory),
                      .batch_size = metric(history::Metric::batch),
                      .throughput = metric(history::Metric::throughput),
                      .failure_duration_ms = mean_of(numbers.failure_duration_ms)};
    if (numbers.last_alarm != core::CusumAlarm::none)
        stats.last_alarm = {.at = numbers.last_alarm_at,
                            .direction = numbers.last_alarm == core::CusumAlarm::up
                                             ? TrendDirection::degrading
                                             : TrendDirection::improving};
    return stats;
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
    const TimePoint oldest = history::earlier(now, config_.started_age_max);
    started_.visit([&](const history::StartedTable::Started& started) {
        const history::Series* series = find_series(started.series);
        if (started.at < oldest || series == nullptr || !filter.admits(series->key())) return;
        ++result.count;
        result.oldest_age = std::max(result.oldest_age, now - started.at);
    });
    return result;
}

} // namespace everpool
