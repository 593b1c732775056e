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
    CHECK(all.size() == 1);
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
