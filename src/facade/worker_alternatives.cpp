// SPDX-License-Identifier: BSL-1.0
#include "facade/worker_alternatives.hpp"

#include "everpool/browser/fallback_order.hpp"
#include "io/browser.hpp"

#include <algorithm>

namespace everpool::facade {

std::optional<ModelFamily> common_family(const std::vector<ModelSpec>& models) {
    if (models.empty()) return std::nullopt;
    const ModelFamily first = models.front().family;
    const bool is_common =
        std::ranges::all_of(models, [&](const ModelSpec& model) { return model.family == first; });
    return is_common ? std::optional(first) : std::nullopt;
}

std::vector<BrowserSpec> alternatives_of(const BrowserSpec& own,
                                         std::optional<ModelFamily> family) {
    std::vector<BrowserSpec> out;
    // What was written for one browser's command line need not suit another's.
    const auto add = [&](BrowserType type, std::filesystem::path executable) {
        out.push_back({.type = type, .executable = std::move(executable)});
    };
    for (std::filesystem::path& executable : io::installed_browsers(own.type))
        if (executable != own.executable) add(own.type, std::move(executable));

    std::vector<BrowserType> installed;
    for (const BrowserType type : browser_types)
        if (type != own.type && !io::installed_browsers(type).empty()) installed.push_back(type);
    for (const BrowserType type :
         browser::fallbacks_among(family.value_or(ModelFamily::unknown), installed))
        add(type, std::move(io::installed_browsers(type).front()));
    return out;
}

BrowserSpec standby_for(const BrowserSpec& own, std::optional<ModelFamily> family) {
    for (BrowserSpec& other : alternatives_of(own, family))
        if (engine_of(other.type) != engine_of(own.type)) return other;
    return own;
}

} // namespace everpool::facade
