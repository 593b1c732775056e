// Everpool history: what another host has recorded, added to ours.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/performance_history_tracker.hpp"

#include <cassert>
#include <utility>

namespace everpool {

inline void PerformanceHistoryTracker::merge_series(const history::Series& theirs, SeriesId id,
                                                    TimePoint now) {
    history::SeriesNumbers& ours = series_[id.slot]->numbers;
    const std::size_t before = ours.durations.heap_bytes();
    // At worst theirs lies so far from ours that all bins are needed.
    make_room(core::SlidingSketch::bin_count_max * sizeof(core::SlidingSketch::Row) - before,
              id.slot);
    ours.durations.merge(theirs.numbers.durations, now);
    memory_bytes_ += ours.durations.heap_bytes() - before;

    ours.age(decay_, now);
    history::FadingNumbers other = theirs.numbers;
    other.fade(decay_.factor(now - other.updated_at));
    ours.merged_successes += other.successes + other.merged_successes;
    ours.merged_failures += other.failures + other.merged_failures;
    ours.merged_duration_ms.merge(other.duration_ms);
    ours.merged_duration_ms.merge(other.merged_duration_ms);
}

inline void PerformanceHistoryTracker::merge_entries(const PerformanceHistoryTracker& other,
                                                     const std::vector<SeriesId>& ids) {
    history::EntryRing both(config_.entry_count_max);
    std::size_t ours = 0, theirs = 0;
    while (ours < entries_.size() || theirs < other.entries_.size()) {
        const bool is_ours = theirs == other.entries_.size() ||
                             (ours < entries_.size() &&
                              entries_[ours].completed_at <= other.entries_[theirs].completed_at);
        if (is_ours) {
            both.push(entries_[ours++]);
            continue;
        }
        HistoryEntry entry = other.entries_[theirs++];
        if (other.find_series(entry.series) == nullptr) continue;
        entry.series = ids[entry.series.slot];
        both.push(entry);
    }
    entries_ = std::move(both);
}

inline void PerformanceHistoryTracker::merge(const PerformanceHistoryTracker& other,
                                             TimePoint now) {
    assert(&other != this);
    std::vector<SeriesId> ids(other.series_.size());
    for (const std::uint32_t slot : other.slots_by_use()) {
        ids[slot] = series(other.series_[slot]->key());
        merge_series(*other.series_[slot], ids[slot], now);
    }
    merge_entries(other, ids);
    counts_.recorded += other.counts_.recorded;
    counts_.corrected += other.counts_.corrected;
    counts_.refused += other.counts_.refused;
    counts_.late += other.counts_.late;
    counts_.abandoned += other.counts_.abandoned;
    counts_.alarms += other.counts_.alarms;
    expire(now);
}

} // namespace everpool
