// What each field of a header may be: of each kind, each field is left out, and given each wrong
// value.
// SPDX-License-Identifier: BSL-1.0
#include "wire_rig.hpp"

#include <boost/json/serialize.hpp>

#include <map>

namespace everpool::wire {
namespace {

namespace json = boost::json;

/// Values that a field of each type takes, and values that it does not.
struct FieldType {
    json::array good, bad;
};

json::string letters(std::size_t count) { return json::string(count, 'x'); }

const std::map<std::string, FieldType>& field_types() {
    const Limits limits;
    const json::value none, flag = true, number = 1, list = json::array{}, object = json::object{};
    const json::value spec = {{"name", "x"}, {"dtype", "float32"}, {"shape", {-1, 3}}};
    static const std::map<std::string, FieldType> types{
        {"integer",
         {{0, 9007199254740991},
          {-1, 9007199254740992, 1.5, 1.0, 1e300, 18446744073709551615U, "1", none, flag, list,
           object}}},
        {"small", {{0, 4294967295}, {-1, 4294967296, 1.5, "1", none, flag, list, object}}},
        {"name",
         {{"", letters(limits.name_bytes_max)},
          {letters(limits.name_bytes_max + 1), number, none, flag, list, object}}},
        {"text",
         {{"", letters(limits.text_bytes_max)},
          {letters(limits.text_bytes_max + 1), number, none, flag, list, object}}},
        {"boolean", {{true, false}, {0, 1, "true", none, list, object}}},
        {"quantity",
         {{0, 0.5, 1e-300, 9007199254740991},
          {-1, -0.5, 1e300, 1e16, "1", none, flag, list, object}}},
        {"object", {{object, {{"a", {1, none}}}}, {list, none, flag, number, "{}"}}},
        {"provider",
         {{"webnn", "webgpu", "wasm"}, {"", "cpu", "WASM", number, none, list, object}}},
        {"role", {{"control", "data"}, {"", "Data", number, none, list, object}}},
        {"providers",
         {{list, {"wasm", "webnn"}, json::array(limits.list_count_max, "wasm")},
          {{"wasm", "cpu"},
           {"wasm", 1},
           json::array(limits.list_count_max + 1, "wasm"),
           none,
           "wasm",
           object}}},
        {"names",
         {{list, {"cpu", ""}, json::array(limits.list_count_max, "x")},
          {{"cpu", 1},
           {letters(limits.name_bytes_max + 1)},
           json::array(limits.list_count_max + 1, "x"),
           none,
           object}}},
        {"specs",
         {{list, json::array{spec}, json::array(limits.list_count_max, spec)},
          {json::array{spec, none}, json::array(limits.list_count_max + 1, spec),
           json::array{{{"name", "x"}, {"dtype", "float32"}, {"shape", {-2}}}},
           json::array{{{"name", "x"}, {"dtype", "float32"}, {"shape", {1.5}}}},
           json::array{{{"name", "x"}, {"dtype", "float32"}, {"shape", 1}}},
           json::array{{{"name", "x"}, {"dtype", "float"}, {"shape", list}}},
           json::array{{{"name", 1}, {"dtype", "float32"}, {"shape", list}}},
           json::array{{{"dtype", "float32"}, {"shape", list}}},
           json::array{{{"name", "x"},
                        {"dtype", "float32"},
                        {"shape", json::array(limits.dimension_count_max + 1, 1)}}},
           none, object}}},
        {"limits",
         {{object, {{"maxBufferSize", 9007199254740991}}},
          {{{"a", -1}},
           {{"a", 1.5}},
           {{"a", "1"}},
           {{"a", none}},
           none,
           "x",
           json::object{{letters(limits.name_bytes_max + 1), 1}}}}},
        {"part", {{}, {none, flag, number, "x", list}}}, // an object with fields of its own
        {"unread", {{none, flag, number, "x", list, object}, {}}},
    };
    return types;
}

struct Field {
    std::string path; ///< "engine.name": a field of a field
    std::string type;
    bool is_required{true};
};

json::value* find(json::object& in, std::string_view path) {
    const std::size_t dot = path.find('.');
    json::value* found = in.if_contains(test::text_of(path.substr(0, dot)));
    if (dot == path.npos || found == nullptr) return found;
    return find(found->as_object(), path.substr(dot + 1));
}

void erase(json::object& in, std::string_view path) {
    const std::size_t dot = path.find('.');
    const auto first = test::text_of(path.substr(0, dot));
    if (dot == path.npos) in.erase(first);
    else erase(in.at(first).as_object(), path.substr(dot + 1));
}

std::string verdict_on(Kind kind, const json::object& header) {
    return verdict(kind, json::serialize(header));
}

void check_fields(Kind kind, std::string_view header_text, const std::vector<Field>& fields) {
    const json::object header = json::parse(test::text_of(header_text)).as_object();
    INFO("kind " << test::kind_name(kind));
    REQUIRE(verdict_on(kind, header) == "ok");
    for (const Field& field : fields) {
        INFO("field " << field.path);
        REQUIRE(find(const_cast<json::object&>(header), field.path) != nullptr);
        const auto with = [&](const json::value& value) {
            json::object changed = header;
            *find(changed, field.path) = value;
            return verdict_on(kind, changed);
        };
        for (const json::value& value : field_types().at(field.type).good)
            CHECK(with(value) == "ok");
        for (const json::value& value : field_types().at(field.type).bad) {
            INFO("value " << json::serialize(value).substr(0, 80));
            CHECK(with(value) == "bad_field");
        }
        json::object without = header;
        erase(without, field.path);
        CHECK(verdict_on(kind, without) == (field.is_required ? "bad_field" : "ok"));
    }
}

const std::string capabilities_text = R"({
    "webgpu": {"available": true, "vendor": "v", "architecture": "a", "device": "d",
               "description": "x", "is_fallback_adapter": true, "limits": {"maxBufferSize": 1}},
    "webnn": {"available": true, "device_types": ["cpu"]},
    "wasm": {"simd": true, "threads": true},
    "memory": {"device_memory_gib": 8, "js_heap_bytes_max": 1},
    "cross_origin_isolated": true})";

TEST_CASE("each field of hello is checked") {
    check_fields(Kind::hello,
                 R"({"role":"data","token":"t","protocol":1,"realm":1,
                     "engine":{"name":"n","version":"v","user_agent":"u"},"capabilities":)" +
                     capabilities_text + "}",
                 {{"role", "role"},
                  {"token", "name"},
                  {"protocol", "small"},
                  {"realm", "small"},
                  {"engine", "part"},
                  {"engine.name", "name"},
                  {"engine.version", "name"},
                  {"engine.user_agent", "name"},
                  {"capabilities", "part", false},
                  {"capabilities.webgpu", "part"},
                  {"capabilities.webgpu.available", "boolean"},
                  {"capabilities.webgpu.vendor", "name"},
                  {"capabilities.webgpu.architecture", "name"},
                  {"capabilities.webgpu.device", "name"},
                  {"capabilities.webgpu.description", "name"},
                  {"capabilities.webgpu.is_fallback_adapter", "boolean"},
                  {"capabilities.webgpu.limits", "limits"},
                  {"capabilities.webnn", "part"},
                  {"capabilities.webnn.available", "boolean"},
                  {"capabilities.webnn.device_types", "names"},
                  {"capabilities.wasm", "part"},
                  {"capabilities.wasm.simd", "boolean"},
                  {"capabilities.wasm.threads", "boolean"},
                  {"capabilities.memory", "part"},
                  {"capabilities.memory.device_memory_gib", "quantity"},
                  {"capabilities.memory.js_heap_bytes_max", "integer"},
                  {"capabilities.cross_origin_isolated", "boolean"}});
}

TEST_CASE("what is not available need not be described") {
    const Decoded received =
        decoded(frame_of(Kind::hello, R"({"role":"data","token":"t","protocol":1,
        "realm":1,"engine":{"name":"n","version":"v","user_agent":"u"},"capabilities":{
        "webgpu":{"available":false,"reason":"none"},"webnn":{"available":false},
        "wasm":{"simd":true,"threads":false},"memory":{"device_memory_gib":0,"js_heap_bytes_max":0},
        "cross_origin_isolated":false}})"));
    REQUIRE(name_of(received.result) == "ok");
    Capabilities expected;
    expected.wasm_simd = true;
    CHECK(std::get<Hello>(received.message).capabilities == expected);
}

TEST_CASE("a list of adapter limits has as many entries as the limit and not more") {
    const auto hello_with = [](std::size_t count) {
        json::object capabilities = json::parse(capabilities_text).as_object();
        json::object& limits = find(capabilities, "webgpu.limits")->as_object();
        limits.clear();
        for (std::size_t i = 0; i < count; ++i) limits[std::to_string(i)] = 1;
        return json::object{{"role", "data"},
                            {"token", "t"},
                            {"protocol", 1},
                            {"realm", 1},
                            {"engine", {{"name", "n"}, {"version", "v"}, {"user_agent", "u"}}},
                            {"capabilities", capabilities}};
    };
    CHECK(verdict_on(Kind::hello, hello_with(Limits{}.list_count_max)) == "ok");
    CHECK(verdict_on(Kind::hello, hello_with(Limits{}.list_count_max + 1)) == "bad_field");
}

TEST_CASE("each field of ready is checked") {
    check_fields(Kind::ready,
                 R"({"id":1,"model":"m","provider":"wasm","is_fallback_adapter":false,
                     "inputs":[],"outputs":[],"fetch_ms":1,"create_ms":1})",
                 {{"id", "integer"},
                  {"model", "name"},
                  {"provider", "provider", false},
                  {"is_fallback_adapter", "boolean"},
                  {"inputs", "specs"},
                  {"outputs", "specs"},
                  {"fetch_ms", "quantity"},
                  {"create_ms", "quantity"}});
    check_fields(Kind::ready, R"({"id":1,"model":"m","unloaded":true,"inputs":0})",
                 {{"id", "integer"},
                  {"model", "name"},
                  {"inputs", "unread", false}}); // nothing else is read then
    CHECK(verdict(Kind::ready, R"({"id":1,"model":"m","unloaded":1})") == "bad_field");
}

TEST_CASE("ready to an unload_model says unloaded and nothing else") {
    // With false it would be a ready of which the rest is missing.
    CHECK(verdict(Kind::ready, R"({"id":1,"model":"m","unloaded":false})") == "bad_field");
}

TEST_CASE("each field of load_model, unload_model and progress is checked") {
    check_fields(Kind::load_model,
                 R"({"id":1,"model":"m","url":"u","bytes":1,"providers":["wasm"]})",
                 {{"id", "integer"},
                  {"model", "name"},
                  {"url", "name"},
                  {"bytes", "integer"},
                  {"providers", "providers"}});
    check_fields(Kind::unload_model, R"({"id":1,"model":"m"})",
                 {{"id", "integer"}, {"model", "name"}});
    check_fields(Kind::progress, R"({"id":1,"model":"m","phase":"fetch","loaded":1,"total":1})",
                 {{"id", "integer"},
                  {"model", "name"},
                  {"phase", "name"},
                  {"loaded", "integer"},
                  {"total", "integer"}});
}

TEST_CASE("each field of run is checked") {
    check_fields(Kind::run,
                 R"({"id":1,"attempt":1,"operation":"o","model":"m","module_url":"u",
                     "parameters":{},"tensors":[]})",
                 {{"id", "integer"},
                  {"attempt", "small"},
                  {"operation", "name"},
                  {"model", "name", false},
                  {"module_url", "name", false},
                  {"parameters", "object", false}});
}

TEST_CASE("each field of result is checked") {
    check_fields(Kind::result,
                 R"({"id":1,"attempt":1,"provider":"wasm","is_fallback_adapter":false,
                     "queue_ms":1,"compute_ms":1,"info":{},"tensors":[]})",
                 {{"id", "integer"},
                  {"attempt", "small"},
                  {"provider", "provider", false},
                  {"is_fallback_adapter", "boolean", false},
                  {"queue_ms", "quantity", false},
                  {"compute_ms", "quantity", false},
                  {"info", "object", false}});
}

TEST_CASE("each field of error, cancel, ping, pong, drain, bye and event is checked") {
    check_fields(Kind::error, R"({"id":1,"attempt":1,"code":"cancelled","message":"m"})",
                 {{"id", "integer"}, {"attempt", "small"}, {"code", "name"}, {"message", "text"}});
    check_fields(Kind::cancel, R"({"id":1,"attempt":1})",
                 {{"id", "integer"}, {"attempt", "small"}});
    check_fields(Kind::ping, R"({"sequence":1})", {{"sequence", "integer"}});
    check_fields(Kind::pong, R"({"sequence":1})", {{"sequence", "integer"}});
    check_fields(Kind::drain, R"({"restart_compute":true})", {{"restart_compute", "boolean"}});
    check_fields(Kind::bye, R"({"reason":"r"})", {{"reason", "text"}});
    check_fields(Kind::event, R"({"type":"t","message":"m"})",
                 {{"type", "name"}, {"message", "text"}});
}

TEST_CASE("a code that this version does not know is a failed operation") {
    for (const std::string_view code : {"made_up_later", "", "ok", "unrecognised"}) {
        const Decoded received =
            decoded(frame_of(Kind::error, R"({"id":1,"attempt":1,"message":"","code":")" +
                                              std::string(code) + "\"}"));
        REQUIRE(name_of(received.result) == "ok");
        CHECK(std::get<RemoteError>(received.message).code == Errc::operation_failed);
    }
}

TEST_CASE("info arrives as the text that was sent, not as what a parser made of it") {
    // A number with this many digits would come back changed from most parsers.
    for (const std::string_view info :
         {R"({})", R"({"x":0.30000000000000004,"n":12345678901234567890123})",
          R"({ "a" : [ 1.50 ] })", R"({"brackets in text":"}]{[\"\\"})",
          R"({"info":{"info":1}})"}) {
        const std::string header =
            R"({"id":1,"info":)" + std::string(info) + R"(,"attempt":1,"tensors":[]})";
        const Decoded received = decoded(frame_of(Kind::result, header));
        REQUIRE(name_of(received.result) == "ok");
        CHECK(std::get<RunResult>(received.message).info == info);
    }
}

TEST_CASE("info is an object, however its key is written and how often") {
    const auto info_of = [](std::string_view fields) {
        const Decoded received = decoded(frame_of(
            Kind::result, R"({"id":1,"attempt":1,"tensors":[],)" + std::string(fields) + "}"));
        if (received.result != DecodeResult::ok) return std::string(name_of(received.result));
        return std::get<RunResult>(received.message).info;
    };
    CHECK(info_of(R"("info":{"a":1},"info":{"a":2})") == R"({"a":2})"); // the last one counts
    CHECK(info_of(R"("info":{"a":1},"info":5)") == "bad_field");
    CHECK(info_of(R"("info":5,"info":{"a":2})") == R"({"a":2})");
    CHECK(info_of(R"("inf\u006f":{"a":2})") == R"({"a":2})");
    CHECK(info_of(R"("info":5,"inf\u006f":{"a":2})") == R"({"a":2})");
    CHECK(info_of(R"("\u0069n\u0066o":{"a":1e999})") ==
          R"({"a":1e999})"); // no number of this host's
    CHECK(info_of(R"("info":{"a":1},"inf\u00ef":5)") == R"({"a":1})");
    CHECK(info_of(R"("info":{"a":1},"inf\u006f":5)") == "bad_field");
    CHECK(info_of(R"("x":{"info":{"a":1}})").empty()); // that is not a field of the header
    CHECK(info_of(R"("x":"info","y":[{"info":3}])").empty());
}

} // namespace
} // namespace everpool::wire
