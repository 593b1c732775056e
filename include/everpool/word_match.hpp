// Everpool: does a name contain a word? For names that people and vendors spell as they like.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <string_view>

namespace everpool {

namespace detail {

// Not <cctype>: the answer must not depend on the host's locale.
constexpr bool is_upper(char c) noexcept { return c >= 'A' && c <= 'Z'; }
constexpr bool is_lower(char c) noexcept { return c >= 'a' && c <= 'z'; }
constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_letter_or_digit(char c) noexcept {
    return is_upper(c) || is_lower(c) || is_digit(c);
}
constexpr char to_lower(char c) noexcept {
    return is_upper(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

/// Whether a word may begin at `at`: after anything but a letter or digit, or at a hump ("Mini|B").
constexpr bool is_word_start(std::string_view text, std::size_t at) noexcept {
    if (at == 0 || !is_letter_or_digit(text[at - 1])) return true;
    return is_upper(text[at]) && !is_upper(text[at - 1]);
}

/// Whether a word may end before `at` (> 0): digits after letters are a version ("gpt|2",
/// "dino|v2").
constexpr bool is_word_end(std::string_view text, std::size_t at) noexcept {
    if (at == text.size() || !is_letter_or_digit(text[at])) return true;
    const char last = text[at - 1];
    const bool is_version =
        to_lower(text[at]) == 'v' && at + 1 < text.size() && is_digit(text[at + 1]);
    if (is_version) return true;
    if (is_digit(text[at])) return !is_digit(last);
    if (!is_upper(text[at])) return false;
    return !is_upper(last) || (at + 1 < text.size() && is_lower(text[at + 1])); // "CLIP|Model"
}

/// Where `words` end in `text` if they begin at `at`; npos if they do not.
constexpr std::size_t end_of_words(std::string_view text, std::size_t at,
                                   std::string_view words) noexcept {
    for (const char wanted : words) {
        if (wanted == ' ') {
            const std::size_t before = at;
            while (at < text.size() && !is_letter_or_digit(text[at])) ++at;
            if (at == text.size()) return std::string_view::npos;
            if (at == before && !(is_word_end(text, at) || is_word_start(text, at)))
                return std::string_view::npos;
        } else if (at == text.size() || to_lower(text[at++]) != wanted) {
            return std::string_view::npos;
        }
    }
    return at;
}

} // namespace detail

/// Whether `text` contains `words` as whole words, whatever their case. A space in `words` stands
/// for separators or a hump: "clip vision" is in "clip-vision" and in "CLIPVisionModel". A word may
/// be followed by its version: "gpt" is in "gpt2", but "t5" is not in "t51".
/// \pre `words` is lower case and neither begins nor ends with a space
constexpr bool has_words(std::string_view text, std::string_view words) noexcept {
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (!detail::is_word_start(text, at)) continue;
        const std::size_t end = detail::end_of_words(text, at, words);
        if (end != std::string_view::npos && detail::is_word_end(text, end)) return true;
    }
    return words.empty();
}

} // namespace everpool
