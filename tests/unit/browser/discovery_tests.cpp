// Where browsers are looked for.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/discovery.hpp"
#include "support/catch.hpp"

#include <set>
#include <string_view>

using namespace everpool;

TEST_CASE("each kind of browser has places to look in and a package to install") {
    for (const BrowserType type : browser_types) {
        CAPTURE(name_of(type));
        const browser::Candidates candidates = browser::candidates_of(type);
        CHECK_FALSE(candidates.package.empty());
        std::set<std::string_view> seen;
        bool has_absolute = false;
        bool has_name = false;
        for (const std::string_view candidate : candidates.executables) {
            CAPTURE(candidate);
            CHECK(seen.insert(candidate).second);
            const bool is_absolute = candidate.starts_with('/');
            // The installed browsers' own places come before whatever the PATH has.
            CHECK_FALSE((is_absolute && has_name));
            // A relative path would depend on where the host was started.
            CHECK((is_absolute || candidate.find('/') == std::string_view::npos));
            // Wrapper scripts live here.
            CHECK_FALSE(candidate.starts_with("/usr/bin/"));
            (is_absolute ? has_absolute : has_name) = true;
        }
        CHECK(has_absolute);
        CHECK(has_name);
    }
}

// It starts in a third of the time and takes half the memory.
TEST_CASE("the headless shell is preferred to the full Chromium") {
    const auto executables = browser::candidates_of(BrowserType::chromium).executables;
    bool has_full = false;
    for (const std::string_view candidate : executables) {
        if (!candidate.starts_with('/')) break;
        const bool is_shell = candidate.find("headless") != std::string_view::npos;
        CAPTURE(candidate);
        CHECK_FALSE((is_shell && has_full));
        has_full = has_full || !is_shell;
    }
    CHECK(has_full);
}
