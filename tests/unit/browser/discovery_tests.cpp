// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/discovery.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <set>
#include <string_view>

using everpool::BrowserType;
using everpool::browser::candidates_of;

namespace {

constexpr BrowserType types[] = {BrowserType::chromium, BrowserType::chrome, BrowserType::edge,
                                 BrowserType::firefox};

bool has_slash(std::string_view executable) { return executable.find('/') != executable.npos; }

} // namespace

// Else the PATH's script, which adds switches of its own, is taken before the real executable.
TEST_CASE("full paths are looked at before names in the PATH") {
    for (const BrowserType type : types) {
        const auto executables = candidates_of(type).executables;
        REQUIRE_FALSE(executables.empty());
        CHECK(std::is_partitioned(executables.begin(), executables.end(), has_slash));
        CHECK(has_slash(executables.front()));
    }
}

TEST_CASE("no executable is taken for two browsers, and each says what to install") {
    std::set<std::string_view> seen;
    for (const BrowserType type : types) {
        for (const std::string_view executable : candidates_of(type).executables) {
            INFO(executable);
            CHECK(seen.insert(executable).second);
        }
        CHECK_FALSE(candidates_of(type).package.empty());
    }
}
