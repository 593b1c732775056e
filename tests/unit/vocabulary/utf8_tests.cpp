// SPDX-License-Identifier: BSL-1.0
#include "everpool/utf8.hpp"
#include "support/catch.hpp"

#include <string>

namespace everpool {
namespace {

using namespace std::string_view_literals;

/// The definition, from a code point up: what it encodes to is right by construction.
std::string utf8_of(unsigned long code_point) {
    const auto byte = [](unsigned long value) { return static_cast<char>(value); };
    if (code_point < 0x80) return {byte(code_point)};
    if (code_point < 0x800) return {byte(0xc0 | code_point >> 6), byte(0x80 | (code_point & 63))};
    if (code_point < 0x10000)
        return {byte(0xe0 | code_point >> 12), byte(0x80 | (code_point >> 6 & 63)),
                byte(0x80 | (code_point & 63))};
    return {byte(0xf0 | code_point >> 18), byte(0x80 | (code_point >> 12 & 63)),
            byte(0x80 | (code_point >> 6 & 63)), byte(0x80 | (code_point & 63))};
}

TEST_CASE("every code point but the surrogates is UTF-8, and nothing above U+10FFFF") {
    for (unsigned long code_point = 0; code_point < 0x140000; ++code_point) {
        const bool is_expected =
            code_point < 0x110000 && (code_point < 0xd800 || code_point > 0xdfff);
        if (is_utf8(utf8_of(code_point)) != is_expected) FAIL(code_point);
    }
    SUCCEED();
}

TEST_CASE("as many sequences of up to three bytes are UTF-8 as there are code points for them") {
    // Counting proves that nothing else is taken: each of them was seen to be taken above.
    std::size_t single = 0, pairs = 0, triples = 0;
    std::string text(3, '\0');
    for (unsigned value = 0; value < 0x1000000; ++value) {
        text[0] = static_cast<char>(value >> 16);
        text[1] = static_cast<char>(value >> 8);
        text[2] = static_cast<char>(value);
        if (value < 0x100 && is_utf8({&text[2], 1})) ++single;
        if (value < 0x10000 && is_utf8({&text[1], 2})) ++pairs;
        if (is_utf8(text)) ++triples;
    }
    const std::size_t one = 0x80, two = 0x800 - 0x80, three = 0x10000 - 0x800 - 0x800;
    CHECK(single == one);
    CHECK(pairs == one * one + two);
    CHECK(triples == one * one * one + 2 * one * two + three);
}

TEST_CASE("overlong forms and wrong continuations of four bytes are not UTF-8") {
    for (const auto text : {"\xf0\x80\x80\x80"sv, "\xf0\x8f\xbf\xbf"sv, "\xf4\x90\x80\x80"sv,
                            "\xf5\x80\x80\x80"sv, "\xf8\x88\x80\x80\x80"sv, "\xf0\x9f\x98"sv,
                            "\xf0\x9f\x98x"sv, "\xf0\x9fx\x80"sv, "\xf0x\x98\x80"sv})
        CHECK_FALSE(is_utf8(text));
}

TEST_CASE("a text is UTF-8 if all of it is") {
    CHECK(is_utf8(""));
    CHECK(is_utf8("a\0b"sv));
    CHECK(is_utf8("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"));
    CHECK_FALSE(is_utf8("gr\xc3\xbc\xc3"));
    CHECK_FALSE(is_utf8("\x80 then nothing wrong"));
    CHECK_FALSE(is_utf8("a long run of plain text, and one wrong byte at its end: \xff"));
    CHECK_FALSE(is_utf8("\xff and a long run of plain text after it"));
}

TEST_CASE("the length of a sequence is known at its first byte, 0 where there is none") {
    const auto text = "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80\xff"sv;
    CHECK(utf8_sequence_bytes(text, 0) == 1);
    CHECK(utf8_sequence_bytes(text, 1) == 2);
    CHECK(utf8_sequence_bytes(text, 2) == 0); // in the middle
    CHECK(utf8_sequence_bytes(text, 3) == 3);
    CHECK(utf8_sequence_bytes(text, 6) == 4);
    CHECK(utf8_sequence_bytes(text, 10) == 0);
    CHECK(utf8_sequence_bytes(text.substr(0, 8), 6) == 0); // cut off
}

} // namespace
} // namespace everpool
