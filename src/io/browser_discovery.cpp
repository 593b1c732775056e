// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/discovery.hpp"
#include "io/browser.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>

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

} // namespace

std::filesystem::path find_browser(const BrowserSpec& spec, error_code& ec,
                                   Diagnostics& diagnostics) {
    ec = {};
    const auto candidates = browser::candidates_of(spec.type);
    if (!spec.executable.empty()) {
        if (is_executable(spec.executable)) return spec.executable;
        ec = Errc::browser_not_found;
        diagnostics.message = fmt::format("{}: '{}' is not an executable file", name_of(spec.type),
                                          spec.executable.string());
        diagnostics.remedy = "correct BrowserSpec::executable, or leave it empty for discovery";
        return {};
    }
    Search search;
    for (const std::string_view candidate : candidates.executables)
        if (search.look_for(candidate)) return search.found;
    ec = Errc::browser_not_found;
    diagnostics.message =
        fmt::format("no {} was found; looked for {}", name_of(spec.type), search.looked_for);
    diagnostics.remedy =
        fmt::format("install {}, or set BrowserSpec::executable", candidates.package);
    return {};
}

} // namespace everpool::io
