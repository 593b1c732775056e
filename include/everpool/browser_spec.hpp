// Everpool: which browsers the pool starts.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/word_match.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool {

/// The browsers that the library knows. chromium, chrome and edge are one engine and are controlled
/// alike; they differ in where they are found and in which model families prefer them. Values are
/// stable: they are written into logs; new ones are only appended.
enum class BrowserType : std::uint8_t {
    chromium,
    chrome,
    edge,
    firefox,
    webkit, ///< WebKitGTK's MiniBrowser, and Safari at a WebDriver endpoint
};

inline constexpr std::array browser_types{BrowserType::chromium, BrowserType::chrome,
                                          BrowserType::edge, BrowserType::firefox,
                                          BrowserType::webkit};

/// What runs inside a browser. Failures look alike in browsers of one engine.
enum class BrowserEngine : std::uint8_t { chromium, gecko, webkit };

constexpr std::string_view name_of(BrowserType type) noexcept {
    switch (type) {
    case BrowserType::chromium: return "chromium";
    case BrowserType::chrome: return "chrome";
    case BrowserType::edge: return "edge";
    case BrowserType::firefox: return "firefox";
    case BrowserType::webkit: return "webkit";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(BrowserEngine engine) noexcept {
    switch (engine) {
    case BrowserEngine::chromium: return "chromium";
    case BrowserEngine::gecko: return "gecko";
    case BrowserEngine::webkit: return "webkit";
    }
    return "unrecognised";
}

constexpr std::optional<BrowserType> browser_type_from(std::string_view name) noexcept {
    for (const BrowserType type : browser_types)
        if (name_of(type) == name) return type;
    return std::nullopt;
}

constexpr BrowserEngine engine_of(BrowserType type) noexcept {
    switch (type) {
    case BrowserType::firefox: return BrowserEngine::gecko;
    case BrowserType::webkit: return BrowserEngine::webkit;
    case BrowserType::chromium:
    case BrowserType::chrome:
    case BrowserType::edge: break;
    }
    return BrowserEngine::chromium;
}

constexpr bool is_chromium_family(BrowserType type) noexcept {
    return engine_of(type) == BrowserEngine::chromium;
}

/// How a browser is controlled by W3C WebDriver. All members empty: Chromium's family and Firefox
/// are not (they have control channels of their own, which tell more), and WebKit is, by
/// WebKitWebDriver, for it knows no other way.
///
/// WebDriver tells nothing by itself: what becomes of a page is seen from its connections and,
/// where the driver is started here, from its processes. A driver that takes one command at a time
/// (chromedriver) is deaf while a page hangs. So WebDriver BiDi is asked for as well, and used where
/// it is offered: then questions are answered beside the commands, and a page that closes itself is
/// told. Tried with chromedriver; WebKitWebDriver has none. We connect to the endpoint's own host
/// only, and to its own port unless the driver was started here (geckodriver's BiDi is Firefox's,
/// and so is not reached at an endpoint), whatever address it answers with. If that connection
/// fails or breaks, WebDriver goes on alone. With chromedriver a session with BiDi begins an eighth
/// of a second later and has one more renderer process, some 30 MiB; if that process dies, the
/// browser takes no new page any more, and is replaced.
struct WebDriverOptions {
    /// Of a driver or grid that runs already: "http://127.0.0.1:9515", "http://grid:4444/wd/hub".
    /// Each worker is a session there. Plain HTTP, so trust the way there. Its browsers must reach
    /// the host's bridge, which listens on 127.0.0.1 only: a browser on another machine needs a
    /// tunnel there. The browser's processes are not ours: nothing of it is watched, stopped or
    /// killed, and if the host is killed the session stays until the driver ends it.
    /// Empty: a driver is started, one for each worker, and goes with it.
    std::string endpoint{};

    /// The driver's program, for a driver that is started here. Empty: discovered (chromedriver,
    /// msedgedriver, geckodriver, WebKitWebDriver). Not together with `endpoint`.
    std::filesystem::path driver{};

    /// A JSON object of further capabilities. It is merged into ours: objects member by member,
    /// lists appended, everything else in place of ours. For a grid, say, {"platformName":"linux"};
    /// for Safari {"browserName":"safari"}. "firstMatch" and "alwaysMatch" in it mean what they do
    /// in W3C WebDriver. {"webSocketUrl":false} does without BiDi, and with true a driver that
    /// has none begins no session.
    std::string capabilities_json{};

    /// Is anything of it given?
    [[nodiscard]] bool is_empty() const noexcept {
        return endpoint.empty() && driver.empty() && capabilities_json.empty();
    }
    friend bool operator==(const WebDriverOptions&, const WebDriverOptions&) = default;
};

/// One entry of ResourcePoolConfig::browsers: `count` workers, each a browser process of its own.
/// Or one of remote_alternatives: what they may turn to.
struct BrowserSpec {
    BrowserType type{BrowserType::chromium};

    /// How many. Range 1 to 64.
    std::uint32_t count{1};

    /// The real binary, not a wrapper script. Empty: discovered (chromium: chromium-headless-shell,
    /// then chromium; chrome: google-chrome; edge: microsoft-edge; firefox: firefox-esr, firefox;
    /// webkit: MiniBrowser). At a WebDriver endpoint, empty: the driver knows.
    std::filesystem::path executable{};

    /// Appended to the command line after ours. Leave alone unless you must.
    std::vector<std::string> extra_arguments{};

    /// Firefox only: name and value of preferences that are written into the profile's user.js
    /// after ours, the value as user.js has it ("true", "5", "\"text\""). Leave alone unless you
    /// must.
    std::vector<std::pair<std::string, std::string>> extra_preferences{};

    /// Control by WebDriver. Leave alone but for grids and for browsers that no other door opens.
    WebDriverOptions webdriver{};

    /// Is it controlled by WebDriver?
    [[nodiscard]] bool is_webdriver() const noexcept {
        return type == BrowserType::webkit || !webdriver.is_empty();
    }
};

// -------------------------------------------------------------------------------------------------

namespace detail {

struct BrowserWord {
    std::string_view words;
    BrowserType type;
};

/// The first entry that is found counts. A user agent names its ancestors as well ("... like Gecko)
/// Chrome/156 Safari/537 Edg/156"), so whoever came last in history stands first.
inline constexpr BrowserWord browser_words[] = {
    {"edge", BrowserType::edge},
    {"msedge", BrowserType::edge},
    {"edg", BrowserType::edge},
    {"msedgedriver", BrowserType::edge},
    {"firefox", BrowserType::firefox},
    {"geckodriver", BrowserType::firefox},
    {"chromium", BrowserType::chromium},
    {"chrome", BrowserType::chrome},
    {"chromedriver", BrowserType::chrome},
    {"headless shell", BrowserType::chromium},
    {"safari", BrowserType::webkit},
    {"safaridriver", BrowserType::webkit},
    {"webkit", BrowserType::webkit},
    {"wpewebkit", BrowserType::webkit},
    {"minibrowser", BrowserType::webkit},
    {"epiphany", BrowserType::webkit},
};

} // namespace detail

/// The browser that a name means: a product ("Google Chrome", "MicrosoftEdge"), a command
/// ("firefox-esr", "/usr/bin/google-chrome-stable"), WebDriver's browserName or a user agent. Of a
/// path the last part counts, and the folders only if that says nothing. Empty if it is none that
/// the library knows.
constexpr std::optional<BrowserType> detect_browser_type(std::string_view name) noexcept {
    const std::size_t slash = name.find_last_of("/\\");
    const bool is_path = name.starts_with('/') || name.substr(0, 3).ends_with(":\\");
    if (is_path && slash + 1 < name.size())
        if (const auto type = detect_browser_type(name.substr(slash + 1))) return type;
    for (const detail::BrowserWord& entry : detail::browser_words)
        if (has_words(name, entry.words)) return entry.type;
    return std::nullopt;
}

} // namespace everpool
