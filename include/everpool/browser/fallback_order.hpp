// Everpool browser: who takes over from whom.
// SPDX-License-Identifier: BSL-1.0
//
// The orders are the specification's. They begin with the browser that is best for the family: Edge
// has the best WebNN, which suits text; Firefox' compute shaders suit audio; Chrome's WebGPU suits
// pictures. They are where nothing has been measured yet: `PerformanceHistoryTracker` knows better
// as soon as it knows anything.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/model_spec.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace everpool::browser {

inline constexpr std::array text_fallback{BrowserType::edge, BrowserType::chrome,
                                          BrowserType::firefox};
inline constexpr std::array audio_fallback{BrowserType::firefox, BrowserType::chrome,
                                           BrowserType::edge};
inline constexpr std::array vision_fallback{BrowserType::chrome, BrowserType::edge,
                                            BrowserType::firefox};
/// Of multimodal models, and of those that nobody knows anything about.
inline constexpr std::array general_fallback = vision_fallback;

constexpr std::span<const BrowserType> fallback_order_of(ModelFamily family) noexcept {
    switch (family) {
    case ModelFamily::text: return text_fallback;
    case ModelFamily::audio: return audio_fallback;
    case ModelFamily::vision: return vision_fallback;
    case ModelFamily::multimodal:
    case ModelFamily::unknown: break;
    }
    return general_fallback;
}

/// The browsers of `available` in the family's order, each once. Chromium is Chrome's engine: it
/// stands where Chrome does, after it. What is in no order (WebKit) comes last.
[[nodiscard]] inline std::vector<BrowserType>
fallbacks_among(ModelFamily family, std::span<const BrowserType> available) {
    std::vector<BrowserType> out;
    const auto add = [&](BrowserType type) {
        const bool is_there =
            std::find(available.begin(), available.end(), type) != available.end();
        if (is_there && std::find(out.begin(), out.end(), type) == out.end()) out.push_back(type);
    };
    for (const BrowserType type : fallback_order_of(family)) {
        add(type);
        if (type == BrowserType::chrome) add(BrowserType::chromium);
    }
    for (const BrowserType type : available) add(type);
    return out;
}

/// Who takes over from `failed`: the first of the family's order that is another one; empty if
/// there is none. `of_other_engine`: Chrome is no help against what fails in all Chromiums.
[[nodiscard]] inline std::optional<BrowserType> fallback_for(BrowserType failed, ModelFamily family,
                                                             std::span<const BrowserType> available,
                                                             bool of_other_engine = false) {
    for (const BrowserType type : fallbacks_among(family, available)) {
        if (type == failed) continue;
        if (of_other_engine && engine_of(type) == engine_of(failed)) continue;
        return type;
    }
    return std::nullopt;
}

/// What to try of `wanted`, in this order, when recovery has turned to another provider `turns`
/// times. A turn leaves one out that would have been tried, and so not what the browser does not
/// have anyway (`offered`). The last one that it has is never left out.
[[nodiscard]] inline std::vector<Provider> providers_after(std::size_t turns,
                                                           std::span<const Provider> wanted,
                                                           std::span<const Provider> offered) {
    std::vector<Provider> out;
    for (const Provider provider : wanted)
        if (std::find(offered.begin(), offered.end(), provider) != offered.end())
            out.push_back(provider);
    const std::size_t left_out = out.empty() ? 0 : std::min(turns, out.size() - 1);
    if (left_out == 0) return {wanted.begin(), wanted.end()};
    out.erase(out.begin(), out.begin() + static_cast<std::ptrdiff_t>(left_out));
    return out;
}

} // namespace everpool::browser
