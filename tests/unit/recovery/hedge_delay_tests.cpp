// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/dd_sketch.hpp"
#include "everpool/core/hedge_delay.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/variates.hpp"
#include "everpool/retry_budget.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>
#include <stdexcept>

using namespace everpool;
using everpool::tests::start;
using namespace everpool::core;
using namespace std::chrono_literals;

namespace {

const HedgeConfig defaults;

} // namespace

TEST_CASE("a hedge waits for the quantile, and for the floor at least") {
    HedgeQuestion question{.sample_count = 100, .median = 10ms, .quantile = 40ms};
    CHECK(hedge_delay(defaults, question) == Duration(40ms));
    question.quantile = 1ms;
    CHECK(hedge_delay(defaults, question) == Duration(5ms));
}

TEST_CASE("there is no hedge where nothing is known or no time is left") {
    const HedgeQuestion good{
        .sample_count = 50, .median = 10ms, .quantile = 40ms, .time_left = 50ms};
    REQUIRE(hedge_delay(defaults, good));
    HedgeQuestion question = good;
    question.sample_count = 49;
    CHECK_FALSE(hedge_delay(defaults, question));
    question = good;
    question.time_left = 50ms - 1ns; // the hedge's median run would be too late
    CHECK_FALSE(hedge_delay(defaults, question));
    question.time_left = -1s;
    CHECK_FALSE(hedge_delay(defaults, question));
}

TEST_CASE("a hedge's configuration out of its range is refused by name") {
    HedgeConfig config;
    config.quantile = 0.2;
    CHECK_THROWS_WITH(check_config(config), "HedgeConfig::quantile must be 0.5 to 0.999");
    config = {};
    config.delay_min = -1s;
    CHECK_THROWS_AS(check_config(config), std::invalid_argument);
}

namespace {

/// Operations one after the other, with always a worker free, each run time drawn independently.
struct HedgedCalls {
    explicit HedgedCalls(std::uint64_t seed) : prng(seed) {}

    /// Log-normal about 20 ms; `slow_percent` of them take twenty times as long.
    double draw_ms() {
        const double usual = 20 * std::exp(0.2 * normal_variate(prng));
        return uniform_variate(prng) * 100 < slow_percent ? 20 * usual : usual;
    }
    double call() {
        const double first = draw_ms();
        now += 50ms;
        HedgeQuestion question{.sample_count = run_times.count()};
        if (question.sample_count != 0) {
            question.median = milliseconds(run_times.quantile(0.5));
            question.quantile = milliseconds(run_times.quantile(defaults.quantile));
        }
        const auto until_hedge = hedge_delay(defaults, question);
        double answer = first;
        if (until_hedge && *until_hedge < milliseconds(first) &&
            budget.try_spend(now + *until_hedge)) {
            ++hedge_count;
            const double second = draw_ms(),
                         delay = static_cast<double>(question.quantile.count()) / 1e6;
            answer = std::min(first, delay + second);
            run_times.add(std::min(second, answer - delay)); // the loser's until it was cancelled
        }
        run_times.add(std::min(first, answer));
        budget.on_success(now);
        ++call_count;
        return answer;
    }
    static Duration milliseconds(double count) {
        return Duration(static_cast<Duration::rep>(count * 1e6));
    }

    Prng prng;
    double slow_percent{2};
    TimePoint now{start};
    DdSketch run_times;
    RetryBudget budget;
    int call_count{0}, hedge_count{0};
};

} // namespace

TEST_CASE("one hedge in twenty calls cuts the tail off") {
    HedgedCalls calls(1);
    DdSketch answers;
    for (int i = 0; i < 20'000; ++i) answers.add(calls.call());
    CHECK(calls.hedge_count < calls.call_count * 65 / 1000);
    CHECK(calls.hedge_count > calls.call_count * 35 / 1000);
    CHECK(answers.quantile(0.99) < 80);   // of 400 and more without
    CHECK(answers.quantile(0.999) < 100); // two slow ones in a row: 4 of 10,000
    HedgedCalls unhedged(1);
    DdSketch plain;
    for (int i = 0; i < 20'000; ++i) plain.add(unhedged.draw_ms());
    CHECK(plain.quantile(0.99) > 300);
}

TEST_CASE("if everything is late, hedges are held to the budget") {
    HedgedCalls calls(2);
    for (int i = 0; i < 1000; ++i) calls.call();
    const int before = calls.hedge_count;
    calls.slow_percent = 100;
    // The quantile has not learnt it yet.
    for (int i = 0; i < 1000; ++i) calls.call();
    const int made = calls.hedge_count - before;
    CHECK(made <= 1000 * 20 / 100 + 100 + 3); // a fifth, and what had been saved
}
