// Accidents go, the failure stays: what a text becomes, and the number that is made of it.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/failure_fingerprint.hpp"
#include "everpool/utf8.hpp"
#include "support/catch.hpp"

#include <set>
#include <string>
#include <string_view>
#include <utility>

using namespace everpool;
using namespace everpool::browser;

namespace {

FailureFingerprint of_text(std::string_view message, std::string_view stack = {}) {
    return fingerprint_of({.engine = "chromium",
                           .category = BrowserFailureCategory::api,
                           .detail = "unhandled_error",
                           .message = message,
                           .stack = stack});
}

} // namespace

TEST_CASE("a text loses its numbers, places and names, and keeps its words") {
    constexpr std::pair<std::string_view, std::string_view> table[] = {
        {"Failed to load http://127.0.0.1:40511/m/bert-7f3.onnx after 1203 ms",
         "failed to load <url> after # ms"},
        {"RangeError: Array buffer allocation failed",
         "rangeerror: array buffer allocation failed"},
        {"Failed to execute 'createContext' on 'ML': WebNN is not supported on this platform.",
         "failed to execute 'createcontext' on 'ml': webnn is not supported on this platform."},
        {"Cannot read properties of undefined (reading 'destroy')",
         "cannot read properties of undefined (reading 'destroy')"},
        {"no model named \"bert-7f3\"; it isn't there", "no model named '<id>'; it isn't there"},
        {"cannot open `/tmp/x y`", "cannot open '<id>'"},
        {"cannot open /tmp/everpool-1f/y.onnx:3:14", "cannot open <path>"},
        {"cannot open C:\\Users\\ann\\y.onnx", "cannot open <path>"},
        {"blob:http://127.0.0.1/6b86b273", "blob:<url>"},
        {"and/or", "and/or"},
        {"shape [1, 3, 224, 224]", "shape [#]"},
        {"shape [1,384]", "shape [#]"},
        {"at 0xdeadBEEF", "at #"},
        {"session 7f3a91cc0b42", "session #"},
        {"123e4567-e89b-12d3-a456-426614174000", "#"},
        {"-1.5e-06 and 1E9", "-# and #"},
        {"2026-11-21T16:25:58.123Z", "#t#z"},
        {"Chromium 156.0.8078.79", "chromium #"},
        {"a  b\t\n c ", "a b c"},
        {std::string_view("a\0b", 3), "a b"},
        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
        {"\xff\xfe x \x80", "? x ?"},
        {"", ""},
    };
    for (const auto& [text, wanted] : table) {
        CAPTURE(text);
        CHECK(normalise_failure_text(text) == wanted);
    }
}

TEST_CASE("a stack keeps who called whom, and not from where") {
    CHECK(normalise_failure_stack("TypeError: x\n    at run (http://127.0.0.1:4/ort.mjs:1:234)\n\n"
                                  "    at async Promise.all (index 0)\n") ==
          "typeerror: x\nat run (<url>)\nat async promise.all (index #)\n");
    CHECK(normalise_failure_stack("run@http://127.0.0.1:4/ort.mjs:1:234\n") == "run@<url>\n");
}

TEST_CASE("the same failure has the same fingerprint, wherever and whenever it happens") {
    CHECK(of_text("timeout after 1203 ms at http://127.0.0.1:40511/w/1") ==
          of_text("Timeout after 7 ms at http://127.0.0.1:9/w/22"));
    CHECK(of_text("cannot open /tmp/a/x.onnx") == of_text("cannot open /var/lib/b.onnx"));
    CHECK(of_text("no model 'bert-1'") == of_text("no model 'bert-2'"));
    CHECK(of_text("x", "at run (http://127.0.0.1:1/a.js:1:2)\nat go (http://h/b.js:3:4)") ==
          of_text("x", "at run (http://127.0.0.1:2/a.js:9:9)\nat go (http://i/b.js:5:6)"));
    // Frames below the eighth are the host's business, and recursion is as deep as it is.
    std::string deep;
    for (int i = 0; i < 8; ++i) deep += "at again (http://h/a.js:1:1)\n";
    CHECK(of_text("x", deep) == of_text("x", deep + deep));
}

TEST_CASE("different failures have different fingerprints") {
    std::set<std::string> seen;
    const auto is_new = [&seen](FailureFingerprint fingerprint) {
        return seen.insert(fingerprint.text()).second;
    };
    CHECK(is_new(of_text("")));
    CHECK(is_new(of_text("out of memory")));
    CHECK(is_new(of_text("device lost")));
    CHECK(is_new(of_text("device lost", "at run (http://h/a.js:1:1)")));
    CHECK(is_new(of_text("device lost", "at load (http://h/a.js:1:1)")));
    CHECK(is_new(of_text("", "device lost"))); // parts do not run into each other
    CHECK(is_new(of_text("reading 'destroy'")));
    CHECK(is_new(of_text("reading 'dispose'")));
    FingerprintParts parts{.engine = "gecko",
                           .category = BrowserFailureCategory::api,
                           .detail = "unhandled_error",
                           .message = "device lost"};
    CHECK(is_new(fingerprint_of(parts)));
    parts.category = BrowserFailureCategory::webgpu;
    CHECK(is_new(fingerprint_of(parts)));
    parts.detail = "browser signal 9"; // ours, so its number counts
    CHECK(is_new(fingerprint_of(parts)));
    parts.detail = "browser signal 6";
    CHECK(is_new(fingerprint_of(parts)));
}

// They stand in logs and are compared between machines. If this test fails, the rules have changed:
// change fingerprint_mark as well.
TEST_CASE("fingerprints are what they were") {
    CHECK(of_text("").text() == "f95b7858793c5c05");
    CHECK(of_text("RangeError: Array buffer allocation failed").text() == "cfcb315ebb9ca522");
    CHECK(of_text("Failed to load http://127.0.0.1:40511/x after 1203 ms",
                  "at run (http://127.0.0.1:40511/ort.mjs:1:234)")
              .text() == "21e2926da51324f9");
}

TEST_CASE("a fingerprint is printed with all its digits") {
    CHECK(FailureFingerprint{0}.text() == "0000000000000000");
    CHECK(FailureFingerprint{0x0123'4567'89ab'cdefULL}.text() == "0123456789abcdef");
    CHECK(FailureFingerprint{1} < FailureFingerprint{2});
}

TEST_CASE("a text of any bytes and any length is harmless") {
    const std::string_view pieces[] = {"a",  "7",  "/x", "://",  "\xff",
                                       "'",  "\n", " ",  "a-",   "\xc3",
                                       ", ", "0x", "#",  "'a1'", "\xf0\x9f\x98\x80"};
    for (const std::string_view piece : pieces) {
        CAPTURE(piece);
        std::string text;
        while (text.size() < (1U << 20)) text += piece;
        const std::string normal = normalise_failure_text(text);
        CHECK(normal.size() <= failure_text_bytes_max);
        CHECK(is_utf8(normal));
        const std::string frames = normalise_failure_stack(text);
        CHECK(frames.size() <= failure_frames_max * (failure_frame_bytes_max + 1));
        CHECK(is_utf8(frames));
        CHECK_FALSE(of_text(text, text).text().empty());
    }
}

TEST_CASE("the limit does not cut through a character") {
    for (std::size_t bytes_max = 0; bytes_max < 12; ++bytes_max) {
        const std::string cut =
            normalise_failure_text("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", bytes_max);
        CHECK(cut.size() <= bytes_max);
        CHECK(is_utf8(cut));
    }
}
