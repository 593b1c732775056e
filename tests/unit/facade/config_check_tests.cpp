// SPDX-License-Identifier: BSL-1.0
#include "facade/config_check.hpp"
#include "support/catch.hpp"

#include <functional>
#include <stdexcept>
#include <string>

using namespace std::chrono_literals;
using everpool::FaultToleranceLevel;
using everpool::OperationModule;
using everpool::RecoveryStrategy;
using everpool::ResourcePoolConfig;
using everpool::facade::check_config;

namespace {

/// What the check says after `change` was made to a good configuration; empty: nothing.
std::string complaint(const std::function<void(ResourcePoolConfig&)>& change) {
    ResourcePoolConfig config;
    change(config);
    try {
        check_config(config);
        return {};
    } catch (const std::invalid_argument& error) {
        return error.what();
    }
}

bool names(const std::string& text, const std::string& member) {
    return text.find("ResourcePoolConfig::" + member) != std::string::npos;
}

} // namespace

TEST_CASE("the default configuration is within its ranges") {
    CHECK(complaint([](auto&) {}).empty());
}

TEST_CASE("a member out of range is named, with its range and the value given") {
    CHECK(complaint([](auto& c) { c.max_attempts = 0; }) ==
          "ResourcePoolConfig::max_attempts must be 1 to 100, but is 0");
    CHECK(complaint([](auto& c) { c.ping_interval = 1ms; }) ==
          "ResourcePoolConfig::ping_interval must be 10 ms to 30000 ms, but is 1 ms");
    CHECK(names(complaint([](auto& c) { c.default_timeout = 0ms; }), "default_timeout"));
    CHECK(names(complaint([](auto& c) { c.start_timeout = 0s; }), "start_timeout"));
    CHECK(names(complaint([](auto& c) { c.ping_timeout = 2h; }), "ping_timeout"));
    CHECK(names(complaint([](auto& c) { c.compute_ping_timeout = 0s; }), "compute_ping_timeout"));
    CHECK(names(complaint([](auto& c) { c.canary_interval = 1ms; }), "canary_interval"));
    CHECK(names(complaint([](auto& c) { c.restart_delay_min = 0ms; }), "restart_delay_min"));
    CHECK(names(complaint([](auto& c) { c.restart_count_max = 0; }), "restart_count_max"));
    CHECK(names(complaint([](auto& c) { c.page_start_timeout = 99ms; }), "page_start_timeout"));
    CHECK(
        names(complaint([](auto& c) { c.restart_healthy_after = -1s; }), "restart_healthy_after"));
    CHECK(names(complaint([](auto& c) { c.restart_intensity = 0; }), "restart_intensity"));
    CHECK(names(complaint([](auto& c) { c.restart_period = 25h; }), "restart_period"));
    CHECK(complaint([](auto& c) { c.fleet_window = 999ms; }) ==
          "ResourcePoolConfig::fleet_window must be 1000 ms to 86400000 ms, but is 999 ms");
    CHECK(names(complaint([](auto& c) { c.stop_grace = 2h; }), "stop_grace"));
    CHECK(names(complaint([](auto& c) { c.queue_count_max = 0; }), "queue_count_max"));
    CHECK(complaint([](auto& c) { c.queue_policies.low.count_max = 0; }) ==
          "ResourcePoolConfig::queue_policies.low.count_max must be 1 to 1000000, but is 0");
    CHECK(complaint([](auto& c) { c.queue_policies.high.timeout = 0ms; }) ==
          "ResourcePoolConfig::queue_policies.high.timeout must be 1 ms to 86400000 ms, but is 0 "
          "ms");
    CHECK(names(complaint([](auto& c) {
                    c.queue_policies.normal.timeout_action =
                        static_cast<everpool::TimeoutAction>(9);
                }),
                "queue_policies.normal.timeout_action"));
    CHECK(names(complaint([](auto& c) { c.priority_aging = -1s; }), "priority_aging"));
    CHECK(names(complaint([](auto& c) { c.max_in_flight_per_worker = 1025; }),
                "max_in_flight_per_worker"));
    CHECK(names(complaint([](auto& c) { c.in_flight_bytes_max = 0; }), "in_flight_bytes_max"));
    CHECK(names(complaint([](auto& c) { c.frame_bytes_max = 1024; }), "frame_bytes_max"));
}

TEST_CASE("WebKit may be asked for, and needs no WebDriver to be named") {
    CHECK(complaint([](auto& c) { c.browsers[0].type = everpool::BrowserType::webkit; }).empty());
}

TEST_CASE("how a browser is controlled by WebDriver is checked member by member") {
    const auto with = [](auto change) {
        return complaint([&](auto& c) { change(c.browsers[0].webdriver); });
    };
    CHECK(with([](auto& w) { w.endpoint = "http://127.0.0.1:9515"; }).empty());
    CHECK(with([](auto& w) { w.endpoint = "https://grid:4444"; }) ==
          "ResourcePoolConfig::browsers[].webdriver.endpoint must be empty or "
          "http://HOST[:PORT][/PATH], without user and password, but is 'https://grid:4444'");
    CHECK(names(with([](auto& w) {
                    w.endpoint = "http://127.0.0.1:9515";
                    w.driver = "/usr/bin/chromedriver";
                }),
                "browsers[].webdriver.driver"));
    CHECK(with([](auto& w) { w.driver = "/usr/bin/chromedriver"; }).empty());
    CHECK(with([](auto& w) { w.capabilities_json = R"({"platformName":"linux"})"; }).empty());
    for (const char* text : {"[]", "{", "1", "{}{}"})
        CHECK(names(with([&](auto& w) { w.capabilities_json = text; }),
                    "browsers[].webdriver.capabilities_json"));
    CHECK(names(with([](auto& w) {
                    w.capabilities_json =
                        "{\"a\":" + std::string(17, '[') + std::string(17, ']') + "}";
                }),
                "browsers[].webdriver.capabilities_json"));
    CHECK(names(with([](auto& w) { w.capabilities_json = std::string((64 << 10) + 1, ' '); }),
                "browsers[].webdriver.capabilities_json.size()"));
}

TEST_CASE("an alternative on another machine has an endpoint, and is no number of workers") {
    const auto with = [](auto change) {
        return complaint([&](auto& c) {
            c.remote_alternatives.emplace_back().webdriver.endpoint = "http://grid:4444/wd/hub";
            change(c.remote_alternatives);
        });
    };
    CHECK(with([](auto&) {}).empty());
    CHECK(with([](auto& r) { r[0].webdriver.endpoint.clear(); }) ==
          "ResourcePoolConfig::remote_alternatives[].webdriver.endpoint must be given, but is "
          "empty");
    CHECK(names(with([](auto& r) { r[0].webdriver.endpoint = "grid"; }),
                "remote_alternatives[].webdriver.endpoint"));
    CHECK(names(with([](auto& r) { r[0].webdriver.driver = "/usr/bin/chromedriver"; }),
                "remote_alternatives[].webdriver.driver"));
    CHECK(names(with([](auto& r) {
                    r[0].extra_preferences = {{"a", "1"}};
                }),
                "remote_alternatives[].extra_preferences"));
    CHECK(with([](auto& r) { r[0].count = 2; }) ==
          "ResourcePoolConfig::remote_alternatives[].count must be 1, but is 2");
    CHECK(with([](auto& r) { r.resize(16, r[0]); }).empty());
    CHECK(names(with([](auto& r) { r.resize(17, r[0]); }), "remote_alternatives.size()"));
}

TEST_CASE("what is kept, and where, is checked member by member") {
    const auto with = [](auto change) {
        return complaint([&](auto& c) { change(c.fault_tolerance); });
    };
    CHECK(with([](auto& f) { f.commit_interval = 1us; }) ==
          "ResourcePoolConfig::fault_tolerance.commit_interval must be 0.1 ms to 10000 ms, but is "
          "0.001 ms");
    CHECK(names(with([](auto& f) { f.checkpoint_interval = 1ms; }),
                "fault_tolerance.checkpoint_interval"));
    CHECK(with([](auto& f) { f.checkpoint_interval = 0s; }).empty());
    CHECK(names(with([](auto& f) { f.request_bytes_kept = (16 << 20) + 1; }),
                "fault_tolerance.request_bytes_kept"));
    CHECK(with([](auto& f) { f.request_bytes_kept = 0; }).empty());
    // A host that names a directory expects to find something there.
    for (const auto level : {FaultToleranceLevel::none, FaultToleranceLevel::low})
        CHECK(names(with([&](auto& f) {
                        f.level = level;
                        f.state_directory = "/tmp/state";
                    }),
                    "fault_tolerance.state_directory must be empty at level"));
    CHECK(with([](auto& f) { f.level = FaultToleranceLevel::critical; }) ==
          "ResourcePoolConfig::fault_tolerance.state_directory must be given at level critical, "
          "but is empty");
    CHECK(with([](auto& f) {
              f.level = FaultToleranceLevel::critical;
              f.state_directory = "/tmp/state";
          }).empty());
}

TEST_CASE("the enumerators of what is kept are checked, as they may come from a number") {
    using namespace everpool;
    const auto with = [](auto change) {
        return complaint([&](auto& c) { change(c.fault_tolerance); });
    };
    CHECK(with([](auto& f) { f.level = static_cast<FaultToleranceLevel>(99); }) ==
          "ResourcePoolConfig::fault_tolerance.level must be a FaultToleranceLevel, but is no "
          "enumerator");
    CHECK(with([](auto& f) { f.recovery = static_cast<RecoveryMode>(99); }) ==
          "ResourcePoolConfig::fault_tolerance.recovery must be a RecoveryMode, but is no "
          "enumerator");
    CHECK(with([](auto& f) { f.orphans = static_cast<OrphanPolicy>(99); }) ==
          "ResourcePoolConfig::fault_tolerance.orphans must be an OrphanPolicy, but is no "
          "enumerator");
    CHECK(with([](auto& f) { f.orphans = OrphanPolicy::give_up; }).empty());
}

TEST_CASE("standbys and rivals count among the workers that there may be") {
    CHECK(names(complaint([](auto& c) { c.standby_count = 9; }), "standby_count"));
    const auto all = [](std::uint32_t browsers, std::uint32_t standbys, auto strategy) {
        return complaint([&](auto& c) {
            c.browsers[0].count = browsers;
            c.standby_count = standbys;
            c.fault_tolerance.recovery_strategy = strategy;
        });
    };
    CHECK(all(60, 4, RecoveryStrategy::progressive).empty());
    CHECK(all(60, 2, RecoveryStrategy::parallel).empty());
    CHECK(all(60, 3, RecoveryStrategy::parallel) ==
          "ResourcePoolConfig::browsers (sum of count, with standbys and rivals) must be 1 to 64, "
          "but is 65");
    CHECK(complaint([](auto& c) {
              c.browsers[0].count = 64;
              c.fault_tolerance.level = FaultToleranceLevel::high; // with a standby of its own
          }) != "");
}

TEST_CASE("the longest restart delay is not below the shortest") {
    CHECK(names(complaint([](auto& c) {
                    c.restart_delay_min = 2s;
                    c.restart_delay_max = 1s;
                }),
                "restart_delay_max"));
}

TEST_CASE("a pool has between one and sixty-four workers") {
    CHECK(names(complaint([](auto& c) { c.browsers.clear(); }), "browsers"));
    CHECK(names(complaint([](auto& c) { c.browsers[0].count = 0; }), "browsers[].count"));
    CHECK(names(complaint([](auto& c) {
                    c.browsers[0].count = 40;
                    c.browsers.push_back(c.browsers[0]);
                }),
                "browsers"));
    CHECK(complaint([](auto& c) { c.browsers[0].count = 64; }).empty());
}

TEST_CASE("names of models and modules are safe in a URL and unique") {
    for (const char* bad : {"", "..", ".", "a/b", "a b", "\xc3\xa9", "a?b"}) {
        INFO(bad);
        CHECK(names(complaint([&](auto& c) {
                        c.models.resize(1);
                        c.models[0].name = bad;
                    }),
                    "models[].name"));
    }
    CHECK(names(complaint([](auto& c) {
                    c.models.resize(2);
                    c.models[0].name = c.models[1].name = "twin";
                }),
                "models[].name"));
    CHECK(names(complaint([](auto& c) {
                    c.modules = {OperationModule{"echo", "e.js"}};
                }),
                "modules[].name"));
    CHECK(complaint([](auto& c) {
              c.models.resize(1);
              c.models[0].name = "ok-1.2_x";
          }).empty());
}

TEST_CASE("a model of no family, without a provider or with an impossible warm-up is refused") {
    CHECK(complaint([](auto& c) {
              c.models.resize(1);
              c.models[0].name = "m";
              c.models[0].family = static_cast<everpool::ModelFamily>(99);
          }) == "ResourcePoolConfig::models[].family must be a ModelFamily, but is no enumerator "
                "for 'm'");
    CHECK(names(complaint([](auto& c) {
                    c.models.resize(1);
                    c.models[0].name = "m";
                    c.models[0].providers.clear();
                }),
                "models[].providers"));
    CHECK(names(complaint([](auto& c) {
                    c.models.resize(1);
                    c.models[0].name = "m";
                    c.models[0].providers.assign(9, everpool::Provider::wasm);
                }),
                "models[].providers.size()"));
    CHECK(names(complaint([](auto& c) {
                    c.models.resize(1);
                    c.models[0].name = "m";
                    auto input = everpool::Tensor::of<float>("x", {2}, {1, 2});
                    input.shape = {5};
                    c.models[0].warm_up = everpool::WarmUp{{input}, {}};
                }),
                "models[].warm_up->inputs"));
    CHECK(names(complaint([](auto& c) {
                    c.models.resize(1);
                    c.models[0].name = "m";
                    auto known = everpool::Tensor::of<float>("y", {2}, {1, 2});
                    known.shape = {5};
                    c.models[0].warm_up = everpool::WarmUp{{}, {}, {known}};
                }),
                "models[].warm_up->answer"));
}

TEST_CASE("a browser with a count becomes that many workers, in order") {
    ResourcePoolConfig config;
    config.browsers[0].count = 2;
    config.browsers.push_back({});
    config.browsers[1].type = everpool::BrowserType::firefox;
    const auto workers = everpool::facade::expand_browsers(config);
    REQUIRE(workers.size() == 3);
    CHECK(workers[1].type == everpool::BrowserType::chromium);
    CHECK(workers[2].type == everpool::BrowserType::firefox);
}
