// SPDX-License-Identifier: BSL-1.0
#include "everpool/error.hpp"

#include "support/catch.hpp"

#include <boost/system/errc.hpp>

#include <set>
#include <string>

using everpool::Diagnostics;
using everpool::Errc;
using everpool::error_code;
using everpool::escape_remote_text;

TEST_CASE("an error code says its name and its category") {
    const error_code ec = Errc::unknown_model;
    CHECK(ec);
    CHECK(ec.message() == "unknown_model");
    CHECK(std::string(ec.category().name()) == "everpool");
    CHECK(ec == Errc::unknown_model);
    CHECK_FALSE(ec == Errc::unknown_operation);
    CHECK_FALSE(error_code(Errc::ok));
}

TEST_CASE("generic code can branch on generic conditions") {
    namespace generic = boost::system::errc;
    CHECK(error_code(Errc::cancelled) == generic::operation_canceled);
    CHECK(error_code(Errc::deadline_exceeded) == generic::timed_out);
    CHECK(error_code(Errc::queue_full) == generic::resource_unavailable_try_again);
    CHECK(error_code(Errc::model_file_missing) == generic::no_such_file_or_directory);
    CHECK(error_code(Errc::queue_timeout) == generic::timed_out);
    CHECK_FALSE(error_code(Errc::worker_lost) == generic::timed_out);
}

TEST_CASE("every code has its own name, and none is both retryable and a caller's mistake") {
    std::set<std::string_view> names;
    for (int value = 0; value < 128; ++value) {
        const auto code = static_cast<Errc>(value);
        if (name_of(code) == "unrecognised") continue;
        CHECK(names.insert(name_of(code)).second);
        CHECK_FALSE((is_retryable(code) && is_callers_mistake(code)));
    }
    CHECK(names.size() == 37);
    CHECK_FALSE(is_retryable(Errc::outcome_unknown)); // repeating it is what the caller forbade
}

TEST_CASE("diagnostics read as one line that keeps our words and theirs apart") {
    const Diagnostics diagnostics{"model 'm': failed", "look at it", "TypeError", {}};
    CHECK(diagnostics.text() == "model 'm': failed; look at it [remote: TypeError]");
    CHECK(Diagnostics{}.text().empty());
    CHECK(Diagnostics{"", "do this", "", {}}.text() == "do this");
}

TEST_CASE("remote text cannot break out of a log line") {
    CHECK(escape_remote_text("a\nb\tc\r") == "a\\nb\\tc\\r");
    CHECK(escape_remote_text("say \"hi\" \\") == "say \\\"hi\\\" \\\\");
    CHECK(escape_remote_text(std::string("\x1b[31m\0x", 7)) == "\\x1b[31m\\x00x");
    CHECK(escape_remote_text("%s%n") == "%s%n"); // it is never a format string
}

TEST_CASE("remote text keeps valid UTF-8 and escapes the rest byte by byte") {
    CHECK(escape_remote_text("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80") ==
          "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
    CHECK(escape_remote_text("\xc3") == "\\xc3");                 // cut off
    CHECK(escape_remote_text("\xc0\x80") == "\\xc0\\x80");        // overlong
    CHECK(escape_remote_text("\xed\xa0\x80") == "\\xed\\xa0\\x80"); // a surrogate
    CHECK(escape_remote_text("\xf5\x80\x80\x80") == "\\xf5\\x80\\x80\\x80");
}

TEST_CASE("remote text is bounded, and what is cut is marked") {
    CHECK(escape_remote_text(std::string(100, 'x'), 20) == std::string(17, 'x') + "...");
    for (std::size_t bytes_max = 3; bytes_max < 40; ++bytes_max) {
        CHECK(escape_remote_text(std::string(50, '\n'), bytes_max).size() <= bytes_max);
        const auto euros = "\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac";
        CHECK(escape_remote_text(euros, bytes_max).size() <= bytes_max);
    }
}
