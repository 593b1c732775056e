// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "everpool/core/sliding_sketch.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <vector>

using namespace everpool;
using everpool::tests::start;
using namespace std::chrono_literals;
using core::Prng;
using core::SlidingSketch;

namespace {

std::uint64_t successes(const SlidingSketch& sketch, HistoryWindow window, TimePoint now) {
    return sketch.counts(window, now).successes;
}

} // namespace

TEST_CASE("a value is in every window, and leaves each when it is too old") {
    SlidingSketch sketch;
    sketch.record_success(20ms, start);
    const auto counts = [&](Duration later) {
        std::vector<std::uint64_t> result;
        for (const auto window : {HistoryWindow::minute, HistoryWindow::hour, HistoryWindow::day,
                                  HistoryWindow::since_start})
            result.push_back(successes(sketch, window, start + later));
        return result;
    };
    CHECK(counts(0s) == std::vector<std::uint64_t>{1, 1, 1, 1});
    CHECK(counts(48s) == std::vector<std::uint64_t>{1, 1, 1, 1});
    CHECK(counts(61s) == std::vector<std::uint64_t>{0, 1, 1, 1});
    CHECK(counts(61min) == std::vector<std::uint64_t>{0, 0, 1, 1});
    CHECK(counts(25h) == std::vector<std::uint64_t>{0, 0, 0, 1});
}

// One success a second, asked at every second: a window that began anew at each boundary would fall
// to one there, and a rate taken from it would jump.
TEST_CASE("a window slides: it never starts from nothing") {
    SlidingSketch sketch;
    TimePoint now = start;
    for (int second = 0; second < 600; ++second, now += 1s) {
        sketch.record_success(10ms, now);
        if (second < 60) continue;
        CHECK(successes(sketch, HistoryWindow::minute, now) >= 48);
        CHECK(successes(sketch, HistoryWindow::minute, now) <= 60);
    }
}

TEST_CASE("quantiles of a window are within 1 % of the exact ones, and only of that window") {
    SlidingSketch sketch;
    for (int i = 0; i < 1000; ++i) sketch.record_success(5s, start - 10min); // before the minute
    Prng prng(1);
    std::vector<double> values;
    for (int i = 0; i < 5000; ++i) {
        const auto duration =
            Duration(1'000'000 + static_cast<Duration::rep>(prng.below(99'000'000)));
        sketch.record_success(duration, start + i * 5ms);
        values.push_back(static_cast<double>(duration.count()));
    }
    std::sort(values.begin(), values.end());
    const TimePoint now = start + 25s;
    for (const double q : {0.0, 0.01, 0.25, 0.5, 0.51, 0.9, 0.99, 1.0}) {
        const double exact = values[static_cast<std::size_t>(q * 4999)];
        const Duration found = sketch.quantile(HistoryWindow::minute, q, now);
        CHECK(static_cast<double>(found.count()) == Approx(exact).epsilon(0.0101));
    }
    CHECK(sketch.quantile(HistoryWindow::hour, 1, now) >= 4950ms);
    CHECK(sketch.sketch(HistoryWindow::minute, now).count() == 5000);
    CHECK(sketch.sketch(HistoryWindow::hour, now).count() == 6000);
}

TEST_CASE("durations of some nanoseconds, and of none, are exact") {
    SlidingSketch sketch;
    for (int i = 0; i < 50; ++i) sketch.record_success(0ns, start);
    CHECK(sketch.quantile(HistoryWindow::minute, 0.5, start) == 0ns);
    CHECK(sketch.counts(HistoryWindow::minute, start).max == 0);
    for (int i = 1; i < 50; ++i) sketch.record_success(i * 1ns, start);
    for (int i = 1; i < 49; ++i)
        CHECK(sketch.quantile(HistoryWindow::minute, (49.1 + i) / 98, start) == i * 1ns);
}

TEST_CASE("failures are counted and have no duration") {
    SlidingSketch sketch;
    sketch.record_failure(start);
    const auto counts = sketch.counts(HistoryWindow::minute, start);
    CHECK(counts.failures == 1);
    CHECK(counts.successes == 0);
    CHECK(sketch.heap_bytes() == 0);
}

TEST_CASE("growth is foretold to the byte") {
    SlidingSketch sketch;
    Prng prng(9);
    for (int i = 0; i < 2000; ++i) {
        const auto duration = Duration(1LL << prng.below(40));
        const std::size_t foretold = sketch.heap_bytes() + sketch.growth_bytes(duration);
        sketch.record_success(duration, start);
        REQUIRE(sketch.heap_bytes() == foretold);
    }
    CHECK(sketch.heap_bytes() == SlidingSketch::bin_count_max * sizeof(SlidingSketch::Row));
}

TEST_CASE("what is far below the largest value is folded, and large quantiles stay right") {
    SlidingSketch sketch;
    for (int i = 0; i < 100; ++i) sketch.record_success(1us, start);
    for (int i = 0; i < 100; ++i) sketch.record_success(1h, start);
    sketch.record_success(2us, start);
    CHECK(successes(sketch, HistoryWindow::minute, start) == 201);
    CHECK(sketch.quantile(HistoryWindow::minute, 0.9, start) >= 3564s);
    const auto low = sketch.quantile(HistoryWindow::minute, 0.1, start);
    CHECK(low < 100us);
}

TEST_CASE("merging gives what one sketch of both would have given") {
    SlidingSketch both, one, other;
    Prng prng(4);
    TimePoint now = start;
    for (int i = 0; i < 3000; ++i, now += 50ms) {
        const auto duration =
            Duration(1'000'000 + static_cast<Duration::rep>(prng.below(50'000'000)));
        both.record_success(duration, now);
        (i % 3 == 0 ? one : other).record_success(duration, now);
    }
    one.merge(other, now);
    for (const auto window : {HistoryWindow::minute, HistoryWindow::hour, HistoryWindow::day,
                              HistoryWindow::since_start}) {
        CHECK(successes(one, window, now) == successes(both, window, now));
        for (const double q : {0.0, 0.1, 0.5, 0.95, 1.0})
            CHECK(one.quantile(window, q, now) == both.quantile(window, q, now));
    }
}

// Weeks of a busy pool: a count of 32 bits is full, and the distribution must not suffer.
TEST_CASE("counts of all time keep their proportions when they would overflow") {
    SlidingSketch sketch, doubled;
    for (int i = 0; i < 3; ++i) sketch.record_success(10ms, start);
    sketch.record_success(100ms, start);
    for (int i = 0; i < 40; ++i) { // doubles each time: 4 * 2^40 in all
        doubled = sketch;
        sketch.merge(doubled, start + 48h);
    }
    CHECK(successes(sketch, HistoryWindow::since_start, start) == (4ULL << 40));
    CHECK(sketch.quantile(HistoryWindow::since_start, 0.70, start) <= 10'100us);
    CHECK(sketch.quantile(HistoryWindow::since_start, 0.80, start) >= 99ms);
}

TEST_CASE("a value that comes late counts where the latest counts") {
    SlidingSketch sketch;
    sketch.record_success(1ms, start);
    sketch.record_success(1ms, start - 5min);
    CHECK(successes(sketch, HistoryWindow::minute, start) == 2);
}
