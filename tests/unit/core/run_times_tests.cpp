// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/run_times.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;

namespace {

/// `often` again and again, and each `period`-th time `seldom`.
RunTimes seen(int count, Duration often, int period, Duration seldom, Duration pause) {
    RunTimes out(1, 0.95, pause);
    for (int i = 1; i <= count; ++i) out.record(0, i % period == 0 ? seldom : often);
    return out;
}

} // namespace

TEST_CASE("of few run times nothing is concluded") {
    CHECK_FALSE(seen(49, 5ms, 100, 5ms, 700ms).expected(0));
    CHECK(seen(50, 5ms, 100, 5ms, 700ms).expected(0));
}

TEST_CASE("long work is granted twice its time, the pause included") {
    const RunTimes times = seen(1000, 10s, 2, 11s, 700ms);
    CHECK(times.expected(0).value() + 700ms > 22s);
    CHECK(times.expected(0).value() + 700ms < 23s);
}

TEST_CASE("short work is not granted the pause twice") {
    const RunTimes times = seen(1000, 200ms, 2, 240ms, 700ms);
    CHECK(times.expected(0).value() > 340ms - 5ms); // the sketch errs by 1 %
    CHECK(times.expected(0).value() < 340ms + 5ms);
}

TEST_CASE("a pause that is granted anyhow makes nobody wait longer for short work that hangs") {
    const RunTimes times = seen(5000, 5ms, 300, 450ms, 700ms);
    CHECK(times.expected(0).value() < 120ms);
}

TEST_CASE("what seldom takes far longer is waited for") {
    const RunTimes times = seen(5000, 5ms, 300, 5s, 700ms);
    CHECK(times.expected(0).value() + 700ms > 5s);
    CHECK(times.expected(0).value() < 5s);
}
