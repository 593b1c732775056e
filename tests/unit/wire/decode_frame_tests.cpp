// What is refused before a header's fields are looked at: prefix, lengths, padding, JSON.
// SPDX-License-Identifier: BSL-1.0
#include "wire_rig.hpp"

#include <set>

namespace everpool::wire {
namespace {

/// A ping whose byte at `offset` is `value`.
Bytes ping_with(std::size_t offset, unsigned value) {
    Bytes frame = frame_of(Kind::ping, R"({"sequence":123})");
    frame.at(offset) = static_cast<std::byte>(value);
    return frame;
}

std::string nested(std::size_t depth) {
    return R"({"sequence":1,"x":)" + std::string(depth - 1, '[') + std::string(depth - 1, ']') +
           "}";
}

TEST_CASE("a frame made by hand from the description is understood") {
    const Decoded received = decoded(ping_with(0, 'E'));
    REQUIRE(received.result == DecodeResult::ok);
    CHECK(std::get<Ping>(received.message).sequence == 123);
}

TEST_CASE("a foreign magic, version or kind is refused") {
    for (std::size_t offset = 0; offset < 4; ++offset)
        CHECK(verdict(ping_with(offset, 0)) == "bad_magic");
    CHECK(verdict(ping_with(4, 0)) == "bad_version");
    CHECK(verdict(ping_with(4, 2)) == "bad_version");
    for (const unsigned kind : {0u, 15u, 128u, 255u})
        CHECK(verdict(ping_with(5, kind)) == "unknown_kind");
}

TEST_CASE("every reserved byte must be zero") {
    for (const std::size_t offset : {6u, 7u, 12u, 13u, 14u, 15u})
        for (const unsigned value : {1u, 128u, 255u})
            CHECK(verdict(ping_with(offset, value)) == "bad_reserved");
}

TEST_CASE("a header's length is judged before it is believed") {
    CHECK(verdict(ping_with(9, 1)) == "truncated");            // 256 bytes more than there are
    CHECK(verdict(ping_with(10, 0x0f)) == "truncated");        // just below the limit
    CHECK(verdict(ping_with(10, 0x10)) == "header_too_large"); // just above
    CHECK(verdict(ping_with(11, 0xff)) == "header_too_large"); // 4 GiB: no overflow either
    CHECK(verdict(ping_with(8, 0)) == "malformed_json");       // an empty header
    CHECK(verdict(ping_with(8, 8)) == "malformed_json");       // the first half of it
}

TEST_CASE("a frame may be as large as its limit and not larger") {
    const Bytes frame = ping_with(0, 'E');
    Limits limits;
    limits.frame_bytes_max = frame.size();
    CHECK(verdict(frame, limits) == "ok");
    --limits.frame_bytes_max;
    CHECK(verdict(frame, limits) == "frame_too_large");
    CHECK(verdict(Bytes(frame.size(), std::byte{0xff}), limits) == "frame_too_large");
}

TEST_CASE("a header may be as large as its limit and not larger") {
    Limits limits;
    const std::string fields = R"({"sequence":1})";
    const std::string text = fields + std::string(limits.header_bytes_max - fields.size(), ' ');
    CHECK(verdict(Kind::ping, text) == "ok");
    CHECK(verdict(Kind::ping, text + " ") == "header_too_large");
}

TEST_CASE("padding after the header must be zeros") {
    Bytes frame = frame_of(Kind::ping, R"({"sequence":1})"); // 16 + 14 bytes: two of padding
    REQUIRE(frame.size() == 32);
    for (const std::size_t offset : {30u, 31u}) {
        Bytes dirty = frame;
        dirty[offset] = std::byte{' '};
        CHECK(verdict(dirty) == "bad_padding");
    }
    CHECK(verdict(frame) == "ok");
}

TEST_CASE("a header that is not one JSON object is refused") {
    for (const std::string_view text : {"null",
                                        "1",
                                        "\"x\"",
                                        "[]",
                                        "[{}]",
                                        "{",
                                        "}",
                                        "{}{}",
                                        "{} x",
                                        "{\"sequence\":1,}",
                                        "{'sequence':1}",
                                        "{sequence:1}",
                                        "{\"sequence\":01}",
                                        "{\"sequence\":+1}",
                                        "{\"sequence\":.5}",
                                        "{\"sequence\":NaN}",
                                        "{\"sequence\":Infinity}",
                                        "{\"sequence\":0x1}",
                                        "{\"sequence\":1 /* one */}",
                                        "{\"a\":\"\t\"}",
                                        "{\"a\":\"\\x\"}",
                                        "{\"a\":\"\\u12\"}",
                                        "\xef\xbb\xbf{\"sequence\":1}"}) {
        CAPTURE(text);
        CHECK(verdict(Kind::ping, text) == "malformed_json");
    }
    CHECK(verdict(Kind::ping, std::string_view("{\"sequence\":1}\0", 15)) == "malformed_json");
}

TEST_CASE("a header that is not UTF-8 is refused, also where nobody reads it") {
    for (const std::string_view text :
         {"\xff", "\xc3", "\xc0\x80", "\xed\xa0\x80", "\xf5\x80\x80\x80"}) {
        const std::string header = R"({"sequence":1,"x":")" + std::string(text) + "\"}";
        CHECK(verdict(Kind::ping, header) == "malformed_json");
    }
    for (const std::string_view text : {R"(\ud800)", R"(\udc00)", R"(\ud800\u0041)"}) {
        const std::string header = R"({"sequence":1,"x":")" + std::string(text) + "\"}";
        CHECK(verdict(Kind::ping, header) == "malformed_json"); // half of a surrogate pair
    }
    CHECK(verdict(Kind::ping, R"({"sequence":1,"x":"\ud83d\ude00"})") == "ok");
}

TEST_CASE("a header may be nested as deep as its limit and not deeper") {
    const Limits limits;
    CHECK(verdict(Kind::ping, nested(limits.json_depth_max)) == "ok");
    CHECK(verdict(Kind::ping, nested(limits.json_depth_max + 1)) == "malformed_json");
    CHECK(verdict(Kind::ping, nested(500'000)) == "malformed_json"); // and no stack is used up
}

TEST_CASE("whitespace, order, escapes and unknown fields do not change what a header says") {
    CHECK(verdict(Kind::ping, " {\n\"new\" : [ 1 , {} ] ,\t\"sequence\" : 5 } ") == "ok");
    const Decoded received = decoded(frame_of(Kind::ping, R"({"\u0073equence":5})"));
    REQUIRE(received.result == DecodeResult::ok);
    CHECK(std::get<Ping>(received.message).sequence == 5);
}

TEST_CASE("of a field that is there twice the last one counts, as in JavaScript") {
    const Decoded received = decoded(frame_of(Kind::ping, R"({"sequence":1,"sequence":2})"));
    REQUIRE(received.result == DecodeResult::ok);
    CHECK(std::get<Ping>(received.message).sequence == 2);
    CHECK(verdict(Kind::ping, R"({"sequence":1,"sequence":"x"})") == "bad_field");
}

TEST_CASE("every result of decoding has a name of its own") {
    std::set<std::string_view> names;
    for (int value = 0; value <= static_cast<int>(DecodeResult::out_of_memory); ++value)
        CHECK(names.insert(name_of(static_cast<DecodeResult>(value))).second);
    CHECK(names.count("unrecognised") == 0);
    CHECK(name_of(static_cast<DecodeResult>(99)) == "unrecognised");
}

} // namespace
} // namespace everpool::wire
