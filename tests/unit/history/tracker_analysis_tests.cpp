// SPDX-License-Identifier: BSL-1.0
#include "change_point_series.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/performance_history_tracker.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"
#include "tracker_series.hpp"

#include <chrono>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

/// One operation a second for half an hour; `base_ms(i)` and 5 % noise.
template <class Base>
PerformanceHistoryTracker recorded(Base base_ms) {
    PerformanceHistoryTracker history;
    core::Prng prng(11);
    for (int i = 0; i < 1800; ++i) {
        const double ms = base_ms(i) * (1 + 0.05 * test::normal(prng));
        history.record(bert, Errc::ok, {.duration = Duration(static_cast<Duration::rep>(ms * 1e6))},
                       start + i * 1s);
    }
    return history;
}
constexpr TimePoint end = start + 30min;

} // namespace

TEST_CASE("a model that gets slower is degrading, by so many ms per hour") {
    const auto history = recorded([](int i) { return 20 + 4 * i / 1800.0; });
    const auto report = history.analyze_performance_trends({.model = "bert"}, 1h, end);
    REQUIRE(report);
    CHECK(report->entries_analyzed == 1800);
    CHECK(report->trend_direction == TrendDirection::degrading);
    CHECK(report->slope_ms_per_hour == Approx(8).epsilon(0.1));
    CHECK(report->trend_magnitude == report->slope_ms_per_hour);
    CHECK(report->p_value < 0.001);
    CHECK(report->avg_duration_ms == Approx(22).epsilon(0.02));
    CHECK(report->avg_oldest_duration_ms == Approx(20).epsilon(0.05));
    CHECK(report->avg_recent_duration_ms == Approx(24).epsilon(0.05));
    CHECK(report->improvement_rate == Approx(-0.2).margin(0.07));
    CHECK(report->min_duration_ms < report->avg_duration_ms);
    CHECK(report->max_duration_ms > report->avg_duration_ms);
    CHECK(report->success_rate.rate == 1);
}

TEST_CASE("a model that gets faster is improving") {
    const auto history = recorded([](int i) { return 24 - 4 * i / 1800.0; });
    const auto report = history.analyze_performance_trends({}, 1h, end);
    CHECK(report->trend_direction == TrendDirection::improving);
    CHECK(report->improvement_rate > 0.1);
}

// A regression line through noise always has a slope, and would call every model one or the other.
TEST_CASE("noise is stable, with a magnitude of zero") {
    const auto history = recorded([](int) { return 20.0; });
    const auto report = history.analyze_performance_trends({}, 1h, end);
    CHECK(report->trend_direction == TrendDirection::stable);
    CHECK(report->trend_magnitude == 0);
    CHECK(report->slope_ms_per_hour != 0);
    CHECK(report->change_points.empty());
    CHECK(report->outlier_count == 0);
}

TEST_CASE("ten operations of which each takes longer are enough, whatever the window") {
    PerformanceHistoryTracker history;
    for (int i = 0; i < 10; ++i)
        history.record(bert, Errc::ok, {.duration = 10ms + i * 1ms}, start + i * 1min);
    for (const Duration window : {Duration(1h), Duration::max()}) {
        const auto report = history.analyze_performance_trends({}, window, start + 10min);
        CHECK(report->trend_direction == TrendDirection::degrading);
        CHECK(report->slope_ms_per_hour == Approx(60));
        CHECK(report->p_value < 1e-4);
    }
}

TEST_CASE("a change of level is reported with its time and both levels") {
    const auto history = recorded([](int i) { return i < 900 ? 20.0 : 24.0; });
    const auto report = history.analyze_performance_trends({}, 1h, end);
    REQUIRE(report->change_points.size() == 1);
    CHECK(report->change_points[0].at >= start + 895s);
    CHECK(report->change_points[0].at <= start + 905s);
    CHECK(report->change_points[0].before_ms == Approx(20).epsilon(0.02));
    CHECK(report->change_points[0].after_ms == Approx(24).epsilon(0.02));
}

TEST_CASE("only what the filter admits and the window covers is analysed") {
    auto history = recorded([](int) { return 20.0; });
    history.record(vit, Errc::ok, {.duration = 1s}, end);
    CHECK(history.analyze_performance_trends({.model = "vit"}, 1h, end)->entries_analyzed == 1);
    CHECK(history.analyze_performance_trends({.browser = BrowserType::firefox}, 10min, end)
              ->entries_analyzed == 600);
    CHECK(history.analyze_performance_trends({.provider = "webnn"}, 1h, end).error() ==
          HistoryErrc::no_data);
    CHECK(
        history.analyze_performance_trends({.operation = "inference"}, 1h, end)->entries_analyzed ==
        1801);
}

TEST_CASE("operations that all failed are no success, and no data is no data") {
    PerformanceHistoryTracker history;
    CHECK(history.analyze_performance_trends({}, 1h, start).error() == HistoryErrc::no_data);
    history.record(bert, Errc::device_lost, {.duration = 1ms}, start);
    CHECK(history.analyze_performance_trends({}, 1h, start).error() == HistoryErrc::no_successes);
    history.record(bert, Errc::ok, {.duration = 5ms}, start);
    const auto report = history.analyze_performance_trends({}, 1h, start);
    CHECK(report->avg_duration_ms == Approx(5)); // the failure's duration is no latency
    CHECK(report->success_rate.rate == 0.5);
    CHECK(report->avg_recent_duration_ms == report->avg_oldest_duration_ms);
}

TEST_CASE("entries of a forgotten series are not taken for those of its place's next owner") {
    PerformanceHistoryTracker history({.series_count_max = 1});
    history.record(bert, Errc::ok, {.duration = 5ms}, start);
    history.record(vit, Errc::ok, {.duration = 50ms}, start);
    CHECK(history.entries().size() == 2);
    CHECK(history.analyze_performance_trends({}, 1h, start)->entries_analyzed == 1);
}

TEST_CASE(
    "failures that gather on a browser and on old workers are found, scattered ones are not") {
    PerformanceHistoryTracker history;
    core::Prng prng(12);
    for (int i = 0; i < 2000; ++i) {
        const SeriesKey key{i % 2 == 0 ? "bert" : "vit",
                            prng.ratio(1, 2) ? BrowserType::firefox : BrowserType::edge, "webgpu",
                            "inference"};
        const Duration age = prng.ratio(1, 5) ? 2h : 5min;
        Errc outcome = prng.ratio(2, 100) ? Errc::operation_failed : Errc::ok; // anywhere
        if (key.browser == BrowserType::firefox && prng.ratio(5, 100)) outcome = Errc::device_lost;
        if (age == 2h && prng.ratio(6, 100)) outcome = Errc::worker_lost;
        history.record(key, outcome, {.duration = 5ms, .worker_age = age}, start + i * 1s);
    }
    const auto patterns = history.failure_patterns({}, 1h, start + 2000s);
    REQUIRE(patterns.size() == 2);
    for (const FailurePattern& pattern : patterns) {
        CHECK(pattern.p_value < 0.01);
        CHECK(pattern.rate > 4 * pattern.rate_elsewhere);
        if (pattern.category == Errc::device_lost) {
            CHECK(pattern.dimension == "browser");
            CHECK(pattern.value == "firefox");
        } else {
            CHECK(pattern.category == Errc::worker_lost);
            CHECK(pattern.dimension == "worker_age");
            CHECK(pattern.value == "> 1 h");
        }
    }
}
