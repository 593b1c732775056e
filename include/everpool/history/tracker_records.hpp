// Everpool history: how the tracker records, and what it forgets for the limits' sake.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/history/bounds.hpp"
#include "everpool/performance_history_tracker.hpp"
#include "everpool/utf8.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

namespace everpool {

inline const PerformanceHistoryConfig&
PerformanceHistoryTracker::check_config(const PerformanceHistoryConfig& config) {
    const auto check = [](bool is_good, const char* what) {
        if (!is_good) throw std::invalid_argument(std::string("PerformanceHistoryConfig::") + what);
    };
    const auto is_within = [](auto value, auto low, auto high) {
        return value >= low && value <= high;
    };
    check(is_within(config.entry_count_max, 1U, 1'000'000U),
          "entry_count_max must be 1 to 1,000,000");
    check(config.entry_age_max > Duration{}, "entry_age_max must be > 0");
    check(is_within(config.series_count_max, 1U, 65'536U), "series_count_max must be 1 to 65,536");
    check(is_within(config.started_count_max, 1U, 1'000'000U),
          "started_count_max must be 1 to 1,000,000");
    check(config.started_age_max > Duration{}, "started_age_max must be > 0");
    check(config.half_life > Duration{}, "half_life must be > 0");
    check(config.failure_cost >= Duration{}, "failure_cost must be >= 0");
    check(config.p_value_max > 0 && config.p_value_max < 0.5,
          "p_value_max must be above 0 and below 0.5");
    check(config.merged_evidence_max >= 0, "merged_evidence_max must be >= 0");
    const std::size_t one_series =
        series_bytes + 4 * series_name_bytes_max +
        core::SlidingSketch::bin_count_max * sizeof(core::SlidingSketch::Row);
    const std::size_t least = config.entry_count_max * sizeof(HistoryEntry) +
                              config.started_count_max * sizeof(history::StartedTable::Started) +
                              one_series;
    check(config.memory_bytes_max >= least,
          "memory_bytes_max must hold the entries and one series");
    return config;
}

inline PerformanceHistoryTracker::PerformanceHistoryTracker(PerformanceHistoryConfig config)
    : config_(check_config(config)),
      decay_(config.half_life),
      entries_(config.entry_count_max),
      started_(config.started_count_max),
      memory_bytes_(config.entry_count_max * sizeof(HistoryEntry) +
                    config.started_count_max * sizeof(history::StartedTable::Started)) {}

inline SeriesId PerformanceHistoryTracker::series(const SeriesKey& key) {
    if (const auto found = index_.find(key); found != index_.end()) {
        unlink(found->second);
        link_newest(found->second);
        return {found->second, generations_[found->second]};
    }
    for (const std::string_view name : {key.model, key.provider, key.operation, key.strategy})
        if (name.size() > series_name_bytes_max || !is_utf8(name)) {
            ++counts_.refused;
            return {};
        }
    // The longest names are reserved for: what a string takes is the standard library's affair.
    make_room(series_bytes + 4 * (series_name_bytes_max + 1), UINT32_MAX);
    if (index_.size() >= config_.series_count_max) forget(oldest_);
    auto slot = static_cast<std::uint32_t>(series_.size());
    if (free_slots_.empty()) {
        series_.emplace_back();
        generations_.push_back(0);
    } else {
        slot = free_slots_.back();
        free_slots_.pop_back();
    }
    series_[slot] = std::make_unique<history::Series>();
    history::Series& made = *series_[slot];
    made.model = key.model;
    made.browser = key.browser;
    made.provider = key.provider;
    made.operation = key.operation;
    made.strategy = key.strategy;
    made.generation = ++generations_[slot];
    index_.emplace(made.key(), slot);
    memory_bytes_ += series_bytes + made.name_bytes();
    link_newest(slot);
    return {slot, made.generation};
}

inline StartedOperation PerformanceHistoryTracker::start(SeriesId series, TimePoint now) {
    if (find_series(series) == nullptr) {
        ++counts_.refused;
        return {};
    }
    return started_.add(series, now, counts_.abandoned);
}

inline bool PerformanceHistoryTracker::complete(StartedOperation operation, Errc outcome,
                                                OperationMetrics metrics, TimePoint now) {
    expire(now);
    const auto started = started_.take(operation);
    if (!started) {
        ++counts_.late;
        return false;
    }
    if (metrics.duration == Duration{}) metrics.duration = std::max(now - started->at, Duration{});
    return record(started->series, outcome, metrics, now);
}

inline bool PerformanceHistoryTracker::record(const SeriesKey& key, Errc outcome,
                                              const OperationMetrics& metrics, TimePoint now) {
    const SeriesId id = series(key);
    return !id.is_none() && record(id, outcome, metrics, now);
}

inline bool PerformanceHistoryTracker::record(SeriesId id, Errc outcome,
                                              const OperationMetrics& metrics, TimePoint now) {
    if (history::is_possible(metrics)) [[likely]]
        return record_possible(id, outcome, metrics, now);
    const bool is_recorded = record_possible(id, outcome, history::make_possible(metrics), now);
    counts_.corrected += is_recorded ? 1 : 0;
    return is_recorded;
}

inline bool PerformanceHistoryTracker::record_possible(SeriesId id, Errc outcome,
                                                       const OperationMetrics& metrics,
                                                       TimePoint now) {
    history::Series* series = use(id);
    if (series == nullptr) {
        ++counts_.refused;
        return false;
    }
    ++counts_.recorded;
    entries_.push({now, id, outcome, metrics});
    history::SeriesNumbers& numbers = series->numbers;
    if (outcome == Errc::ok) {
        if (const std::size_t growth = numbers.durations.growth_bytes(metrics.duration);
            growth != 0) [[unlikely]]
            make_room(growth, id.slot);
        count_success(numbers, metrics, now);
    } else if (is_evidence(outcome)) {
        numbers.age(decay_, now);
        numbers.failures += 1;
        numbers.failure_duration_ms.add(static_cast<double>(metrics.duration.count()) * 1e-6);
        numbers.durations.record_failure(now);
    }
    expire(now);
    return true;
}

inline void PerformanceHistoryTracker::count_success(history::SeriesNumbers& numbers,
                                                     const OperationMetrics& metrics,
                                                     TimePoint now) {
    constexpr double ms_per_ns = 1e-6;
    numbers.age(decay_, now);
    const double duration_ms = static_cast<double>(metrics.duration.count()) * ms_per_ns;
    // Judged by what was expected before it came, and not before there is an expectation.
    constexpr double expected_from = 30;
    const core::DecayedMoments& durations = numbers.duration_ms;
    if (durations.weight >= expected_from && durations.deviation > 0) {
        const core::CusumAlarm alarm = numbers.alarm.add(
            (duration_ms - durations.mean) * std::sqrt(durations.weight / durations.deviation));
        if (alarm != core::CusumAlarm::none) [[unlikely]] {
            numbers.last_alarm = alarm;
            numbers.last_alarm_at = now;
            ++counts_.alarms;
        }
    }
    const std::array<double, history::metric_count> values{
        static_cast<double>(metrics.queue.count()) * ms_per_ns,
        static_cast<double>(metrics.transfer.count()) * ms_per_ns,
        static_cast<double>(metrics.compute.count()) * ms_per_ns,
        static_cast<double>(metrics.memory_bytes),
        static_cast<double>(metrics.batch_size),
        static_cast<double>(metrics.throughput)};
    numbers.add_success(duration_ms, values);
    const std::size_t before = numbers.durations.heap_bytes();
    numbers.durations.record_success(metrics.duration, now);
    memory_bytes_ += numbers.durations.heap_bytes() - before;
}

inline void PerformanceHistoryTracker::expire(TimePoint now) {
    entries_.drop_before(history::earlier(now, config_.entry_age_max));
    counts_.abandoned += started_.drop_before(history::earlier(now, config_.started_age_max));
}

inline const history::Series* PerformanceHistoryTracker::find_series(SeriesId id) const noexcept {
    if (id.slot >= series_.size()) return nullptr;
    const history::Series* series = series_[id.slot].get();
    return series != nullptr && series->generation == id.generation ? series : nullptr;
}

inline history::Series* PerformanceHistoryTracker::use(SeriesId id) noexcept {
    if (find_series(id) == nullptr) return nullptr;
    if (newest_ != id.slot) {
        unlink(id.slot);
        link_newest(id.slot);
    }
    return series_[id.slot].get();
}

inline void PerformanceHistoryTracker::link_newest(std::uint32_t slot) noexcept {
    series_[slot]->newer = UINT32_MAX;
    series_[slot]->older = newest_;
    if (newest_ != UINT32_MAX) series_[newest_]->newer = slot;
    newest_ = slot;
    if (oldest_ == UINT32_MAX) oldest_ = slot;
}

inline void PerformanceHistoryTracker::unlink(std::uint32_t slot) noexcept {
    const history::Series& series = *series_[slot];
    (series.newer == UINT32_MAX ? newest_ : series_[series.newer]->older) = series.older;
    (series.older == UINT32_MAX ? oldest_ : series_[series.older]->newer) = series.newer;
}

inline void PerformanceHistoryTracker::forget(std::uint32_t slot) {
    const history::Series& series = *series_[slot];
    unlink(slot);
    index_.erase(series.key());
    memory_bytes_ -= series_bytes + series.name_bytes() + series.numbers.durations.heap_bytes();
    series_[slot].reset();
    free_slots_.push_back(slot);
    ++counts_.series_forgotten;
}

inline void PerformanceHistoryTracker::make_room(std::size_t bytes, std::uint32_t kept) {
    while (memory_bytes_ + bytes > config_.memory_bytes_max && oldest_ != UINT32_MAX &&
           oldest_ != kept)
        forget(oldest_);
}

} // namespace everpool
