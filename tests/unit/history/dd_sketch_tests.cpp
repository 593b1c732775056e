// The promise is checked against sorting: every quantile of a million values, of three shapes that
// latencies have.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/dd_sketch.hpp"
#include "everpool/core/prng.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <vector>

using everpool::core::DdSketch;
using everpool::core::LogBins;
using everpool::core::Prng;

namespace {

constexpr std::size_t value_count = 1'000'000;

double uniform(Prng& prng) {
    return (static_cast<double>(prng.next() >> 11) + 0.5) / static_cast<double>(1ULL << 53);
}
double gaussian(Prng& prng) {
    constexpr double two_pi = 6.283185307179586;
    const double radius = std::sqrt(-2 * std::log(uniform(prng)));
    return radius * std::cos(two_pi * uniform(prng));
}

/// Half of the requests meet a warm model, half a cold one.
double bimodal(Prng& prng) {
    const bool is_cold = prng.ratio(1, 2);
    return std::max(0.001, (is_cold ? 900.0 : 12.0) * (1 + 0.1 * gaussian(prng)));
}

struct Shape {
    const char* name;
    std::function<double(Prng&)> draw;
};
const std::vector<Shape> shapes{
    {"uniform", [](Prng& prng) { return 1 + 99 * uniform(prng); }},
    {"log-normal", [](Prng& prng) { return 20 * std::exp(gaussian(prng)); }},
    {"bimodal", bimodal},
};

std::vector<double> draw(const Shape& shape) {
    Prng prng(20);
    std::vector<double> values(value_count);
    for (double& value : values) value = shape.draw(prng);
    return values;
}

/// The worst relative error over a thousand quantiles and both ends.
double worst_error(const DdSketch& sketch, std::vector<double> values) {
    std::sort(values.begin(), values.end());
    double worst = 0;
    for (int i = 0; i <= 1000; ++i) {
        const double q = i / 1000.0;
        const auto rank = static_cast<std::size_t>(q * static_cast<double>(values.size() - 1));
        worst = std::max(worst, std::abs(sketch.quantile(q) - values[rank]) / values[rank]);
    }
    return worst;
}

} // namespace

TEST_CASE("every bin's middle is within the error of all of the bin") {
    for (const double error : {0.0001, 0.01, 0.1}) {
        const LogBins bins(error);
        Prng prng(1);
        for (int i = 0; i < 100'000; ++i) {
            const double value = std::exp(60 * (uniform(prng) - 0.5));
            const double middle = bins.middle(bins.index(value));
            if (std::abs(middle - value) > error * (1 + 1e-9) * value) FAIL(value);
        }
    }
}

TEST_CASE("a bin begins where the one before it ends") {
    const LogBins bins;
    for (std::int32_t index = -3000; index < 3000; ++index) {
        const double lower = bins.lower(index);
        CHECK(bins.index(lower * (1 + 1e-9)) == index);
        CHECK(bins.index(lower * (1 - 1e-9)) == index - 1);
    }
}

TEST_CASE("quantiles of a million values are within 1 % of the exact ones") {
    for (const Shape& shape : shapes) {
        CAPTURE(shape.name);
        const std::vector<double> values = draw(shape);
        DdSketch sketch;
        for (const double value : values) REQUIRE(sketch.add(value));
        CHECK(sketch.count() == value_count);
        CHECK(sketch.accurate_from() == 0);
        CHECK(worst_error(sketch, values) <= 0.01);
    }
}

TEST_CASE("a hundred merged sketches are as good as one of all their values") {
    for (const Shape& shape : shapes) {
        CAPTURE(shape.name);
        const std::vector<double> values = draw(shape);
        std::vector<DdSketch> parts(100);
        DdSketch whole, merged;
        for (std::size_t i = 0; i < values.size(); ++i) {
            parts[i * parts.size() / values.size()].add(values[i]);
            whole.add(values[i]);
        }
        for (const DdSketch& part : parts) merged.merge(part);
        CHECK(merged.count() == value_count);
        CHECK(worst_error(merged, values) <= 0.01);
        for (const double q : {0.0, 0.01, 0.5, 0.99, 1.0})
            CHECK(merged.quantile(q) == whole.quantile(q));
    }
}

TEST_CASE("the smallest and the largest value are exact") {
    DdSketch sketch;
    for (const double value : {3.3, 7.1, 123.4}) sketch.add(value);
    CHECK(sketch.quantile(0) == Approx(3.3).epsilon(0.01));
    CHECK(sketch.min() == 3.3);
    CHECK(sketch.max() == 123.4);
    CHECK(sketch.mean() == Approx((3.3 + 7.1 + 123.4) / 3));
}

TEST_CASE("one value is every quantile") {
    DdSketch sketch;
    sketch.add(42);
    for (const double q : {0.0, 0.5, 1.0}) CHECK(sketch.quantile(q) == 42);
}

TEST_CASE("zeros are counted apart, and are the lowest quantiles") {
    DdSketch sketch;
    sketch.add(0, 60);
    sketch.add(5, 40);
    CHECK(sketch.quantile(0.5) == 0);
    CHECK(sketch.quantile(0.7) == 5);
}

// A duration that is negative or no number comes from a broken clock or page.
TEST_CASE("what is no measurement is refused and changes nothing") {
    DdSketch sketch;
    CHECK_FALSE(sketch.add(-1));
    CHECK_FALSE(sketch.add(std::numeric_limits<double>::quiet_NaN()));
    CHECK_FALSE(sketch.add(std::numeric_limits<double>::infinity()));
    CHECK(sketch.count() == 0);
    CHECK(sketch.add(std::numeric_limits<double>::max()));
    CHECK(sketch.add(std::numeric_limits<double>::denorm_min()));
    CHECK(sketch.count() == 2);
}

TEST_CASE("at the limit of bins the small quantiles suffer, the large ones do not") {
    DdSketch sketch(0.01, 100); // a factor of about 7
    std::vector<double> values;
    Prng prng(3);
    for (int i = 0; i < 100'000; ++i) values.push_back(std::exp(10 * uniform(prng)));
    for (const double value : values) sketch.add(value);
    CHECK(sketch.bin_count() == 100);
    std::sort(values.begin(), values.end());
    const double from = sketch.accurate_from();
    CHECK(from > 0.75);
    CHECK(from < 0.85);
    for (double q = from; q <= 1; q += 0.001) {
        const double exact = values[static_cast<std::size_t>(q * 99'999)];
        CHECK(sketch.quantile(q) == Approx(exact).epsilon(0.01));
    }
}

// A sketch that had to fold does not know any more what lay below; whoever takes it in does not
// either.
TEST_CASE("merging a sketch that was at its limit hands on from where it is accurate") {
    DdSketch narrow(0.01, 100), wide;
    Prng prng(4);
    std::vector<double> values;
    for (int i = 0; i < 20'000; ++i) {
        values.push_back(std::exp(10 * uniform(prng)));
        (i % 2 == 0 ? narrow : wide).add(values.back());
    }
    wide.merge(narrow);
    std::sort(values.begin(), values.end());
    CHECK(wide.count() == values.size());
    CHECK(wide.accurate_from() > 0.75);
    for (double q = wide.accurate_from(); q <= 1; q += 0.001)
        CHECK(wide.quantile(q) ==
              Approx(values[static_cast<std::size_t>(q * 19'999)]).epsilon(0.0101));
}

TEST_CASE("in which order values come does not matter once the limit of bins is reached") {
    DdSketch up(0.01, 50), down(0.01, 50);
    for (int i = 1; i <= 1000; ++i) {
        up.add(i);
        down.add(1001 - i);
    }
    for (int i = 0; i <= 100; ++i) CHECK(up.quantile(i / 100.0) == down.quantile(i / 100.0));
}

TEST_CASE("a cleared sketch is as new") {
    DdSketch sketch;
    sketch.add(1000);
    sketch.clear();
    CHECK(sketch.count() == 0);
    sketch.add(2);
    CHECK(sketch.quantile(1) == 2);
    CHECK(sketch.max() == 2);
}
