// SPDX-License-Identifier: BSL-1.0
#include "facade/held_actions.hpp"

#include "support/catch.hpp"

using namespace everpool;
using facade::HeldActions;

TEST_CASE("steps are let go in the order in which they were taken, whoever is durable first") {
    HeldActions held;
    const auto first = held.open();
    held.hold(core::Dispatch{.request = {1}});
    const auto second = held.open();
    held.hold(core::Complete{.request = {2}});
    held.hold(core::DrainFinished{});
    held.settle(second, {});
    CHECK_FALSE(held.take());
    held.settle(first, Errc::storage_full);
    const auto one = held.take();
    REQUIRE(one);
    CHECK(one->ec == Errc::storage_full);
    CHECK(one->actions == core::Actions{core::Dispatch{.request = {1}}});
    const auto two = held.take();
    REQUIRE(two);
    CHECK_FALSE(two->ec);
    CHECK(two->actions.size() == 2);
    CHECK(held.is_empty());
    CHECK_FALSE(held.take());
}

TEST_CASE("the disk's answer for a step that is gone, or never was, means nothing") {
    HeldActions held;
    const auto first = held.open();
    held.settle(first, {});
    REQUIRE(held.take());
    const auto second = held.open();
    held.settle(first, {});
    held.settle(second + 1, {});
    CHECK_FALSE(held.take());
    held.settle(second, {});
    CHECK(held.take());
}

TEST_CASE("when nothing is waited for any longer, what has its answer keeps it") {
    HeldActions held;
    held.settle(held.open(), Errc::storage_full);
    (void)held.open();
    held.settle_all({});
    CHECK(held.take()->ec == Errc::storage_full);
    CHECK_FALSE(held.take()->ec);
}
