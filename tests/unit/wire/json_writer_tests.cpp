// SPDX-License-Identifier: BSL-1.0
#include "everpool/wire/json_writer.hpp"
#include "support/catch.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <cmath>
#include <limits>
#include <string>

namespace everpool::wire {
namespace {

std::string written(std::string_view text) {
    std::string out;
    JsonWriter(out).quote(text);
    return out.substr(1); // without the brace that opens the object
}

TEST_CASE("an object is written without a space, its fields in the order of the calls") {
    std::string out = "kept";
    JsonWriter json(out);
    json.text("a", "x");
    json.number("b", -5);
    json.number("c", std::uint64_t{18446744073709551615U});
    json.number("d", 0.5);
    json.boolean("e", true);
    json.boolean("f", false);
    json.raw("g", "[null]");
    json.begin("h");
    json.append(7);
    json.close();
    CHECK(out == R"(kept{"a":"x","b":-5,"c":18446744073709551615,"d":0.5,"e":true,"f":false,)"
                 R"("g":[null],"h":7})");
}

TEST_CASE("an object may be empty") {
    std::string out;
    JsonWriter(out).close();
    CHECK(out == "{}");
}

TEST_CASE("text is escaped as JSON.stringify does it, and no more") {
    CHECK(written("") == "\"\"");
    CHECK(written("say \"hi\" \\ /") == R"("say \"hi\" \\ /")");
    CHECK(written("\b\t\n\f\r") == R"("\b\t\n\f\r")");
    CHECK(written(std::string("\0\x01\x0b\x1f", 4)) == R"("\u0000\u0001\u000b\u001f")");
    CHECK(written("\x7f\xc3\xbc\xf0\x9f\x98\x80") == "\"\x7f\xc3\xbc\xf0\x9f\x98\x80\"");
}

TEST_CASE("whatever text is written is read back the same") {
    for (int first = 0; first < 128; ++first)
        for (int second = 0; second < 128; ++second) {
            const std::string text{static_cast<char>(first), static_cast<char>(second)};
            const auto value = boost::json::parse(written(text));
            if (value.as_string() != boost::json::string_view(text)) FAIL(first << ' ' << second);
        }
    SUCCEED();
}

TEST_CASE("numbers that JSON does not have become 0") {
    std::string out;
    JsonWriter json(out);
    json.number("nan", std::numeric_limits<double>::quiet_NaN());
    json.number("more", std::numeric_limits<double>::infinity());
    json.number("less", -std::numeric_limits<double>::infinity());
    json.close();
    CHECK(out == R"({"nan":0,"more":0,"less":0})");
}

TEST_CASE("a number's text is the shortest that gives the same number") {
    for (const double number : {0.1, 1.0 / 3, 1e-300, 123456.789, std::nextafter(1.0, 2.0), -2.5}) {
        std::string out;
        JsonWriter json(out);
        json.number("x", number);
        CHECK(std::stod(out.substr(out.find(':') + 1)) == number);
    }
}

} // namespace
} // namespace everpool::wire
