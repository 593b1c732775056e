// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/firefox_announcement.hpp"
#include "support/catch.hpp"

#include <string>

using everpool::browser::announced_port;

TEST_CASE("the port stands behind Firefox's announcement, whatever the line begins with") {
    CHECK(announced_port("WebDriver BiDi listening on ws://127.0.0.1:40511") == 40511);
    CHECK(announced_port("[12] WebDriver BiDi listening on ws://127.0.0.1:9/session") == 9);
}

// The sanitizer found an offset computed from "not found".
TEST_CASE("other lines announce nothing") {
    for (const char* line : {"", ":", "*** You are running in headless mode.",
                             "WebDriver BiDi listening on ws://127.0.0.1",
                             "DevTools listening on ws://127.0.0.1:9222"})
        CHECK_FALSE(announced_port(line).has_value());
}

TEST_CASE("an announcement without a possible port is none") {
    for (const char* port : {"", "0", "-1", "65536", "x", " 80"})
        CHECK_FALSE(
            announced_port("WebDriver BiDi listening on ws://127.0.0.1:" + std::string(port))
                .has_value());
}
