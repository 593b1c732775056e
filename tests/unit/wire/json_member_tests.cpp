// SPDX-License-Identifier: BSL-1.0
#include "everpool/wire/json_member.hpp"
#include "support/catch.hpp"

#include <string>

namespace everpool::wire {
namespace {

static_assert(member_text(R"({"a":1})", "a") == "1");

TEST_CASE("a value of every kind is found as it was written") {
    const std::string_view object =
        R"({"object":{"x":[1,{}]},"list":[ "]" , {"}":1} ],"text":"a\"}\\","number":-1.50e+3,)"
        R"("word":null,"empty":{},"last":true})";
    CHECK(member_text(object, "object") == R"({"x":[1,{}]})");
    CHECK(member_text(object, "list") == R"([ "]" , {"}":1} ])");
    CHECK(member_text(object, "text") == R"("a\"}\\")");
    CHECK(member_text(object, "number") == "-1.50e+3");
    CHECK(member_text(object, "word") == "null");
    CHECK(member_text(object, "empty") == "{}");
    CHECK(member_text(object, "last") == "true");
    CHECK(member_text(object, "x").empty()); // of an object within
    CHECK(member_text(object, "none").empty());
}

TEST_CASE("space between the parts belongs to none of them") {
    const std::string_view object = " {\n \"a\" : 1 ,\t\"b\"\r:  [ ]  } ";
    CHECK(member_text(object, "a") == "1");
    CHECK(member_text(object, "b") == "[ ]");
    CHECK(member_text(" { } ", "a").empty());
}

TEST_CASE("the last one of the same name counts") {
    CHECK(member_text(R"({"a":1,"b":2,"a":3})", "a") == "3");
}

TEST_CASE("a key may be written with escapes, like any other string") {
    CHECK(member_text(R"({"a":1,"\u0061":2})", "a") == "2");
    CHECK(member_text(R"({"\u0061\u002F\/b":1})", "a//b") == "1");
    CHECK(member_text(R"({"\\":1,"a":2})", "a") == "2");
    CHECK(member_text(R"({"\\":1,"\"":2})", "\\") == "1");
    CHECK(member_text(R"({"\\":1,"\"":2})", "\"") == "2");
    for (const std::string_view other : {R"(\u0161)", R"(\u0061\u0000)", R"(\u0161a)", R"(\b)",
                                         R"(\n)", R"(a\t)", R"(\ud83d\ude00)", R"(\\u0061)", ""}) {
        CAPTURE(other);
        CHECK(member_text("{\"" + std::string(other) + "\":1}", "a").empty());
    }
    CHECK(member_text(R"({"\b":1,"\n":1,"\u006":1,"b":2})", "b") == "2");
}

TEST_CASE("text that is no object is walked through without leaving it") {
    const std::string whole = R"({"a":{"b":"\"\\"},"c":[1,"x"],"d":nul})";
    for (std::size_t bytes = 0; bytes <= whole.size(); ++bytes)
        for (const char c : {'{', '}', '[', ']', '"', '\\', ':', ',', ' ', '1'}) {
            std::string text = whole.substr(0, bytes) + c; // cut off, or with one byte wrong
            CHECK(member_text(text, "c").size() <= text.size());
            text = whole;
            text[bytes % whole.size()] = c;
            CHECK(member_text(text, "c").size() <= text.size());
        }
}

} // namespace
} // namespace everpool::wire
