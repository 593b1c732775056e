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

/// WASM runs everywhere and is the slowest; WebNN needs a backend that many builds do not have.
inline constexpr std::array provider_fallback{Provider::webgpu, Provider::webnn, Provider::wasm};

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

/// The next provider that the model may use after `failed`; empty after the last.
[[nodiscard]] inline std::optional<Provider> provider_after(Provider failed,
                                                            std::span<const Provider> allowed) {
    const auto at = std::find(provider_fallback.begin(), provider_fallback.end(), failed);
    if (at == provider_fallback.end()) return std::nullopt;
    const auto next = std::find_if(at + 1, provider_fallback.end(), [&](Provider provider) {
        return std::find(allowed.begin(), allowed.end(), provider) != allowed.end();
    });
    return next == provider_fallback.end() ? std::nullopt : std::optional(*next);
}

} // namespace everpool::browser
