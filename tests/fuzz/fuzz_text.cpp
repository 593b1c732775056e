// Text from outside: UTF-8, JSON's strings and fields, what goes into a log, what Firefox prints.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/firefox_announcement.hpp"
#include "everpool/error.hpp"
#include "everpool/utf8.hpp"
#include "everpool/wire/json_member.hpp"
#include "everpool/wire/json_writer.hpp"
#include "fuzz.hpp"
#include "same_json.hpp"

#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <string>

namespace {

namespace json = boost::json;
using namespace everpool;
using fuzz::require;

/// Boost.JSON has a judgement of its own on what is UTF-8.
void check_utf8(std::string_view text) {
    std::string quoted;
    wire::JsonWriter(quoted).quote(text);
    boost::system::error_code ec;
    const json::value value = json::parse(std::string_view(quoted).substr(1), ec);
    require(is_utf8(text) == !ec.failed(), "two judges agree on what is UTF-8");
    if (!ec)
        require(value.as_string() == json::string_view(text.data(), text.size()),
                "quoted text is read back the same");
}

void check_escaping(std::string_view text) {
    for (const std::size_t bytes_max : {3u, 20u, 1024u}) {
        const std::string shown = escape_remote_text(text, bytes_max);
        require(shown.size() <= bytes_max, "escaped text is bounded");
        require(is_utf8(shown), "escaped text is UTF-8");
        require(std::all_of(shown.begin(), shown.end(),
                            [](unsigned char c) { return c >= 0x20 && c != 0x7f; }),
                "escaped text has no control characters");
    }
}

void check_members(std::string_view text) {
    boost::system::error_code ec;
    const json::value value = json::parse(json::string_view(text.data(), text.size()), ec);
    if (ec || !value.is_object()) {
        // Not what the walk is for; it must come to an end all the same, and within the text.
        require(wire::member_text(text, "a").size() <= text.size(), "a member is part of the text");
        return;
    }
    for (const auto& field : value.as_object()) {
        const std::string_view key(field.key().data(), field.key().size());
        const std::string_view member = wire::member_text(text, key);
        if (!std::all_of(key.begin(), key.end(), [](char c) { return c >= 0x20 && c < 0x7f; }))
            continue; // never asked for
        const json::value again = json::parse(json::string_view(member.data(), member.size()));
        require(fuzz::is_same(again, field.value()), "a member's text is its value's");
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text = fuzz::text_of(data, size);
    check_utf8(text);
    check_escaping(text);
    check_members(text);
    require(browser::announced_port(text) != 0, "port 0 is none");
    return 0;
}
