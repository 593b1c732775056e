// Everpool browser: whether another restart has other settings than the last one had.
// SPDX-License-Identifier: BSL-1.0
//
// Most failures have no settings of their own in profile.hpp, or none from the first attempt on. A
// restart that is called adjusted and is started like the one before costs a worker a whole start
// and teaches nothing, so a recovery asks here first:
//
//     if (const auto attempt = next_adjustment(browser, failure, family, present))
//         settings = adjusted_settings(browser, failure, family, *attempt);
#pragma once

#include "everpool/browser/profile.hpp"
#include "everpool/browser_failure.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/model_family.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <optional>

namespace everpool::browser {

/// Which settings a browser has: those of that attempt after such a failure; of attempt 0, none.
struct Adjustment {
    BrowserFailureCategory category{BrowserFailureCategory::unknown};
    std::uint32_t attempt{0};
};

/// From this attempt on no attempt has more settings than the one before.
inline constexpr std::uint32_t adjustment_attempt_max =
    std::max_element(std::begin(profile_entries), std::end(profile_entries),
                     [](const ProfileEntry& a, const ProfileEntry& b) {
                         return a.attempt_from < b.attempt_from;
                     })
        ->attempt_from;

/// Whether `next` has a setting that `present` has not. Taking one away is no adjustment.
[[nodiscard]] constexpr bool adds_settings(BrowserType browser, ModelFamily family,
                                           Adjustment present, Adjustment next) noexcept {
    const auto has = [&](Adjustment which, const ProfileEntry& entry) {
        return is_meant_for(entry, browser, which.category, family, which.attempt) &&
               is_passed(entry);
    };
    const auto has_same = [&](const ProfileEntry& wanted) {
        return std::any_of(std::begin(profile_entries), std::end(profile_entries),
                           [&](const ProfileEntry& other) {
                               return other.name == wanted.name && other.value == wanted.value &&
                                      has(present, other);
                           });
    };
    return std::any_of(
        std::begin(profile_entries), std::end(profile_entries),
        [&](const ProfileEntry& entry) { return has(next, entry) && !has_same(entry); });
}

/// The next attempt after such a failure that adds something to the `present` settings; empty if
/// none does. Attempts after failures of different kinds are counted apart: the mild settings come
/// first for each.
[[nodiscard]] constexpr std::optional<std::uint32_t> next_adjustment(BrowserType browser,
                                                                     BrowserFailureCategory failure,
                                                                     ModelFamily family,
                                                                     Adjustment present) noexcept {
    const std::uint32_t last = present.category == failure ? present.attempt : 0;
    for (std::uint32_t attempt = last + 1; attempt <= adjustment_attempt_max; ++attempt)
        if (adds_settings(browser, family, present, {failure, attempt})) return attempt;
    return std::nullopt;
}

} // namespace everpool::browser
