// Everpool wire: the text of one field of a JSON object.
// SPDX-License-Identifier: BSL-1.0
//
// For what is passed on and never looked into (`parameters`, `info`): a parsed value written out
// again would be another text, and in numbers often another value.
#pragma once

#include <cstddef>
#include <string_view>

namespace everpool::wire {

namespace detail {

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
        std::size_t depth = 0;
        while (at_ < text_.size()) {
            const char c = text_[at_];
            if (c == '"') {
                skip_string();
            } else if (c == '{' || c == '[') {
                ++depth;
                ++at_;
            } else if (depth == 0 && is_end_of_word(c)) {
                break;
            } else {
                if (c == '}' || c == ']') --depth;
                ++at_;
            }
            if (depth == 0 && (c == '"' || c == '}' || c == ']')) break;
        }
        return text_.substr(begin, at_ - begin);
    }

private:
    static constexpr bool is_end_of_word(char c) noexcept {
        return c == ',' || c == '}' || c == ']' || c == ':' || c == ' ' || c == '\t' || c == '\n' ||
               c == '\r';
    }
    constexpr void skip_string() noexcept {
        for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_)
            if (text_[at_] == '\\') ++at_;
        at_ = at_ < text_.size() ? at_ + 1 : text_.size();
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
