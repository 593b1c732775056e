// SPDX-License-Identifier: BSL-1.0
#include "everpool/adaptive_throttle.hpp"
#include "everpool/core/prng.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

using namespace everpool;
using everpool::tests::start;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t lucky = UINT64_MAX; ///< never refused

double refused_share(const AdaptiveThrottle& throttle, TimePoint now) {
    return static_cast<double>(throttle.refused_of_2_to_32(now)) / 4294967296.0;
}

} // namespace

TEST_CASE("as long as half of the calls are accepted, none is refused here") {
    AdaptiveThrottle throttle;
    for (int i = 0; i < 1000; ++i) {
        REQUIRE(throttle.try_begin(start, 0));
        if (i % 2 == 0) throttle.on_accept(start);
    }
    CHECK(refused_share(throttle, start) == 0);
}

TEST_CASE("beyond that, the share refused is (requests - K accepts) / (requests + 1)") {
    AdaptiveThrottle throttle;
    for (int i = 0; i < 99; ++i) (void)throttle.try_begin(start, lucky);
    for (int i = 0; i < 20; ++i) throttle.on_accept(start);
    CHECK(refused_share(throttle, start) == Approx((99 - 2 * 20) / 100.0).margin(1e-6));
    AdaptiveThrottle strict({.multiple_percent = 110});
    for (int i = 0; i < 99; ++i) (void)strict.try_begin(start, lucky);
    for (int i = 0; i < 20; ++i) strict.on_accept(start);
    CHECK(refused_share(strict, start) == Approx((99 - 1.1 * 20) / 100.0).margin(1e-6));
}

TEST_CASE("a peer that accepts nothing is still asked now and then") {
    AdaptiveThrottle throttle;
    core::Prng prng(1);
    int sent = 0;
    for (int i = 0; i < 100'000; ++i) sent += throttle.try_begin(start, prng.next()) ? 1 : 0;
    CHECK(sent > 9'500);
    CHECK(sent < 10'700);
}

TEST_CASE("it settles at about K times what the peer accepts, and finds back when it recovers") {
    AdaptiveThrottle throttle;
    core::Prng prng(7);
    TimePoint now = start;
    const auto second = [&](int wanted, int capacity) {
        int sent = 0;
        for (int i = 0; i < wanted; ++i) {
            now += Duration(1s) / wanted;
            if (!throttle.try_begin(now, prng.next())) continue;
            if (++sent <= capacity) throttle.on_accept(now);
        }
        return sent;
    };
    for (int i = 0; i < 120; ++i) (void)second(100, 100);
    int sent = 0;
    for (int i = 0; i < 360; ++i) sent = second(100, 10);
    CHECK(sent >= 10);
    CHECK(sent <= 35);
    for (int i = 0; i < 360; ++i) sent = second(100, 100);
    CHECK(sent == 100);
}

TEST_CASE("go-zero 5011: calls under way are seen, as they count when they begin") {
    AdaptiveThrottle throttle;
    for (int i = 0; i < 10; ++i) (void)throttle.try_begin(start, lucky); // all hang
    CHECK(refused_share(throttle, start) > 0.89);
}

TEST_CASE("what is older than the window does not count") {
    AdaptiveThrottle throttle({.window = 2min});
    for (int i = 0; i < 10; ++i) (void)throttle.try_begin(start, lucky);
    CHECK(throttle.counts(start + 110s).requests == 10);
    CHECK(throttle.counts(start + 121s).requests == 0);
    CHECK(refused_share(throttle, start + 121s) == 0);
}

TEST_CASE("a thread that was held up between its clock and here wipes out nothing newer") {
    AdaptiveThrottle throttle({.window = 160ms}); // slices of 10 ms
    for (int i = 0; i < 10; ++i) (void)throttle.try_begin(start, lucky);
    throttle.on_accept(start - 160ms); // of the same place in the ring, a round ago
    (void)throttle.try_begin(start - 320ms, lucky);
    CHECK(throttle.counts(start).requests == 10);
    CHECK(throttle.counts(start).accepts == 0);
}

TEST_CASE("a throttle that was idle for long begins anew, whatever its slices still hold") {
    // Slices of 1 ms: their numbers differ by half of what there are after 596 h.
    for (const Duration idle : {Duration(17ms), Duration(1h), Duration(600h), Duration(1440h)}) {
        CAPTURE(idle.count());
        AdaptiveThrottle throttle({.window = 16ms});
        for (int i = 0; i < 16; ++i) (void)throttle.try_begin(start - i * 1ms, lucky);
        for (int i = 0; i < 10; ++i) (void)throttle.try_begin(start + idle, lucky);
        CHECK(throttle.counts(start + idle).requests == 10);
    }
}

TEST_CASE("no time is special, neither the clock's epoch nor where slices' numbers go round") {
    for (const TimePoint end : {TimePoint{}, TimePoint{4'294'967'295ms}, TimePoint{-5s}}) {
        CAPTURE(end.time_since_epoch().count());
        AdaptiveThrottle throttle({.window = 16ms});
        for (int i = -50; i < 50; ++i) {
            (void)throttle.try_begin(end + i * 1ms, lucky);
            CHECK(throttle.counts(end + i * 1ms).requests == std::min(i + 51U, 16U));
        }
    }
}

TEST_CASE("a clock that is a slice behind sees what the others have counted") {
    AdaptiveThrottle throttle({.window = 160ms});
    for (int i = 0; i < 10; ++i) (void)throttle.try_begin(start, lucky);
    CHECK(throttle.counts(start - 10ms).requests == 10);
}

TEST_CASE("calls of several threads are all counted, while slices roll over and fill up") {
    constexpr int thread_count = 4, calls = 100'000;
    AdaptiveThrottle throttle; // one slice holds 65,535 calls and is then halved
    AdaptiveThrottle rolling({.window = 160ms});
    std::vector<std::thread> threads;
    std::vector<int> sent(thread_count);
    for (int self = 0; self < thread_count; ++self)
        threads.emplace_back([&, self] {
            core::Prng prng(static_cast<std::uint64_t>(self) + 1);
            for (int i = 0; i < calls; ++i) {
                if (throttle.try_begin(start, prng.next()) && i % 4 == 0) throttle.on_accept(start);
                // 10 us per call and thread: 100 ms, all within the window.
                if (i < 10'000 && rolling.try_begin(start + i * 10us, prng.next()))
                    ++sent[static_cast<std::size_t>(self)];
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(rolling.counts(start + 100ms).requests == 40'000);
    int all = 0;
    for (const int mine : sent) all += mine;
    CHECK(all > 3'000); // a tenth passes though nothing is accepted
    CHECK(all < 5'500);
    const auto counts = throttle.counts(start);
    CHECK(counts.requests >= 32'767);
    CHECK(counts.requests <= 65'535);
    CHECK(counts.accepts <= counts.requests);
    CHECK(refused_share(throttle, start) > 0);
}

TEST_CASE("a slice that is full keeps the ratio") {
    AdaptiveThrottle throttle;
    for (int i = 0; i < 400'000; ++i) {
        (void)throttle.try_begin(start, lucky);
        if (i % 4 == 0) throttle.on_accept(start);
    }
    CHECK(refused_share(throttle, start) == Approx(0.5).margin(0.01));
}

TEST_CASE("a config out of its range is refused by name") {
    CHECK_THROWS_WITH(AdaptiveThrottle({.multiple_percent = 99}), Catch::Contains("multiple"));
    CHECK_THROWS_WITH(AdaptiveThrottle({.window = 15ms}), Catch::Contains("window"));
    CHECK_THROWS_WITH(AdaptiveThrottle({.max_refused_percent = 101}),
                      Catch::Contains("max_refused"));
}
