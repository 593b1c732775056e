// SPDX-License-Identifier: BSL-1.0
#include "facade/nearest_name.hpp"
#include "support/catch.hpp"

#include <string>

using everpool::facade::edit_distance;
using everpool::facade::nearest_name;

TEST_CASE("a distance counts changes, additions, omissions and swapped neighbours") {
    CHECK(edit_distance("level", "level", 3) == 0);
    CHECK(edit_distance("level", "LEVEL", 3) == 0);
    CHECK(edit_distance("level", "lever", 3) == 1);
    CHECK(edit_distance("level", "leveel", 3) == 1);
    CHECK(edit_distance("level", "levl", 3) == 1);
    CHECK(edit_distance("level", "elvel", 3) == 1);
    CHECK(edit_distance("level", "elevl", 3) == 2);
    CHECK(edit_distance("", "abc", 3) == 3);
    CHECK(edit_distance("abc", "xyz", 3) == 3);
}

TEST_CASE("what is too far away is not measured") {
    CHECK(edit_distance("abcd", "wxyz", 3) == 4);
    CHECK(edit_distance("a", std::string(1 << 20, 'a'), 3) == 4); // at once
}

TEST_CASE("the nearest name is the one that was meant, if any was") {
    const std::vector<std::string_view> known{"queue_count_max", "seed", "max_attempts", "hedge"};
    CHECK(nearest_name("queue_count_mx", known) == "queue_count_max");
    CHECK(nearest_name("queueCountMax", known) == "queue_count_max");
    CHECK(nearest_name("sead", known) == "seed");
    CHECK(nearest_name("hegde", known) == "hedge");
    CHECK(nearest_name("max_atempts", known) == "max_attempts");
    CHECK(nearest_name("colour", known).empty());
    CHECK(nearest_name("need", {"seed", "feed"}) == "seed"); // the first of several
    CHECK(nearest_name("node", known).empty());
    CHECK(nearest_name("", known).empty());
    CHECK(nearest_name("x", {}).empty());
}
