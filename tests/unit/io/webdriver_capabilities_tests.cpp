// What a WebDriver session is asked for, by kind of browser.
// SPDX-License-Identifier: BSL-1.0
#include "io/webdriver_capabilities.hpp"
#include "support/catch.hpp"

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <string>

using namespace everpool;
using namespace std::chrono_literals;
namespace json = boost::json;

namespace {

json::object asked_for(const BrowserSpec& spec) {
    const json::object all = io::webdriver_capabilities(spec, 1500ms);
    CHECK(all.size() == 2);
    CHECK(all.at("firstMatch") == json::parse(R"([{"webSocketUrl":true},{}])"));
    return all.at("alwaysMatch").as_object();
}

BrowserSpec spec_of(BrowserType type, const char* more = "") {
    BrowserSpec out;
    out.type = type;
    out.executable = "/opt/browser";
    out.extra_arguments = {"--mine"};
    out.webdriver.capabilities_json = more;
    return out;
}

json::value alternatives_of(const char* more) {
    return io::webdriver_capabilities(spec_of(BrowserType::webkit, more), 1500ms).at("firstMatch");
}

bool has(const json::value& list, std::string_view text) {
    for (const json::value& one : list.as_array())
        if (one == json::string_view(text.data(), text.size())) return true;
    return false;
}

} // namespace

TEST_CASE("Chromium's family is asked for by its driver's names, with our switches and yours") {
    const auto [type, name, key] = GENERATE(table<BrowserType, std::string, std::string>(
        {{BrowserType::chromium, "chrome", "goog:chromeOptions"},
         {BrowserType::chrome, "chrome", "goog:chromeOptions"},
         {BrowserType::edge, "MicrosoftEdge", "ms:edgeOptions"}}));
    const json::object all = asked_for(spec_of(type));
    CHECK(all.at("browserName") == json::string_view(name));
    CHECK(all.at("pageLoadStrategy") == "none");
    CHECK(all.at("timeouts").at("script") == 1500);
    const json::value& options = all.at(key);
    CHECK(options.at("binary") == "/opt/browser");
    CHECK(has(options.at("args"), "--headless=new"));
    CHECK(has(options.at("args"), "--mine"));
    // The driver sees to its channel and to the profile.
    for (const json::value& argument : options.at("args").as_array()) {
        CHECK_FALSE(argument.as_string().starts_with("--remote-debugging"));
        CHECK_FALSE(argument.as_string().starts_with("--user-data-dir"));
    }
}

TEST_CASE("Firefox gets its preferences with values of their own types") {
    BrowserSpec spec = spec_of(BrowserType::firefox);
    spec.extra_preferences = {{"my.text", "\"x\""}, {"my.number", "5"}};
    const json::object all = asked_for(spec);
    CHECK(all.at("browserName") == "firefox");
    const json::value& options = all.at("moz:firefoxOptions");
    CHECK(has(options.at("args"), "-headless"));
    CHECK(has(options.at("args"), "--mine"));
    CHECK(options.at("prefs").at("dom.webgpu.enabled") == true);
    CHECK(options.at("prefs").at("my.text") == "x");
    CHECK(options.at("prefs").at("my.number") == 5);
}

TEST_CASE("WebKitGTK is asked for by its program, Safari by what the host says") {
    const json::object gtk = asked_for(spec_of(BrowserType::webkit));
    CHECK(has(gtk.at("webkitgtk:browserOptions").at("args"), "--automation"));
    CHECK(gtk.at("webkitgtk:browserOptions").at("binary") == "/opt/browser");

    BrowserSpec safari = spec_of(BrowserType::webkit, R"({"browserName":"safari"})");
    safari.executable.clear();
    const json::object all = asked_for(safari);
    CHECK_FALSE(all.contains("webkitgtk:browserOptions"));
    CHECK(all.at("browserName") == "safari");
}

TEST_CASE("further capabilities go into ours: members added, lists appended, the rest replaced") {
    const json::object all = asked_for(spec_of(BrowserType::chromium,
                                               R"({"platformName":"linux","browserName":"other",
            "goog:chromeOptions":{"args":["--theirs"],"detach":true}})"));
    CHECK(all.at("platformName") == "linux");
    CHECK(all.at("browserName") == "other");
    const json::value& options = all.at("goog:chromeOptions");
    CHECK(options.at("detach") == true);
    CHECK(has(options.at("args"), "--mine"));
    CHECK(has(options.at("args"), "--theirs"));
    CHECK(options.at("binary") == "/opt/browser");
}

TEST_CASE("BiDi is asked for as one of two, unless the host says no, or must") {
    const json::object no = io::webdriver_capabilities(
        spec_of(BrowserType::webkit, R"({"webSocketUrl":false})"), 1500ms);
    CHECK_FALSE(no.at("alwaysMatch").as_object().contains("webSocketUrl"));
    CHECK(no.at("firstMatch") == json::parse("[{}]"));
    CHECK_FALSE(io::without_bidi(no));

    const json::object must = io::webdriver_capabilities(
        spec_of(BrowserType::webkit, R"({"webSocketUrl":true})"), 1500ms);
    CHECK(must.at("alwaysMatch").at("webSocketUrl") == true);
    CHECK(must.at("firstMatch") == json::parse("[{}]"));
    CHECK_FALSE(io::without_bidi(must));
}

TEST_CASE("the host's alternatives stay in its order, each with BiDi before it is without") {
    CHECK(alternatives_of(R"({"firstMatch":[{"a":1},{"b":2,"webSocketUrl":false}]})") ==
          json::parse(R"([{"a":1,"webSocketUrl":true},{"a":1},{"b":2}])"));
    CHECK(alternatives_of(R"({"firstMatch":[{"a":1,"webSocketUrl":true}]})") ==
          json::parse(R"([{"a":1,"webSocketUrl":true}])"));
    CHECK(alternatives_of(R"({"firstMatch":[7,"x"]})") ==
          json::parse(R"([{"webSocketUrl":true},{}])"));
    CHECK(alternatives_of(R"({"firstMatch":"x"})") == json::parse(R"([{"webSocketUrl":true},{}])"));
}

TEST_CASE("what of ours the host's alternatives speak of stands in them, and nowhere else") {
    const json::object all = io::webdriver_capabilities(
        spec_of(BrowserType::chromium, R"({"alwaysMatch":{"platformName":"linux"},
            "firstMatch":[{"browserName":"other"},{"timeouts":{"script":7}}]})"),
        1500ms);
    const json::object& always = all.at("alwaysMatch").as_object();
    CHECK(always.at("platformName") == "linux");
    CHECK(always.contains("goog:chromeOptions"));
    CHECK_FALSE(always.contains("browserName"));
    CHECK_FALSE(always.contains("timeouts"));
    CHECK_FALSE(always.contains("firstMatch"));
    const auto plain = io::without_bidi(all);
    REQUIRE(plain);
    CHECK(plain->at("firstMatch") == json::parse(R"([
        {"browserName":"other","timeouts":{"script":1500,"implicit":0}},
        {"timeouts":{"script":7,"implicit":0},"browserName":"chrome"}])"));
    CHECK(all.at("firstMatch").as_array().size() == 4);
}
