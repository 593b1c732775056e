// SPDX-License-Identifier: BSL-1.0
#include "everpool/recovery_level.hpp"
#include "support/catch.hpp"

#include <optional>

using namespace everpool;

// The specification's table of start levels.
TEST_CASE("a recovery begins where its failure asks for it") {
    using enum BrowserFailureCategory;
    for (const BrowserFailureCategory category : browser_failure_categories) {
        CAPTURE(name_of(category));
        const bool is_gone = category == launch || category == crash;
        const bool is_lasting = category == api || category == webgpu || category == webnn;
        CHECK(start_level_of(category) == (is_gone      ? RecoveryLevel::moderate
                                           : is_lasting ? RecoveryLevel::aggressive
                                                        : RecoveryLevel::minimal));
    }
}

TEST_CASE("levels go up one by one to the last") {
    std::optional<RecoveryLevel> level = RecoveryLevel::minimal;
    for (const RecoveryLevel expected : recovery_levels) {
        REQUIRE(level);
        CHECK(*level == expected);
        CHECK(recovery_level_from(name_of(expected)) == expected);
        level = level_after(*level);
    }
    CHECK_FALSE(level);
    CHECK_FALSE(recovery_level_from("heroic"));
}
