// SPDX-License-Identifier: BSL-1.0
#include "change_point_series.hpp"
#include "everpool/core/change_points.hpp"
#include "everpool/core/outliers.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/trend.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstddef>
#include <numeric>
#include <vector>

using namespace everpool;
using namespace everpool::core;
using everpool::test::normal;

namespace {

std::vector<double> count_to(std::size_t count) {
    std::vector<double> x(count);
    std::iota(x.begin(), x.end(), 0.0);
    return x;
}

double median_slope_of_all_pairs(const std::vector<double>& x, const std::vector<double>& y) {
    std::vector<double> slopes;
    for (std::size_t i = 0; i < x.size(); ++i)
        for (std::size_t j = i + 1; j < x.size(); ++j)
            if (x[i] != x[j]) slopes.push_back((y[j] - y[i]) / (x[j] - x[i]));
    return median_of(slopes);
}

} // namespace

TEST_CASE("the slope is the median of all pairs' slopes, however many there are") {
    Prng prng(1);
    for (const std::size_t count : {4u, 5u, 100u, 201u, 500u, 2000u})
        for (const bool has_equal_times : {false, true}) {
            std::vector<double> x, y;
            for (std::size_t i = 0; i < count; ++i) {
                x.push_back(static_cast<double>(has_equal_times ? i / 3 : i));
                y.push_back(0.01 * static_cast<double>(i) + normal(prng));
            }
            CAPTURE(count, has_equal_times);
            CHECK(find_trend(x, y).slope ==
                  Approx(median_slope_of_all_pairs(x, y)).epsilon(1e-9).margin(1e-12));
        }
}

TEST_CASE("the slope of rounded values, most of them equal, is right too") {
    Prng prng(2);
    for (const double rise : {0.0, 0.003, 0.02}) {
        const std::vector<double> x = count_to(1000);
        std::vector<double> y;
        for (const double time : x) y.push_back(std::floor(rise * time + 0.6 * normal(prng)));
        CHECK(find_trend(x, y).slope ==
              Approx(median_slope_of_all_pairs(x, y)).epsilon(1e-6).margin(1e-12));
    }
}

// Its residuals are equal, or differ by rounding only; that is no resemblance of neighbours.
TEST_CASE("a straight line is a trend as surely as can be") {
    for (const double slope : {1.0, 0.1, -0.3, 1e-9}) {
        std::vector<double> y;
        for (const double time : count_to(20)) y.push_back(20 + slope * time);
        const Trend trend = find_trend(count_to(20), y);
        CHECK(trend.slope == Approx(slope));
        // S = 190, its variance 950: (190 - 1) / sqrt(950) standard deviations
        CHECK(trend.p_value == Approx(std::erfc(189 / std::sqrt(950.0) / std::sqrt(2.0))));
    }
}

TEST_CASE("the p-value is that of Kendall's S with ties, where neighbours are independent") {
    Prng prng(11);
    int equal = 0;
    for (std::size_t run = 0; run < 300; ++run) {
        const std::size_t n = 5 + run % 60;
        std::vector<double> y;
        while (y.size() < n) y.push_back(std::floor(3 * normal(prng)));
        double s = 0;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = i + 1; j < n; ++j)
                s += (y[j] > y[i] ? 1 : 0) - (y[j] < y[i] ? 1 : 0);
        const auto count = static_cast<double>(n);
        double variance = count * (count - 1) * (2 * count + 5);
        for (double value = -20; value < 20; ++value) {
            const auto ties = static_cast<double>(std::count(y.begin(), y.end(), value));
            variance -= ties * (ties - 1) * (2 * ties + 5);
        }
        const double z = std::max(0.0, std::abs(s) - 1) / std::sqrt(variance / 18);
        const double expected = std::erfc(z / std::sqrt(2.0));
        const double found = find_trend(count_to(n), y).p_value;
        CHECK(found >= expected - 1e-12); // autocorrelation may only make it larger
        equal += found <= expected + 1e-12 ? 1 : 0;
    }
    CHECK(equal > 250);
}

TEST_CASE("many values at the same time are no more work than others") {
    std::vector<double> x(10'000, 0.0), y;
    x[9998] = 1;
    x[9999] = 2;
    for (std::size_t i = 0; i < x.size(); ++i) y.push_back(static_cast<double>(i % 100));
    CHECK(find_trend(x, y).slope == Approx(median_slope_of_all_pairs(x, y)));
}

// The p-value must be one: of series without a trend a share of p falls below p.
TEST_CASE("pure noise has a trend as often as the p-value says") {
    Prng prng(3);
    int below_5_percent = 0;
    for (int run = 0; run < 2000; ++run) {
        std::vector<double> y;
        for (int i = 0; i < 60; ++i) y.push_back(normal(prng));
        below_5_percent += find_trend(count_to(60), y).p_value < 0.05 ? 1 : 0;
    }
    CHECK(below_5_percent < 2000 * 0.07);
    CHECK(below_5_percent > 2000 * 0.015); // and it is not merely shy
}

TEST_CASE("neighbours that resemble each other are no trend") {
    Prng prng(4);
    int found = 0;
    for (int run = 0; run < 300; ++run) {
        std::vector<double> y;
        double level = 0;
        for (int i = 0; i < 200; ++i) y.push_back(level = 0.6 * level + normal(prng));
        found += find_trend(count_to(200), y).p_value < 0.001 ? 1 : 0;
    }
    // These have a quarter of the information: taken for independent, a tenth of them would be.
    CHECK(found <= 6);
}

TEST_CASE("a trend is found in spite of a hanging browser's values") {
    Prng prng(5);
    std::vector<double> y;
    for (int i = 0; i < 200; ++i)
        y.push_back(20 + 0.02 * i + normal(prng) + (i % 40 == 7 ? 60'000 : 0));
    const Trend trend = find_trend(count_to(200), y);
    CHECK(trend.p_value < 0.001);
    CHECK(trend.slope == Approx(0.02).epsilon(0.3));
}

TEST_CASE("too few, equal or simultaneous values have no trend") {
    for (const auto& [x, y] : {std::pair{count_to(3), std::vector<double>{1, 2, 3}},
                               std::pair{count_to(50), std::vector<double>(50, 7.0)},
                               std::pair{std::vector<double>(50, 1.0), count_to(50)}}) {
        const Trend trend = find_trend(x, y);
        CHECK(trend.p_value == 1);
        CHECK(trend.slope == 0);
    }
}

TEST_CASE("tau is 1 if all rise and -1 if all fall") {
    std::vector<double> falling = count_to(50);
    for (double& value : falling) value = -value;
    CHECK(find_trend(count_to(50), count_to(50)).tau == 1);
    CHECK(find_trend(count_to(50), falling).tau == -1);
}

TEST_CASE("outliers are told by the median, so that they cannot hide each other") {
    std::vector<double> values;
    Prng prng(6);
    for (int i = 0; i < 100; ++i) values.push_back(20 + normal(prng));
    values[3] = 900;
    values[60] = 1e6; // beside it 900 is within three standard deviations of the mean
    CHECK(mad_outliers(values) == std::vector<std::size_t>{3, 60});
    CHECK(mad_outliers({}).empty());
    CHECK(mad_outliers(std::vector<double>(9, 1.0)).empty());
}

TEST_CASE("a step is found where it is, with the levels beside it") {
    Prng prng(7);
    std::vector<double> values;
    for (int i = 0; i < 120; ++i) values.push_back((i < 70 ? 20 : 26) + normal(prng));
    const auto points = find_change_points(values);
    REQUIRE(points.size() == 1);
    CHECK(points[0].index == 70);
    CHECK(points[0].mean_before == Approx(20).epsilon(0.05));
    CHECK(points[0].mean_after == Approx(26).epsilon(0.05));
    CHECK(points[0].magnitude() == Approx(0.3).epsilon(0.1));
}

TEST_CASE("several steps, up and down, are several points") {
    Prng prng(8);
    std::vector<double> values;
    for (const double level : {20.0, 30.0, 22.0, 35.0})
        for (int i = 0; i < 60; ++i) values.push_back(level + normal(prng));
    const auto points = find_change_points(values);
    REQUIRE(points.size() == 3);
    for (std::size_t i = 0; i < 3; ++i)
        CHECK(std::abs(static_cast<int>(points[i].index) - static_cast<int>(60 * (i + 1))) <= 2);
}

TEST_CASE("spikes are no change of level, and do not hide one") {
    Prng prng(9);
    std::vector<double> values;
    for (int i = 0; i < 200; ++i)
        values.push_back((i < 100 ? 20 : 24) + normal(prng) + (i % 33 == 5 ? 500 : 0));
    const auto points = find_change_points(values);
    REQUIRE(points.size() == 1);
    CHECK(std::abs(static_cast<int>(points[0].index) - 100) <= 2);
}

TEST_CASE("changes that are too small to matter are left out") {
    Prng prng(10);
    std::vector<double> values;
    for (int i = 0; i < 200; ++i) values.push_back((i < 100 ? 20.0 : 20.6) + 0.1 * normal(prng));
    CHECK(find_change_points(values).size() == 1);
    CHECK(find_change_points(values, {.magnitude_min = 0.05}).empty());
}

TEST_CASE("short and constant series have no change") {
    CHECK(find_change_points({}).empty());
    CHECK(find_change_points(std::vector<double>{1, 9, 9}).empty());
    CHECK(find_change_points(std::vector<double>(100, 5.0)).empty());
}

TEST_CASE("a noiseless step is a point") {
    std::vector<double> values(40, 5.0);
    values.resize(80, 6.0);
    const auto points = find_change_points(values);
    REQUIRE(points.size() == 1);
    CHECK(points[0].index == 40);
}
