// Names of browsers as users, systems, drivers and the browsers themselves write them.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser_spec.hpp"
#include "support/catch.hpp"

#include <optional>
#include <string_view>
#include <utility>

using everpool::BrowserEngine;
using everpool::BrowserType;
using everpool::detect_browser_type;

TEST_CASE("a browser is known by any of its names") {
    using enum BrowserType;
    constexpr std::pair<std::string_view, BrowserType> table[] = {
        {"chrome", chrome},
        {"Google Chrome", chrome},
        {"google-chrome-stable", chrome},
        {"/opt/google/chrome/chrome", chrome},
        {"/Applications/Google Chrome.app/Contents/MacOS/Google Chrome", chrome},
        {"chrome-headless-shell", chrome},
        {"chromedriver", chrome},
        {"HeadlessChrome/156.0.8078.79", chrome},
        {"chromium", chromium},
        {"chromium-browser", chromium},
        {"chromium-headless-shell", chromium},
        {"/usr/lib/chromium/headless_shell", chromium},
        {"edge", edge},
        {"msedge", edge},
        {"microsoft-edge-stable", edge},
        {"MicrosoftEdge", edge},
        {"C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe", edge},
        {"firefox", firefox},
        {"firefox-esr", firefox},
        {"Mozilla Firefox 153.7.0esr", firefox},
        {"/home/edge/firefox/firefox", firefox}, // a user may be called edge
        {"safari", webkit},
        {"Safari Technology Preview", webkit},
        {"webkit", webkit},
        {"WebKitGTK", webkit},
        {"webkit2gtk-4.1", webkit},
        {"MiniBrowser", webkit},
        {"epiphany", webkit},
        // User agents.
        {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 "
         "Safari/537.36",
         chrome},
        {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 "
         "Safari/537.36 Edg/156.0.0.0",
         edge},
        {"Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0", firefox},
        {"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
         "Safari/605.1.15",
         webkit},
    };
    for (const auto& [name, type] : table) {
        CAPTURE(name);
        REQUIRE(detect_browser_type(name));
        CHECK(name_of(*detect_browser_type(name)) == name_of(type));
    }
}

TEST_CASE("what names no browser is none") {
    for (const std::string_view name :
         {"", "/", "lynx", "opera", "knowledge", "chromatic", "/usr/bin/node", "\xff\xff"}) {
        CAPTURE(name);
        CHECK(detect_browser_type(name) == std::nullopt);
    }
}

TEST_CASE("each type is found by its own name, and has values that logs rely on") {
    unsigned value = 0;
    for (const BrowserType type : everpool::browser_types) {
        CHECK(static_cast<unsigned>(type) == value++);
        CHECK(everpool::browser_type_from(name_of(type)) == type);
        CHECK(detect_browser_type(name_of(type)) == type);
    }
    CHECK(everpool::browser_type_from("unrecognised") == std::nullopt);
    CHECK(name_of(static_cast<BrowserType>(value)) == "unrecognised");
}

TEST_CASE("three browsers are one engine") {
    for (const BrowserType type : everpool::browser_types)
        CHECK(is_chromium_family(type) == (engine_of(type) == BrowserEngine::chromium));
    CHECK(is_chromium_family(BrowserType::edge));
    CHECK(engine_of(BrowserType::firefox) == BrowserEngine::gecko);
    CHECK(engine_of(BrowserType::webkit) == BrowserEngine::webkit);
}
