// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/backoff.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <vector>

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

TEST_CASE("a retry's bound really doubles, or grows as Fibonacci's numbers, up to the maximum") {
    const auto bounds = [](BackoffShape shape) {
        std::vector<Duration> all;
        for (std::uint32_t retry = 0; retry <= 8; ++retry)
            all.push_back(retry_bound(shape, 100ms, 2s, retry));
        return all;
    };
    CHECK(bounds(BackoffShape::exponential) ==
          std::vector<Duration>{0s, 100ms, 200ms, 400ms, 800ms, 1600ms, 2s, 2s, 2s});
    CHECK(bounds(BackoffShape::fibonacci) ==
          std::vector<Duration>{0s, 100ms, 100ms, 200ms, 300ms, 500ms, 800ms, 1300ms, 2s});
    for (const auto shape : {BackoffShape::exponential, BackoffShape::fibonacci})
        CHECK(retry_bound(shape, Duration::max() / 2, Duration::max(), 1'000) == Duration::max());
}

TEST_CASE("however often it has been tried, the bound stays at its maximum, and is found at once") {
    for (const auto shape : {BackoffShape::exponential, BackoffShape::fibonacci})
        for (const std::uint32_t retry : {100U, 1'000'000U, UINT32_MAX - 1, UINT32_MAX}) {
            CAPTURE(retry);
            CHECK(retry_bound(shape, 100ms, 20s, retry) == 20s);
            CHECK(retry_bound(shape, 1ns, Duration::max(), retry) == Duration::max());
            CHECK(retry_bound(shape, 0s, 20s, retry) == 0s); // what does not grow is not grown
        }
    CHECK(backoff_bound(0s, 20s, UINT32_MAX) == 0s);
}

TEST_CASE("callers that failed together are spread over the whole range below the bound") {
    Prng prng(1);
    const RetryDelay retry{.min = 100ms, .max = 10s};
    Duration low = 1h, high{};
    for (int i = 0; i < 1000; ++i) {
        const Duration delay = retry.delay(3, prng);
        low = std::min(low, delay);
        high = std::max(high, delay);
    }
    CHECK(low < 20ms);
    CHECK(high > 380ms);
    CHECK(high <= 400ms);
}

TEST_CASE("a peer that says when to come back is heard, with jitter on top, and within a limit") {
    Prng prng(1);
    const RetryDelay retry{.min = 100ms, .max = 10s, .retry_after_max = 1min};
    for (int i = 0; i < 100; ++i) {
        const Duration delay = retry.delay(1, prng, 5s);
        CHECK(delay >= 5s);
        CHECK(delay <= 5100ms);
        CHECK(retry.delay(1, prng, 24h) <= 60'100ms);
        CHECK(retry.delay(1, prng, -5s) <= 100ms);
    }
}
