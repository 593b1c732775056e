// Everpool browser: where each browser's real executable is looked for, first choice first.
// SPDX-License-Identifier: BSL-1.0
//
// Real executables only: the scripts that distributions put into the PATH under the same names are
// passed over. Names without a slash are looked for in the PATH, after the rest.
#pragma once

#include "everpool/browser_spec.hpp"

#include <span>
#include <string_view>

namespace everpool::browser {

struct Candidates {
    std::span<const std::string_view> executables;
    std::string_view package; ///< what to install, in Debian's words
};

inline constexpr std::string_view chromium_executables[] = {
    // Starts in a third of the time and half the memory of the full browser.
    "/usr/lib/chromium/chromium-headless-shell",
    "/usr/lib/chromium/headless_shell",
    "/usr/lib64/chromium-browser/headless_shell",
    "/usr/lib/chromium/chromium",
    "/usr/lib/chromium-browser/chromium-browser",
    "/usr/lib64/chromium-browser/chromium-browser",
    "chromium-headless-shell",
    "chromium"};
inline constexpr std::string_view chrome_executables[] = {"/opt/google/chrome/chrome",
                                                          "google-chrome"};
inline constexpr std::string_view edge_executables[] = {"/opt/microsoft/msedge/msedge",
                                                        "microsoft-edge"};
inline constexpr std::string_view firefox_executables[] = {"/usr/lib/firefox-esr/firefox-esr",
                                                           "/usr/lib/firefox/firefox",
                                                           "/usr/lib64/firefox/firefox",
                                                           "/opt/firefox/firefox",
                                                           "firefox-esr",
                                                           "firefox"};
// Debian's, then Fedora's.
inline constexpr std::string_view webkit_executables[] = {
    "/usr/lib/x86_64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
    "/usr/lib/aarch64-linux-gnu/webkit2gtk-4.1/MiniBrowser",
    "/usr/libexec/webkit2gtk-4.1/MiniBrowser", "MiniBrowser"};

/// What speaks WebDriver for a browser.
inline constexpr std::string_view chromium_drivers[] = {"/usr/bin/chromedriver", "chromedriver"};
inline constexpr std::string_view edge_drivers[] = {"/usr/bin/msedgedriver", "msedgedriver"};
inline constexpr std::string_view firefox_drivers[] = {"/usr/bin/geckodriver", "geckodriver"};
inline constexpr std::string_view webkit_drivers[] = {"/usr/bin/WebKitWebDriver",
                                                      "WebKitWebDriver"};
/// A screen for a browser that cannot do without (WebKitGTK).
inline constexpr std::string_view display_servers[] = {"/usr/bin/Xvfb", "Xvfb"};
inline constexpr Candidates display_server_candidates{display_servers, "xvfb"};

constexpr Candidates driver_candidates_of(BrowserType type) noexcept {
    switch (type) {
    case BrowserType::edge: return {edge_drivers, "msedgedriver"};
    case BrowserType::firefox: return {firefox_drivers, "geckodriver"};
    case BrowserType::webkit: return {webkit_drivers, "webkit2gtk-driver"};
    case BrowserType::chrome:
    case BrowserType::chromium: break;
    }
    return {chromium_drivers, "chromium-driver"};
}

constexpr Candidates candidates_of(BrowserType type) noexcept {
    switch (type) {
    case BrowserType::chrome: return {chrome_executables, "google-chrome-stable"};
    case BrowserType::edge: return {edge_executables, "microsoft-edge-stable"};
    case BrowserType::firefox: return {firefox_executables, "firefox-esr"};
    case BrowserType::webkit: return {webkit_executables, "webkit2gtk-driver"};
    case BrowserType::chromium: break;
    }
    return {chromium_executables, "chromium-headless-shell or chromium"};
}

} // namespace everpool::browser
