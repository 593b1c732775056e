// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/placement.hpp"
#include "support/catch.hpp"

#include <vector>

using everpool::BrowserType;
using namespace everpool::core;

TEST_CASE("a preference is packed with the first choice in the lowest bits") {
    CHECK(pack_preferences({}) == 0);
    CHECK(pack_preferences({BrowserType::chromium}) == 0x1);
    CHECK(pack_preferences({BrowserType::edge, BrowserType::chrome}) == 0x23);
    CHECK(pack_preferences(std::vector<BrowserType>{BrowserType::firefox}) == 0x4);
}

TEST_CASE("a browser that is named twice keeps its first place") {
    CHECK(pack_preferences({BrowserType::edge, BrowserType::edge, BrowserType::chrome}) == 0x23);
}

TEST_CASE("browsers rank as they are named, those not named come last") {
    const std::uint32_t order = pack_preferences({BrowserType::edge, BrowserType::chrome});
    CHECK(preference_rank(order, BrowserType::edge) == 0);
    CHECK(preference_rank(order, BrowserType::chrome) == 1);
    CHECK(preference_rank(order, BrowserType::firefox) == preference_count_max);
    CHECK(preference_rank(0, BrowserType::chromium) == preference_count_max);
}

TEST_CASE("a worker that the request was lost with is the last choice, then rank, then load") {
    CHECK(placement_cost(false, 8, 1000) < placement_cost(true, 0, 0));
    CHECK(placement_cost(false, 0, 1000) < placement_cost(false, 1, 0));
    CHECK(placement_cost(false, 1, 2) < placement_cost(false, 1, 3));
}
