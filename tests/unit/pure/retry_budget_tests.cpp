// SPDX-License-Identifier: BSL-1.0
#include "everpool/retry_budget.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <chrono>
#include <thread>
#include <vector>

using namespace everpool;
using everpool::tests::start;
using namespace std::chrono_literals;

namespace {

int spend_all(RetryBudget& budget, TimePoint now) {
    int count = 0;
    while (budget.try_spend(now)) ++count;
    return count;
}

} // namespace

TEST_CASE("successes pay for a fifth of an extra call each") {
    RetryBudget budget;
    CHECK(spend_all(budget, start) == 3); // the floor
    for (int i = 0; i < 4; ++i) budget.on_success(start);
    CHECK_FALSE(budget.try_spend(start));
    budget.on_success(start);
    CHECK(budget.try_spend(start));
    for (int i = 0; i < 100; ++i) budget.on_success(start);
    CHECK(budget.available(start) == 20);
    CHECK(spend_all(budget, start) == 20);
}

TEST_CASE("when nothing succeeds, what is left is the floor, which grows back") {
    RetryBudget budget;
    CHECK(spend_all(budget, start) == 3);
    CHECK(spend_all(budget, start + 3s) == 0);
    CHECK(spend_all(budget, start + 3400ms) == 1); // three in ten seconds
    CHECK(spend_all(budget, start + 14s) == 3);
    CHECK(spend_all(budget, start + 1000h) == 3); // never more than the floor
}

TEST_CASE("asking again and again does not keep the floor from growing back") {
    RetryBudget budget;
    (void)spend_all(budget, start);
    int granted = 0;
    for (TimePoint now = start; now < start + 100s; now += 1ms) granted += budget.try_spend(now);
    CHECK(granted >= 29);
    CHECK(granted <= 30);
}

TEST_CASE("rare successes do not keep it either") {
    RetryBudget budget({.percent_per_success = 0});
    (void)spend_all(budget, start);
    int granted = 0;
    for (TimePoint now = start; now < start + 100s; now += 1ms) {
        budget.on_success(now);
        granted += budget.try_spend(now);
    }
    CHECK(granted >= 29);
    CHECK(granted <= 30);
}

TEST_CASE("a floor that grows by less than can be counted between two calls grows all the same") {
    RetryBudget budget({.percent_per_success = 0, .floor = 1, .floor_interval = 1h});
    CHECK(budget.try_spend(start));
    TimePoint now = start;
    for (; now < start + 59min; now += 1ms) budget.on_success(now);
    CHECK(budget.available(now) == 0);
    for (; now < start + 75min; now += 1ms) budget.on_success(now);
    CHECK(budget.available(now) == 1);
}

TEST_CASE("a long healthy spell saves up to a limit") {
    RetryBudget budget({.saved_max = 10});
    for (int i = 0; i < 10'000; ++i) budget.on_success(start);
    CHECK(spend_all(budget, start) == 10);
}

TEST_CASE("what was not made after all is given back") {
    RetryBudget budget({.saved_max = 3});
    CHECK(budget.try_spend(start));
    budget.give_back(start);
    budget.give_back(start); // once too often does not exceed the limit
    CHECK(spend_all(budget, start) == 3);
}

TEST_CASE("a clock that is a little behind takes and gives nothing") {
    RetryBudget budget;
    CHECK(spend_all(budget, start) == 3);
    CHECK(spend_all(budget, start - 100ms) == 0);
}

TEST_CASE("the largest limits do not overflow") {
    RetryBudget budget(
        {.percent_per_success = 100, .saved_max = 1000, .floor = 1000, .floor_interval = 1h});
    for (int i = 0; i < 2000; ++i) budget.on_success(start);
    CHECK(spend_all(budget, start) == 1000);
    CHECK(spend_all(budget, start + 1h + 1ms) == 1000);
    CHECK_THROWS_WITH(RetryBudget({.percent_per_success = 101}),
                      Catch::Contains("percent_per_success"));
    CHECK_THROWS_WITH(RetryBudget({.saved_max = 1001}), Catch::Contains("saved_max"));
    CHECK_THROWS_WITH(RetryBudget({.saved_max = 2, .floor = 3}), Catch::Contains("floor"));
    CHECK_THROWS_WITH(RetryBudget({.floor_interval = 0s}), Catch::Contains("floor_interval"));
}

TEST_CASE("retries and hedges of several threads share it, and none is granted twice") {
    RetryBudget budget({.saved_max = 1000});
    for (int i = 0; i < 5000; ++i) budget.on_success(start);
    std::vector<int> granted(4);
    std::vector<std::thread> threads;
    for (int& mine : granted) threads.emplace_back([&] { mine = spend_all(budget, start); });
    for (std::thread& thread : threads) thread.join();
    CHECK(granted[0] + granted[1] + granted[2] + granted[3] == 1000);
}
