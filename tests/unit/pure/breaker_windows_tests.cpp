// The two windows of a circuit breaker, by themselves.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/count_window.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/slice_window.hpp"
#include "everpool/time.hpp"
#include "support/catch.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

using namespace everpool;
using namespace everpool::core;
using namespace std::chrono_literals;

namespace {

/// An atomic that is interrupted before its next compare-and-swap, by whatever the test wants.
template <class T>
class Interrupted : public std::atomic<T> {
public:
    using std::atomic<T>::atomic;
    bool compare_exchange_strong(T& expected, T desired, std::memory_order order) noexcept {
        if (const auto interruption = std::exchange(interrupt_, nullptr)) interruption();
        return std::atomic<T>::compare_exchange_strong(expected, desired, order);
    }
    static void next_time(std::function<void()> interruption) {
        interrupt_ = std::move(interruption);
    }

private:
    static inline std::function<void()> interrupt_;
};

struct InterruptedTraits {
    template <class T>
    using Atomic = Interrupted<T>;
    static constexpr unsigned slice_count_max = 16;
};

using Interruption = Interrupted<std::uint64_t>;

constexpr CallMark success{}, failure{.is_failure = true};

} // namespace

// --- by count ------------------------------------------------------------------------------------

TEST_CASE("a call with a number but no place yet is missing; an old one is not taken for it") {
    CountWindow<InterruptedTraits> window(2);
    window.add(0, failure);
    window.add(0, success);
    CallCounts between;
    Interruption::next_time([&] { between = window.counts(0); });
    window.add(0, success); // in the place of the failure, which is not one of the last two
    CHECK(between == CallCounts{.successes = 1});
    CHECK(window.counts(0) == CallCounts{.successes = 2});
}

TEST_CASE("a thread that wakes up a lap later does not write over what is newer") {
    CountWindow<InterruptedTraits> window(2);
    Interruption::next_time([&] {
        for (int i = 0; i < 3; ++i) window.add(0, success);
    });
    window.add(0, failure); // the first of four calls, and the last to be written
    CHECK(window.counts(0) == CallCounts{.successes = 2});
}

TEST_CASE("a window of calls agrees with a list of the last so many, over epochs") {
    for (const std::size_t size : {1U, 2U, 7U, 64U}) {
        CountWindow<BreakerTraits> window(size);
        std::deque<std::pair<std::uint32_t, CallMark>> list;
        Prng prng(size);
        std::uint32_t epoch = BreakerWord::epoch_mask - 3; // which wraps
        for (int i = 0; i < 2'000; ++i) {
            if (prng.ratio(1, 40)) epoch = (epoch + 1) & BreakerWord::epoch_mask;
            const CallMark mark{.is_failure = prng.ratio(1, 3), .is_slow = prng.ratio(1, 5)};
            window.add(epoch, mark);
            list.emplace_back(epoch, mark);
            if (list.size() > size) list.pop_front();
            CallCounts expected;
            for (const auto& [of, call] : list)
                if (of == epoch) expected.add(call);
            CAPTURE(size, i);
            REQUIRE(window.counts(epoch) == expected);
        }
    }
}

// --- by time -------------------------------------------------------------------------------------

TEST_CASE("a window of time slides: what it holds is that of its length, give or take a slice") {
    for (const Duration length : {Duration(1ms), Duration(1s), Duration(10s), Duration(60s),
                                  Duration(77s), Duration(24h)}) {
        SliceWindow<BreakerTraits> window(length, 3);
        const Duration step = window.slice_duration();
        CAPTURE(length.count(), step.count());
        CHECK(step >= length / 16);
        CHECK(step <= length / 8 + 1ns);
        const std::atomic<std::uint64_t> authority{BreakerWord{}.pack()};
        std::vector<TimePoint> times;
        Prng prng(1);
        TimePoint now{1000h};
        for (int i = 0; i < 3'000; ++i) {
            // Mostly small steps; now and then a pause of up to three windows.
            const Duration most = prng.ratio(1, 50) ? 3 * length : length / 20;
            now += Duration(static_cast<Duration::rep>(prng.below(most.count())));
            window.add(i % 3, 0, authority, now, failure);
            times.push_back(now);
            std::uint64_t surely = 0, at_most = 0;
            for (const TimePoint time : times) {
                surely += time > now - (length - step) ? 1 : 0;
                at_most += time > now - (length + step) ? 1 : 0;
            }
            const std::uint64_t counted = window.counts(0, now).failures;
            REQUIRE(counted >= surely);
            REQUIRE(counted <= at_most);
        }
        CHECK(window.totals().failures == 3'000);
    }
}

TEST_CASE("a clock that goes back loses no call from the totals, and judges none twice") {
    SliceWindow<BreakerTraits> window(60s, 1);
    const std::atomic<std::uint64_t> authority{BreakerWord{}.pack()};
    Prng prng(2);
    for (std::uint64_t i = 1; i <= 5'000; ++i) {
        const auto offset = static_cast<Duration::rep>(prng.below(600'000'000'000));
        const TimePoint now{1000h + Duration(offset)};
        window.add(0, 0, authority, now, success);
        REQUIRE(window.totals().successes == i);
        REQUIRE(window.counts(0, now).calls() <= i);
    }
}

TEST_CASE("a thread that is held up while its slice is begun anew adds to the totals alone") {
    SliceWindow<InterruptedTraits> window(60s, 1);
    const Interruption authority{BreakerWord{}.pack()};
    const TimePoint now{1000h};
    const Duration round = 16 * window.slice_duration();
    Interruption::next_time([&] { window.add(0, 0, authority, now + round, success); });
    window.add(0, 0, authority, now, failure); // a round late by now
    CHECK(window.counts(0, now + round) == CallCounts{.successes = 1});
    CHECK(window.totals() == CallCounts{.successes = 1, .failures = 1});
}
