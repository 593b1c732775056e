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

} // namespace detail

/// The text of the value of `key`, the last one if it is there twice. Empty if it is not there, or
/// if any key of the object is written with an escape, and so may be this one.
/// \pre `object` is the text of one JSON object; `key` needs no escape
constexpr std::string_view member_text(std::string_view object, std::string_view key) noexcept {
    detail::JsonWalker walker(object);
    std::string_view found;
    walker.skip_space();
    walker.skip_mark(); // {
    walker.skip_space();
    while (walker.is_at('"')) {
        const std::string_view quoted = walker.take_value();
        if (quoted.find('\\') != quoted.npos) return {};
        walker.skip_space();
        walker.skip_mark(); // :
        walker.skip_space();
        const std::string_view value = walker.take_value();
        if (quoted.substr(1, quoted.size() - 2) == key) found = value;
        walker.skip_space();
        walker.skip_mark(); // , or }
        walker.skip_space();
    }
    return found;
}

} // namespace everpool::wire
