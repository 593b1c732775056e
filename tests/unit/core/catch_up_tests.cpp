// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/catch_up.hpp"
#include "support/catch.hpp"

#include <chrono>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;

namespace {
const TimePoint began{1h};
} // namespace

TEST_CASE("who has not starved has nothing to catch up") {
    CatchUp catch_up(1s);
    CHECK_FALSE(catch_up.is_under_way(began));
    catch_up.on_host_late(1h);
    CHECK_FALSE(catch_up.is_under_way(began));
}

TEST_CASE("to catch up takes as long as all that was missed, and no longer than is granted") {
    CatchUp catch_up(1s);
    catch_up.on_starved(began, began + 100ms);
    CHECK(catch_up.is_under_way(began + 200ms - 1ns));
    CHECK_FALSE(catch_up.is_under_way(began + 200ms));
    catch_up.on_starved(began + 150ms, began + 450ms);
    CHECK(catch_up.is_under_way(began + 850ms - 1ns));
    CHECK_FALSE(catch_up.is_under_way(began + 850ms));
    catch_up.on_starved(began + 1s, began + 3s);
    CHECK(catch_up.is_under_way(began + 4s - 1ns));
    CHECK_FALSE(catch_up.is_under_way(began + 4s));
    catch_up.reset();
    CHECK_FALSE(catch_up.is_under_way(began + 3s));
}

TEST_CASE("nobody can catch up while the host stands still") {
    CatchUp catch_up(1s);
    catch_up.on_starved(began, began + 100ms);
    catch_up.on_host_late(1h);
    CHECK(catch_up.is_under_way(began + 1h + 199ms));
    CHECK_FALSE(catch_up.is_under_way(began + 1h + 200ms));
}
