// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/next_adjustment.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>

using namespace everpool;
using namespace everpool::browser;

TEST_CASE("an attempt without settings of its own is passed over") {
    using enum BrowserFailureCategory;
    constexpr auto chromium = BrowserType::chromium;
    REQUIRE(adjusted_settings(chromium, webgpu, ModelFamily::text, 1).is_empty());
    CHECK(next_adjustment(chromium, webgpu, ModelFamily::text, {}) == 2U);
    CHECK_FALSE(next_adjustment(chromium, webgpu, ModelFamily::text, {webgpu, 2}));
    CHECK(next_adjustment(chromium, resource, ModelFamily::text, {}) == 1U);
    CHECK(next_adjustment(chromium, resource, ModelFamily::text, {resource, 1}) == 2U);
    CHECK_FALSE(next_adjustment(chromium, resource, ModelFamily::text, {resource, 2}));
}

TEST_CASE("there is no next attempt for a failure that has no settings") {
    using enum BrowserFailureCategory;
    // All that was written down for crashes is set anyway, or gone.
    CHECK_FALSE(next_adjustment(BrowserType::chrome, crash, ModelFamily::unknown, {}));
    CHECK_FALSE(next_adjustment(BrowserType::webkit, memory, ModelFamily::vision, {}));
    CHECK(next_adjustment(BrowserType::chrome, crash, ModelFamily::vision, {}) == 1U);
}

TEST_CASE("what the present settings have is not added by those for another failure") {
    using enum BrowserFailureCategory;
    constexpr auto firefox = BrowserType::firefox;
    CHECK(next_adjustment(firefox, resource, ModelFamily::text, {}) == 1U);
    CHECK_FALSE(next_adjustment(firefox, resource, ModelFamily::text, {memory, 1}));
    // The other way round there is one more: no process is kept ready any more.
    CHECK(next_adjustment(firefox, memory, ModelFamily::text, {resource, 1}) == 1U);
    CHECK_FALSE(next_adjustment(BrowserType::edge, timeout, ModelFamily::vision, {webgpu, 2}));
}

TEST_CASE("a next attempt has a setting that the present one has not, whatever the case") {
    for (const BrowserType browser : browser_types)
        for (const BrowserFailureCategory category : browser_failure_categories)
            for (const ModelFamily family : model_families)
                for (const std::uint32_t attempt : {0U, 1U, 2U, 3U, 255U}) {
                    CAPTURE(name_of(browser), name_of(category), name_of(family), attempt);
                    const auto present = adjusted_settings(browser, category, family, attempt);
                    const auto next =
                        next_adjustment(browser, category, family, {category, attempt});
                    const std::uint32_t last = adjustment_attempt_max;
                    if (!next) {
                        CHECK(adjusted_settings(browser, category, family,
                                                std::max(attempt, last)) == present);
                        continue;
                    }
                    CHECK(*next > attempt);
                    CHECK(*next <= last);
                    CHECK_FALSE(adjusted_settings(browser, category, family, *next) == present);
                }
}
