// Which browser is recommended, on what evidence; and that no recommendation is for ever.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "everpool/core/variates.hpp"
#include "everpool/performance_history_tracker.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <string>

using namespace everpool;
using everpool::tests::start;
using namespace std::chrono_literals;
using core::Prng;

namespace {

const SeriesKey on_firefox{"bert", BrowserType::firefox, "webgpu", "inference"};
const SeriesKey on_chromium{"bert", BrowserType::chromium, "webgpu", "inference"};

/// One operation each second, with 10 % noise; `failures` of ten fail.
TimePoint run(PerformanceHistoryTracker& history, const SeriesKey& key, int count, double ms,
              int failures, TimePoint now) {
    Prng prng(21);
    for (int i = 0; i < count; ++i, now += 1s) {
        const double taken = ms * (1 + 0.1 * core::normal_variate(prng));
        history.record(key, i % 10 < failures ? Errc::operation_failed : Errc::ok,
                       {.duration = Duration(static_cast<Duration::rep>(taken * 1e6))}, now);
    }
    return now;
}

/// Of a thousand next operations, how many go there.
int share(const PerformanceHistoryTracker& history, BrowserType browser, TimePoint now) {
    Prng prng(22);
    int count = 0;
    for (int i = 0; i < 1000; ++i)
        count += history.recommend_browser("bert", prng, now)->next.browser == browser ? 1 : 0;
    return count;
}

} // namespace

TEST_CASE("the variates have the means and variances of their distributions") {
    Prng prng(23);
    constexpr int count = 200'000;
    double normal = 0, normal_square = 0, gamma = 0, gamma_square = 0, beta = 0, beta_square = 0;
    for (int i = 0; i < count; ++i) {
        const double n = core::normal_variate(prng), g = core::gamma_variate(prng, 2.5),
                     b = core::beta_variate(prng, 3, 7);
        normal += n / count;
        normal_square += n * n / count;
        gamma += g / count;
        gamma_square += g * g / count;
        beta += b / count;
        beta_square += b * b / count;
    }
    CHECK(normal == Approx(0).margin(0.01));
    CHECK(normal_square == Approx(1).epsilon(0.02));
    CHECK(gamma == Approx(2.5).epsilon(0.01));
    CHECK(gamma_square - gamma * gamma == Approx(2.5).epsilon(0.03));
    CHECK(beta == Approx(0.3).epsilon(0.01));
    CHECK(beta_square - beta * beta == Approx(0.3 * 0.7 / 11).epsilon(0.03));
}

TEST_CASE("the faster browser is recommended, with the evidence") {
    PerformanceHistoryTracker history;
    run(history, on_firefox, 100, 30, 0, start);
    const TimePoint now = run(history, on_chromium, 100, 20, 0, start);
    Prng prng(24);
    const auto found = history.recommend_browser("bert", prng, now);
    REQUIRE(found);
    CHECK(found->best.browser == BrowserType::chromium);
    CHECK(found->best.provider == "webgpu");
    CHECK(found->best.expected_ms > 19);
    CHECK(found->best.probability_best > 0.9);
    CHECK(found->best.operations > 80);
    CHECK(found->best.expected_low_ms < found->best.expected_ms);
    CHECK(found->best.expected_high_ms > found->best.expected_ms);
    REQUIRE(found->compared.size() == 2);
    CHECK(found->compared[1].browser == BrowserType::firefox);
}

TEST_CASE("the same seed recommends the same") {
    PerformanceHistoryTracker history;
    run(history, on_firefox, 5, 22, 0, start);
    run(history, on_chromium, 5, 20, 0, start);
    Prng one(25), other(25);
    for (int i = 0; i < 20; ++i)
        CHECK(history.recommend_browser("bert", one, start)->next.browser ==
              history.recommend_browser("bert", other, start)->next.browser);
}

TEST_CASE("a browser that fails fast is not taken for a fast one") {
    PerformanceHistoryTracker history;
    run(history, on_firefox, 100, 1, 9, start); // a millisecond, and nine of ten fail
    const TimePoint now = run(history, on_chromium, 100, 200, 0, start);
    Prng prng(26);
    CHECK(history.recommend_browser("bert", prng, now)->best.browser == BrowserType::chromium);
    CHECK(share(history, BrowserType::firefox, now) == 0);
}

TEST_CASE("what was never tried is tried sometimes, and never called the best") {
    PerformanceHistoryTracker history;
    const TimePoint now = run(history, on_chromium, 100, 20, 0, start);
    const std::array<BrowserChoice, 2> choices{
        {{BrowserType::chromium, "webgpu"}, {BrowserType::edge, "webgpu"}}};
    Prng prng(27);
    int tried = 0;
    for (int i = 0; i < 300; ++i) {
        const auto found = history.recommend_browser("bert", prng, now, choices);
        CHECK(found->best.browser == BrowserType::chromium);
        tried += found->is_exploration() ? 1 : 0;
    }
    CHECK(tried > 0);
    CHECK(tried < 150);
}

TEST_CASE("a model that nobody knows has no recommendation, but candidates have one") {
    PerformanceHistoryTracker history;
    Prng prng(28);
    CHECK(history.recommend_browser("bert", prng, start).error() == HistoryErrc::no_data);
    const std::array<BrowserChoice, 1> choices{{{BrowserType::edge, "wasm"}}};
    CHECK(history.recommend_browser("bert", prng, start, choices)->next.provider == "wasm");
}

TEST_CASE("only the named type of operation is compared") {
    PerformanceHistoryTracker history;
    SeriesKey compute = on_firefox;
    compute.operation = "compute";
    run(history, compute, 50, 1, 0, start);
    run(history, on_firefox, 50, 50, 0, start);
    run(history, on_chromium, 50, 20, 0, start);
    Prng prng(29);
    const auto found = history.recommend_browser("bert", prng, start + 50s, {}, "inference");
    CHECK(found->best.browser == BrowserType::chromium);
}

TEST_CASE("advice names what to prefer, what does not work, what degrades and what is wasted") {
    PerformanceHistoryTracker history;
    run(history, on_firefox, 60, 60, 0, start);
    run(history, on_chromium, 60, 20, 0, start);
    run(history, {"vit", BrowserType::firefox, "webnn", "inference"}, 60, 20, 9, start);
    Prng prng(30);
    TimePoint now = start;
    for (int i = 0; i < 600; ++i, now += 2s)
        history.record({"llm", BrowserType::edge, "wasm", "inference"}, Errc::ok,
                       {.duration = 20ms + i * 20us,
                        .queue = Duration(12'000'000 + static_cast<long>(prng.below(1'000'000))),
                        .transfer = 1ms,
                        .compute = Duration(5'000'000 + static_cast<long>(prng.below(1'000'000)))},
                       now);
    const auto advice = history.recommendations(prng, now);
    REQUIRE(advice.size() == 4);
    CHECK(advice[0].kind == AdviceKind::prefer_browser);
    CHECK(advice[0].recommendation == "run bert on chromium/webgpu");
    CHECK(advice[0].confidence > 0.9);
    CHECK(advice[1].kind == AdviceKind::degrading_model);
    CHECK(advice[1].key == "llm on edge/wasm");
    CHECK(advice[1].description == "inference takes 36.0 ms longer with every hour");
    CHECK(advice[2].kind == AdviceKind::incompatible_pair);
    CHECK(advice[2].key == "vit on firefox/webnn");
    CHECK(advice[3].kind == AdviceKind::optimisation);
    CHECK(advice[3].description.starts_with("waiting for a worker takes 12."));
    for (const Advice& one : advice) {
        CHECK(one.confidence > 0.9);
        CHECK(one.operations > 5);
    }
}

TEST_CASE("a model whose durations jumped is degrading, by so much and since when") {
    PerformanceHistoryTracker history;
    Prng prng(36);
    TimePoint now = start;
    for (int i = 0; i < 900; ++i, now += 2s)
        history.record(on_firefox, Errc::ok,
                       {.duration = (i < 750 ? 20ms : 30ms) +
                                    Duration(static_cast<Duration::rep>(prng.below(2'000'000)))},
                       now);
    const auto advice = history.recommendations(prng, now);
    REQUIRE(advice.size() == 1);
    CHECK(advice[0].kind == AdviceKind::degrading_model);
    CHECK(advice[0].description == "inference takes 31.0 ms since 5 min ago, 21.0 ms before");
    CHECK(advice[0].confidence > 0.999);
}

TEST_CASE("recoveries wait for nothing that could be optimised") {
    PerformanceHistoryTracker history;
    SeriesKey recovery = on_firefox;
    recovery.strategy = "restart";
    for (int i = 0; i < 100; ++i)
        for (const auto& [key, queue] : {std::pair{on_firefox, 1ms}, std::pair{recovery, 1000ms}})
            history.record(key, Errc::ok, {.duration = 20ms, .queue = queue, .compute = 10ms},
                           start + i * 1s);
    Prng prng(37);
    for (const Advice& advice : history.recommendations(prng, start + 100s))
        CHECK(advice.kind != AdviceKind::optimisation);
}

TEST_CASE("a model that moves to a slower browser is not called degrading") {
    PerformanceHistoryTracker history;
    Prng prng(35);
    TimePoint now = start;
    for (std::uint64_t i = 0; i < 900; ++i, now += 2s) {
        const bool is_moved = prng.ratio(i, 900);
        history.record(is_moved ? on_firefox : on_chromium, Errc::ok,
                       {.duration = (is_moved ? 40ms : 20ms) +
                                    Duration(static_cast<Duration::rep>(prng.below(2'000'000)))},
                       now);
    }
    CHECK(history.analyze_performance_trends({.model = "bert"}, 1h, now)->trend_direction ==
          TrendDirection::degrading); // all in one, it is
    for (const Advice& advice : history.recommendations(prng, now))
        CHECK(advice.kind != AdviceKind::degrading_model);
}

// --- what users of other libraries complain of ---------------------------------------------------

TEST_CASE("complaint: one failed probe condemns a browser for long") {
    PerformanceHistoryTracker history;
    run(history, on_firefox, 30, 20, 0, start);
    TimePoint now = run(history, on_chromium, 30, 20, 0, start);
    history.record(on_firefox, Errc::worker_lost, {.duration = 20ms}, now);
    const int after_one = share(history, BrowserType::firefox, now);
    CHECK(after_one > 0);
    Prng prng(31);
    for (const Advice& advice : history.recommendations(prng, now))
        CHECK(advice.kind != AdviceKind::incompatible_pair);
}

TEST_CASE("complaint: everything is ejected, and nothing is left to use") {
    PerformanceHistoryTracker history;
    run(history, on_firefox, 50, 20, 10, start);
    const TimePoint now = run(history, on_chromium, 50, 20, 10, start);
    Prng prng(32);
    const auto found = history.recommend_browser("bert", prng, now);
    REQUIRE(found); // the least bad one
    CHECK(found->best.success_rate.rate == 0);
    CHECK(found->best.operations > 0);
}

TEST_CASE("complaint: what has failed is never tried again, or takes everything at once") {
    PerformanceHistoryTracker history({.half_life = 10min});
    TimePoint now = run(history, on_firefox, 20, 15, 10, start); // all fail
    now = run(history, on_chromium, 100, 20, 0, now);
    CHECK(share(history, BrowserType::firefox, now) < 10);
    // Two hours later the failures are forgotten; chromium has been at work meanwhile.
    now = run(history, on_chromium, 100, 20, 0, now + 2h);
    const int after = share(history, BrowserType::firefox, now);
    CHECK(after > 10);
    CHECK(after < 500);
    // It works again, and gets more.
    now = run(history, on_firefox, 100, 15, 0, now);
    CHECK(share(history, BrowserType::firefox, now) > 900);
}

// --- workers -------------------------------------------------------------------------------------

namespace {

/// A life whose hazard is known: it grows with age, and with memory that leaks.
struct SyntheticLife {
    double leak_mib;      ///< per minute
    int failed_after{-1}; ///< minutes; -1: replaced in good health after ten hours

    static double true_hazard(double minutes, double leak_mib) {
        const double logit = -7.5 + 0.35 * std::log2(1 + minutes) + 0.15 * leak_mib;
        return 1 / (1 + std::exp(-logit));
    }
    static SyntheticLife draw(Prng& prng) {
        SyntheticLife life{.leak_mib = prng.ratio(1, 3) ? 20.0 : 0.0};
        for (int minute = 0; minute < 600; ++minute)
            if (core::uniform_variate(prng) < true_hazard(minute, life.leak_mib)) {
                life.failed_after = minute + 1;
                return life;
            }
        return life;
    }
    [[nodiscard]] int minutes() const { return failed_after < 0 ? 600 : failed_after; }
};

/// Lives it through in a tracker; calls ask(minute) at each minute.
template <class Ask>
void live(PerformanceHistoryTracker& history, const SyntheticLife& life, TimePoint& now, Ask ask) {
    const WorkerId worker{3};
    history.on_worker_started(worker, now);
    for (int minute = 0; minute < life.minutes(); ++minute, now += 1min) {
        const double mib = 200 + life.leak_mib * minute;
        history.on_worker_operation(worker, Errc::ok, static_cast<std::uint64_t>(mib * (1 << 20)),
                                    now);
        ask(minute);
    }
    history.on_worker_ended(worker, life.failed_after >= 0, now);
}

} // namespace

// Of all the moments at which the model says 10 %, one in ten must be followed by a failure. Lives
// that it has not learnt from decide.
TEST_CASE("the estimate of hazard is calibrated on synthetic lives") {
    PerformanceHistoryTracker history;
    Prng prng(33);
    TimePoint now = start;
    for (int i = 0; i < 1500; ++i) live(history, SyntheticLife::draw(prng), now, [](int) {});
    struct Bin {
        double predicted{0};
        int asked{0}, failed{0};
    };
    std::array<Bin, 4> bins{}; // up to 10 %, 20 %, 40 %, and above
    for (int i = 0; i < 1500; ++i) {
        const SyntheticLife life = SyntheticLife::draw(prng);
        live(history, life, now, [&](int minute) {
            if (minute % 30 != 10) return; // each horizon once
            const auto estimate = history.hazard({3}, 30min, now);
            REQUIRE(estimate);
            const double p = estimate->failure_probability;
            Bin& bin = bins.at(p < 0.1 ? 0 : p < 0.2 ? 1 : p < 0.4 ? 2 : 3);
            bin.predicted += p;
            ++bin.asked;
            bin.failed += life.failed_after >= 0 && life.failed_after <= minute + 30 ? 1 : 0;
        });
    }
    for (const Bin& bin : bins) {
        const double predicted = bin.predicted / bin.asked;
        const double observed = static_cast<double>(bin.failed) / bin.asked;
        const double chance = std::sqrt(predicted * (1 - predicted) / bin.asked);
        CAPTURE(predicted, observed, bin.asked);
        CHECK(bin.asked > 100);
        CHECK(std::abs(observed - predicted) < 3.5 * chance + 0.1 * predicted);
    }
}

TEST_CASE("a leaking worker is to be retired before it fails, a sound one is not") {
    PerformanceHistoryTracker history;
    Prng prng(34);
    TimePoint now = start;
    for (int i = 0; i < 300; ++i) live(history, SyntheticLife::draw(prng), now, [](int) {});
    for (const double leak : {0.0, 20.0}) {
        live(history, {.leak_mib = leak, .failed_after = -1}, now, [&](int minute) {
            if (minute != 120) return;
            const auto estimate = history.hazard({3}, 10min, now);
            CHECK(estimate->should_retire() == (leak > 0));
            CHECK(estimate->low < estimate->failure_probability);
            CHECK(estimate->high > estimate->failure_probability);
        });
    }
}

TEST_CASE("without failures nobody is retired, however old") {
    PerformanceHistoryTracker history;
    TimePoint now = start;
    live(history, {.leak_mib = 0, .failed_after = -1}, now,
         [&](int) { CHECK_FALSE(history.hazard({3}, 10h, now)->should_retire()); });
}

// It may come from a file whose checksum somebody has made fit.
TEST_CASE("what is no covariance is forgotten, and is never a probability that is none") {
    for (const double value : {-1e6, 1e6, 1e-3}) {
        core::HazardModel::State state;
        for (auto& row : state.covariance) row.fill(value);
        state.covariance[1][2] = -1e6;
        core::HazardModel model;
        model.restore(state);
        for (int minute = 0; minute < 1000; ++minute) {
            const core::WorkerSample sample{.age = minute * 1min,
                                            .operations = 100,
                                            .memory_mib_per_minute = minute % 7 * 10.0,
                                            .error_rate = minute % 3 / 2.0};
            model.observe(sample, minute % 100 == 99);
            const auto estimate = model.estimate(sample, 1h);
            REQUIRE(estimate.failure_probability >= 0); // and a number
            REQUIRE(estimate.failure_probability <= 1);
            REQUIRE(estimate.low <= estimate.high);
        }
    }
}

TEST_CASE("operations and ends of workers that were not started change nothing") {
    PerformanceHistoryTracker history;
    CHECK_FALSE(history.on_worker_operation({1}, Errc::ok, 0, start));
    CHECK_FALSE(history.on_worker_ended({1}, true, start));
    CHECK_FALSE(history.on_worker_started({1'000'000}, start));
    CHECK(history.hazard({1}, 1h, start).error() == HistoryErrc::no_data);
}
