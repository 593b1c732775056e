// Everpool browser: which failure it is, as a number.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser/failure_text.hpp"
#include "everpool/browser_failure.hpp"
#include "everpool/xxhash64.hpp"

#include <span>
#include <string>
#include <string_view>

namespace everpool::browser {

/// What a fingerprint is taken of. `detail` is ours and counts as it is: a signal's number tells
/// failures apart. `message` and `stack` are theirs and count without their accidents
/// (failure_text.hpp).
struct FingerprintParts {
    std::string_view engine;
    BrowserFailureCategory category{BrowserFailureCategory::unknown};
    std::string_view detail;
    std::string_view message;
    std::string_view stack;
};

/// The same parts give the same fingerprint in every version that says the same here: the digits
/// are compared across machines and kept in logs. A change of the rules changes this mark.
inline constexpr std::string_view fingerprint_mark = "everpool failure 1";

[[nodiscard]] inline FailureFingerprint fingerprint_of(const FingerprintParts& parts) {
    std::string text;
    const auto add = [&text](std::string_view part) {
        text += part;
        text += '\0'; // no normalised text has one, so that parts cannot run into each other
    };
    add(fingerprint_mark);
    add(parts.engine);
    add(name_of(parts.category));
    add(parts.detail);
    add(normalise_failure_text(parts.message));
    add(normalise_failure_stack(parts.stack));
    return {xxhash64(std::as_bytes(std::span(text)))};
}

} // namespace everpool::browser
