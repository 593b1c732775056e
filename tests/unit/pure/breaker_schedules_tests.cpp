// Every interleaving of a breaker's atomic steps: asking, recording, opening, probing, rolling
// over. SPDX-License-Identifier: BSL-1.0
//
// The number of schedules is printed. That the search is not blind is shown by planting mistakes in
// the atomic operations, which it must find.
#include "breaker_scenes.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <cstdio>
#include <memory>
#include <set>
#include <string>

using namespace everpool;
using namespace everpool::test;

namespace {

/// In how many scenes the planted mistake was found.
template <Plant plant>
int found() {
    int count = 0;
    for (const auto& [name, make] : scenes<plant>()) {
        const Exploration result = Explorer::explore(make, 1'000'000);
        if (result.mistake.empty()) continue;
        ++count;
        std::printf("  %-22s %8llu schedules until: %s (%s)\n", name,
                    static_cast<unsigned long long>(result.schedule_count), result.mistake.c_str(),
                    result.schedule.c_str());
    }
    return count;
}

} // namespace

TEST_CASE("no schedule breaks a claim") {
    std::uint64_t total = 0;
    for (const auto& [name, make] : scenes<Plant::none>()) {
        const Exploration result = Explorer::explore(make);
        std::printf("  %-22s %8llu schedules, %.1f steps each\n", name,
                    static_cast<unsigned long long>(result.schedule_count),
                    static_cast<double>(result.step_count) /
                        static_cast<double>(result.schedule_count));
        CAPTURE(name, result.schedule);
        CHECK(result.mistake == "");
        CHECK(result.schedule_count > 10);
        total += result.schedule_count;
    }
    std::printf("  %-22s %8llu schedules\n", "all", static_cast<unsigned long long>(total));
}

TEST_CASE("resilience4j 2151, 2241, 2122, 2224: a thread interrupted anywhere holds up nobody") {
    // Among all schedules are those in which one thread stops after any of its steps and the other
    // goes on to its end. With a lock the other would wait for ever, and the schedule with it.
    for (const auto& [name, make] : scenes<Plant::none>()) {
        CAPTURE(name);
        const Exploration result = Explorer::explore(make, 10'000);
        CHECK(result.longest > 0);
        CHECK(result.longest <= 40);
    }
}

TEST_CASE("the search sees every order of a known number") {
    // Three threads of two steps, a load and an addition: 6! / (2! 2! 2!) = 90 orders.
    std::set<std::string> seen;
    const Exploration result = Explorer::explore([&] {
        auto word = std::make_shared<ScheduledAtomic<std::uint64_t, Plant::none>>(0);
        auto order = std::make_shared<std::string>();
        const auto go = [word, order](char self) {
            return [word, order, self] {
                (void)word->load();
                *order += self;
                word->fetch_add(1);
                *order += self;
            };
        };
        return Script{{go('a'), go('b'), go('c')}, [&seen, order, word] {
                          seen.insert(*order);
                          return unless(word->load() == 3, "an addition was lost");
                      }};
    });
    CHECK(result.mistake == "");
    CHECK(result.schedule_count == 90);
    CHECK(result.step_count == 90 * 6);
    CHECK(seen.size() == 90);
}

TEST_CASE("a compare-and-swap that is torn in two is found") {
    CHECK(found<Plant::torn_exchange>() >= 5);
}

TEST_CASE("a compare-and-swap that does not compare the epoch is found") {
    CHECK(found<Plant::blind_to_epochs>() >= 2);
}
