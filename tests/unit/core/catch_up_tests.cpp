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

TEST_CASE("to catch up takes as long as it was seen to starve, and no longer than is granted") {
    CatchUp catch_up(1s);
    catch_up.on_look(true, began, began + 100ms);
    CHECK(catch_up.is_under_way(began + 200ms - 1ns));
    CHECK_FALSE(catch_up.is_under_way(began + 200ms));
    catch_up.on_look(true, began + 100ms, began + 450ms);
    CHECK(catch_up.is_under_way(began + 900ms - 1ns));
    CHECK_FALSE(catch_up.is_under_way(began + 900ms));
    catch_up.on_look(true, began + 450ms, began + 3s);
    CHECK(catch_up.is_under_way(began + 4s - 1ns));
    CHECK_FALSE(catch_up.is_under_way(began + 4s));
}

TEST_CASE("who waits now and then does not starve, and what was granted is not taken back") {
    CatchUp catch_up(1s);
    catch_up.on_look(true, began, began + 500ms);
    catch_up.on_look(false, began + 500ms, began + 600ms);
    catch_up.on_look(true, began + 600ms, began + 700ms);
    CHECK(catch_up.is_under_way(began + 1s - 1ns));
    CHECK_FALSE(catch_up.is_under_way(began + 1s));
    catch_up.on_look(false, began + 2s, began + 2100ms);
    catch_up.on_look(true, began + 2100ms, began + 2200ms);
    CHECK_FALSE(catch_up.is_under_way(began + 2300ms));
}

TEST_CASE("a new life owes nothing of the one before it") {
    CatchUp catch_up(1s);
    catch_up.on_look(true, began, began + 500ms);
    catch_up.reset();
    CHECK_FALSE(catch_up.is_under_way(began + 500ms));
    catch_up.on_look(true, began + 500ms, began + 600ms);
    CHECK_FALSE(catch_up.is_under_way(began + 700ms));
}

TEST_CASE("nobody can catch up while the host stands still") {
    CatchUp catch_up(1s);
    catch_up.on_look(true, began, began + 100ms);
    catch_up.on_host_late(1h);
    CHECK(catch_up.is_under_way(began + 1h + 199ms));
    CHECK_FALSE(catch_up.is_under_way(began + 1h + 200ms));
}
