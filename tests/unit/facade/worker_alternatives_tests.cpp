// What a worker may turn into. Which browsers are installed here is the machine's, so what is said
// of them holds for any number of them.
// SPDX-License-Identifier: BSL-1.0
#include "facade/worker_alternatives.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <string>
#include <vector>

using namespace everpool;
using facade::alternatives_of;
using facade::core_alternatives;

namespace {

BrowserSpec at_endpoint(std::string endpoint, BrowserType type = BrowserType::chromium) {
    BrowserSpec out;
    out.type = type;
    out.webdriver.endpoint = std::move(endpoint);
    return out;
}

bool is_remote(const BrowserSpec& browser) { return !browser.webdriver.endpoint.empty(); }

} // namespace

TEST_CASE(
    "browsers on other machines come after those that are installed here, as they are named") {
    const std::vector<BrowserSpec> remote{at_endpoint("http://b:1", BrowserType::firefox),
                                          at_endpoint("http://a:1")};
    const auto without = alternatives_of(BrowserSpec{}, std::nullopt);
    CHECK(std::ranges::none_of(without, is_remote));
    const auto with = alternatives_of(BrowserSpec{}, std::nullopt, remote);
    REQUIRE(with.size() == without.size() + 2);
    CHECK(with[without.size()].webdriver.endpoint == "http://b:1");
    CHECK(with[without.size()].type == BrowserType::firefox);
    CHECK(with[without.size() + 1].webdriver.endpoint == "http://a:1");
}

TEST_CASE("a worker on another machine is no alternative to itself, and all that is here is one") {
    const BrowserSpec own = at_endpoint("http://grid:4444");
    BrowserSpec newer = own;
    newer.webdriver.capabilities_json = R"({"browserVersion":"157"})";
    const auto here = alternatives_of(own, std::nullopt);
    const auto all = alternatives_of(own, std::nullopt, {at_endpoint("http://grid:4444/"), newer});
    REQUIRE(all.size() == here.size() + 1);
    CHECK(all.back().webdriver == newer.webdriver);
    const auto seen_by_core = core_alternatives(own, all);
    for (std::size_t i = 0; i < here.size(); ++i) CHECK(seen_by_core[i].machine == 1);
    CHECK(seen_by_core.back().machine == 0);

    // What has its path on this machine is another browser than what has it over there.
    BrowserSpec same_path = own;
    for (const BrowserSpec& browser : here) {
        if (browser.type != own.type) continue;
        same_path.executable = browser.executable;
        CHECK(alternatives_of(same_path, std::nullopt).size() == here.size());
    }
}

TEST_CASE("the core knows machines by numbers, of which 0 is the worker's own") {
    using core::WorkerAlternative;
    const std::vector<BrowserSpec> others{
        at_endpoint("", BrowserType::firefox),
        at_endpoint("http://a:80"),
        at_endpoint("http://b", BrowserType::edge),
        at_endpoint("http://a/"), // another way to write the first one
        at_endpoint("http://a/hub"),
    };
    CHECK(core_alternatives(BrowserSpec{}, others) ==
          std::vector<WorkerAlternative>{{BrowserType::firefox, 0},
                                         {BrowserType::chromium, 1},
                                         {BrowserType::edge, 2},
                                         {BrowserType::chromium, 1},
                                         {BrowserType::chromium, 3}});
    CHECK(core_alternatives(at_endpoint("http://b"), others) ==
          std::vector<WorkerAlternative>{{BrowserType::firefox, 1},
                                         {BrowserType::chromium, 2},
                                         {BrowserType::edge, 0},
                                         {BrowserType::chromium, 2},
                                         {BrowserType::chromium, 3}});
    CHECK(core_alternatives(BrowserSpec{}, {}).empty());
}
