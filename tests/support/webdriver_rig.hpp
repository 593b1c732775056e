// Tests: real browsers behind WebDriver, as far as they are installed, and what is asked of them.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/browser_rig.hpp"
#include "support/catch.hpp"
#include "support/driver_process.hpp"

#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

namespace everpool::tests {

/// CTest reads the words and counts a skipped test as one.
inline bool is_here(const std::filesystem::path& program) {
    if (std::filesystem::exists(program)) return true;
    std::printf("skipped: there is no %s\n", program.c_str());
    return false;
}

/// Empty if it cannot be had here, which is told.
inline std::optional<io::BrowserOptions> options_of(const std::string& kind) {
    io::BrowserOptions options;
    if (kind == "WebKit") {
        options.spec.type = BrowserType::webkit;
    } else {
        if (!is_here(chromedriver) || !is_here(headless_shell)) return std::nullopt;
        options.spec.executable = headless_shell;
        options.spec.webdriver.driver = chromedriver;
    }
    error_code ec;
    Diagnostics diagnostics;
    options.spec.executable = io::find_browser(options.spec, ec, diagnostics);
    if (!ec) return options;
    std::printf("skipped: %s\n", diagnostics.text().c_str());
    return std::nullopt;
}

inline std::optional<io::BrowserOptions> any_started_browser() {
    const std::string kind = GENERATE("WebKit", "Chromium by chromedriver");
    CAPTURE(kind);
    return options_of(kind);
}

inline bool is_webkit(const io::BrowserOptions& options) {
    return options.spec.type == BrowserType::webkit;
}

inline void require_launched(BrowserRig& rig) {
    const BrowserRig::Done done = rig.launch();
    INFO(done.diagnostics.text());
    REQUIRE_FALSE(done.ec);
}

/// Asks the browser or its page, and waits for the answer.
template <class Ask>
error_code answer_of(BrowserRig& rig, Ask ask) {
    std::optional<error_code> answer;
    ask(rig.browser(), [&](error_code ec, const Diagnostics&) { answer = ec; });
    rig.run_until([&] { return answer.has_value(); });
    return *answer;
}
inline error_code ask_browser(BrowserRig& rig) {
    return answer_of(rig, [](io::Browser& b, auto handler) { b.async_ask_browser(handler); });
}
inline error_code ask_page(BrowserRig& rig, const io::PageId& page) {
    return answer_of(rig, [&](io::Browser& b, auto handler) { b.async_ask_page(page, handler); });
}
inline error_code execute(BrowserRig& rig, const io::PageId& page, io::PageThread thread,
                          const std::string& script) {
    return answer_of(
        rig, [&](io::Browser& b, auto handler) { b.async_execute(page, thread, script, handler); });
}

} // namespace everpool::tests
