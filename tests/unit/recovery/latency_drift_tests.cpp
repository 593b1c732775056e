// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/latency_drift.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/variates.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>
#include <stdexcept>

using namespace everpool;
using everpool::tests::start;
using namespace everpool::core;
using namespace std::chrono_literals;

namespace {

/// A worker whose run times vary by a factor e^spread about a level, and now and then by far more.
struct Worker {
    explicit Worker(std::uint64_t seed, double spread_ = 0.2) : prng(seed), spread(spread_) {}

    /// One operation at that level, a second after the one before it.
    bool run(double level_ms) {
        double log_time = std::log(level_ms * 1e6) + spread * normal_variate(prng);
        if (uniform_variate(prng) * 100 < spike_percent) log_time += 3; // twentyfold
        now += 1s;
        return drift.add(Duration(static_cast<Duration::rep>(std::exp(log_time))), now);
    }
    /// Operations until it is called slow; `count` if it never is.
    int run_until_slow(double level_ms, int count) {
        for (int i = 0; i < count; ++i)
            if (run(level_ms)) return i + 1;
        return count;
    }

    Prng prng;
    double spread, spike_percent{0};
    TimePoint now{start};
    LatencyDrift drift;
};

} // namespace

TEST_CASE("a worker that is as fast as ever is not slow, however irregular it is") {
    for (std::uint64_t seed = 0; seed < 10; ++seed)
        for (const double spread : {0.01, 0.2, 0.5}) {
            Worker worker(seed, spread);
            worker.spike_percent = 3;
            CAPTURE(seed, spread);
            CHECK(worker.run_until_slow(20, 20'000) == 20'000);
        }
}

TEST_CASE("a worker that has become three times as slow is found within a dozen operations") {
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        Worker worker(seed);
        worker.spike_percent = 1;
        for (int i = 0; i < 300; ++i) REQUIRE_FALSE(worker.run(20));
        CAPTURE(seed);
        CHECK(worker.run_until_slow(60, 100) <= 12);
        for (int i = 0; i < 20; ++i) worker.run(60);
        CHECK(worker.drift.report().is_slow);
        CHECK(worker.drift.report().ratio == Approx(3).epsilon(0.25));
        CHECK(static_cast<double>(worker.drift.report().baseline.count()) / 1e6 ==
              Approx(20).epsilon(0.1));
    }
}

TEST_CASE("a rise that does not matter is no failure, and one that is over is none any more") {
    Worker worker(1);
    for (int i = 0; i < 300; ++i) worker.run(20);
    CHECK(worker.run_until_slow(28, 1000) == 1000); // 1.4 times: certain, and harmless
    CHECK(worker.run_until_slow(60, 100) <= 15);    // the baseline has not learnt it
    for (int i = 0; i < 8; ++i) worker.run(20);
    CHECK_FALSE(worker.drift.is_slow());
    CHECK(worker.drift.report().ratio == Approx(1).epsilon(0.25));
}

TEST_CASE("a failure is not learnt as normal, however long it lasts") {
    Worker worker(2);
    for (int i = 0; i < 300; ++i) worker.run(20);
    for (int i = 0; i < 20'000; ++i) worker.run(60); // five hours
    CHECK(worker.drift.is_slow());
    worker.drift.accept(worker.now); // the owner knows why
    CHECK_FALSE(worker.drift.is_slow());
    CHECK(worker.run_until_slow(60, 1000) == 1000);
    CHECK(worker.run_until_slow(180, 100) <= 12);
}

TEST_CASE("what creeps is found as well, if it outruns what the baseline forgets") {
    Worker worker(3, 0.1);
    for (int i = 0; i < 3000; ++i) REQUIRE_FALSE(worker.run(20));
    bool was_found = false;
    double level = 20;
    for (int i = 0; i < 7200 && !was_found; ++i)
        was_found = worker.run(level *= std::exp2(1 / 3600.0));
    CHECK(was_found); // before it was four times as slow, after two hours
}

TEST_CASE("a single spike, or three, are nothing") {
    LatencyDrift drift;
    TimePoint now = start;
    for (int i = 0; i < 100; ++i) REQUIRE_FALSE(drift.add(20ms, now += 1s));
    for (int i = 0; i < 3; ++i) CHECK_FALSE(drift.add(10s, now += 1s));
    for (int i = 0; i < 100; ++i) CHECK_FALSE(drift.add(20ms, now += 1s));
}

TEST_CASE("a worker that has become faster is measured by that from then on") {
    Worker worker(4);
    for (int i = 0; i < 40; ++i) worker.run(100); // shaders are compiled, caches are cold
    for (int i = 0; i < 100; ++i) REQUIRE_FALSE(worker.run(20));
    CHECK(static_cast<double>(worker.drift.report().baseline.count()) / 1e6 ==
          Approx(20).epsilon(0.25));
    CHECK(worker.run_until_slow(60, 100) <= 15);
}

TEST_CASE("nothing is said before there is a baseline") {
    LatencyDrift drift;
    CHECK(drift.report() == LatencyDriftReport{});
    TimePoint now = start;
    for (int i = 0; i < 29; ++i) CHECK_FALSE(drift.add((1 << i) * 1us, now += 1s));
    CHECK(drift.report().ratio == 1);
    CHECK(drift.report().sample_count == 29);
    drift.reset();
    CHECK(drift.report() == LatencyDriftReport{});
}

TEST_CASE("no run time, and a clock that runs backwards, do no harm") {
    LatencyDrift drift;
    for (int i = 0; i < 100; ++i) CHECK_FALSE(drift.add(0ns, start - i * 1s));
    CHECK(drift.add(-5s, start) == false);
    CHECK(std::isfinite(drift.report().ratio));
}

TEST_CASE("a drift's configuration out of its range is refused by name") {
    LatencyDriftConfig config;
    config.back_ratio = 2;
    CHECK_THROWS_WITH(LatencyDrift(config),
                      "LatencyDriftConfig::slow_ratio must be above back_ratio, at most 1000");
    config = {};
    config.baseline_min = 3;
    CHECK_THROWS_AS(LatencyDrift(config), std::invalid_argument);
}
