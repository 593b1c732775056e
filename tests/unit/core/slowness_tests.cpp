// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/slowness.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;

namespace {

/// Two workers do the same kind of work in turn.
struct Work {
    TimePoint now{1h};
    Slowness slowness{2, 1};

    /// \return whether worker 0 is found to be slow
    bool both(int times, Duration first, Duration second) {
        bool is_slow = false;
        for (int i = 0; i < times; ++i) {
            now += 100ms;
            is_slow |= slowness.add(0, 0, first, now);
            (void)slowness.add(1, 0, second, now);
        }
        return is_slow;
    }
};

} // namespace

TEST_CASE("a worker is slow if it takes longer than it did, and another one does not") {
    Work work;
    CHECK_FALSE(work.both(60, 10ms, 10ms));
    CHECK(work.both(60, 100ms, 10ms));
}

TEST_CASE("that another worker begins anew makes nobody wait for what it had done before") {
    Work work;
    CHECK_FALSE(work.both(2000, 10ms, 10ms));
    CHECK_FALSE(work.both(20, 100ms, 10ms)); // an alarm, and not for long enough yet
    work.slowness.forget(1);
    CHECK(work.both(60, 100ms, 10ms));
}
