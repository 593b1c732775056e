// What it costs to remember an operation, and to ask.
// SPDX-License-Identifier: BSL-1.0
//
// record: one operation of a known series, with all its metrics; time passes, so that slices of the
// windows begin and entries leave meanwhile. quantile: one of a full window. analyze: trend and
// change points over 10,000 operations. The floors do the least that any such thing must do: read a
// clock, count, store the entry; sort the values to have a quantile.
//
// The counter `allocs` is allocations per operation, after everything has been used once.
#include "allocation_count.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/variates.hpp"
#include "everpool/performance_history_tracker.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace {

using namespace everpool;
using namespace std::chrono_literals;

constexpr std::size_t prepared_count = 4096;
constexpr std::size_t analyzed_count = 10'000;

/// Log-normal about 20 ms, drawn beforehand.
std::vector<Duration> make_durations(std::size_t count) {
    core::Prng prng(1);
    std::vector<Duration> durations;
    for (std::size_t i = 0; i < count; ++i)
        durations.push_back(Duration(
            static_cast<Duration::rep>(20e6 * std::exp(0.5 * core::normal_variate(prng)))));
    return durations;
}

using bench::measure;

// --- floors --------------------------------------------------------------------------------------

void floor_atomic_load(benchmark::State& state) {
    std::atomic<std::uint64_t> value{1};
    measure(state, [&] { benchmark::DoNotOptimize(value.load(std::memory_order_acquire)); });
}

void floor_fetch_add(benchmark::State& state) {
    std::atomic<std::uint64_t> count{0};
    measure(state,
            [&] { benchmark::DoNotOptimize(count.fetch_add(1, std::memory_order_relaxed)); });
}

void floor_clock(benchmark::State& state) {
    measure(state, [] { benchmark::DoNotOptimize(std::chrono::steady_clock::now()); });
}

/// The entry alone, into the ring that the tracker has.
void floor_store_entry(benchmark::State& state) {
    history::EntryRing ring(PerformanceHistoryConfig{}.entry_count_max);
    const std::vector<Duration> durations = make_durations(prepared_count);
    TimePoint now{1h};
    std::size_t i = 0;
    measure(state, [&] {
        ring.push({now += 1ms, {}, Errc::ok, {.duration = durations[i++ % prepared_count]}});
        benchmark::DoNotOptimize(ring);
    });
}

/// Without a sketch: keep the values, and select.
void floor_exact_quantile(benchmark::State& state) {
    const std::vector<Duration> durations = make_durations(analyzed_count);
    std::vector<Duration> scratch = durations;
    measure(state, [&] {
        std::copy(durations.begin(), durations.end(), scratch.begin());
        const auto nth = scratch.begin() + analyzed_count * 99 / 100;
        std::nth_element(scratch.begin(), nth, scratch.end());
        benchmark::DoNotOptimize(*nth);
    });
}

// --- ours ----------------------------------------------------------------------------------------

const SeriesKey key{"bert", BrowserType::firefox, "webgpu", "inference"};

/// A tracker that has had everything once: each slice, each bin, a full ring.
class Recorder {
public:
    Recorder() : series_(history_.series(key)) {
        for (std::size_t i = 0; i < 40'000; ++i) { // more than a day, in steps that skip no slice
            now_ += 3s;
            step();
        }
    }
    void step() {
        history_.record(series_, Errc::ok,
                        {.duration = durations_[i_++ % prepared_count],
                         .queue = 1ms,
                         .transfer = 2ms,
                         .compute = 15ms,
                         .memory_bytes = 300'000'000,
                         .batch_size = 1,
                         .throughput = 50},
                        now_ += 1ms); // a thousand operations a second
    }
    PerformanceHistoryTracker history_;
    SeriesId series_;
    TimePoint now_{1000h};

private:
    std::vector<Duration> durations_ = make_durations(prepared_count);
    std::size_t i_{0};
};

void record(benchmark::State& state) {
    Recorder recorder;
    measure(state, [&] { recorder.step(); });
}

/// The same, found by its names each time.
void record_by_name(benchmark::State& state) {
    Recorder recorder;
    measure(state, [&] {
        recorder.history_.record(key, Errc::ok, {.duration = 20ms}, recorder.now_ += 1ms);
    });
}

void quantile(benchmark::State& state) {
    Recorder recorder;
    measure(state, [&] {
        benchmark::DoNotOptimize(
            recorder.history_.quantile(recorder.series_, HistoryWindow::day, 0.99, recorder.now_));
    });
}

/// In the middle nothing is gained by beginning at an end.
void quantile_median(benchmark::State& state) {
    Recorder recorder;
    measure(state, [&] {
        benchmark::DoNotOptimize(
            recorder.history_.quantile(recorder.series_, HistoryWindow::day, 0.5, recorder.now_));
    });
}

void analyze(benchmark::State& state) {
    PerformanceHistoryTracker history;
    const SeriesId series = history.series(key);
    const std::vector<Duration> durations = make_durations(analyzed_count);
    TimePoint now{1000h};
    // A day that gets slower by a tenth, with a step in the middle.
    for (std::size_t i = 0; i < analyzed_count; ++i) {
        const auto rise =
            static_cast<Duration::rep>(i * 200 + (i < analyzed_count / 2 ? 0 : 3'000'000));
        history.record(series, Errc::ok, {.duration = durations[i] + Duration(rise)}, now += 1s);
    }
    measure(state, [&] {
        const auto report = history.analyze_performance_trends({}, 24h, now);
        if (!report || report->entries_analyzed != analyzed_count)
            state.SkipWithError("not everything was analysed");
        benchmark::DoNotOptimize(report);
    });
}

BENCHMARK(floor_atomic_load)->Name("floor/atomic_load");
BENCHMARK(floor_fetch_add)->Name("floor/fetch_add");
BENCHMARK(floor_clock)->Name("floor/steady_clock_now");
BENCHMARK(floor_store_entry)->Name("floor/store_entry");
BENCHMARK(floor_exact_quantile)->Name("floor/exact_quantile_of_10000");
BENCHMARK(record)->Name("everpool/history/record");
BENCHMARK(record_by_name)->Name("everpool/history/record_by_name");
BENCHMARK(quantile)->Name("everpool/history/quantile");
BENCHMARK(quantile_median)->Name("everpool/history/quantile_median");
BENCHMARK(analyze)->Name("everpool/history/analyze")->Unit(benchmark::kMillisecond);

} // namespace
