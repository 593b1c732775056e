// Everpool: which browsers the pool starts.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace everpool {

/// The browsers that the pool knows how to drive. chromium, chrome and edge are one engine and are
/// controlled alike; they differ in where they are found and in which model families prefer them.
enum class BrowserType : std::uint8_t { chromium, chrome, edge, firefox };

constexpr std::string_view name_of(BrowserType type) noexcept {
    switch (type) {
    case BrowserType::chromium: return "chromium";
    case BrowserType::chrome: return "chrome";
    case BrowserType::edge: return "edge";
    case BrowserType::firefox: return "firefox";
    }
    return "unrecognised";
}

constexpr std::optional<BrowserType> browser_type_from(std::string_view name) noexcept {
    for (const BrowserType type :
         {BrowserType::chromium, BrowserType::chrome, BrowserType::edge, BrowserType::firefox})
        if (name_of(type) == name) return type;
    return std::nullopt;
}

constexpr bool is_chromium_family(BrowserType type) noexcept {
    return type != BrowserType::firefox;
}

/// One entry of ResourcePoolConfig::browsers: `count` workers, each a browser process of its own.
struct BrowserSpec {
    BrowserType type{BrowserType::chromium};

    /// How many. Range 1 to 64.
    std::uint32_t count{1};

    /// The real binary, not a wrapper script. Empty: discovered (chromium: chromium-headless-shell,
    /// then chromium; chrome: google-chrome; edge: microsoft-edge; firefox: firefox-esr, firefox).
    std::filesystem::path executable{};

    /// Appended to the command line after ours. Leave alone unless you must.
    std::vector<std::string> extra_arguments{};
};

} // namespace everpool
