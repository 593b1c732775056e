// Everpool: is this UTF-8? Asked of everything that comes from outside, and of what goes there.
// SPDX-License-Identifier: BSL-1.0
//
// Well-formed as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. A text
// that is less would be refused by the other side, or mean different things to two readers.
#pragma once

#include <cstddef>
#include <string_view>

namespace everpool {

/// How many bytes the sequence has that starts at `at`, 1 to 4; 0 if none starts there.
/// \pre at < text.size()
constexpr std::size_t utf8_sequence_bytes(std::string_view text, std::size_t at) noexcept {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[at + i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;
    const std::size_t bytes = lead < 0xc2   ? 0
                              : lead < 0xe0 ? 2
                              : lead < 0xf0 ? 3
                              : lead < 0xf5 ? 4
                                            : 0;
    if (bytes == 0 || bytes > text.size() - at) return 0;
    for (std::size_t i = 1; i < bytes; ++i)
        if ((byte(i) & 0xc0) != 0x80) return 0;
    const unsigned char second = byte(1);
    const bool is_overlong = (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
    const bool is_surrogate = lead == 0xed && second > 0x9f;
    const bool is_above_unicode = lead == 0xf4 && second > 0x8f;
    return is_overlong || is_surrogate || is_above_unicode ? 0 : bytes;
}

/// Whether all of the text is.
constexpr bool is_utf8(std::string_view text) noexcept {
    for (std::size_t at = 0; at < text.size();) {
        const std::size_t bytes = utf8_sequence_bytes(text, at);
        if (bytes == 0) return false;
        at += bytes;
    }
    return true;
}

} // namespace everpool
