// Everpool browser: an error's text without its accidents, so that the same error reads the same.
// SPDX-License-Identifier: BSL-1.0
//
// "Failed to load http://127.0.0.1:40511/m/bert-7f3.onnx after 1203 ms" becomes
// "failed to load <url> after # ms", on every machine and in every run. What is replaced:
//
//   <url>   anything with "://" in it, up to a space, a quote or a bracket; the place in the file
//           behind it as well
//   <path>  a path from the root or from a drive
//   '<id>'  a quoted name with a digit, a slash, a space or odd characters in it; "'createContext'"
//           on the other hand is a part of the message, and stays
//   #       numbers, also with a point, a sign, an exponent, or several of them (a version, a
//           shape, a date); hexadecimal numbers and UUIDs; long identifiers of letters and digits
//   ?       bytes that are no UTF-8
//
// Letters of ASCII become small, spaces and control characters one space. Any bytes of any length
// may come in; the work and the result are bounded.
#pragma once

#include "everpool/utf8.hpp"
#include "everpool/word_match.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace everpool::browser {

/// Nobody needs more of an error to know it again.
inline constexpr std::size_t failure_text_bytes_max = 512;
inline constexpr std::size_t failure_frames_max = 8;
inline constexpr std::size_t failure_frame_bytes_max = 160;

namespace detail {

constexpr bool is_space(char c) noexcept {
    return (static_cast<unsigned char>(c) <= 0x20) || c == 0x7f;
}
constexpr bool is_hex(char c) noexcept {
    const char small = everpool::detail::to_lower(c);
    return everpool::detail::is_digit(c) || (small >= 'a' && small <= 'f');
}
constexpr bool is_quote(char c) noexcept { return c == '\'' || c == '"' || c == '`'; }
constexpr bool ends_location(char c) noexcept {
    return is_space(c) || is_quote(c) || c == '(' || c == ')' || c == '<' || c == '>' || c == '[' ||
           c == ']' || c == '{' || c == '}' || c == '|';
}

/// Walks over a text once; each take_ function begins at `at_` and moves it if it takes something.
class TextNormaliser {
public:
    TextNormaliser(std::string_view text, std::size_t bytes_max)
        : text_(text.substr(0, input_bytes_per_output_byte * bytes_max)), bytes_max_(bytes_max) {}

    [[nodiscard]] std::string run() {
        while (at_ < text_.size() && out_.size() < bytes_max_) {
            if (take_space() || take_location() || take_quoted() || take_number() || take_word())
                continue;
            take_byte();
        }
        while (out_.ends_with(' ')) out_.pop_back();
        cut();
        return std::move(out_);
    }

private:
    /// A text that is all digits shrinks to nothing; so much of it is looked at and no more.
    static constexpr std::size_t input_bytes_per_output_byte = 16;

    [[nodiscard]] char peek(std::size_t ahead) const noexcept {
        return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
    }
    [[nodiscard]] bool is_after_word() const noexcept {
        return at_ > 0 && everpool::detail::is_letter_or_digit(text_[at_ - 1]);
    }
    void put(std::string_view piece) { out_ += piece; }

    bool take_space() {
        if (!is_space(text_[at_])) return false;
        while (at_ < text_.size() && is_space(text_[at_])) ++at_;
        if (!out_.empty()) put(" ");
        return true;
    }

    [[nodiscard]] std::size_t location_end(std::size_t from) const noexcept {
        while (from < text_.size() && !ends_location(text_[from])) ++from;
        return from;
    }

    bool take_location() {
        if (is_after_word()) return false;
        constexpr std::size_t scheme_bytes_max = 32;
        std::size_t scheme = at_;
        while (scheme < text_.size() && scheme - at_ < scheme_bytes_max &&
               (everpool::detail::is_letter_or_digit(text_[scheme]) || text_[scheme] == '-' ||
                text_[scheme] == '+' || text_[scheme] == '.'))
            ++scheme;
        if (scheme > at_ && text_.substr(scheme, 3) == "://") {
            at_ = location_end(scheme);
            put("<url>");
            return true;
        }
        const bool is_drive =
            !is_space(peek(0)) && peek(1) == ':' && peek(2) == '\\' && !is_hex(peek(3));
        const bool is_rooted = peek(0) == '/' && (peek(1) == '_' || peek(1) == '.' ||
                                                  everpool::detail::is_letter_or_digit(peek(1)));
        if (!is_drive && !is_rooted) return false;
        at_ = location_end(at_);
        put("<path>");
        return true;
    }

    bool take_quoted() {
        // An apostrophe inside a word quotes nothing.
        if (!is_quote(text_[at_]) || is_after_word()) return false;
        constexpr std::size_t quoted_bytes_max = 200;
        const char quote = text_[at_];
        const std::size_t end = text_.substr(0, at_ + quoted_bytes_max).find(quote, at_ + 1);
        if (end == std::string_view::npos) return false;
        const std::string_view inside = text_.substr(at_ + 1, end - at_ - 1);
        const bool is_plain = std::all_of(inside.begin(), inside.end(), [](char c) {
            return everpool::detail::is_upper(c) || everpool::detail::is_lower(c) || c == '_' ||
                   c == '.' || c == '$';
        });
        put("'");
        if (is_plain)
            for (const char c : inside) out_ += everpool::detail::to_lower(c);
        else put("<id>");
        put("'");
        at_ = end + 1;
        return true;
    }

    /// The run of letters and digits from `at_`.
    [[nodiscard]] std::string_view alphanumeric() const noexcept {
        std::size_t end = at_;
        while (end < text_.size() && everpool::detail::is_letter_or_digit(text_[end])) ++end;
        return text_.substr(at_, end - at_);
    }

    [[nodiscard]] bool is_uuid() const noexcept {
        constexpr std::string_view form = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
        for (std::size_t i = 0; i < form.size(); ++i)
            if (form[i] == '-' ? peek(i) != '-' : !is_hex(peek(i))) return false;
        return !everpool::detail::is_letter_or_digit(peek(form.size()));
    }

    /// Identifiers that were drawn or counted: hexadecimal ones with a digit, and long ones.
    static bool is_identifier(std::string_view run) noexcept {
        constexpr std::size_t hex_bytes_min = 4, long_bytes_min = 16;
        constexpr std::ptrdiff_t long_digits_min = 3;
        const auto digits = std::count_if(run.begin(), run.end(),
                                          [](char c) { return everpool::detail::is_digit(c); });
        if (run.size() >= hex_bytes_min && digits > 0 &&
            std::all_of(run.begin(), run.end(), is_hex))
            return true;
        return run.size() >= long_bytes_min && digits >= long_digits_min;
    }

    void put_number() {
        // "[1, 3, 224, 224]" is one number: its length is an accident, too.
        std::string_view before = out_;
        while (before.ends_with(' ') || before.ends_with(',') || before.ends_with(':') ||
               before.ends_with('.') || before.ends_with('-') || before.ends_with('+'))
            before.remove_suffix(1);
        if (before.ends_with('#') && before.size() < out_.size()) out_.resize(before.size());
        else put("#");
    }

    bool take_number() {
        if (!is_after_word()) {
            if (is_uuid()) {
                at_ += 36;
                put_number();
                return true;
            }
            const std::string_view run = alphanumeric();
            const bool is_prefixed = run.size() > 2 && run[0] == '0' &&
                                     everpool::detail::to_lower(run[1]) == 'x' &&
                                     std::all_of(run.begin() + 2, run.end(), is_hex);
            if (is_prefixed || is_identifier(run)) {
                at_ += run.size();
                put_number();
                return true;
            }
        }
        if (!everpool::detail::is_digit(text_[at_])) return false;
        while (everpool::detail::is_digit(peek(0))) ++at_;
        const bool has_exponent =
            everpool::detail::to_lower(peek(0)) == 'e' &&
            (everpool::detail::is_digit(peek(1)) ||
             ((peek(1) == '-' || peek(1) == '+') && everpool::detail::is_digit(peek(2))));
        if (has_exponent) {
            at_ += 2;
            while (everpool::detail::is_digit(peek(0))) ++at_;
        }
        put_number();
        return true;
    }

    bool take_word() {
        if (!everpool::detail::is_letter_or_digit(text_[at_])) return false;
        out_ += everpool::detail::to_lower(text_[at_++]);
        return true;
    }

    void take_byte() {
        const std::size_t bytes = utf8_sequence_bytes(text_, at_);
        if (bytes == 0) {
            if (!out_.ends_with('?')) put("?");
            ++at_;
            return;
        }
        put(text_.substr(at_, bytes));
        at_ += bytes;
    }

    /// To the limit, and not through the middle of a character.
    void cut() {
        if (out_.size() <= bytes_max_) return;
        std::size_t end = bytes_max_;
        while (end > 0 && (static_cast<unsigned char>(out_[end]) & 0xc0) == 0x80) --end;
        out_.resize(end);
    }

    std::string_view text_;
    std::size_t bytes_max_;
    std::size_t at_{0};
    std::string out_{};
};

} // namespace detail

/// The text without its accidents: UTF-8, at most `bytes_max` bytes.
[[nodiscard]] inline std::string
normalise_failure_text(std::string_view text, std::size_t bytes_max = failure_text_bytes_max) {
    return detail::TextNormaliser(text, bytes_max).run();
}

/// The first frames of a stack, one a line, without their places: what called what stays.
[[nodiscard]] inline std::string normalise_failure_stack(std::string_view stack) {
    constexpr std::size_t line_bytes_max = 4096;
    std::string out;
    std::size_t frames = 0;
    // Lines beyond these are not even looked at, though they be empty.
    for (std::size_t lines = 0;
         lines < 4 * failure_frames_max && frames < failure_frames_max && !stack.empty(); ++lines) {
        const std::size_t end = stack.substr(0, line_bytes_max).find('\n');
        std::string frame = normalise_failure_text(stack.substr(0, std::min(end, line_bytes_max)),
                                                   failure_frame_bytes_max);
        if (!frame.empty()) {
            out += frame;
            out += '\n';
            ++frames;
        }
        stack.remove_prefix(end == std::string_view::npos ? std::min(stack.size(), line_bytes_max)
                                                          : end + 1);
    }
    return out;
}

} // namespace everpool::browser
