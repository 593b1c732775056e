// SPDX-License-Identifier: BSL-1.0
#include "everpool/recovery_strategy.hpp"
#include "support/catch.hpp"

#include <array>
#include <memory>
#include <string>

using namespace everpool;

TEST_CASE("the nearest member of a set is found from above and from below") {
    using enum RecoveryRung;
    const RungSet set(new_page, restart_browser, other_type);
    CHECK(set.at_least(restart_adjusted) == other_type);
    CHECK(set.at_least(restart_browser) == restart_browser);
    CHECK_FALSE(set.at_least(other_provider));
    CHECK(set.at_most(other_browser) == restart_browser);
    CHECK(set.at_most(other_type) == other_type);
    CHECK(set.at_most(simulation) == other_type);
    CHECK_FALSE(set.at_most(reload_page));
}

// A pool asks for it when it is started, long after the host has put it together.
TEST_CASE("a sequence keeps its name, whatever becomes of what it was given") {
    std::string name = "first the page, then the browser";
    const RecoverySequence sequence(name, {});
    name.assign(name.size(), '?');
    CHECK(sequence.name() == "first the page, then the browser");
}

TEST_CASE("a sequence goes on to the next strategy when one has nothing more to offer") {
    const RecoverySequence sequence(
        "one restart, then another browser",
        {std::make_shared<BrowserRestartStrategy>(1), std::make_shared<BrowserFallbackStrategy>()});
    RecoverySituation now{
        .available = RungSet::between(RecoveryRung::restart_browser, RecoveryRung::other_browser)};
    CHECK(sequence.next(now) == RecoveryRung::restart_browser);
    const std::array one_restart{
        RecoveryStep{RecoveryRung::restart_browser, Errc::browser_launch_failed}};
    now.tried = one_restart;
    CHECK(sequence.next(now) == RecoveryRung::other_browser);
}
