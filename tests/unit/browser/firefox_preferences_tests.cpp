// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/firefox_preferences.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>

using everpool::browser::firefox_preferences;
using everpool::browser::firefox_user_js;

// Firefox ignores a line that it cannot read, and the rest of the file with it.
TEST_CASE("every line of user.js sets one preference to a literal") {
    const std::regex line_form(
        R"re(user_pref\("[A-Za-z0-9._-]+", (true|false|-?\d+|"[^"\\]*")\);)re");
    std::istringstream file(firefox_user_js());
    std::size_t count = 0;
    for (std::string line; std::getline(file, line); ++count) {
        INFO(line);
        CHECK(std::regex_match(line, line_form));
    }
    CHECK(count == std::size(firefox_preferences));
}

// The last one counts in Firefox, so the reason beside the first one would be untrue.
TEST_CASE("no preference is set twice") {
    std::set<std::string_view> names;
    for (const auto& [name, value] : firefox_preferences) {
        INFO(name);
        CHECK(names.insert(name).second);
    }
}
