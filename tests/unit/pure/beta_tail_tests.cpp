// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/beta_tail.hpp"
#include "support/catch.hpp"

#include <cmath>

using everpool::core::beta_tail_above;

TEST_CASE("with a uniform prior, straight hits are a geometric series") {
    // Beta(1 + k, 1): P(rate > 1/2) = 1 - 2^-(k+1).
    CHECK(beta_tail_above(1, 1, 0.5) == Approx(0.5));
    CHECK(beta_tail_above(2, 1, 0.5) == Approx(0.75));
    CHECK(beta_tail_above(4, 1, 0.5) == Approx(0.9375));
    CHECK(beta_tail_above(5, 1, 0.5) == Approx(0.96875));
    CHECK(beta_tail_above(1, 5, 0.5) == Approx(0.03125));
    CHECK(beta_tail_above(3, 1, 0.1) == Approx(1 - 0.001));
}

TEST_CASE("hits and misses mirrored at one half are the complement") {
    for (const std::uint32_t a : {1u, 2u, 7u, 40u, 900u})
        for (const std::uint32_t b : {1u, 3u, 8u, 41u, 1000u})
            CHECK(beta_tail_above(a, b, 0.5) + beta_tail_above(b, a, 0.5) == Approx(1.0));
}

TEST_CASE("the tail is the integral of the density") {
    // Simpson's rule over x^(a-1) (1-x)^(b-1), with nothing in common with the sum that is tested.
    const auto integral = [](double a, double b, double from, double to) {
        constexpr int steps = 20'000;
        const double h = (to - from) / steps;
        const auto density = [&](double x) { return std::pow(x, a - 1) * std::pow(1 - x, b - 1); };
        double sum = density(from) + density(to);
        for (int i = 1; i < steps; ++i) sum += density(from + i * h) * (i % 2 == 0 ? 2 : 4);
        return sum * h / 3;
    };
    for (const std::uint32_t a : {1u, 2u, 5u, 12u, 60u})
        for (const std::uint32_t b : {1u, 3u, 6u, 25u, 80u})
            for (const double x : {0.05, 0.3, 0.5, 0.8, 0.95}) {
                CAPTURE(a, b, x);
                const double exact = integral(a, b, x, 1) / integral(a, b, 0, 1);
                CHECK(beta_tail_above(a, b, x) == Approx(exact).margin(1e-9));
            }
}

TEST_CASE("a million calls neither underflow nor take a million steps to decide") {
    CHECK(beta_tail_above(500'001, 500'001, 0.5) == Approx(0.5).margin(1e-3));
    CHECK(beta_tail_above(510'000, 490'000, 0.5) > 0.999999);
    CHECK(beta_tail_above(490'000, 510'000, 0.5) < 0.000001);
    CHECK(beta_tail_above(1, 1'000'000, 0.5) == Approx(0.0).margin(1e-12));
    CHECK(beta_tail_above(1'000'000, 1, 0.5) == Approx(1.0));
}
