// How much memory a thousand series take when every window is full and every bin is there.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/performance_history_tracker.hpp"
#include "support/catch.hpp"

#include <malloc.h>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <string>

using namespace everpool;
using namespace std::chrono_literals;

namespace {

/// What the allocator has given out; 0 where it does not tell (under sanitizers).
std::size_t heap_bytes() {
    const auto info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

} // namespace

TEST_CASE("a thousand series with full windows take at most 64 MiB") {
    constexpr std::size_t limit = 64 << 20;
    const std::size_t before = heap_bytes();
    PerformanceHistoryTracker history;
    REQUIRE(history.config().memory_bytes_max == limit);
    TimePoint now{1000h};
    // A step of each window's slice in turn, so that all fifteen slices and all bins are used. Two
    // values a bin apart, from a microsecond to most of a minute, and all the way back.
    constexpr Duration steps[] = {5h, 12min, 12s};
    for (int round = 0; round < 15; ++round) {
        now += steps[round / 5];
        for (int number = 0; number < 1000; ++number) {
            const std::string model = "a model with a long name, number " + std::to_string(number);
            const SeriesId id =
                history.series({model, BrowserType::chromium, "webgpu", "inference"});
            for (int i = 0; i < 20; ++i) {
                const double exponent = 17.5 * (i * 15 + round) / 299.0;
                const auto duration = static_cast<Duration::rep>(1000 * std::exp(exponent));
                history.record(id, Errc::ok, {.duration = Duration(duration)}, now);
            }
        }
    }
    const std::size_t taken = heap_bytes() - before;
    const auto mebibytes = [](std::size_t bytes) { return static_cast<double>(bytes) / (1 << 20); };
    std::cout << history.series_count() << " series: " << mebibytes(history.memory_bytes())
              << " MiB counted, " << mebibytes(taken) << " MiB of the heap\n";
    CHECK(history.series_count() == 1000);
    CHECK(history.counts().series_forgotten == 0);
    const auto stats =
        history.stats({.model = "a model with a long name, number 7"}, HistoryWindow::minute, now);
    REQUIRE(stats);
    CHECK(stats->successes >= 100); // five slices of twenty
    CHECK(history.memory_bytes() <= limit);
    if (taken != 0) {
        CHECK(taken <= limit);
        // What is counted is what is taken, but for the allocator's rounding.
        CHECK(static_cast<double>(history.memory_bytes()) > 0.95 * static_cast<double>(taken));
    }
}
