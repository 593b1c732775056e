// Everpool history: saved and loaded.
// SPDX-License-Identifier: BSL-1.0
//
//     "everhist" | version u32 | bytes of the payload u64 | payload | CRC-32C of all before u32
//
// The payload: the series from the least to the most recently used, the entries from the oldest to
// the newest, what was learnt of workers, the counts. Numbers as history/bytes.hpp writes them.
#pragma once

#include "everpool/history/bounds.hpp"
#include "everpool/history/bytes.hpp"
#include "everpool/history/numbers_codec.hpp"
#include "everpool/performance_history_tracker.hpp"

#include <algorithm>
#include <unordered_map>
#include <utility>

namespace everpool {
namespace history {

inline constexpr std::string_view file_magic = "everhist";
inline constexpr std::uint32_t file_version = 1;
inline constexpr std::size_t file_head_bytes = 20, file_tail_bytes = 4;

/// The payload, once all around it is in order.
inline HistoryResult<std::span<const std::byte>> open_file(std::span<const std::byte> bytes) {
    const auto magic = std::as_bytes(std::span(file_magic));
    if (bytes.size() >= magic.size() && !std::equal(magic.begin(), magic.end(), bytes.begin()))
        return HistoryErrc::not_a_history;
    if (bytes.size() < file_head_bytes + file_tail_bytes) return HistoryErrc::truncated;
    ByteReader head(bytes.subspan(magic.size()));
    if (head.fixed<std::uint32_t>() != file_version) return HistoryErrc::unknown_version;
    const auto payload_bytes = head.fixed<std::uint64_t>();
    const std::size_t available = bytes.size() - file_head_bytes - file_tail_bytes;
    if (payload_bytes > available) return HistoryErrc::truncated;
    if (payload_bytes < available) return HistoryErrc::damaged;
    ByteReader tail(bytes.last(file_tail_bytes));
    if (tail.fixed<std::uint32_t>() != crc32c(bytes.first(bytes.size() - file_tail_bytes)))
        return HistoryErrc::damaged;
    return bytes.subspan(file_head_bytes, available);
}

inline void write(ByteWriter& out, const HistoryEntry& entry, std::uint64_t series, TimePoint now) {
    out.count(series);
    out.fixed((now - entry.completed_at).count());
    out.fixed(static_cast<std::uint16_t>(entry.outcome));
    for (const Duration duration :
         {entry.metrics.duration, entry.metrics.queue, entry.metrics.transfer,
          entry.metrics.compute, entry.metrics.worker_age})
        out.fixed(duration.count());
    out.count(entry.metrics.memory_bytes);
    out.count(entry.metrics.batch_size);
    out.real(static_cast<double>(entry.metrics.throughput));
}

inline OperationMetrics read_metrics(ByteReader& in) {
    OperationMetrics metrics;
    for (Duration* duration : {&metrics.duration, &metrics.queue, &metrics.transfer,
                               &metrics.compute, &metrics.worker_age})
        *duration = Duration(in.fixed<Duration::rep>());
    metrics.memory_bytes = in.count();
    metrics.batch_size = static_cast<std::uint32_t>(in.count(UINT32_MAX));
    metrics.throughput = static_cast<float>(in.real(0, static_cast<double>(throughput_max)));
    if (!is_possible(metrics)) in.fail();
    return metrics;
}

inline void write(ByteWriter& out, const core::HazardModel::State& state) {
    for (const double weight : state.weights) out.real(weight);
    for (const auto& row : state.covariance)
        for (const double value : row) out.real(value);
    out.count(state.failures);
    out.count(state.minutes);
}

inline core::HazardModel::State read_hazard(ByteReader& in) {
    core::HazardModel::State state;
    constexpr double limit = 1e6;
    for (double& weight : state.weights) weight = in.real(-limit, limit);
    for (auto& row : state.covariance)
        for (double& value : row) value = in.real(-limit, limit);
    state.failures = in.count();
    state.minutes = in.count();
    return state;
}

} // namespace history

inline std::vector<std::uint32_t> PerformanceHistoryTracker::slots_by_use() const {
    std::vector<std::uint32_t> slots;
    for (std::uint32_t slot = oldest_; slot != UINT32_MAX; slot = series_[slot]->newer)
        slots.push_back(slot);
    return slots;
}

inline std::vector<std::byte> PerformanceHistoryTracker::save(TimePoint now) const {
    history::ByteWriter payload;
    std::vector<std::uint64_t> number_of(series_.size());
    const std::vector<std::uint32_t> slots = slots_by_use();
    payload.count(slots.size());
    for (std::size_t i = 0; i < slots.size(); ++i) {
        number_of[slots[i]] = i;
        const history::Series& series = *series_[slots[i]];
        for (const std::string_view name : {series.key().model, series.key().provider,
                                            series.key().operation, series.key().strategy})
            payload.text(name);
        payload.fixed(static_cast<std::uint8_t>(series.browser));
        history::write(payload, static_cast<const history::FadingNumbers&>(series.numbers), now);
        history::write(payload, series.numbers.durations, now);
    }
    std::uint64_t entry_count = 0;
    for (std::size_t i = 0; i < entries_.size(); ++i)
        entry_count += find_series(entries_[i].series) != nullptr ? 1 : 0;
    payload.count(entry_count);
    for (std::size_t i = 0; i < entries_.size(); ++i)
        if (find_series(entries_[i].series) != nullptr)
            history::write(payload, entries_[i], number_of[entries_[i].series.slot], now);
    history::write(payload, workers_.model().state());
    for (const std::uint64_t count :
         {counts_.recorded, counts_.corrected, counts_.refused, counts_.late, counts_.abandoned,
          counts_.series_forgotten, counts_.alarms})
        payload.count(count);

    history::ByteWriter file;
    for (const char character : history::file_magic)
        file.bytes.push_back(static_cast<std::byte>(character));
    file.fixed(history::file_version);
    file.fixed(static_cast<std::uint64_t>(payload.bytes.size()));
    file.bytes.insert(file.bytes.end(), payload.bytes.begin(), payload.bytes.end());
    file.fixed(history::crc32c(file.bytes));
    return std::move(file.bytes);
}

inline bool PerformanceHistoryTracker::load_series(history::ByteReader& reader,
                                                   std::vector<SeriesId>& ids, TimePoint saved_at) {
    const std::uint64_t count = reader.count();
    for (std::uint64_t i = 0; i < count && !reader.has_failed(); ++i) {
        std::array<std::string, 4> names;
        for (std::string& name : names) name = reader.text(series_name_bytes_max);
        const auto browser = reader.fixed<std::uint8_t>();
        if (browser >= browser_types.size()) reader.fail();
        history::SeriesNumbers numbers;
        history::read(reader, numbers, saved_at);
        history::read(reader, numbers.durations, saved_at);
        if (reader.has_failed()) return false;
        const std::size_t series_before = index_.size();
        const std::uint64_t forgotten_before = counts_.series_forgotten;
        const SeriesId id =
            series({names[0], static_cast<BrowserType>(browser), names[1], names[2], names[3]});
        const bool is_new =
            index_.size() + (counts_.series_forgotten - forgotten_before) == series_before + 1;
        if (id.is_none() || !is_new) return false; // not UTF-8, or the same one twice
        make_room(numbers.durations.heap_bytes(), id.slot);
        memory_bytes_ += numbers.durations.heap_bytes();
        series_[id.slot]->numbers = std::move(numbers);
        ids.push_back(id);
    }
    return !reader.has_failed();
}

inline bool PerformanceHistoryTracker::load_entries(history::ByteReader& reader,
                                                    const std::vector<SeriesId>& ids,
                                                    TimePoint saved_at) {
    const std::uint64_t count = reader.count();
    for (std::uint64_t i = 0; i < count && !reader.has_failed(); ++i) {
        const std::uint64_t series = reader.count();
        if (series >= ids.size()) return false;
        const Duration age = history::read_age(reader);
        const auto outcome = static_cast<Errc>(reader.fixed<std::uint16_t>());
        const OperationMetrics metrics = history::read_metrics(reader);
        if (reader.has_failed()) return false;
        if (find_series(ids[series]) != nullptr)
            entries_.push({history::earlier(saved_at, age), ids[series], outcome, metrics});
    }
    return !reader.has_failed();
}

inline HistoryResult<PerformanceHistoryTracker>
PerformanceHistoryTracker::load(std::span<const std::byte> bytes, TimePoint now, Duration elapsed,
                                const PerformanceHistoryConfig& config) {
    check_config(config); // whatever the bytes are
    const auto payload = history::open_file(bytes);
    if (!payload) return payload.error();
    PerformanceHistoryTracker tracker(config); // not before: it is a megabyte and more
    history::ByteReader reader(*payload);
    const TimePoint saved_at = history::earlier(now, elapsed);
    std::vector<SeriesId> ids;
    if (!tracker.load_series(reader, ids, saved_at)) return HistoryErrc::damaged;
    const std::uint64_t forgotten = tracker.counts_.series_forgotten;
    if (!tracker.load_entries(reader, ids, saved_at)) return HistoryErrc::damaged;
    tracker.workers_.model().restore(history::read_hazard(reader));
    HistoryCounts& counts = tracker.counts_;
    for (std::uint64_t* count : {&counts.recorded, &counts.corrected, &counts.refused, &counts.late,
                                 &counts.abandoned, &counts.series_forgotten, &counts.alarms})
        *count = reader.count();
    counts.series_forgotten += forgotten;
    if (reader.has_failed() || !reader.is_at_end()) return HistoryErrc::damaged;
    tracker.expire(now);
    return tracker;
}

} // namespace everpool
