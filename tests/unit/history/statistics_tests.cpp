// The reference values are those of printed tables and of scipy.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/cusum.hpp"
#include "everpool/core/decay.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/statistics.hpp"
#include "support/catch.hpp"

#include <chrono>
#include <cmath>
#include <cstdint>

using namespace everpool;
using namespace everpool::core;
using namespace std::chrono_literals;

TEST_CASE("the distributions give the values of the tables") {
    CHECK(normal_two_sided(1.959964) == Approx(0.05).epsilon(1e-5));
    CHECK(student_two_sided(2.228139, 10) == Approx(0.05).epsilon(1e-5));
    CHECK(student_two_sided(12.70620, 1) == Approx(0.05).epsilon(1e-5));
    CHECK(student_two_sided(0, 7) == Approx(1));
    CHECK(student_two_sided(3.390713, 398) == Approx(7.68e-4).epsilon(0.01));
    CHECK(log_gamma(1) == Approx(0).margin(1e-12));
    CHECK(log_gamma(0.5) == Approx(std::log(std::sqrt(3.141592653589793))));
    CHECK(log_gamma(101) == Approx(363.73937555556));
    CHECK(incomplete_beta(2, 3, 0.5) == Approx(0.6875));
    CHECK(incomplete_beta(1, 1, 0.3) == Approx(0.3));
    CHECK(beta_quantile(1, 1, 0.025) == Approx(0.025));
    CHECK(beta_quantile(5, 1, 0.5) == Approx(std::pow(0.5, 0.2)));
}

TEST_CASE("a weight halves with each half-life, and never grows") {
    const Decay decay(10min);
    CHECK(decay.factor(0s) == 1);
    CHECK(decay.factor(-5s) == 1);
    CHECK(decay.factor(10min) == Approx(0.5).epsilon(1e-7));
    CHECK(decay.factor(20min) == Approx(0.25).epsilon(1e-7));
    CHECK(decay.factor(24h * 365) == 0);
    for (int i = 0; i < 10'000; ++i)
        CHECK(decay.factor(i * 1s) == Approx(std::exp2(-i / 600.0)).epsilon(1e-7));
}

TEST_CASE("without decay the moments are mean and variance, with it the newest counts most") {
    DecayedMoments plain, decayed;
    for (const double value : {2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0}) {
        plain.add(value, 1);
        decayed.add(value, 0.5);
    }
    CHECK(plain.mean == Approx(5));
    CHECK(plain.variance() == Approx(4));
    CHECK(plain.effective_count() == Approx(8));
    CHECK(decayed.mean > 7);
    CHECK(decayed.effective_count() < 3.1);
}

TEST_CASE("merged moments are those of all values") {
    DecayedMoments one, other, both;
    for (int i = 0; i < 20; ++i) {
        (i < 5 ? one : other).add(i * i, 1);
        both.add(i * i, 1);
    }
    one.merge(other);
    CHECK(one.mean == Approx(both.mean));
    CHECK(one.variance() == Approx(both.variance()));
    CHECK(one.weight == Approx(20));
}

namespace {
/// About normal: the sum of twelve uniform numbers.
double noise(Prng& prng) {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += static_cast<double>(prng.next() >> 11) * 0x1p-53;
    return sum;
}
} // namespace

TEST_CASE("a lasting shift is an alarm within some 25 values, noise hardly ever, a spike never") {
    Prng prng(5);
    Cusum cusum;
    int false_alarms = 0;
    for (int i = 0; i < 1'000'000; ++i) false_alarms += cusum.add(noise(prng)) != CusumAlarm::none;
    CHECK(false_alarms <= 10);

    double total = 0;
    for (int run = 0; run < 1000; ++run) {
        Cusum fresh;
        int count = 1;
        while (fresh.add(noise(prng) + 1) != CusumAlarm::up) ++count;
        total += count;
    }
    CHECK(total / 1000 > 20);
    CHECK(total / 1000 < 30);

    Cusum spiked;
    for (int i = 0; i < 4; ++i) CHECK(spiked.add(1e9) == CusumAlarm::none);
}

TEST_CASE("a fall is told from a rise") {
    Cusum cusum;
    CusumAlarm alarm = CusumAlarm::none;
    while (alarm == CusumAlarm::none) alarm = cusum.add(-2);
    CHECK(alarm == CusumAlarm::down);
    CHECK(cusum == Cusum{});
}
