// Everpool wire: the text of one field of a JSON object.
// SPDX-License-Identifier: BSL-1.0
//
// For what is passed on and never looked into (`parameters`, `info`): a parsed value written out
// again would be another text, and in numbers often another value.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace everpool::wire {

namespace detail {

/// Asked for each character of a text, so it is a table.
class CharacterSet {
public:
    explicit constexpr CharacterSet(std::string_view characters) noexcept {
        for (const char c : characters) has_[static_cast<unsigned char>(c)] = true;
    }
    [[nodiscard]] constexpr bool has(char c) const noexcept {
        return has_[static_cast<unsigned char>(c)];
    }

private:
    std::array<bool, 256> has_{};
};

/// Walks over JSON text that a parser has accepted already. Never leaves the text, whatever it is.
class JsonWalker {
public:
    explicit constexpr JsonWalker(std::string_view text) noexcept : text_(text) {}

    [[nodiscard]] constexpr bool is_at(char c) const noexcept {
        return at_ < text_.size() && text_[at_] == c;
    }
    constexpr void skip_space() noexcept {
        while (is_at(' ') || is_at('\t') || is_at('\n') || is_at('\r')) ++at_;
    }
    constexpr void skip_mark() noexcept { at_ += at_ < text_.size() ? 1 : 0; }

    /// Steps over a string, an object, an array, a number or a word, and returns its text.
    constexpr std::string_view take_value() noexcept {
        const std::size_t begin = at_;
        if (is_at('"')) skip_string();
        else if (is_at('{') || is_at('[')) skip_nested();
        else skip_until(ends_of_word);
        return text_.substr(begin, at_ - begin);
    }

private:
    static constexpr CharacterSet ends_of_word{",:]} \t\n\r"}, nesting{"\"{}[]"};

    constexpr void skip_until(const CharacterSet& marks) noexcept {
        while (at_ < text_.size() && !marks.has(text_[at_])) ++at_;
    }
    constexpr void skip_nested() noexcept {
        std::size_t depth = 0;
        do {
            if (is_at('"')) {
                skip_string();
            } else {
                if (is_at('{') || is_at('[')) ++depth;
                else --depth;
                skip_mark();
            }
            if (depth != 0) skip_until(nesting);
        } while (depth != 0 && at_ < text_.size());
    }
    constexpr void skip_string() noexcept {
        std::size_t quote = at_;
        do quote = text_.find('"', quote + 1);
        while (quote != text_.npos && is_escaped(quote));
        at_ = quote == text_.npos ? text_.size() : quote + 1;
    }
    /// Whether an odd number of backslashes stands before it.
    [[nodiscard]] constexpr bool is_escaped(std::size_t at) const noexcept {
        std::size_t backslashes = 0;
        while (text_[at - 1 - backslashes] == '\\') ++backslashes;
        return backslashes % 2 != 0;
    }

    std::string_view text_;
    std::size_t at_{0};
};

/// The character that an escape stands for, if it is ASCII; 0 for others, and for no escape.
/// Moves `at` from the backslash past the escape.
constexpr char take_ascii_escape(std::string_view text, std::size_t& at) noexcept {
    const char mark = at + 1 < text.size() ? text[at + 1] : '\0';
    at += 2;
    if (mark == '"' || mark == '\\' || mark == '/') return mark;
    if (mark != 'u') return '\0'; // a control character
    unsigned value = 0;
    for (const std::size_t end = at + 4; at < end; ++at) {
        const char c = at < text.size() ? text[at] : '0';
        const char lower = static_cast<char>(c | 0x20);
        value = value * 16 + static_cast<unsigned>(c <= '9' ? c - '0' : lower - 'a' + 10);
    }
    return value < 0x80 ? static_cast<char>(value) : '\0';
}

/// Whether the string, quotes and all, is one of `characters`.
constexpr bool spells(std::string_view quoted, std::string_view characters) noexcept {
    const std::string_view text = quoted.substr(1, quoted.size() < 2 ? 0 : quoted.size() - 2);
    if (text.find('\\') == text.npos) return text == characters;
    std::size_t at = 0;
    for (const char wanted : characters) {
        if (at >= text.size()) return false;
        const char c = text[at] == '\\' ? take_ascii_escape(text, at) : text[at++];
        if (c != wanted) return false;
    }
    return at >= text.size();
}

} // namespace detail

/// The text of the value of `key`, the last one if it is there twice. Empty if it is not there.
/// \pre `object` is the text of one JSON object; `key` is printable ASCII
constexpr std::string_view member_text(std::string_view object, std::string_view key) noexcept {
    detail::JsonWalker walker(object);
    std::string_view found;
    walker.skip_space();
    walker.skip_mark(); // {
    walker.skip_space();
    while (walker.is_at('"')) {
        const std::string_view quoted = walker.take_value();
        walker.skip_space();
        walker.skip_mark(); // :
        walker.skip_space();
        const std::string_view value = walker.take_value();
        if (detail::spells(quoted, key)) found = value;
        walker.skip_space();
        walker.skip_mark(); // , or }
        walker.skip_space();
    }
    return found;
}

} // namespace everpool::wire
