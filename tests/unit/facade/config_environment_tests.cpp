// SPDX-License-Identifier: BSL-1.0
#include "config_texts.hpp"
#include "everpool/config_source.hpp"
#include "facade/config_paths.hpp"
#include "support/catch.hpp"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include <stdlib.h>

#include <map>
#include <string>

using namespace everpool;
using namespace std::chrono_literals;
using tests::is_same;

namespace {

using Variables = std::map<std::string, std::string>;
namespace json = boost::json;

std::string variable_complaint(const Variables& variables, const ResourcePoolConfig& base = {}) {
    return tests::complaint([&] { return config_from_variables(variables, base); });
}

/// The value at a path; null if there is none.
const json::value* value_at(const json::value& root, std::string_view path) {
    const json::value* value = &root;
    for (;;) {
        const std::size_t dot = path.find('.');
        const std::string key(path.substr(0, dot));
        value = value->get_object().if_contains(key);
        if (dot == path.npos || value == nullptr) return value;
        path.remove_prefix(dot + 1);
    }
}

/// The variables that say what a text of JSON says.
Variables variables_of(const char* text) {
    Variables out;
    const json::value root = json::parse(text);
    for (const facade::ConfigPath& path : facade::config_paths()) {
        if (path.form == facade::TextForm::group || path.form == facade::TextForm::program)
            continue;
        const json::value* value = value_at(root, path.name);
        INFO(path.name);
        REQUIRE(value != nullptr);
        out[path.variable()] = value->is_string() ? std::string(value->get_string().data())
                                                  : std::string(json::serialize(*value));
    }
    return out;
}

/// Set as long as it lives.
class Variable {
public:
    Variable(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
    Variable(const Variable&) = delete;
    Variable& operator=(const Variable&) = delete;
    ~Variable() { ::unsetenv(name_); }

private:
    const char* name_;
};

} // namespace

TEST_CASE("every member has a variable, which says what JSON says") {
    const ResourcePoolConfig other = config_from_json(tests::other_text);
    CHECK(is_same(config_from_variables(variables_of(tests::other_text)), other));
    CHECK(is_same(config_from_variables(variables_of(tests::default_text), other),
                  ResourcePoolConfig{}));
    CHECK(is_same(config_from_variables({}, other), other));
}

TEST_CASE("a variable goes over the base, member by member") {
    ResourcePoolConfig base;
    base.fault_tolerance.state_directory = "/var/lib/pool";
    base.queue_policies.low.count_max = 7;
    const auto config = config_from_variables({{"EVERPOOL_QUEUE_COUNT_MAX", "200"},
                                               {"EVERPOOL_FAULT_TOLERANCE__LEVEL", "critical"},
                                               {"EVERPOOL_QUEUE_POLICIES__LOW__TIMEOUT", "10s"},
                                               {"EVERPOOL_HEDGE__ENABLED", "false"},
                                               {"EVERPOOL_FRAME_BYTES_MAX", "1MiB"},
                                               {"EVERPOOL_BROWSERS", R"([{"type":"firefox"}])"}},
                                              base);
    CHECK(config.queue_count_max == 200);
    CHECK(config.fault_tolerance.level == FaultToleranceLevel::critical);
    CHECK(config.fault_tolerance.state_directory == "/var/lib/pool");
    CHECK(config.queue_policies.low.timeout == 10s);
    CHECK(config.queue_policies.low.count_max == 7u);
    CHECK_FALSE(config.hedge.enabled);
    CHECK(config.frame_bytes_max == 1u << 20);
    REQUIRE(config.browsers.size() == 1);
    CHECK(config.browsers[0].type == BrowserType::firefox);
}

TEST_CASE("a list of names is separated by commas, or is JSON") {
    const auto text = [](const char* value) {
        return config_from_variables({{"EVERPOOL_BROWSER_PREFERENCES__TEXT", value}})
            .browser_preferences.text;
    };
    const std::vector both{BrowserType::firefox, BrowserType::edge};
    CHECK(text("firefox,edge") == both);
    CHECK(text(" firefox , edge ") == both);
    CHECK(text(R"(["firefox", "edge"])") == both);
    CHECK(text("firefox") == std::vector{BrowserType::firefox});
    CHECK(text("").empty());
    CHECK(text("[]").empty());
    CHECK(config_from_variables({{"EVERPOOL_MODELS", ""}}).models.empty());
    CHECK(variable_complaint({{"EVERPOOL_BROWSER_PREFERENCES__TEXT", "firefox,,edge"}}) ==
          "ResourcePoolConfig::browser_preferences.text[1] must be one of chromium, chrome, edge, "
          "firefox, webkit, but is ''");
}

TEST_CASE("null takes back what the base has, where there may be nothing") {
    ResourcePoolConfig base;
    base.standby_count = 3;
    base.queue_policies.high.timeout = 1s;
    const auto config = config_from_variables(
        {{"EVERPOOL_STANDBY_COUNT", "null"}, {"EVERPOOL_QUEUE_POLICIES__HIGH__TIMEOUT", "null"}},
        base);
    CHECK_FALSE(config.standby_count);
    CHECK_FALSE(config.queue_policies.high.timeout);
    CHECK(variable_complaint({{"EVERPOOL_SEED", "null"}}).ends_with("but is null"));
    CHECK(config_from_variables({{"EVERPOOL_FAULT_TOLERANCE__STATE_DIRECTORY", "null"}})
              .fault_tolerance.state_directory == "null"); // a directory's name like any other
}

TEST_CASE("a variable's mistake is told in the words of JSON's") {
    CHECK(variable_complaint({{"EVERPOOL_QUEUE_COUNT_MAX", "0"}}) ==
          "ResourcePoolConfig::queue_count_max must be 1 to 1000000, but is 0");
    CHECK(variable_complaint({{"EVERPOOL_QUEUE_COUNT_MAX", "many"}}) ==
          "ResourcePoolConfig::queue_count_max must be a whole number, at most 4294967295, but is "
          "'many'");
    CHECK(variable_complaint({{"EVERPOOL_QUEUE_COUNT_MAX", ""}}).ends_with("but is ''"));
    CHECK(variable_complaint({{"EVERPOOL_QUEUE_COUNT_MAX", "[1]"}}).ends_with("but is '[1]'"));
    CHECK(variable_complaint({{"EVERPOOL_HEDGE__QUANTILE", "nan"}}) ==
          "ResourcePoolConfig::hedge.quantile must be a number, but is 'nan'");
    CHECK(variable_complaint({{"EVERPOOL_HEDGE__QUANTILE", "1e999"}}) != "");
    CHECK(variable_complaint({{"EVERPOOL_DEFAULT_TIMEOUT", "250"}}).ends_with("but is '250'"));
    CHECK(variable_complaint({{"EVERPOOL_FAULT_TOLERANCE__LEVEL", "utmost"}}) ==
          "ResourcePoolConfig::fault_tolerance.level must be one of none, low, medium, high, "
          "critical, but is 'utmost'");
    CHECK(variable_complaint({{"EVERPOOL_BROWSERS", R"([{"count": 1, "count": 2}])"}}) ==
          "ResourcePoolConfig::browsers[0].count is given twice");
    CHECK(variable_complaint({{"EVERPOOL_BROWSERS", R"([{"cuont": 1}])"}}) ==
          "ResourcePoolConfig::browsers[0].cuont is no member; did you mean browsers[0].count?");
    CHECK(variable_complaint({{"EVERPOOL_BROWSERS", "firefox"}}) ==
          "EVERPOOL_BROWSERS is no JSON: syntax error at line 1, column 1 (byte 0)");
    CHECK(variable_complaint({{"EVERPOOL_BROWSERS", "{}"}}) ==
          "ResourcePoolConfig::browsers must be a list, but is an object");
    CHECK(
        variable_complaint({{"EVERPOOL_FAULT_TOLERANCE__STATE_DIRECTORY", std::string("a\0b", 3)}})
            .ends_with("but is 'a\\x00b'"));
}

TEST_CASE("what only a program can set has no variable, and neither has a struct") {
    CHECK(variable_complaint({{"EVERPOOL_ON_EVENT", "log"}}) ==
          "ResourcePoolConfig::on_event must be set in the program, as it is no text, but is given "
          "here");
    CHECK(variable_complaint({{"EVERPOOL_HEDGE", R"({"enabled": false})"}}) ==
          "ResourcePoolConfig::hedge must be set member by member (EVERPOOL_HEDGE__...), but is "
          "given as a whole");
}

TEST_CASE("a variable that is misspelt is refused, with the one that was meant") {
    CHECK(variable_complaint({{"EVERPOOL_QUEUE_COUNT_MX", "1"}}) ==
          "EVERPOOL_QUEUE_COUNT_MX is no member's; did you mean EVERPOOL_QUEUE_COUNT_MAX?");
    CHECK(variable_complaint({{"EVERPOOL_queue_count_max", "1"}}) ==
          "EVERPOOL_queue_count_max is no member's; did you mean EVERPOOL_QUEUE_COUNT_MAX?");
    CHECK(variable_complaint({{"EVERPOOL_FAULT_TOLERANCE_LEVEL", "high"}}) ==
          "EVERPOOL_FAULT_TOLERANCE_LEVEL is no member's; did you mean "
          "EVERPOOL_FAULT_TOLERANCE__LEVEL?");
    CHECK(variable_complaint({{"EVERPOOL_MODEL", "[]"}}) ==
          "EVERPOOL_MODEL is no member's; did you mean EVERPOOL_MODELS?");
    // Whatever stands behind it, this is meant for us.
    CHECK(variable_complaint({{"EVERPOOL_HEDGE__COLOUR", "1"}}) ==
          "EVERPOOL_HEDGE__COLOUR is no member's");
    CHECK(variable_complaint({{"EVERPOOL_BROWSERS__TYPE", "edge"}}) ==
          "EVERPOOL_BROWSERS__TYPE is no member's");
    CHECK(variable_complaint({{"EVERPOOL_HEDGE__\x1b" + std::string(1 << 16, 'x'), "1"}}).size() <
          200);
}

TEST_CASE("a member's variable without its group is refused, and the whole name offered") {
    CHECK(variable_complaint({{"EVERPOOL_LEVEL", "critical"}}) ==
          "EVERPOOL_LEVEL is no member's; did you mean EVERPOOL_FAULT_TOLERANCE__LEVEL?");
    CHECK(variable_complaint({{"EVERPOOL_STATE_DIRECTORY", "/var/lib/x"}}) ==
          "EVERPOOL_STATE_DIRECTORY is no member's; did you mean "
          "EVERPOOL_FAULT_TOLERANCE__STATE_DIRECTORY?");
}

TEST_CASE("a variable that is longer than a file may be is refused unread") {
    CHECK(variable_complaint(
              {{"EVERPOOL_BROWSER_PREFERENCES__TEXT", std::string(config_bytes_max + 1, ',')}}) ==
          "EVERPOOL_BROWSER_PREFERENCES__TEXT has more than 1048576 bytes");
}

TEST_CASE("variables of somebody else are passed over") {
    const Variables strangers{{"PATH", "/bin"},
                              {"everpool_seed", "1"},
                              {"EVERPOOL", "1"},
                              {"EVERPOOL_", "1"},
                              {"EVERPOOL_HOME", "/opt"},
                              {"EVERPOOL_NODE", "node"},
                              {"EVERPOOL_SEEDS", "1000"},
                              {"EVERPOOL_KILLS", "200"},
                              {"EVERPOOL_STATE_SEEDS", "5"},
                              {"EVERPOOL_BENCH_LONG", ""},
                              {"EVERPOOL_FUZZ_SEED", "7"},
                              {"EVERPOOL_TEST_SECRET", "x"},
                              {"EVERPOOL_TEST_TIMEOUT", "1"}, // and not START_TIMEOUT
                              {"EVERPOOL_MODELS_DIR", "m"},
                              {"EVERPOOL_WEBNN_BROWSER", "/opt/headless_shell"},
                              {"", ""}};
    CHECK(variable_complaint(strangers).empty());
}

TEST_CASE("the process's own variables are read, in its working directory") {
    const Variable count("EVERPOOL_QUEUE_COUNT_MAX", "321");
    const Variable directory("EVERPOOL_FAULT_TOLERANCE__STATE_DIRECTORY", "state");
    ResourcePoolConfig base;
    base.max_attempts = 9;
    const ResourcePoolConfig config = config_from_environment(base);
    CHECK(config.queue_count_max == 321);
    CHECK(config.max_attempts == 9);
    CHECK(config.fault_tolerance.state_directory == "state");
    const Variable wrong("EVERPOOL_QUEUE_COUNT_MX", "1");
    CHECK(tests::complaint([] {
              return config_from_environment();
          }).starts_with("EVERPOOL_QUEUE_COUNT_MX is no member's"));
}
