// The preferences of a Firefox worker: well-formed, each once, and those that others rest on.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/firefox_preferences.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cctype>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

using namespace everpool::browser;

namespace {

std::string_view value_of(std::string_view wanted) {
    for (const auto& [name, value] : firefox_preferences)
        if (name == wanted) return value;
    return {};
}

bool is_integer(std::string_view text) {
    if (text.starts_with('-')) text.remove_prefix(1);
    return !text.empty() &&
           std::ranges::all_of(text, [](unsigned char c) { return std::isdigit(c) != 0; });
}

bool is_text(std::string_view text) {
    return text.size() >= 2 && text.front() == '"' && text.back() == '"' &&
           text.substr(1, text.size() - 2).find_first_of("\"\\\n") == std::string_view::npos;
}

} // namespace

TEST_CASE("each preference stands once, because Firefox takes the last one of a name") {
    std::set<std::string_view> names;
    for (const auto& preference : firefox_preferences) {
        CAPTURE(preference.first);
        CHECK(names.insert(preference.first).second);
    }
}

// A value of the wrong form makes Firefox drop the rest of the file without a word.
TEST_CASE("each value is a boolean, an integer or a quoted text") {
    for (const auto& [name, value] : firefox_preferences) {
        CAPTURE(name, value);
        CHECK(name.find_first_of("\"\\\n ") == std::string_view::npos);
        const bool is_boolean = value == "true" || value == "false";
        CHECK((is_boolean || is_integer(value) || is_text(value)));
    }
}

TEST_CASE("user.js has one line for each preference") {
    std::istringstream lines(firefox_user_js());
    std::string line;
    for (const auto& [name, value] : firefox_preferences) {
        REQUIRE(std::getline(lines, line));
        CHECK(line == "user_pref(\"" + std::string(name) + "\", " + std::string(value) + ");");
    }
    CHECK_FALSE(std::getline(lines, line));
}

TEST_CASE("everything but this machine's own address goes to a proxy that is not there") {
    CHECK(value_of("network.proxy.type") == "1");
    for (const char* port : {"network.proxy.http_port", "network.proxy.ssl_port"})
        CHECK(value_of(port) == "1");
    CHECK(value_of("network.proxy.no_proxies_on") == "\"127.0.0.1\"");
}

TEST_CASE("WebGPU is on, and with software adapters, which takes two preferences") {
    CHECK(value_of("dom.webgpu.enabled") == "true");
    CHECK(value_of("gfx.webgpu.ignore-blocklist") == "true");
}

// The host controls Firefox by WebDriver BiDi; CDP would be a second door.
TEST_CASE("only one protocol of control is on") {
    CHECK(value_of("remote.active-protocols") == "1");
}

TEST_CASE("preferences of the host's own come after ours, because the last one counts") {
    const std::vector<std::pair<std::string, std::string>> extra{{"dom.webgpu.enabled", "false"}};
    const std::string all = firefox_user_js(extra);
    CHECK(all.ends_with("user_pref(\"dom.webgpu.enabled\", false);\n"));
    CHECK(all.starts_with(firefox_user_js()));
}

TEST_CASE("what is no preference could end the line and say something else, and is refused") {
    for (const auto& [name, value] : firefox_preferences) CHECK(is_firefox_preference(name, value));
    CHECK(is_firefox_preference("a.b", "-5"));
    CHECK(is_firefox_preference("a.b", "\"text\""));
    CHECK_FALSE(is_firefox_preference("", "true"));
    CHECK_FALSE(is_firefox_preference("a\", 1); //", "true"));
    CHECK_FALSE(is_firefox_preference("a.b", ""));
    CHECK_FALSE(is_firefox_preference("a.b", "yes"));
    CHECK_FALSE(is_firefox_preference("a.b", "-"));
    CHECK_FALSE(is_firefox_preference("a.b", "12345678901"));
    CHECK_FALSE(is_firefox_preference("a.b", "\"with \" in it\""));
    CHECK_FALSE(is_firefox_preference("a.b", "\"two\nlines\""));
    CHECK_FALSE(is_firefox_preference("a.b", "\""));
}
