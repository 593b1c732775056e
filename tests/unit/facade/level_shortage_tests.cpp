// What a host is told that asks for more fault tolerance than its workers can give.
// SPDX-License-Identifier: BSL-1.0
#include "facade/level_shortage.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

using namespace everpool;
using facade::shortages_of_level;

namespace {

std::vector<Diagnostics> shortages(FaultToleranceLevel level, std::uint32_t workers,
                                   std::optional<std::uint32_t> standbys = {}) {
    ResourcePoolConfig config;
    config.fault_tolerance.level = level;
    config.browsers.at(0).count = workers;
    config.standby_count = standbys;
    return shortages_of_level(config);
}

bool says(const Diagnostics& one, const std::string& text) {
    return one.message.find(text) != std::string::npos;
}

} // namespace

TEST_CASE("three workers are enough for every level, whichever of them are standbys") {
    using enum FaultToleranceLevel;
    for (const FaultToleranceLevel level : {none, low, medium, high, critical}) {
        CAPTURE(name_of(level));
        CHECK(shortages(level, 3).empty());
        CHECK(shortages(level, 3, 0).empty());
        CHECK(shortages(level, 2, 1).empty());
        CHECK(shortages(level, 1, 2).empty());
    }
    CHECK(shortages(critical, 2).empty()); // with the standby that is the level's own
}

TEST_CASE("level critical with two workers says that they cannot outvote one another") {
    using enum FaultToleranceLevel;
    for (const auto& found : {shortages(critical, 1), shortages(critical, 2, 0)}) {
        REQUIRE(found.size() == 1);
        CHECK(says(found[0], "level critical asks 3 workers"));
        CHECK(says(found[0], "there are 2 in all"));
        CHECK(says(found[0], "answers_disagree"));
        CHECK(found[0].remedy.find("ResourcePoolConfig::browsers") != std::string::npos);
        CHECK(found[0].remedy.find("standby_count") != std::string::npos);
    }
}

TEST_CASE("level critical with one worker says that nothing is compared, and nobody stands by") {
    using enum FaultToleranceLevel;
    const auto found = shortages(critical, 1, 0);
    REQUIRE(found.size() == 2);
    CHECK(says(found[0], "there is 1 in all"));
    CHECK(says(found[0], "believed"));
    CHECK(says(found[1], "level critical keeps a standby"));
}

TEST_CASE("level high with a single worker says that nobody stands by") {
    using enum FaultToleranceLevel;
    const auto found = shortages(high, 1, 0);
    REQUIRE(found.size() == 1);
    CHECK(says(found[0], "level high keeps a standby"));
    CHECK(found[0].remedy.find("ResourcePoolConfig::standby_count") != std::string::npos);
    CHECK(shortages(high, 1).empty());    // with the level's own
    CHECK(shortages(high, 2, 0).empty()); // who is left takes over
}

TEST_CASE("a rival of the strategy parallel makes up for no worker") {
    using enum FaultToleranceLevel;
    ResourcePoolConfig config;
    config.fault_tolerance.level = critical;
    config.fault_tolerance.recovery_strategy = RecoveryStrategy::parallel;
    CHECK(shortages_of_level(config).size() == 1);
}

TEST_CASE("below level high a single worker is what was asked for") {
    using enum FaultToleranceLevel;
    for (const FaultToleranceLevel level : {none, low, medium}) {
        CAPTURE(name_of(level));
        CHECK(shortages(level, 1).empty());
    }
}
