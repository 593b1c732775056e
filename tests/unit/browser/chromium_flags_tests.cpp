// The command line of Chromium's family: what it must have, and what it must never have.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/chromium_flags.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <vector>

using namespace everpool::browser;

namespace {

std::vector<std::string> arguments(ChromiumCircumstances circumstances = {},
                                   const std::vector<std::string>& extra = {}) {
    return chromium_arguments("/some/profile", circumstances, extra);
}

bool has(const std::vector<std::string>& list, const std::string& wanted) {
    return std::ranges::find(list, wanted) != list.end();
}

std::string name_in(const std::string& argument) { return argument.substr(0, argument.find('=')); }

} // namespace

TEST_CASE("each switch stands once, because Chromium takes the last one of a name") {
    const auto list =
        arguments({.is_headless_shell = false, .is_root = true, .has_small_shared_memory = true});
    std::set<std::string> names;
    for (const std::string& argument : list) {
        CAPTURE(argument);
        CHECK(argument.starts_with("--"));
        CHECK(names.insert(name_in(argument)).second);
    }
}

TEST_CASE("the browser is controlled over the pipe and opens no port") {
    CHECK(has(arguments(), "--remote-debugging-pipe"));
    for (const std::string& argument : arguments())
        CHECK(name_in(argument) != "--remote-debugging-port");
}

// The house's promise: a web page that a worker runs is as shut in as in a user's browser.
TEST_CASE("no switch weakens the sandbox or web security, whatever the circumstances") {
    for (const bool is_shell : {false, true})
        for (const bool is_small : {false, true})
            for (const std::string& argument :
                 arguments({.is_headless_shell = is_shell, .has_small_shared_memory = is_small})) {
                CAPTURE(argument);
                for (const char* forbidden :
                     {"--no-sandbox", "--disable-setuid-sandbox", "--disable-gpu-sandbox",
                      "--disable-web-security", "--disable-site-isolation-trials",
                      "--allow-running-insecure-content", "--ignore-certificate-errors",
                      "--single-process", "--no-zygote", "--remote-allow-origins"})
                    CHECK(name_in(argument) != forbidden);
            }
}

TEST_CASE("the sandbox is given up for root only, where Chromium does not start with it") {
    CHECK(has(arguments({.is_root = true}), "--no-sandbox"));
    CHECK_FALSE(has(arguments({.is_root = false}), "--no-sandbox"));
}

TEST_CASE("the full browser is told to be headless, the headless shell is it") {
    CHECK(has(arguments({.is_headless_shell = false}), "--headless=new"));
    for (const std::string& argument : arguments({.is_headless_shell = true}))
        CHECK(name_in(argument) != "--headless");
}

TEST_CASE("shared memory goes to files only where /dev/shm is small") {
    CHECK(has(arguments({.has_small_shared_memory = true}), "--disable-dev-shm-usage"));
    CHECK_FALSE(has(arguments({.has_small_shared_memory = false}), "--disable-dev-shm-usage"));
}

TEST_CASE("names are resolved to nothing, but for this machine's own address") {
    const auto list = arguments();
    const auto rule = std::ranges::find(list, "--host-resolver-rules", name_in);
    REQUIRE(rule != list.end());
    CHECK(*rule == "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
}

TEST_CASE("the profile is named, and the user's own arguments come last") {
    const auto list = arguments({}, {"--window-size=800,600", "--lang=en"});
    CHECK(has(list, "--user-data-dir=/some/profile"));
    REQUIRE(list.size() > 2);
    CHECK(list[list.size() - 2] == "--window-size=800,600");
    CHECK(list.back() == "--lang=en");
}
