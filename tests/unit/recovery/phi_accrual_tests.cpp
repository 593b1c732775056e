// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/phi_accrual.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <chrono>
#include <cmath>
#include <stdexcept>

using namespace everpool;
using everpool::tests::start;
using namespace everpool::core;
using namespace std::chrono_literals;

namespace {

long double exact_phi(long double z) { return -std::log10(0.5L * std::erfc(z / std::sqrt(2.0L))); }

PhiAccrualConfig each_100ms() {
    PhiAccrualConfig config;
    config.ping_interval = 100ms;
    config.window = 200;
    return config;
}

/// Pongs each 100 ms, on time.
TimePoint beat(PhiAccrual& detector, TimePoint now, int count, Duration interval = 100ms) {
    for (int i = 0; i < count; ++i) detector.on_heartbeat(now += interval);
    return now;
}

} // namespace

TEST_CASE("phi has all its digits, however unlikely the silence") {
    CHECK(normal_tail_phi(0) == Approx(std::log10(2.0)).epsilon(1e-15));
    // Long double's erfc does not underflow before z = 150.
    for (int i = -800; i < 14'000; ++i) {
        const double z = i / 100.0;
        const auto exact = static_cast<double>(exact_phi(z));
        if (std::abs(normal_tail_phi(z) - exact) > 1e-12 * std::abs(exact) + 1e-15)
            FAIL("z " << z << ": " << normal_tail_phi(z) << ", not " << exact);
    }
    CHECK(normal_tail_phi(1e6) == Approx(1e12 / 2 / std::log(10.0)));
    for (int i = -1000; i < 60'000; ++i) // nowhere does it fall, least of all where formulas meet
        if (normal_tail_phi(i / 1000.0) > normal_tail_phi((i + 1) / 1000.0)) FAIL("at " << i);
}

TEST_CASE("the quantile is where phi is the threshold") {
    CHECK(normal_tail_quantile(8) == Approx(5.612001244).epsilon(1e-9)); // of printed tables
    CHECK(normal_tail_quantile(3) == Approx(3.090232306).epsilon(1e-9));
    for (const double phi : {1.0, 8.0, 12.0, 100.0, 300.0})
        CHECK(normal_tail_phi(normal_tail_quantile(phi)) == Approx(phi).epsilon(1e-12));
}

TEST_CASE("before any pong the interval is taken for the mean, give or take a quarter") {
    PhiAccrual detector(each_100ms());
    CHECK(detector.deadline() == never);
    CHECK(detector.phi(start) == 0);
    detector.watch(start);
    CHECK(detector.mean() == 100e6);
    CHECK(detector.deviation() == 25e6);
    const auto granted = static_cast<Duration::rep>(std::ceil(100e6 + 5.612001244 * 25e6));
    CHECK(std::abs((detector.silence_granted() - 1s).count() - granted) < 100);
}

TEST_CASE("mean and deviation are those of the window") {
    PhiAccrualConfig config = each_100ms();
    config.window = 4;
    config.deviation_min = 1us;
    PhiAccrual detector(config);
    detector.watch(start);
    TimePoint now = start;
    for (const Duration gap : {500ms, 90ms, 100ms, 110ms, 120ms})
        detector.on_heartbeat(now += gap); // the first has left the window
    CHECK(detector.mean() == Approx(105e6));
    CHECK(detector.deviation() == Approx(std::sqrt(125.0) * 1e6));
}

TEST_CASE("at the deadline phi is the threshold, and just before it is not") {
    PhiAccrual detector(each_100ms());
    detector.watch(start);
    TimePoint now = beat(detector, start, 7);
    detector.on_heartbeat(now += 133ms);
    detector.on_heartbeat(now += 61ms);
    const TimePoint at = detector.deadline();
    CHECK(detector.phi(at) == Approx(8).epsilon(1e-6));
    CHECK(detector.phi(at) >= 8);
    CHECK(detector.phi(at - 2ns) < 8);
    CHECK(detector.is_suspect(at));
    CHECK_FALSE(detector.is_suspect(at - 1ns));
    CHECK(detector.phi(now) < 1e-9);
}

TEST_CASE("phi is as exact as long double says, for a silence of minutes") {
    PhiAccrual detector(each_100ms());
    detector.watch(start);
    const TimePoint now = beat(detector, start, 300);
    CHECK(detector.mean() == 100e6);
    CHECK(detector.deviation() == 10e6); // the floor
    for (const Duration silence : {1101ms, 1120ms, 1156ms, 1200ms, 1500ms, 2400ms}) {
        const long double z = (static_cast<long double>(silence.count()) - 1100e6L) / 10e6L;
        CHECK(detector.phi(now + silence) ==
              Approx(static_cast<double>(exact_phi(z))).epsilon(1e-12));
    }
    CHECK(std::isfinite(detector.phi(now + 24h)));
}

TEST_CASE("regular pongs do not make the detector nervous, nor does a bad spell make it deaf") {
    PhiAccrual detector(each_100ms());
    detector.watch(start);
    TimePoint now = beat(detector, start, 1000);
    CHECK(static_cast<double>(detector.silence_granted().count()) ==
          Approx(1'156'120'012).epsilon(1e-6));
    for (int i = 0; i < 1000; ++i) now = beat(detector, now, 1, i % 2 == 0 ? 40s : 1ms);
    CHECK(detector.silence_granted() <= detector.config().silence_max);
}

TEST_CASE("a pause that is granted is hardly learnt as irregularity") {
    PhiAccrual detector(each_100ms());
    detector.watch(start);
    TimePoint now = beat(detector, start, 1000);
    now = beat(detector, now, 1, 1100ms);
    now = beat(detector, now, 5);
    CHECK(detector.silence_granted() < 1210ms);
}

TEST_CASE("a busy worker is granted what its operation may take, and the pause on top") {
    PhiAccrual detector(each_100ms());
    detector.watch(start);
    const TimePoint now = beat(detector, start, 50);
    const Duration usual = detector.silence_granted();
    detector.begin_busy(now, 5s);
    CHECK(detector.deadline() == now + 6s);
    CHECK(detector.phi(now + 5999ms) == 0);
    CHECK(detector.phi(now + 6s) >= 8);
    detector.begin_busy(now + 1s, 1s); // a second one behind it, that would be over sooner
    CHECK(detector.deadline() == now + 6s);
    // The result proves life, and what was learnt before is still what is usual.
    detector.on_sign_of_life(now + 3s);
    detector.end_busy();
    CHECK(detector.deadline() == now + 3s + usual);
    // The pong that waited behind the operation teaches nothing; the next one does.
    detector.on_heartbeat(now + 3001ms);
    CHECK(detector.silence_granted() == usual);
    detector.on_heartbeat(now + 3301ms);
    CHECK(detector.silence_granted() > usual);
}

TEST_CASE("a busy worker of which nothing is known is granted the floor") {
    PhiAccrual detector(each_100ms());
    detector.watch(start);
    detector.begin_busy(start);
    CHECK(detector.deadline() == start + 2s);
}

TEST_CASE("time for which the host stood still is not the worker's silence") {
    PhiAccrual detector(each_100ms());
    detector.watch(start);
    const TimePoint now = beat(detector, start, 50);
    const Duration usual = detector.silence_granted();
    detector.on_host_late(10s, now + 10'050ms);
    CHECK(detector.deadline() == now + 10s + usual);
    CHECK_FALSE(detector.is_suspect(now + 10'050ms));
    detector.on_heartbeat(now + 10'100ms); // 100 ms, of those that counted
    CHECK(detector.silence_granted() <= usual);
    detector.on_host_late(1h, now + 10'200ms); // longer than all silence
    CHECK(detector.deadline() == now + 10'200ms + detector.silence_granted());

    detector.begin_busy(now + 11s, 5s);
    detector.on_host_late(10s, now + 21s);
    CHECK(detector.deadline() == now + 27s);
}

TEST_CASE("a new life knows nothing of the old one") {
    PhiAccrual detector(each_100ms()), fresh(each_100ms());
    detector.watch(start);
    const TimePoint now = beat(detector, start, 50, 140ms);
    detector.begin_busy(now, 1h);
    detector.unwatch();
    CHECK(detector.deadline() == never);
    detector.on_heartbeat(now + 1s); // late
    CHECK(detector.deadline() == never);
    detector.watch(now + 10s);
    fresh.watch(now + 10s);
    CHECK(detector.deadline() == fresh.deadline());
}

TEST_CASE("a clock that seems to run backwards does no harm") {
    PhiAccrual detector(each_100ms());
    detector.watch(start);
    const TimePoint now = beat(detector, start, 50);
    const TimePoint before = detector.deadline();
    detector.on_heartbeat(now - 5s);
    detector.on_sign_of_life(now - 5s);
    CHECK(detector.deadline() == before);
    CHECK(detector.phi(now - 5s) == 0);
}

TEST_CASE("configurations out of their range are refused by name") {
    PhiAccrualConfig config;
    CHECK_NOTHROW(check_config(config));
    config.threshold = 0;
    CHECK_THROWS_WITH(PhiAccrual(config), "PhiAccrualConfig::threshold must be 1 to 300");
    config = {};
    config.silence_max = 1ms;
    CHECK_THROWS_AS(PhiAccrual(config), std::invalid_argument);
    config = {};
    config.window = 1;
    CHECK_THROWS_AS(PhiAccrual(config), std::invalid_argument);
}
