// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/bidi_address.hpp"
#include "support/catch.hpp"

#include <string>

using everpool::browser::bidi_address_from;
using everpool::browser::BidiAddress;
using everpool::browser::WebDriverEndpoint;

TEST_CASE("a driver that was started here may name another port of its host, as Firefox's has") {
    const WebDriverEndpoint driver{"127.0.0.1", 9515, ""};
    CHECK(bidi_address_from("ws://127.0.0.1:9515/session/a-1", driver, true) ==
          BidiAddress{"127.0.0.1", 9515, "/session/a-1"});
    CHECK(bidi_address_from("ws://127.0.0.1:40123/session/a-1", driver, true) ==
          BidiAddress{"127.0.0.1", 40123, "/session/a-1"});
    CHECK(bidi_address_from("ws://localhost:40123/session/a-1", driver, true) ==
          BidiAddress{"127.0.0.1", 40123, "/session/a-1"});
    CHECK(bidi_address_from("ws://[::1]:40123/session/a-1", driver, true) ==
          BidiAddress{"127.0.0.1", 40123, "/session/a-1"});
    CHECK(bidi_address_from("ws://grid/session/a-1", {"grid", 4444, "/wd/hub"}, true) ==
          BidiAddress{"grid", 80, "/session/a-1"});
    CHECK(bidi_address_from("ws://127.0.0.1:40123/session/a-1", driver, false) ==
          BidiAddress{"127.0.0.1", 9515, "/session/a-1"});
}

TEST_CASE("another host is not connected to: its path is asked for at the endpoint itself") {
    const WebDriverEndpoint grid{"grid", 4444, "/wd/hub"};
    CHECK(bidi_address_from("ws://172.22.0.3:5555/session/a-1/se/bidi", grid, true) ==
          BidiAddress{"grid", 4444, "/session/a-1/se/bidi"});
    CHECK(bidi_address_from("ws://127.0.0.1:22/session/a-1", grid, true) ==
          BidiAddress{"grid", 4444, "/session/a-1"});
    CHECK(bidi_address_from("ws://grid.evil.example:4444/x", grid, true) ==
          BidiAddress{"grid", 4444, "/x"});
}

TEST_CASE("what is no plain WebSocket address with a path is none") {
    for (const char* text : {"", "true", "ws://", "wss://grid/session/a", "http://grid/session/a",
                             "ws://grid", "ws://grid/", "WS://grid/a", "ws://user@grid/a",
                             "ws://grid:0/a", "ws://grid:4444x/a", "ws://grid/a b", "ws://grid/a?b",
                             "ws://grid/a#b", "ws://grid/a\r\nX: y", "ws://grid\r\nX: y/a"}) {
        CAPTURE(text);
        CHECK_FALSE(bidi_address_from(text, {"grid", 4444, ""}, true));
    }
    CHECK_FALSE(bidi_address_from("ws://grid/" + std::string(2000, 'a'), {"grid", 4444, ""}, true));
}
