// Everpool wire: writes one JSON object into a string that is kept for its memory.
// SPDX-License-Identifier: BSL-1.0
//
// A writer of our own beside Boost.JSON's serializer because a header is written for each
// operation: building a tree of values first costs several allocations, appending to a reused
// string none.
#pragma once

#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace everpool::wire {

/// Keys are ours: plain ASCII without quotes or backslashes. Values may be anything.
class JsonWriter {
public:
    explicit JsonWriter(std::string& out) : out_(out) { out_ += '{'; }
    void close() { out_ += '}'; }

    void text(std::string_view key, std::string_view value) {
        begin(key);
        quote(value);
    }
    template <std::integral Integer>
    void number(std::string_view key, Integer value) {
        begin(key);
        append(value);
    }
    void number(std::string_view key, double value) {
        begin(key);
        append(value);
    }
    void boolean(std::string_view key, bool value) {
        begin(key);
        out_ += value ? "true" : "false";
    }
    /// `json` is a valid JSON value.
    void raw(std::string_view key, std::string_view json) {
        begin(key);
        out_ += json;
    }
    /// Writes the key; the value follows by quote(), append() or put().
    void begin(std::string_view key) {
        if (!is_first_) out_ += ',';
        is_first_ = false;
        out_ += '"';
        out_ += key;
        out_ += "\":";
    }
    void put(std::string_view json) { out_ += json; }
    template <std::integral Integer>
    void append(Integer value) {
        char digits[24];
        out_.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
    }
    /// NaN and the infinities, which JSON does not have, become 0.
    void append(double value) {
        char digits[32];
        const double finite = std::isfinite(value) ? value : 0.0;
        out_.append(digits, std::to_chars(digits, digits + sizeof digits, finite).ptr);
    }

    /// Escapes what JSON demands, as JSON.stringify does it, so that both sides write the same
    /// bytes. Others pass as they are: a string that is not UTF-8 makes a header that no decoder
    /// takes, so the encoder checks that before.
    void quote(std::string_view value) {
        out_ += '"';
        std::size_t written = 0;
        for (std::size_t i = 0; i < value.size(); ++i) {
            const auto byte = static_cast<unsigned char>(value[i]);
            if (byte >= 0x20 && byte != '"' && byte != '\\') continue;
            out_ += value.substr(written, i - written);
            written = i + 1;
            escape(byte);
        }
        out_ += value.substr(written);
        out_ += '"';
    }

private:
    void escape(unsigned char byte) {
        constexpr char digits[] = "0123456789abcdef";
        switch (byte) {
        case '"': out_ += "\\\""; return;
        case '\\': out_ += "\\\\"; return;
        case '\b': out_ += "\\b"; return;
        case '\t': out_ += "\\t"; return;
        case '\n': out_ += "\\n"; return;
        case '\f': out_ += "\\f"; return;
        case '\r': out_ += "\\r"; return;
        default: break;
        }
        out_ += "\\u00";
        out_ += digits[byte >> 4];
        out_ += digits[byte & 15];
    }

    std::string& out_;
    bool is_first_{true};
};

} // namespace everpool::wire
