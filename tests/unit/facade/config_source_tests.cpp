// SPDX-License-Identifier: BSL-1.0
#include "config_texts.hpp"
#include "everpool/config_source.hpp"
#include "support/catch.hpp"

#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace everpool;
using namespace std::chrono_literals;
using tests::default_text;
using tests::is_same;
using tests::other_text;

namespace {

std::string json_complaint(std::string_view text, const ResourcePoolConfig& base = {}) {
    return tests::complaint([&] { return config_from_json(text, base); });
}

/// Each member of these two, alone, is another one.
template <class T>
void check_all_differ(const T& a, const T& b, const std::string& of = {}) {
    facade::Members<T>::for_each([&](auto member) {
        using M = decltype(member);
        using Type = typename M::Type;
        const std::string name = of + std::string(M::name);
        INFO(name);
        if constexpr (facade::HasMembers<Type>) check_all_differ(a.*M::at, b.*M::at, name + '.');
        else if constexpr (!facade::OfProgram<Type>) CHECK_FALSE(is_same(a.*M::at, b.*M::at));
    });
}

} // namespace

TEST_CASE("an empty object leaves the base as it is") {
    CHECK(is_same(config_from_json("{}"), ResourcePoolConfig{}));
    ResourcePoolConfig base = config_from_json(other_text);
    base.on_event = [](const PoolEvent&) {};
    CHECK(is_same(config_from_json(" {} \n", base), base));
}

TEST_CASE("every member can be said, and defaults that are said give the default configuration") {
    const ResourcePoolConfig other = config_from_json(other_text);
    check_all_differ(other, ResourcePoolConfig{});
    CHECK(is_same(config_from_json(default_text), ResourcePoolConfig{}));
    CHECK(is_same(config_from_json(default_text, other), ResourcePoolConfig{}));
    CHECK(is_same(config_from_json(other_text, other), other));
}

TEST_CASE("a member has the value that is said") {
    const ResourcePoolConfig config = config_from_json(other_text);
    REQUIRE(config.browsers.size() == 2);
    CHECK(config.browsers[0].type == BrowserType::firefox);
    CHECK(config.browsers[0].count == 2);
    CHECK(config.browsers[0].executable == "/opt/firefox");
    CHECK(config.browsers[0].extra_arguments == std::vector<std::string>{"--safe-mode", "a,b"});
    CHECK(config.browsers[0].extra_preferences ==
          std::vector<std::pair<std::string, std::string>>{{"a.b", "5"}});
    CHECK(config.browsers[0].webdriver.capabilities_json == R"({"platformName":"linux"})");
    CHECK(config.browsers[1].count == 1); // not said: its default
    CHECK(config.standby_count == 2u);
    REQUIRE(config.models.size() == 1);
    CHECK(config.models[0].file == "models/mlp.onnx"); // relative to wherever the host is
    CHECK(config.models[0].family == ModelFamily::vision);
    CHECK(config.models[0].providers == std::vector{Provider::wasm, Provider::webgpu});
    REQUIRE(config.models[0].batching);
    CHECK(config.models[0].batching->max_batch == 32u);
    CHECK(config.models[0].batching->max_delay == 2ms);
    CHECK(config.models[0].batching->preferred_sizes == std::vector<std::uint32_t>{8, 16});
    CHECK(config.default_timeout == 1500ms);
    CHECK(config.hedge.quantile == 0.5);
    CHECK(config.vote.float64 == Tolerance{1, 0.25});
    CHECK(config.fault_tolerance.level == FaultToleranceLevel::critical);
    CHECK(config.fault_tolerance.request_bytes_kept == 1u << 20);
    CHECK(config.fault_tolerance.orphans == OrphanPolicy::give_up);
    CHECK(config.queue_policies.low.timeout == 24h);
    CHECK(config.in_flight_bytes_max == 1ULL << 30);
    CHECK(config.seed == ~std::uint64_t{0});
}

TEST_CASE("structs are gone into, lists are replaced") {
    const ResourcePoolConfig base = config_from_json(other_text);
    const ResourcePoolConfig config = config_from_json(
        R"({"hedge": {"budget": {"floor": 2}}, "browsers": [{"count": 3}], "standby_count": 0})",
        base);
    CHECK(config.hedge.budget.floor == 2);
    CHECK(config.hedge.budget.saved_max == base.hedge.budget.saved_max);
    CHECK(config.hedge.quantile == base.hedge.quantile);
    REQUIRE(config.browsers.size() == 1);
    CHECK(config.browsers[0].type == BrowserType::chromium);
    CHECK(config.standby_count == 0u);
    CHECK(config_from_json(R"({"queue_policies": {"low": {"timeout": null}}})", base)
              .queue_policies.low.timeout == std::nullopt);
}

TEST_CASE("a number may be written in any way that means it") {
    CHECK(config_from_json(R"({"queue_count_max": 1e3})").queue_count_max == 1000);
    CHECK(config_from_json(R"({"hedge": {"quantile": 0.75e0}})").hedge.quantile == 0.75);
    CHECK(config_from_json(R"({"frame_bytes_max": "1MiB"})").frame_bytes_max == 1u << 20);
    CHECK(config_from_json(R"({"vote": {"float32": {"atol": 1}}})").vote.float32.atol == 1);
}

TEST_CASE("a value out of its range is refused in the words of the pool's constructor") {
    CHECK(json_complaint(R"({"queue_count_max": 0})") ==
          "ResourcePoolConfig::queue_count_max must be 1 to 1000000, but is 0");
    CHECK(json_complaint(R"({"ping_interval": "1ms"})") ==
          "ResourcePoolConfig::ping_interval must be 10 ms to 30000 ms, but is 1 ms");
    CHECK(json_complaint(R"({"default_timeout": "-2s"})") ==
          "ResourcePoolConfig::default_timeout must be 1 ms to 86400000 ms, but is -2000 ms");
    CHECK(json_complaint(R"({"fault_tolerance": {"level": "critical"}})") ==
          "ResourcePoolConfig::fault_tolerance.state_directory must be given at level critical, "
          "but is empty");
    // What is right only together may be partly in the base.
    ResourcePoolConfig base;
    base.fault_tolerance.state_directory = "/var/lib/pool";
    CHECK(json_complaint(R"({"fault_tolerance": {"level": "critical"}})", base).empty());
}

TEST_CASE("a member that is misspelt is named with its path, and with the one that was meant") {
    CHECK(json_complaint(R"({"queue_count_mx": 1})") ==
          "ResourcePoolConfig::queue_count_mx is no member; did you mean queue_count_max?");
    CHECK(json_complaint(R"({"fault_tolerance": {"levle": "high"}})") ==
          "ResourcePoolConfig::fault_tolerance.levle is no member; did you mean "
          "fault_tolerance.level?");
    CHECK(json_complaint(R"({"browsers": [{}, {"cuont": 1}]})") ==
          "ResourcePoolConfig::browsers[1].cuont is no member; did you mean browsers[1].count?");
    CHECK(json_complaint(R"({"models": [{"batching": {"maxBatch": 1}}]})") ==
          "ResourcePoolConfig::models[0].batching.maxBatch is no member; did you mean "
          "models[0].batching.max_batch?");
    // It is one, in another place.
    CHECK(json_complaint(R"({"level": "high"})") ==
          "ResourcePoolConfig::level is no member; did you mean fault_tolerance.level?");
    CHECK(json_complaint(R"({"colour": 1})") == "ResourcePoolConfig::colour is no member");
    CHECK(json_complaint(R"({"": 1})") == "ResourcePoolConfig::'' is no member");
    CHECK(json_complaint(R"({"QUEUE_COUNT_MAX": 1})") ==
          "ResourcePoolConfig::QUEUE_COUNT_MAX is no member; did you mean queue_count_max?");
}

TEST_CASE("a value of the wrong kind is refused with what is expected and what came") {
    CHECK(json_complaint("[]") == "ResourcePoolConfig must be an object, but is a list");
    CHECK(json_complaint("5") == "ResourcePoolConfig must be an object, but is 5");
    CHECK(json_complaint(R"({"queue_count_max": "many"})") ==
          "ResourcePoolConfig::queue_count_max must be a whole number, at most 4294967295, but is "
          "'many'");
    CHECK(json_complaint(R"({"queue_count_max": 1.5})") ==
          "ResourcePoolConfig::queue_count_max must be a whole number, at most 4294967295, but is "
          "1.5");
    CHECK(json_complaint(R"({"hedge": true})") ==
          "ResourcePoolConfig::hedge must be an object, but is true");
    CHECK(json_complaint(R"({"hedge": {"enabled": "yes"}})") ==
          "ResourcePoolConfig::hedge.enabled must be true or false, but is 'yes'");
    CHECK(json_complaint(R"({"hedge": {"quantile": null}})") ==
          "ResourcePoolConfig::hedge.quantile must be a number, but is null");
    CHECK(json_complaint(R"({"hedge": {"quantile": "NaN"}})") ==
          "ResourcePoolConfig::hedge.quantile must be a number, but is 'NaN'");
    CHECK(json_complaint(R"({"browsers": {}})") ==
          "ResourcePoolConfig::browsers must be a list, but is an object");
    CHECK(json_complaint(R"({"browsers": [[]]})") ==
          "ResourcePoolConfig::browsers[0] must be an object, but is a list");
    CHECK(json_complaint(R"({"models": [{"name": 5}]})") ==
          "ResourcePoolConfig::models[0].name must be a text without NUL characters, but is 5");
    CHECK(json_complaint(R"({"browsers": [{"extra_preferences": [["a", "1"]]}]})") ==
          "ResourcePoolConfig::browsers[0].extra_preferences must be an object of texts, but is a "
          "list");
    CHECK(json_complaint(R"({"browsers": [{"extra_preferences": {"a": 1}}]})") ==
          "ResourcePoolConfig::browsers[0].extra_preferences.a must be a text without NUL "
          "characters, but is 1");
}

TEST_CASE("a duration without a unit is refused, with what to write") {
    const std::string must = "must be a duration such as \"250ms\", \"1.5s\" or \"5min\" (units: "
                             "ns, us, ms, s, min, h), but is ";
    CHECK(json_complaint(R"({"default_timeout": 250})") ==
          "ResourcePoolConfig::default_timeout " + must + "250");
    CHECK(json_complaint(R"({"default_timeout": "250"})") ==
          "ResourcePoolConfig::default_timeout " + must + "'250'");
    CHECK(json_complaint(R"({"queue_policies": {"low": {"timeout": 10}}})") ==
          "ResourcePoolConfig::queue_policies.low.timeout " + must + "10");
    CHECK(json_complaint(R"({"stop_grace": "99999999999999999999h"})") ==
          "ResourcePoolConfig::stop_grace " + must + "'99999999999999999999h'");
}

TEST_CASE("an enumerator that is none is refused, with those that are") {
    CHECK(json_complaint(R"({"browsers": [{}, {"type": "opera"}]})") ==
          "ResourcePoolConfig::browsers[1].type must be one of chromium, chrome, edge, firefox, "
          "webkit, but is 'opera'");
    CHECK(json_complaint(R"({"fault_tolerance": {"orphans": 0}})") ==
          "ResourcePoolConfig::fault_tolerance.orphans must be one of redispatch, give_up, but is "
          "0");
    CHECK(json_complaint(R"({"models": [{"providers": ["wasm", "cuda"]}]})") ==
          "ResourcePoolConfig::models[0].providers[1] must be one of webnn, webgpu, wasm, but is "
          "'cuda'");
}

TEST_CASE("what only a program can set is refused, and what it has set is kept") {
    for (const char* text :
         {R"({"on_event": "log"})", R"({"on_event": null})",
          R"({"fault_tolerance": {"custom_strategy": {}}})",
          R"({"fault_tolerance": {"simulate": true}})",
          R"({"fault_tolerance": {"on_recovered": 1}})", R"({"models": [{"warm_up": {}}]})"}) {
        INFO(text);
        CHECK(
            json_complaint(text).find("must be set in the program, as it is no text, but is given "
                                      "here") != std::string::npos);
    }
    CHECK(json_complaint(R"({"fault_tolerance": {"recovery_strategy": "custom"}})") ==
          "ResourcePoolConfig::fault_tolerance.custom_strategy must be given for the strategy "
          "custom, but is empty");
    ResourcePoolConfig base;
    base.fault_tolerance.custom_strategy = std::make_shared<ProgressiveRecoveryManager>();
    base.fault_tolerance.simulate = [](const Request&) { return std::vector<Tensor>{}; };
    const auto config =
        config_from_json(R"({"fault_tolerance": {"recovery_strategy": "custom"}})", base);
    CHECK(config.fault_tolerance.custom_strategy == base.fault_tolerance.custom_strategy);
    CHECK(config.fault_tolerance.simulate);
}

TEST_CASE("a member that is given twice is refused: which of them was meant?") {
    CHECK(json_complaint(R"({"seed": 1, "seed": 1})") == "ResourcePoolConfig::seed is given twice");
    CHECK(json_complaint(R"({"seed": 1, "s\u0065ed": 2})") ==
          "ResourcePoolConfig::seed is given twice");
    CHECK(json_complaint(R"({"browsers": [{}, {"count": 1, "type": "edge", "count": 2}]})") ==
          "ResourcePoolConfig::browsers[1].count is given twice");
    CHECK(json_complaint(R"({"hedge": {"budget": {"floor": 1}}, "vote": {}, "hedge": {}})") ==
          "ResourcePoolConfig::hedge is given twice");
    CHECK(json_complaint(R"({"hedge": {"enabled": true}, "vote": {"decisions": ["enabled"]}})")
              .empty());
}

TEST_CASE("what is no JSON is refused, with the place") {
    CHECK(json_complaint("") ==
          "the configuration is no JSON: incomplete JSON at line 1, column 1 (byte 0)");
    CHECK(json_complaint("{") ==
          "the configuration is no JSON: incomplete JSON at line 1, column 2 (byte 1)");
    CHECK(json_complaint("{\n  \"seed\": 1,\n  \"seed\n\": }") ==
          "the configuration is no JSON: syntax error at line 3, column 8 (byte 22)");
    CHECK(json_complaint("{} {}") ==
          "the configuration is no JSON: extra data at line 1, column 4 (byte 3)");
    for (const char* text :
         {"{\"seed\": NaN}", "{\"seed\": 01}", "{\"seed\": 1,}", "{seed: 1}", "{'seed': 1}",
          "// no\n{}", "{\"seed\": 1e99999999999}", "{\"a\": \"\xff\"}", "\xef\xbb\xbf{}"}) {
        INFO(text);
        CHECK(json_complaint(text).find("the configuration is no JSON: ") == 0);
    }
    CHECK(json_complaint(std::string_view("{}\0", 3)).find("extra data") != std::string::npos);
}

TEST_CASE("hostile texts are bounded, quoted in part and escaped") {
    const auto nested = [](std::size_t depth) {
        return "{\"models\": " + std::string(depth, '[') + std::string(depth, ']') + "}";
    };
    CHECK(json_complaint(nested(15)).find("models[0] must be an object") != std::string::npos);
    CHECK(json_complaint(nested(16)).find("too deep") != std::string::npos);
    CHECK(json_complaint(nested(500'000)).find("too deep") != std::string::npos);
    CHECK(json_complaint(std::string(config_bytes_max + 1, ' ')) ==
          "the configuration has 1048577 bytes, more than 1048576");
    CHECK(json_complaint("{}" + std::string(config_bytes_max - 2, ' ')).empty());

    std::string many = "{\"vote\": {\"decisions\": [\"\"";
    for (int i = 0; i < 1024; ++i) many += ",\"\"";
    CHECK(json_complaint(many + "]}}") ==
          "ResourcePoolConfig::vote.decisions.size() must be 0 to 1024, but is 1025");

    CHECK(json_complaint("{\"models\": [{\"file\": \"a\\u0000b\"}]}") ==
          "ResourcePoolConfig::models[0].file must be a text without NUL characters, but is "
          "'a\\x00b'");
    CHECK(json_complaint("{\"models\": [{\"name\": \"\\u0000\"}]}") ==
          "ResourcePoolConfig::models[0].name must be a text without NUL characters, but is "
          "'\\x00'");
    CHECK(json_complaint("{\"a\\u001b[31m\": 1}") == "ResourcePoolConfig::a\\x1b[31m is no member");
    CHECK(json_complaint("{\"" + std::string(1 << 16, 'x') + "\": 1}").size() < 200);
    CHECK(json_complaint("{\"default_timeout\": \"" + std::string(1 << 16, '1') + "\"}").size() <
          500);
    CHECK(json_complaint("{\"seed\": \"{}%s%n\"}").find("'{}%s%n'") != std::string::npos);
}

TEST_CASE("numbers that no member can hold are refused as they came") {
    CHECK(json_complaint(R"({"queue_count_max": 4294967296})") ==
          "ResourcePoolConfig::queue_count_max must be a whole number, at most 4294967295, but is "
          "4294967296");
    CHECK(json_complaint(R"({"queue_count_max": -1})").ends_with("but is -1"));
    CHECK(json_complaint(R"({"seed": 18446744073709551616})")
              .ends_with("but is 1.8446744073709552e+19"));
    CHECK(json_complaint(R"({"seed": 1e300})").ends_with("but is 1e+300"));
    CHECK(
        json_complaint(R"({"frame_bytes_max": "99999999TiB"})").ends_with("but is '99999999TiB'"));
    CHECK(json_complaint(R"({"fault_tolerance": {"request_bytes_kept": "4GiB"}})")
              .ends_with("'4GiB'"));
    CHECK(json_complaint(R"({"frame_bytes_max": "64MB"})") ==
          "ResourcePoolConfig::frame_bytes_max must be a number of bytes, or a text such as "
          "\"64MiB\" (units: B, KiB, MiB, GiB, TiB), at most 18446744073709551615, but is '64MB'");
    CHECK(json_complaint(R"({"vote": {"float32": {"rtol": 1e999}}})") != "");
}
