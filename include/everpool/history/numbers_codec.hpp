// Everpool history: how the numbers of a series are written down.
// SPDX-License-Identifier: BSL-1.0
//
// Slices of a window are numbered by time, and time differs between processes: they are written
// with their age in slices, and find their columns again when they are read.
#pragma once

#include "everpool/history/bounds.hpp"
#include "everpool/history/bytes.hpp"
#include "everpool/history/series.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace everpool::history {

// Far more than anything measured, and so little that no sum or square of them overflows: what came
// from a file may lie, but must not become infinite or no number later.
inline constexpr double weight_max = 1e12, value_max = 1e15, deviation_max = 1e42;
inline constexpr double nanoseconds_max = 9e18; // fits a Duration

inline void write(ByteWriter& out, const core::DecayedMoments& moments) {
    out.real(moments.weight);
    out.real(moments.square_sum);
    out.real(moments.mean);
    out.real(moments.deviation);
}

inline core::DecayedMoments read_moments(ByteReader& in) {
    core::DecayedMoments moments;
    moments.weight = in.real(0, weight_max);
    moments.square_sum = in.real(0, weight_max);
    moments.mean = in.real(-value_max, value_max);
    moments.deviation = in.real(0, deviation_max);
    return moments;
}

/// Not negative, and so little that times before and after it can be told apart without overflow.
inline Duration read_age(ByteReader& in) noexcept {
    constexpr Duration age_max = std::chrono::hours(24 * 365 * 100);
    return std::clamp(Duration(in.fixed<Duration::rep>()), Duration{}, age_max);
}

inline void write(ByteWriter& out, const FadingNumbers& numbers, TimePoint now) {
    write(out, numbers.duration_ms);
    write(out, numbers.failure_duration_ms);
    write(out, numbers.merged_duration_ms);
    for (const double mean : numbers.metric_means) out.real(mean);
    for (const double deviation : numbers.metric_deviations) out.real(deviation);
    for (const double value : {numbers.successes, numbers.failures, numbers.merged_successes,
                               numbers.merged_failures, numbers.alarm.up, numbers.alarm.down})
        out.real(value);
    out.fixed((now - numbers.updated_at).count());
    out.fixed(static_cast<std::uint8_t>(numbers.last_alarm));
    out.fixed((now - numbers.last_alarm_at).count());
}

inline void read(ByteReader& in, FadingNumbers& numbers, TimePoint saved_at) {
    numbers.duration_ms = read_moments(in);
    numbers.failure_duration_ms = read_moments(in);
    numbers.merged_duration_ms = read_moments(in);
    for (double& mean : numbers.metric_means) mean = in.real(-value_max, value_max);
    for (double& deviation : numbers.metric_deviations) deviation = in.real(0, deviation_max);
    for (double* value : {&numbers.successes, &numbers.failures, &numbers.merged_successes,
                          &numbers.merged_failures, &numbers.alarm.up, &numbers.alarm.down})
        *value = in.real(0, weight_max);
    numbers.updated_at = earlier(saved_at, read_age(in));
    const auto alarm = in.fixed<std::uint8_t>();
    if (alarm > static_cast<std::uint8_t>(core::CusumAlarm::down)) in.fail();
    numbers.last_alarm = static_cast<core::CusumAlarm>(alarm);
    numbers.last_alarm_at = earlier(saved_at, read_age(in));
}

/// Where the column's slice stands in time: in which window, and its number now.
inline std::int64_t slice_number(std::size_t column, TimePoint at) noexcept {
    if (column == core::SlidingSketch::last_column) return 0;
    const auto window = static_cast<HistoryWindow>(column / core::SlidingSketch::slice_count);
    return core::SlidingSketch::slice_number(window, at);
}

inline void write(ByteWriter& out, const core::SlidingSketch& sketch, TimePoint now) {
    using Sketch = core::SlidingSketch;
    std::array<bool, Sketch::column_count> is_written{};
    for (std::size_t column = 0; column < Sketch::column_count; ++column) {
        const Sketch::Slice& slice = sketch.slices()[column];
        const std::int64_t age =
            slice.number == Sketch::unused ? -1 : slice_number(column, now) - slice.number;
        const bool is_kept = age >= 0 && age < static_cast<std::int64_t>(Sketch::slice_count);
        out.fixed(static_cast<std::uint8_t>(is_kept ? age : 0xff));
        if (!is_kept) continue;
        is_written[column] = true;
        out.count(slice.counts.successes);
        out.count(slice.counts.failures);
        out.real(slice.counts.sum);
        const bool has_values = slice.counts.successes != 0;
        out.real(has_values ? slice.counts.min : 0);
        out.real(has_values ? slice.counts.max : 0);
    }
    out.fixed(sketch.first_bin());
    out.count(sketch.rows().size());
    for (const Sketch::Row& row : sketch.rows())
        for (std::size_t column = 0; column < Sketch::column_count; ++column)
            out.count(is_written[column] ? row[column] : 0);
}

inline void read(ByteReader& in, core::SlidingSketch& sketch, TimePoint saved_at) {
    using Sketch = core::SlidingSketch;
    std::array<Sketch::Slice, Sketch::column_count> slices{};
    std::array<std::size_t, Sketch::column_count> place{}; // by column as written
    std::array<bool, Sketch::column_count> is_kept{};
    for (std::size_t column = 0; column < Sketch::column_count; ++column) {
        const auto age = in.fixed<std::uint8_t>();
        if (age == 0xff) continue;
        if (age >= (column == Sketch::last_column ? 1 : Sketch::slice_count)) in.fail();
        Sketch::Slice slice{.number = slice_number(column, saved_at) - age};
        slice.counts.successes = in.count();
        slice.counts.failures = in.count();
        slice.counts.sum = in.real(
            0, nanoseconds_max * std::max(1.0, static_cast<double>(slice.counts.successes)));
        const double min = in.real(0, nanoseconds_max), max = in.real(min, nanoseconds_max);
        if (slice.counts.successes != 0) {
            slice.counts.min = min;
            slice.counts.max = max;
        }
        place[column] =
            column == Sketch::last_column
                ? column
                : Sketch::column_of(static_cast<HistoryWindow>(column / Sketch::slice_count),
                                    slice.number);
        if (slices[place[column]].number != Sketch::unused) in.fail(); // two of the same age
        is_kept[column] = true;
        slices[place[column]] = slice;
    }
    constexpr std::int32_t bin_max = 4000; // more than any duration reaches
    const auto first_bin = in.fixed<std::int32_t>();
    if (first_bin < -bin_max || first_bin > bin_max) in.fail();
    const auto row_count = static_cast<std::size_t>(in.count(Sketch::bin_count_max));
    if (row_count % Sketch::rows_per_batch != 0) in.fail();
    std::vector<Sketch::Row> rows;
    for (std::size_t i = 0; i < row_count && !in.has_failed(); ++i) {
        rows.emplace_back();
        for (std::size_t column = 0; column < Sketch::column_count; ++column) {
            const auto count = static_cast<std::uint32_t>(in.count(UINT32_MAX));
            if (!is_kept[column]) continue;
            rows.back()[place[column]] = count;
            slices[place[column]].binned += count;
        }
    }
    rows.shrink_to_fit();
    for (const Sketch::Slice& slice : slices) // a quantile is asked for where there is a success
        if ((slice.counts.successes == 0) != (slice.binned == 0) ||
            slice.binned > slice.counts.successes)
            in.fail();
    if (!in.has_failed()) sketch.restore(first_bin, std::move(rows), slices);
}

} // namespace everpool::history
