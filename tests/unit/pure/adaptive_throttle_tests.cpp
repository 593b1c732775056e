// SPDX-License-Identifier: BSL-1.0
#include "everpool/adaptive_throttle.hpp"
#include "everpool/core/prng.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace everpool;
using namespace std::chrono_literals;

namespace {

constexpr TimePoint start{1h};
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
