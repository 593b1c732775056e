// Everpool history: for other programs' eyes.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/history/group.hpp"
#include "everpool/performance_history_tracker.hpp"
#include "everpool/wire/json_writer.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <utility>

namespace everpool {
namespace history {

inline double milliseconds(Duration duration) noexcept {
    return std::chrono::duration<double, std::milli>(duration).count();
}

inline void export_window(std::string& out, const GroupStats& stats) {
    wire::JsonWriter json(out);
    json.number("successes", stats.successes);
    json.number("failures", stats.failures);
    json.number("success_rate", stats.success_rate.rate);
    json.number("success_rate_low", stats.success_rate.low);
    json.number("success_rate_high", stats.success_rate.high);
    if (stats.successes != 0) {
        json.number("average_ms", milliseconds(stats.average));
        json.number("min_ms", milliseconds(stats.min));
        json.number("p50_ms", milliseconds(stats.p50));
        json.number("p95_ms", milliseconds(stats.p95));
        json.number("p99_ms", milliseconds(stats.p99));
        json.number("max_ms", milliseconds(stats.max));
    }
    json.close();
}

inline void export_recent(std::string& out, const RecentStats& stats) {
    wire::JsonWriter json(out);
    json.number("operations", stats.operations);
    json.number("success_rate", stats.success_rate.rate);
    json.number("success_rate_low", stats.success_rate.low);
    json.number("success_rate_high", stats.success_rate.high);
    for (const auto& [name, value] :
         {std::pair{"duration_ms", stats.duration_ms},
          std::pair{"failure_duration_ms", stats.failure_duration_ms},
          std::pair{"queue_ms", stats.queue_ms}, std::pair{"transfer_ms", stats.transfer_ms},
          std::pair{"compute_ms", stats.compute_ms}, std::pair{"memory_bytes", stats.memory_bytes},
          std::pair{"batch_size", stats.batch_size}, std::pair{"throughput", stats.throughput}}) {
        if (value == DecayedMean{}) continue; // not known
        json.begin(name);
        wire::JsonWriter mean(out);
        mean.number("mean", value.mean);
        mean.number("variance", value.variance);
        mean.close();
    }
    json.close();
}

inline void export_series(std::string& out, const Series& series,
                          const HistoryResult<RecentStats>& recent, TimePoint now) {
    wire::JsonWriter json(out);
    json.text("model", series.model);
    json.text("browser", name_of(series.browser));
    json.text("provider", series.provider);
    json.text("operation", series.operation);
    if (!series.strategy.empty()) json.text("strategy", series.strategy);
    for (const auto& [name, window] :
         {std::pair{"minute", HistoryWindow::minute}, std::pair{"hour", HistoryWindow::hour},
          std::pair{"day", HistoryWindow::day},
          std::pair{"since_start", HistoryWindow::since_start}}) {
        Group group;
        group.add(series.numbers, window, now);
        if (group.is_empty()) continue; // nothing is not zero
        json.begin(name);
        export_window(out, group.stats({}));
    }
    if (recent) {
        json.begin("recent");
        export_recent(out, *recent);
    }
    json.close();
}

/// As short as it can be read back exactly.
template <class Number>
void export_number(std::string& out, Number value) {
    char digits[32];
    out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

/// Would a spreadsheet compute it? Full-width signs are signs in some languages' spreadsheets.
inline bool is_formula(std::string_view value) noexcept {
    constexpr std::array<std::string_view, 11> starts{
        "=", "+", "-", "@", "\t", "\r", "\n", "\uFF1D", "\uFF0B", "\uFF0D", "\uFF20"};
    value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
    return std::any_of(starts.begin(), starts.end(),
                       [&](std::string_view start) { return value.starts_with(start); });
}

/// Quoted when it has to be. What could be a formula gets a quote mark in front: names may come
/// from pages.
inline void export_cell(std::string& out, std::string_view value) {
    const bool is_disarmed = is_formula(value);
    if (!is_disarmed && value.find_first_of(",\"\r\n") == std::string_view::npos) {
        out += value;
        return;
    }
    out += is_disarmed ? "\"'" : "\"";
    for (const char character : value) {
        if (character == '"') out += '"';
        out += character;
    }
    out += '"';
}

} // namespace history

inline std::string PerformanceHistoryTracker::export_json(TimePoint now) const {
    std::string out;
    wire::JsonWriter json(out);
    json.number("version", 1);
    json.number("recorded", counts_.recorded);
    json.number("corrected", counts_.corrected);
    json.number("refused", counts_.refused);
    json.number("late", counts_.late);
    json.number("abandoned", counts_.abandoned);
    json.number("series_forgotten", counts_.series_forgotten);
    json.number("alarms", counts_.alarms);
    json.number("in_flight", in_flight({}, now).count);
    json.number("memory_bytes", memory_bytes_);
    json.begin("series");
    json.put("[");
    bool is_first = true;
    for (std::uint32_t slot = 0; slot < series_.size(); ++slot) {
        if (!series_[slot]) continue;
        if (!std::exchange(is_first, false)) json.put(",");
        history::export_series(out, *series_[slot], recent({slot, generations_[slot]}, now), now);
    }
    json.put("]");
    json.close();
    return out;
}

inline std::string PerformanceHistoryTracker::export_csv(TimePoint now) const {
    std::string out = "seconds_ago,model,browser,provider,operation,strategy,outcome,duration_ms,"
                      "queue_ms,transfer_ms,compute_ms,memory_bytes,batch_size,throughput\r\n";
    const auto number = [&](auto value) {
        out += ',';
        history::export_number(out, value);
    };
    for (std::size_t i = 0; i < entries_.size(); ++i) {
        const HistoryEntry& entry = entries_[i];
        const history::Series* series = find_series(entry.series);
        if (series == nullptr) continue;
        history::export_number(out, history::milliseconds(now - entry.completed_at) / 1000);
        const SeriesKey key = series->key();
        for (const std::string_view cell : {key.model, name_of(key.browser), key.provider,
                                            key.operation, key.strategy, name_of(entry.outcome)}) {
            out += ',';
            history::export_cell(out, cell);
        }
        for (const Duration duration : {entry.metrics.duration, entry.metrics.queue,
                                        entry.metrics.transfer, entry.metrics.compute})
            number(history::milliseconds(duration));
        number(entry.metrics.memory_bytes);
        number(entry.metrics.batch_size);
        number(entry.metrics.throughput);
        out += "\r\n";
    }
    return out;
}

} // namespace everpool
