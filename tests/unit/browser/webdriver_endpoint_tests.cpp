// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/webdriver_endpoint.hpp"
#include "support/catch.hpp"

#include <string>

using everpool::browser::webdriver_endpoint_from;
using Endpoint = everpool::browser::WebDriverEndpoint;

TEST_CASE("an endpoint has a host, and perhaps a port and a path") {
    CHECK(webdriver_endpoint_from("http://127.0.0.1:9515") == Endpoint{"127.0.0.1", 9515, ""});
    CHECK(webdriver_endpoint_from("http://localhost") == Endpoint{"localhost", 80, ""});
    CHECK(webdriver_endpoint_from("http://grid-1.example:4444/wd/hub") ==
          Endpoint{"grid-1.example", 4444, "/wd/hub"});
    CHECK(webdriver_endpoint_from("http://grid:4444/") == Endpoint{"grid", 4444, ""});
    CHECK(webdriver_endpoint_from("http://grid/hub//") == Endpoint{"grid", 80, "/hub"});
    CHECK(webdriver_endpoint_from("http://[::1]:65535/x") == Endpoint{"::1", 65535, "/x"});
}

TEST_CASE("what is no endpoint, or would put more than a path into a request, is none") {
    for (const char* text : {"",
                             "127.0.0.1:9515",
                             "https://grid",
                             "ws://grid",
                             "HTTP://grid",
                             "http://",
                             "http://:9515",
                             "http://grid:",
                             "http://grid:0",
                             "http://grid:65536",
                             "http://grid:9x",
                             "http://grid:999999",
                             "http://user@grid",
                             "http://user:secret@grid",
                             "http://gr id",
                             "http://grid/a b",
                             "http://grid/a?b",
                             "http://grid/a#b",
                             "http://grid/a\r\nX: y",
                             "http://grid\r\nX: y/",
                             "http://[::1",
                             "http://[grid]",
                             "http://[]:1",
                             "http://[::1]1"}) {
        CAPTURE(text);
        CHECK_FALSE(webdriver_endpoint_from(text));
    }
    CHECK_FALSE(webdriver_endpoint_from("http://grid/" + std::string(2000, 'a')));
}
