// SPDX-License-Identifier: BSL-1.0
#include "facade/config_units.hpp"
#include "support/catch.hpp"

#include <limits>
#include <string>

using namespace std::chrono_literals;
using everpool::Duration;
using everpool::facade::bytes_from;
using everpool::facade::duration_from;

TEST_CASE("a duration is a decimal number and a unit") {
    CHECK(duration_from("250ms") == 250ms);
    CHECK(duration_from("1.5s") == 1500ms);
    CHECK(duration_from("5min") == 5min);
    CHECK(duration_from("100us") == 100us);
    CHECK(duration_from("2h") == 2h);
    CHECK(duration_from("1ns") == 1ns);
    CHECK(duration_from("0s") == 0s);
    CHECK(duration_from("007s") == 7s);
    CHECK(duration_from("10 ms") == 10ms); // as messages have it
    CHECK(duration_from("0.5min") == 30s);
    CHECK(duration_from("0.000000001s") == 1ns);
    CHECK(duration_from("1.500000000000000000000000s") == 1500ms);
}

// That it is out of its member's range, the check of ranges says, in its own words.
TEST_CASE("a negative duration is one") {
    CHECK(duration_from("-1s") == -1s);
    CHECK(duration_from("-0.25ms") == -250us);
}

TEST_CASE("what is no duration is told from one") {
    for (const char* text :
         {"",       "s",     "ms",    "250",    "1.5",       "1.s",  ".5s", "1,5s", "1e3ms",
          "1  s",   " 1s",   "1s ",   "+1s",    "--1s",      "- 1s", "1S",  "1m",   "1sec",
          "1 min ", "1hour", "1d",    "0x10ms", "1.5.5s",    "nans", "NaN", "infs", "inf",
          "1s1ms",  "1ms\n", "\t1ms", "1_000s", "\xd9\xa1s", "-",    "-s",  "1msx", "1.-5s"}) {
        INFO(text);
        CHECK_FALSE(duration_from(text));
    }
    CHECK_FALSE(duration_from(std::string_view("1s\0", 3)));
    CHECK_FALSE(duration_from(std::string_view("1\0s", 3)));
}

TEST_CASE("a duration that is not exact, or too long, is refused and never rounded") {
    CHECK_FALSE(duration_from("0.5ns"));
    CHECK_FALSE(duration_from("0.0000000001s"));
    CHECK(duration_from("9223372036854775807ns") == Duration::max());
    CHECK(duration_from("9223372036.854775807s") == Duration::max());
    CHECK(duration_from("-9223372036854775807ns") == -Duration::max());
    CHECK_FALSE(duration_from("9223372036854775808ns"));
    CHECK_FALSE(duration_from("9223372036.854775808s"));
    CHECK_FALSE(duration_from("18446744073709551616ns"));
    CHECK_FALSE(duration_from("18446744073709551617ns")); // 1, if it wrapped around
    CHECK_FALSE(duration_from("2562048h"));
    CHECK_FALSE(duration_from(std::string(1 << 20, '9') + "h"));
}

TEST_CASE("a number of bytes is a whole number and a unit") {
    CHECK(bytes_from("64MiB") == 64ULL << 20);
    CHECK(bytes_from("1GiB") == 1ULL << 30);
    CHECK(bytes_from("2 TiB") == 2ULL << 40);
    CHECK(bytes_from("3KiB") == 3072u);
    CHECK(bytes_from("17B") == 17u);
    CHECK(bytes_from("18446744073709551615B") == std::numeric_limits<std::uint64_t>::max());
    for (const char* text : {"", "B", "64", "64MB", "64M", "64mib", "1.5GiB", "-1KiB", "1e3KiB",
                             "18446744073709551616B", "16777216TiB", "0x10B", "1KiBx"}) {
        INFO(text);
        CHECK_FALSE(bytes_from(text));
    }
}
