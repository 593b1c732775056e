// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/discovery.hpp"
#include "io/browser.hpp"
#include "io/webdriver_browser.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace everpool::io {

namespace {

bool is_executable(const std::filesystem::path& file) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(file, ignored) && ::access(file.c_str(), X_OK) == 0;
}

/// Distributions put scripts into the PATH under the browsers' names. They add switches of their
/// own, and some do not even exec the browser, so that their process is not the browser's.
bool is_script(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    char beginning[2]{};
    return in.read(beginning, 2) && beginning[0] == '#' && beginning[1] == '!';
}

/// What was looked at, in words, and what was found.
struct Search {
    std::filesystem::path found;
    std::string looked_for;

    bool look_at(const std::filesystem::path& file) {
        if (!is_executable(file)) return false;
        if (is_script(file)) {
            looked_for += fmt::format(" ({} is a script)", file.string());
            return false;
        }
        found = file;
        return true;
    }

    bool look_in_path(std::string_view name) {
        const char* path = std::getenv("PATH"); // read when a pool starts, never written
        std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
        while (!rest.empty()) {
            const std::size_t colon = rest.find(':');
            if (look_at(std::filesystem::path(rest.substr(0, colon)) / name)) return true;
            if (colon == std::string_view::npos) break;
            rest.remove_prefix(colon + 1);
        }
        return false;
    }

    bool look_for(std::string_view candidate) {
        looked_for += fmt::format("{}{}", looked_for.empty() ? "" : ", ", candidate);
        return candidate.front() == '/' ? look_at(candidate) : look_in_path(candidate);
    }
};

/// The first of the candidates that is there; `looked_for` names them in words.
std::filesystem::path first_of(const browser::Candidates& candidates, std::string& looked_for) {
    Search search;
    for (const std::string_view candidate : candidates.executables)
        if (search.look_for(candidate)) break;
    looked_for = std::move(search.looked_for);
    return search.found;
}

} // namespace

std::filesystem::path find_display_server() {
    std::string ignored;
    return first_of(browser::display_server_candidates, ignored);
}

std::filesystem::path find_webdriver(const BrowserSpec& spec, error_code& ec,
                                     Diagnostics& diagnostics) {
    ec = {};
    const auto candidates = browser::driver_candidates_of(spec.type);
    std::filesystem::path driver = spec.webdriver.driver;
    if (driver.empty()) {
        std::string looked_for;
        driver = first_of(candidates, looked_for);
        if (driver.empty()) {
            ec = Errc::browser_not_found;
            diagnostics.message = fmt::format("no WebDriver for {} was found; looked for {}",
                                              name_of(spec.type), looked_for);
            diagnostics.remedy =
                fmt::format("install {}, or set BrowserSpec::webdriver.driver", candidates.package);
            return {};
        }
    } else if (!is_executable(driver)) {
        ec = Errc::browser_not_found;
        diagnostics.message = fmt::format("{}: the WebDriver '{}' is not an executable file",
                                          name_of(spec.type), driver.string());
        diagnostics.remedy =
            "correct BrowserSpec::webdriver.driver, or leave it empty for discovery";
        return {};
    }
    const bool needs_display = spec.type == BrowserType::webkit;
    if (needs_display && find_display_server().empty() && std::getenv("DISPLAY") == nullptr) {
        ec = Errc::browser_not_found;
        diagnostics.message = fmt::format("{} needs a display, and there is neither Xvfb nor a "
                                          "DISPLAY in the environment",
                                          name_of(spec.type));
        diagnostics.remedy = fmt::format("install {}", browser::display_server_candidates.package);
        return {};
    }
    return driver;
}

std::vector<std::filesystem::path> installed_browsers(BrowserType type) {
    std::vector<std::filesystem::path> out;
    if (BrowserSpec spec{.type = type}; spec.is_webdriver()) {
        error_code missing;
        Diagnostics ignored;
        if (find_webdriver(spec, missing, ignored).empty()) return out;
    }
    for (const std::string_view candidate : browser::candidates_of(type).executables) {
        Search search;
        if (!search.look_for(candidate)) continue;
        // One browser often has several names.
        std::error_code ec;
        const auto is_same = [&](const std::filesystem::path& known) {
            return std::filesystem::equivalent(known, search.found, ec);
        };
        if (std::ranges::none_of(out, is_same)) out.push_back(search.found);
    }
    return out;
}

std::filesystem::path find_browser(const BrowserSpec& spec, error_code& ec,
                                   Diagnostics& diagnostics) {
    ec = {};
    if (!spec.webdriver.endpoint.empty()) return spec.executable;
    const auto candidates = browser::candidates_of(spec.type);
    std::filesystem::path found = spec.executable;
    if (found.empty()) {
        std::string looked_for;
        found = first_of(candidates, looked_for);
        if (found.empty()) {
            ec = Errc::browser_not_found;
            diagnostics.message =
                fmt::format("no {} was found; looked for {}", name_of(spec.type), looked_for);
            diagnostics.remedy =
                fmt::format("install {}, or set BrowserSpec::executable", candidates.package);
            return {};
        }
    } else if (!is_executable(found)) {
        ec = Errc::browser_not_found;
        diagnostics.message =
            fmt::format("{}: '{}' is not an executable file", name_of(spec.type), found.string());
        diagnostics.remedy = "correct BrowserSpec::executable, or leave it empty for discovery";
        return {};
    }
    if (spec.is_webdriver() && find_webdriver(spec, ec, diagnostics).empty()) return {};
    return found;
}

} // namespace everpool::io
