// SPDX-License-Identifier: BSL-1.0
#include "facade/recent_count.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace everpool;
using namespace std::chrono_literals;
using everpool::facade::RecentCount;

TEST_CASE("what has happened counts for a minute") {
    RecentCount count;
    const TimePoint begin{100h};
    CHECK(count.count(begin) == 0);
    count.add(begin);
    count.add(begin + 500ms);
    count.add(begin + 30s);
    CHECK(count.count(begin + 30s) == 3);
    CHECK(count.count(begin + 59s) == 3);
    CHECK(count.count(begin + 60s) == 1);
    CHECK(count.count(begin + 89s) == 1);
    CHECK(count.count(begin + 90s) == 0);
}

TEST_CASE("a second that stands where an older one stood begins anew") {
    RecentCount count;
    const TimePoint begin{100h};
    for (int i = 0; i < 5; ++i) count.add(begin);
    count.add(begin + 64s); // the same word
    CHECK(count.count(begin + 64s) == 1);
}

TEST_CASE("nothing is counted of before the clock's beginning") {
    RecentCount count;
    CHECK(count.count(TimePoint{}) == 0);
    count.add(TimePoint{});
    CHECK(count.count(TimePoint{}) == 1);
    CHECK(count.count(TimePoint{} + 59s) == 1);
    CHECK(count.count(TimePoint{} + 60s) == 0);
}
