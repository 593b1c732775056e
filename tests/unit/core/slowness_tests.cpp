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

namespace {

/// Two workers do operations of a millisecond as fast as they can; one of them runs for a part of
/// each 100 ms only from some time on.
class SharedProcessor {
public:
    /// Worker 0 runs `runs` of each 100 ms, for so long. \return whether it is found to be slow
    bool work(Duration time, Duration runs) {
        bool is_slow = false;
        for (const TimePoint end = now_ + time; now_ < end; now_ += 1ms) {
            (void)slowness_.add(1, 0, 1ms, now_);
            waited_ += 1ms;
            if (now_.time_since_epoch() % 100ms >= runs) continue;
            is_slow |= slowness_.add(0, 0, waited_, now_);
            waited_ = {};
        }
        return is_slow;
    }

private:
    TimePoint now_{1h};
    Slowness slowness_{2, 1};
    Duration waited_{};
};

} // namespace

TEST_CASE("a worker that gets a processor for a twentieth of the time is slow") {
    SharedProcessor processor;
    CHECK_FALSE(processor.work(10s, 100ms));
    CHECK(processor.work(10s, 5ms)); // and four of five operations take what they always took
}

TEST_CASE("a worker that stands still for half the time is not, if nobody feels it") {
    SharedProcessor processor;
    CHECK_FALSE(processor.work(10s, 100ms));
    CHECK_FALSE(processor.work(10s, 50ms));
}

TEST_CASE("a worker that stands still for a second is not slow afterwards") {
    SharedProcessor processor;
    CHECK_FALSE(processor.work(10s, 100ms));
    CHECK_FALSE(processor.work(1s, 0ms));
    CHECK_FALSE(processor.work(10s, 100ms));
}
