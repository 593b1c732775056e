// SPDX-License-Identifier: BSL-1.0
#include "facade/config_members.hpp"
#include "facade/config_paths.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using everpool::Duration;
using everpool::OrphanPolicy;
using everpool::ResourcePoolConfig;
using everpool::Tolerance;
using everpool::facade::Bytes;
using everpool::facade::config_paths;
using everpool::facade::ConfigPath;
using everpool::facade::for_each_enumerator;
using everpool::facade::Member;
using everpool::facade::MemberList;
using everpool::facade::TextForm;

namespace {

/// As the structs of a configuration are: a mixture, with an optional and a struct at the end.
struct Grown {
    Duration first{};
    std::uint32_t second{};
    Duration third{};
    std::optional<std::uint32_t> fourth{};
    Tolerance fifth{};
};
enum class Gapless : std::uint8_t { zero, one };
constexpr std::string_view name_of(Gapless value) noexcept {
    return value == Gapless::zero ? "zero" : value == Gapless::one ? "one" : "unrecognised";
}

using First = Member<&Grown::first>;
using Second = Member<&Grown::second>;
using Third = Member<&Grown::third>;
using Fourth = Member<&Grown::fourth>;
using Fifth = Member<&Grown::fifth>;

} // namespace

// config_members.hpp asserts the same of the real structs, so that a forgotten member does not
// compile. This is the test of that test.
TEST_CASE("a list with a member too few, wherever it stands, is not all of a struct") {
    STATIC_REQUIRE(MemberList<First, Second, Third, Fourth, Fifth>::is_all_of<Grown>);
    STATIC_REQUIRE_FALSE(MemberList<Second, Third, Fourth, Fifth>::is_all_of<Grown>);
    STATIC_REQUIRE_FALSE(MemberList<First, Third, Fourth, Fifth>::is_all_of<Grown>);
    STATIC_REQUIRE_FALSE(MemberList<First, Second, Third, Fifth>::is_all_of<Grown>);
    STATIC_REQUIRE_FALSE(MemberList<First, Second, Third, Fourth>::is_all_of<Grown>);
    STATIC_REQUIRE_FALSE(MemberList<First, Second, Third>::is_all_of<Grown>);
    STATIC_REQUIRE_FALSE(MemberList<>::is_all_of<Grown>);
    STATIC_REQUIRE_FALSE(MemberList<Second, First, Third, Fourth, Fifth>::is_all_of<Grown>);
}

TEST_CASE("a member's name is made from its pointer") {
    STATIC_REQUIRE(First::name == "first");
    STATIC_REQUIRE(Member<&ResourcePoolConfig::max_in_flight_per_worker>::name ==
                   "max_in_flight_per_worker");
    STATIC_REQUIRE(Bytes<&ResourcePoolConfig::frame_bytes_max>::is_bytes);
    STATIC_REQUIRE_FALSE(First::is_bytes);
}

TEST_CASE("enumerators are found by counting until one has no name") {
    std::string names;
    for_each_enumerator<Gapless>([&](Gapless one) { names += name_of(one); });
    CHECK(names == "zeroone");
    std::vector<OrphanPolicy> policies;
    for_each_enumerator<OrphanPolicy>([&](OrphanPolicy one) { policies.push_back(one); });
    CHECK(policies == std::vector{OrphanPolicy::redispatch, OrphanPolicy::give_up});
}

TEST_CASE("each member has one path and one variable, and no two have the same") {
    std::set<std::string> names, variables;
    for (const ConfigPath& path : config_paths()) {
        INFO(path.name);
        CHECK(names.insert(path.name).second);
        CHECK(variables.insert(path.variable()).second);
    }
    CHECK(variables.contains("EVERPOOL_QUEUE_COUNT_MAX"));
    CHECK(variables.contains("EVERPOOL_QUEUE_POLICIES__LOW__TIMEOUT"));
    CHECK(variables.contains("EVERPOOL_HEDGE__BUDGET__FLOOR_INTERVAL"));
    CHECK_FALSE(variables.contains("EVERPOOL_BROWSERS__TYPE"));
}

TEST_CASE("a path knows how a variable's text is to be read") {
    const auto form = [](std::string_view name) {
        const auto paths = config_paths();
        const auto found = std::ranges::find(paths, name, &ConfigPath::name);
        REQUIRE(found != paths.end());
        return found->form;
    };
    CHECK(form("default_timeout") == TextForm::word);
    CHECK(form("fault_tolerance.level") == TextForm::word);
    CHECK(form("queue_policies.low.timeout") == TextForm::word);
    CHECK(form("standby_count") == TextForm::json);
    CHECK(form("hedge.enabled") == TextForm::json);
    CHECK(form("frame_bytes_max") == TextForm::bytes);
    CHECK(form("vote.decisions") == TextForm::words);
    CHECK(form("browser_preferences.text") == TextForm::words);
    CHECK(form("browsers") == TextForm::list);
    CHECK(form("hedge.budget") == TextForm::group);
    CHECK(form("on_event") == TextForm::program);
    CHECK(form("fault_tolerance.custom_strategy") == TextForm::program);
}
