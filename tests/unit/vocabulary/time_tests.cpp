// SPDX-License-Identifier: BSL-1.0
#include "everpool/time.hpp"

#include "support/catch.hpp"

using namespace std::chrono_literals;
using everpool::later;
using everpool::never;
using everpool::TimePoint;

TEST_CASE("later adds, and saturates at never") {
    const TimePoint now{1000ns};
    CHECK(later(now, 5ns) == TimePoint{1005ns});
    CHECK(later(now, everpool::Duration::max()) == never);
    CHECK(later(never, 1ns) == never);
    CHECK(later(never, 0ns) == never);
}

TEST_CASE("later can be asked before the clock's epoch, where never is off by more than it has") {
    const TimePoint early{-1000ns};
    CHECK(later(early, 5ns) == TimePoint{-995ns});
    CHECK(later(early, everpool::Duration::max()) == TimePoint{everpool::Duration::max() - 1000ns});
    CHECK(later(TimePoint::min(), 0ns) == TimePoint::min());
}
