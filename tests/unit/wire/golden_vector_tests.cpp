// The golden messages of tests/vectors, which the JavaScript tests read as well.
// SPDX-License-Identifier: BSL-1.0
#include "wire_rig.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include <algorithm>
#include <fstream>
#include <iterator>

namespace everpool::wire {
namespace {

namespace json = boost::json;

const std::string folder = EVERPOOL_TESTS_DIR "/vectors/";

std::string file_text(const std::string& path) {
    std::ifstream file(folder + path, std::ios::binary);
    REQUIRE(file);
    return {std::istreambuf_iterator<char>(file), {}};
}

Bytes file_bytes(const std::string& path) {
    Bytes out;
    append(out, file_text(path));
    return out;
}

std::string name_of_vector(const json::value& vector) {
    const json::string& name = vector.at("name").as_string();
    return {name.data(), name.size()};
}

/// The vectors of one list that are for this decoder.
json::array vectors(const char* list) {
    json::array out;
    const json::value index = json::parse(file_text("vectors.json"));
    for (const json::value& vector : index.at(list).as_array()) {
        const json::array& readers = vector.at("readers").as_array();
        if (std::find(readers.begin(), readers.end(), json::value("cpp")) != readers.end())
            out.push_back(vector);
    }
    return out;
}

bool is_default(const json::value& value) {
    switch (value.kind()) {
    case json::kind::null: return true;
    case json::kind::bool_: return !value.as_bool();
    case json::kind::int64: return value.as_int64() == 0;
    case json::kind::string: return value.as_string().empty();
    case json::kind::array: return value.as_array().empty();
    case json::kind::object:
        return std::all_of(value.as_object().begin(), value.as_object().end(),
                           [](const auto& field) { return is_default(field.value()); });
    default: return false;
    }
}

/// Whether a message says what is expected, and of everything else what is said by default.
bool says(const json::value& actual, const json::value& expected) {
    if (!actual.is_object() || !expected.is_object()) return actual == expected;
    const json::object& fields = expected.as_object();
    const bool is_complete = std::all_of(fields.begin(), fields.end(), [&](const auto& field) {
        return actual.as_object().contains(field.key());
    });
    return is_complete && std::all_of(actual.as_object().begin(), actual.as_object().end(),
                                      [&](const auto& field) {
                                          const auto* wanted = fields.if_contains(field.key());
                                          return wanted ? says(field.value(), *wanted)
                                                        : is_default(field.value());
                                      });
}

TEST_CASE("every valid golden message means what it is said to mean") {
    const json::array all = vectors("valid");
    REQUIRE(all.size() > 30);
    for (const json::value& vector : all) {
        const std::string name = name_of_vector(vector);
        INFO(name);
        const Decoded received = decoded(file_bytes("valid/" + name + ".bin"));
        REQUIRE(name_of(received.result) == "ok");
        const json::object meaning = meaning_of(received.message);
        INFO(json::serialize(meaning));
        const json::value& expected = vector.at("meaning");
        CHECK(meaning.at("kind") == expected.at("kind"));
        CHECK(says(meaning.at("header"), expected.at("header")));
        CHECK(meaning.at("tensors") == expected.at("tensors"));
    }
}

TEST_CASE("every canonical golden message is encoded to the very same bytes") {
    std::size_t canonical_count = 0;
    for (const json::value& vector : vectors("valid")) {
        const std::string name = name_of_vector(vector);
        INFO(name);
        const Bytes frame = file_bytes("valid/" + name + ".bin");
        // The message of the meaning: that decoding gives no other is the test before this one.
        const Decoded received = decoded(frame);
        REQUIRE(name_of(received.result) == "ok");
        const Bytes again = encoded(received.message);
        if (!vector.at("is_canonical").as_bool()) {
            CHECK(meaning_of(decoded(again).message) == meaning_of(received.message));
            continue;
        }
        ++canonical_count;
        CHECK(header_text(again) == header_text(frame)); // easier to read than bytes
        CHECK(again == frame);
    }
    CHECK(canonical_count > 20);
}

TEST_CASE("every kind of message is among the canonical golden messages") {
    std::vector<bool> is_seen(std::variant_size_v<Message>);
    for (const json::value& vector : vectors("valid"))
        if (vector.at("is_canonical").as_bool())
            is_seen.at(
                decoded(file_bytes("valid/" + name_of_vector(vector) + ".bin")).message.index()) =
                true;
    CHECK(std::count(is_seen.begin(), is_seen.end(), true) == std::variant_size_v<Message>);
}

TEST_CASE("every invalid golden message is refused for the right reason") {
    const json::array all = vectors("invalid");
    REQUIRE(all.size() > 90);
    for (const json::value& vector : all) {
        const std::string name = name_of_vector(vector);
        INFO(name);
        Limits limits;
        if (const auto* tighter = vector.as_object().if_contains("limits"))
            limits.frame_bytes_max = tighter->at("frame_bytes_max").to_number<std::uint64_t>();
        const std::string fault = verdict(file_bytes("invalid/" + name + ".bin"), limits);
        CHECK(json::string_view(fault) == vector.at("fault").as_string());
    }
}

} // namespace
} // namespace everpool::wire
