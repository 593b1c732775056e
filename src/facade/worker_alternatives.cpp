// SPDX-License-Identifier: BSL-1.0
#include "facade/worker_alternatives.hpp"

#include "everpool/browser/fallback_order.hpp"
#include "everpool/browser/webdriver_endpoint.hpp"
#include "io/browser.hpp"

#include <algorithm>
#include <cstdint>

namespace everpool::facade {

namespace {

/// Empty: this one. Two ways to write an endpoint are one machine.
using Machine = std::optional<browser::WebDriverEndpoint>;

Machine machine_of(const BrowserSpec& browser) {
    return browser::webdriver_endpoint_from(browser.webdriver.endpoint);
}

bool is_same_browser(const BrowserSpec& a, const BrowserSpec& b) {
    return a.type == b.type && a.executable == b.executable && machine_of(a) == machine_of(b) &&
           a.webdriver.capabilities_json == b.webdriver.capabilities_json;
}

} // namespace

std::optional<ModelFamily> common_family(const std::vector<ModelSpec>& models) {
    if (models.empty()) return std::nullopt;
    const ModelFamily first = models.front().family;
    const bool is_common =
        std::ranges::all_of(models, [&](const ModelSpec& model) { return model.family == first; });
    return is_common ? std::optional(first) : std::nullopt;
}

std::vector<BrowserSpec> alternatives_of(const BrowserSpec& own, std::optional<ModelFamily> family,
                                         const std::vector<BrowserSpec>& remote) {
    std::vector<BrowserSpec> out;
    // What was written for one browser's command line need not suit another's.
    const auto add = [&](BrowserType type, std::filesystem::path executable) {
        out.push_back({.type = type, .executable = std::move(executable)});
    };
    // On another machine the same path is another browser.
    const bool is_here = own.webdriver.endpoint.empty();
    for (std::filesystem::path& executable : io::installed_browsers(own.type))
        if (!is_here || executable != own.executable) add(own.type, std::move(executable));

    std::vector<BrowserType> installed;
    for (const BrowserType type : browser_types)
        if (type != own.type && !io::installed_browsers(type).empty()) installed.push_back(type);
    for (const BrowserType type :
         browser::fallbacks_among(family.value_or(ModelFamily::unknown), installed))
        add(type, std::move(io::installed_browsers(type).front()));
    for (const BrowserSpec& other : remote)
        if (!is_same_browser(other, own)) out.push_back(other);
    return out;
}

std::vector<core::WorkerAlternative> core_alternatives(const BrowserSpec& own,
                                                       const std::vector<BrowserSpec>& others) {
    std::vector<core::WorkerAlternative> out;
    std::vector<Machine> machines{machine_of(own)};
    for (const BrowserSpec& other : others) {
        const Machine machine = machine_of(other);
        const auto known = std::ranges::find(machines, machine);
        const auto number = static_cast<std::uint8_t>(known - machines.begin());
        if (known == machines.end()) machines.push_back(machine);
        out.push_back({other.type, number});
    }
    return out;
}

BrowserSpec standby_for(const BrowserSpec& own, std::optional<ModelFamily> family) {
    for (BrowserSpec& other : alternatives_of(own, family))
        if (engine_of(other.type) != engine_of(own.type)) return other;
    return own;
}

} // namespace everpool::facade
