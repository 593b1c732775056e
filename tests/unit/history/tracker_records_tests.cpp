// What the tracker keeps, for how long, and what it does at each of its limits. The names beginning
// with "complaint" are what users of other libraries suffered from.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "everpool/performance_history_tracker.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"
#include "tracker_series.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

OperationMetrics took(Duration duration) { return {.duration = duration}; }

} // namespace

TEST_CASE("an operation is started, completed, and found in the statistics of its series") {
    PerformanceHistoryTracker history;
    const StartedOperation operation = history.start(history.series(bert), start);
    CHECK(history.in_flight({}, start + 2s).count == 1);
    CHECK(history.in_flight({.model = "bert"}, start + 2s).oldest_age == 2s);
    CHECK(history.in_flight({.model = "vit"}, start + 2s).count == 0);
    CHECK(history.complete(operation, Errc::ok, {.compute = 9ms}, start + 12ms));
    CHECK(history.in_flight({}, start + 12ms).count == 0);
    const auto stats = history.stats({.model = "bert"}, HistoryWindow::minute, start + 12ms);
    REQUIRE(stats);
    CHECK(stats->successes == 1);
    CHECK(stats->average == 12ms);
    CHECK(stats->p99 == 12ms);
    REQUIRE(history.entries().size() == 1);
    CHECK(history.entries()[0].metrics.compute == 9ms);
}

TEST_CASE("no data is an error and never a zero") {
    PerformanceHistoryTracker history;
    CHECK(history.stats({}, HistoryWindow::hour, start).error() == HistoryErrc::no_data);
    const SeriesId id = history.series(bert);
    CHECK(history.quantile(id, HistoryWindow::hour, 0.5, start).error() == HistoryErrc::no_data);
    history.record(id, Errc::device_lost, took(1ms), start);
    CHECK(history.quantile(id, HistoryWindow::hour, 0.5, start).error() ==
          HistoryErrc::no_successes);
    CHECK_THROWS_WITH(history.stats({.model = "vit"}, HistoryWindow::hour, start).value(),
                      "everpool history: no_data");
}

TEST_CASE("a success rate comes with what chance may have done to it") {
    PerformanceHistoryTracker history;
    for (int i = 0; i < 3; ++i) history.record(bert, Errc::ok, took(1ms), start);
    const RateEstimate few = history.stats({}, HistoryWindow::hour, start)->success_rate;
    CHECK(few.rate == 1);
    CHECK(few.low < 0.5); // three of three prove little
    for (int i = 0; i < 997; ++i) history.record(bert, Errc::ok, took(1ms), start);
    CHECK(history.stats({}, HistoryWindow::hour, start)->success_rate.low > 0.99);
}

TEST_CASE("a cancelled or misspelt request is an entry, and counts neither for nor against") {
    PerformanceHistoryTracker history;
    for (const Errc outcome : {Errc::cancelled, Errc::unknown_model, Errc::queue_full})
        CHECK(history.record(bert, outcome, took(1ms), start));
    CHECK(history.entries().size() == 3);
    CHECK(history.stats({}, HistoryWindow::hour, start).error() == HistoryErrc::no_data);
}

TEST_CASE("statistics are told apart by browser, model, operation and strategy") {
    PerformanceHistoryTracker history;
    history.record(bert, Errc::ok, took(10ms), start);
    history.record(vit, Errc::ok, took(30ms), start);
    history.record(vit, Errc::worker_lost, took(1ms), start);
    history.record({"", BrowserType::chromium, "", "recovery", "restart"}, Errc::ok, took(2s),
                   start);
    const auto now = start + 1s;
    const auto browsers = history.stats_by_browser(HistoryWindow::minute, now);
    REQUIRE(browsers.size() == 2);
    CHECK(browsers[0].name == "chromium");
    CHECK(browsers[0].failures == 1);
    CHECK(browsers[1].name == "firefox");
    const auto models = history.stats_by_model(HistoryWindow::minute, now);
    REQUIRE(models.size() == 2);
    CHECK(models[1].name == "vit");
    CHECK(models[1].success_rate.rate == 0.5);
    const auto operations = history.stats_by_operation(HistoryWindow::minute, now);
    REQUIRE(operations.size() == 2);
    CHECK(operations[0].successes == 2);
    const auto strategies = history.stats_by_strategy(HistoryWindow::minute, now);
    REQUIRE(strategies.size() == 1);
    CHECK(strategies[0].name == "restart");
    CHECK(strategies[0].average == 2s);
}

TEST_CASE("entries are bounded by count and by age") {
    PerformanceHistoryTracker history({.entry_count_max = 10, .entry_age_max = 1min});
    for (int i = 0; i < 25; ++i) history.record(bert, Errc::ok, took(i * 1ms), start + i * 1s);
    REQUIRE(history.entries().size() == 10);
    CHECK(history.entries()[0].metrics.duration == 15ms);
    history.expire(start + 80s);
    CHECK(history.entries().size() == 5);
    history.expire(start + 1h);
    CHECK(history.entries().size() == 0);
    CHECK(history.stats({}, HistoryWindow::day, start + 1h)->successes == 25);
}

TEST_CASE("beyond the count of series the least recently used is forgotten, and its id is stale") {
    PerformanceHistoryTracker history({.series_count_max = 2});
    const SeriesId first = history.series(bert), second = history.series(vit);
    history.record(first, Errc::ok, took(1ms), start);
    history.series({"third", BrowserType::edge, "wasm", "inference"});
    CHECK(history.series_count() == 2);
    CHECK(history.counts().series_forgotten == 1);
    CHECK(history.record(first, Errc::ok, took(1ms), start));
    CHECK_FALSE(history.record(second, Errc::ok, took(1ms), start));
    CHECK(history.counts().refused == 1);
    CHECK(history.series(vit) != second);
}

TEST_CASE("memory stays below its cap whatever is recorded") {
    const PerformanceHistoryConfig config{.entry_count_max = 100,
                                          .series_count_max = 1000,
                                          .memory_bytes_max = 300'000,
                                          .started_count_max = 10};
    PerformanceHistoryTracker history(config);
    core::Prng prng(8);
    for (int i = 0; i < 20'000; ++i) {
        const std::string model = "model " + std::to_string(prng.below(200));
        history.record({model, BrowserType::edge, "wasm", "inference"}, Errc::ok,
                       took(Duration(1LL << prng.below(45))), start + i * 1s);
        REQUIRE(history.memory_bytes() <= config.memory_bytes_max);
    }
    CHECK(history.counts().series_forgotten > 0);
    CHECK(history.counts().recorded == 20'000);
}

TEST_CASE("an operation that takes long is kept, however many others start and end meanwhile") {
    PerformanceHistoryTracker history({.started_count_max = 8});
    const SeriesId id = history.series(bert);
    const StartedOperation slow = history.start(id, start);
    for (int i = 0; i < 100; ++i)
        CHECK(history.complete(history.start(id, start + i * 1s), Errc::ok, {}, start + i * 1s));
    CHECK(history.in_flight({}, start + 100s).count == 1);
    CHECK(history.complete(slow, Errc::ok, {}, start + 100s));
    CHECK(history.counts().abandoned == 0);
    CHECK(history.entries().back().metrics.duration == 100s);
}

TEST_CASE("metrics that cannot be true are recorded as the nearest that can, and counted") {
    PerformanceHistoryTracker history;
    const SeriesId id = history.series(bert);
    const float not_a_number = std::numeric_limits<float>::quiet_NaN();
    const float infinite = std::numeric_limits<float>::infinity();
    history.record(id, Errc::ok, {.duration = 5ms, .throughput = not_a_number}, start);
    history.record(id, Errc::ok, {.duration = -5ms, .queue = Duration::min()}, start);
    history.record(id, Errc::ok, {.duration = Duration::max(), .throughput = infinite}, start);
    history.record(id, Errc::worker_lost, {.duration = 5ms, .memory_bytes = UINT64_MAX}, start);
    CHECK(history.counts().recorded == 4);
    CHECK(history.counts().corrected == 4);
    CHECK(history.entries()[0].metrics.throughput == 0);
    CHECK(history.entries()[1].metrics.duration == 0ms);
    CHECK(history.entries()[1].metrics.queue == 0ms);
    const auto stats = history.stats({}, HistoryWindow::minute, start);
    CHECK(stats->min == 0ms);
    CHECK(stats->max > 24h * 365 * 100);
    const auto recent = history.recent(id, start);
    CHECK(std::isfinite(recent->throughput.mean));
    CHECK(std::isfinite(recent->throughput.variance));
    // One such page must not make the file of all others unreadable.
    CHECK(PerformanceHistoryTracker::load(history.save(start), start));
}

TEST_CASE("an operation that ends before it began took no time") {
    PerformanceHistoryTracker history;
    const StartedOperation operation = history.start(history.series(bert), start);
    CHECK(history.complete(operation, Errc::ok, {}, start - 1s));
    const auto stats = history.stats({}, HistoryWindow::minute, start);
    CHECK(stats->average == 0s);
    CHECK(stats->p99 == 0s);
    CHECK(history.counts().corrected == 0); // it was not the caller who said so
}

TEST_CASE("what is recent is the decayed mean and variance of each metric") {
    PerformanceHistoryTracker history({.half_life = 10min});
    const SeriesId id = history.series(bert);
    CHECK(history.recent(id, start).error() == HistoryErrc::no_data);
    CHECK(history.recent({}, start).error() == HistoryErrc::no_data);
    core::Prng prng(9);
    std::vector<std::pair<TimePoint, double>> values;
    TimePoint now = start;
    for (int i = 0; i < 200; ++i, now += Duration(prng.below(60'000'000'000))) {
        const std::uint64_t ms = 10 + prng.below(100);
        values.emplace_back(now, static_cast<double>(ms));
        history.record(id, Errc::ok,
                       {.duration = ms * 1ms, .queue = ms * 2ms, .memory_bytes = ms << 20}, now);
        history.record(id, Errc::worker_lost, took(ms * 3ms), now);
    }
    now += 7min;
    double weight = 0, mean = 0, variance = 0;
    const auto weight_of = [&](TimePoint at) {
        return std::exp2(-std::chrono::duration<double>(now - at) / 10min);
    };
    for (const auto& [at, value] : values) weight += weight_of(at);
    for (const auto& [at, value] : values) mean += weight_of(at) * value / weight;
    for (const auto& [at, value] : values)
        variance += weight_of(at) * (value - mean) * (value - mean) / weight;
    const auto recent = history.recent(id, now);
    REQUIRE(recent);
    CHECK(recent->operations == Approx(2 * weight));
    CHECK(recent->success_rate.rate == Approx(0.5));
    CHECK(recent->duration_ms.mean == Approx(mean));
    CHECK(recent->duration_ms.variance == Approx(variance));
    CHECK(recent->queue_ms.mean == Approx(2 * mean));
    CHECK(recent->queue_ms.variance == Approx(4 * variance));
    CHECK(recent->memory_bytes.mean == Approx(mean * (1 << 20)));
    CHECK(recent->failure_duration_ms.mean == Approx(3 * mean));
    CHECK_FALSE(recent->last_alarm);
    CHECK(history.recent(id, now + 24h * 365).error() == HistoryErrc::no_data); // all faded
}

TEST_CASE("whoever keeps entries for ever may say so") {
    PerformanceHistoryTracker history(
        {.entry_age_max = Duration::max(), .started_age_max = Duration::max()});
    const StartedOperation operation = history.start(history.series(bert), TimePoint{-1h});
    CHECK(history.complete(operation, Errc::ok, {}, start));
    CHECK(history.analyze_performance_trends({}, Duration::max(), start)->entries_analyzed == 1);
    CHECK(history.analyze_performance_trends({}, -1h, start)->entries_analyzed == 1); // now only
}

TEST_CASE("a name that is too long is refused") {
    PerformanceHistoryTracker history;
    const std::string name(series_name_bytes_max + 1, 'x');
    CHECK_FALSE(history.record({name, BrowserType::edge, "", ""}, Errc::ok, took(1ms), start));
    CHECK(history.counts().refused == 1);
    CHECK(history.series_count() == 0);
}

TEST_CASE("a configuration that is out of range is refused by name") {
    CHECK_THROWS_WITH(PerformanceHistoryTracker({.entry_count_max = 0}),
                      "PerformanceHistoryConfig::entry_count_max must be 1 to 1,000,000");
    CHECK_THROWS_WITH(PerformanceHistoryTracker({.memory_bytes_max = 1000}),
                      "PerformanceHistoryConfig::memory_bytes_max must hold the entries and one "
                      "series");
    CHECK_THROWS(PerformanceHistoryTracker({.half_life = 0s}));
    CHECK_THROWS(PerformanceHistoryTracker({.p_value_max = 0.5}));
}

TEST_CASE("a lasting rise of the duration raises the alarm of its series") {
    PerformanceHistoryTracker history;
    const SeriesId id = history.series(bert);
    TimePoint now = start;
    for (int i = 0; i < 200; ++i, now += 1s)
        history.record(id, Errc::ok, took(10ms + (i % 5) * 100us), now);
    CHECK(history.counts().alarms == 0);
    for (int i = 0; i < 30; ++i, now += 1s)
        history.record(id, Errc::ok, took(11ms + (i % 5) * 100us), now);
    CHECK(history.counts().alarms >= 1);
    const auto alarm = history.recent(id, now)->last_alarm;
    REQUIRE(alarm);
    CHECK(alarm->at > start + 200s);
    CHECK(alarm->direction == TrendDirection::degrading);
}

// --- what users of other libraries complain of ---------------------------------------------------

TEST_CASE("complaint: a call that never reports its end is not remembered for ever") {
    PerformanceHistoryTracker history({.started_count_max = 8, .started_age_max = 1min});
    const SeriesId id = history.series(bert);
    history.start(id, start);
    history.expire(start + 2min);
    CHECK(history.in_flight({}, start + 2min).count == 0);
    CHECK(history.counts().abandoned == 1);
    for (int i = 0; i < 20; ++i) history.start(id, start + 3min);
    CHECK(history.in_flight({}, start + 3min).count == 8);
    CHECK(history.counts().abandoned == 13);
}

TEST_CASE("complaint: a result that comes late or twice does not count") {
    PerformanceHistoryTracker history({.started_age_max = 1min});
    const SeriesId id = history.series(bert);
    const StartedOperation late = history.start(id, start);
    CHECK_FALSE(history.complete(late, Errc::worker_lost, {}, start + 2min));
    CHECK(history.counts().abandoned == 1);
    const StartedOperation twice = history.start(id, start + 2min);
    CHECK(history.complete(twice, Errc::ok, {}, start + 121s));
    CHECK_FALSE(history.complete(twice, Errc::ok, {}, start + 121s));
    CHECK_FALSE(history.complete({}, Errc::ok, {}, start + 121s));
    CHECK(history.counts().late == 3);
    CHECK(history.stats({}, HistoryWindow::hour, start + 121s)->successes == 1);
}

TEST_CASE("complaint: a result of a forgotten series does not count for who has its place now") {
    PerformanceHistoryTracker history({.series_count_max = 1});
    const StartedOperation old = history.start(history.series(bert), start);
    history.series(vit);
    CHECK_FALSE(history.complete(old, Errc::device_lost, {}, start + 1s));
    CHECK(history.stats({}, HistoryWindow::hour, start + 1s).error() == HistoryErrc::no_data);
}

TEST_CASE("complaint: a window that starts anew cuts the rate in two") {
    PerformanceHistoryTracker history;
    const SeriesId id = history.series(bert);
    TimePoint now = start;
    for (int second = 0; second < 300; ++second, now += 1s) {
        history.record(id, second % 2 == 0 ? Errc::ok : Errc::worker_lost, took(5ms), now);
        if (second < 60) continue;
        const auto stats = history.stats({}, HistoryWindow::minute, now);
        CHECK(stats->success_rate.rate == Approx(0.5).margin(0.02));
        CHECK(stats->successes + stats->failures >= 48);
    }
}

TEST_CASE(
    "complaint: a call that is longer than the window is not lost, nor unseen while it runs") {
    PerformanceHistoryTracker history;
    const SeriesId id = history.series(bert);
    const StartedOperation operation = history.start(id, start);
    CHECK(history.in_flight({}, start + 5min).count == 1);
    CHECK(history.in_flight({}, start + 5min).oldest_age == 5min);
    CHECK(history.complete(operation, Errc::ok, {}, start + 5min));
    CHECK(history.stats({}, HistoryWindow::minute, start + 5min)->average == 5min);
}
