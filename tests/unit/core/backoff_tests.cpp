// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/backoff.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;

TEST_CASE("the first retry is immediate, then the bound doubles up to the maximum") {
    CHECK(backoff_bound(100ms, 10s, 0) == 0s);
    CHECK(backoff_bound(100ms, 10s, 1) == 0s);
    CHECK(backoff_bound(100ms, 10s, 2) == 100ms);
    CHECK(backoff_bound(100ms, 10s, 3) == 200ms);
    CHECK(backoff_bound(100ms, 10s, 8) == 6400ms);
    CHECK(backoff_bound(100ms, 10s, 9) == 10s);
    CHECK(backoff_bound(100ms, 10s, 1'000'000) == 10s);
}

TEST_CASE("the largest durations do not overflow") {
    CHECK(backoff_bound(Duration::max() / 2, Duration::max(), 2) == Duration::max() / 2);
    CHECK(backoff_bound(Duration::max() / 2, Duration::max(), 9) == Duration::max());
}

TEST_CASE("delays are spread over the whole range below the bound") {
    Prng prng(1);
    Duration low = 1h, high{};
    for (int i = 0; i < 1000; ++i) {
        Backoff backoff(100ms, 10s, 60s);
        CHECK(backoff.next_delay(prng) == 0s);
        const Duration delay = backoff.next_delay(prng);
        low = std::min(low, delay);
        high = std::max(high, delay);
    }
    CHECK(low < 5ms);
    CHECK(high > 95ms);
    CHECK(high <= 100ms);
}

TEST_CASE("only a long healthy spell starts the backoff over") {
    Prng prng(1);
    Backoff backoff(100ms, 10s, 60s);
    for (int i = 0; i < 5; ++i) (void)backoff.next_delay(prng);
    backoff.on_healthy_spell(59s);
    CHECK(backoff.failures() == 5);
    backoff.on_healthy_spell(60s);
    CHECK(backoff.failures() == 0);
    CHECK(backoff.next_delay(prng) == 0s);
}
