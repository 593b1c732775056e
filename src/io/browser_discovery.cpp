// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/discovery.hpp"
#include "io/browser.hpp"

#include <fmt/format.h>

#include <unistd.h>

#include <cstdlib>
#include <string>
#include <string_view>

namespace everpool::io {

namespace {

bool is_executable(const std::filesystem::path& file) {
    std::error_code ignored;
    return std::filesystem::is_regular_file(file, ignored) && ::access(file.c_str(), X_OK) == 0;
}

std::filesystem::path search_path(std::string_view name) {
    const char* path = std::getenv("PATH"); // read when a pool starts, never written
    std::string_view rest = path == nullptr ? "/usr/bin:/bin" : path;
    while (!rest.empty()) {
        const std::size_t colon = rest.find(':');
        const auto file = std::filesystem::path(rest.substr(0, colon)) / name;
        if (is_executable(file)) return file;
        if (colon == std::string_view::npos) break;
        rest.remove_prefix(colon + 1);
    }
    return {};
}

} // namespace

std::filesystem::path find_browser(const BrowserSpec& spec, error_code& ec,
                                   Diagnostics& diagnostics) {
    ec = {};
    const auto candidates = browser::candidates_of(spec.type);
    if (!spec.executable.empty()) {
        if (is_executable(spec.executable)) return spec.executable;
        ec = Errc::browser_not_found;
        diagnostics.message = fmt::format("{}: '{}' is not an executable file",
                                          name_of(spec.type), spec.executable.string());
        diagnostics.remedy = "correct BrowserSpec::executable, or leave it empty for discovery";
        return {};
    }
    std::string looked_for;
    for (const std::string_view candidate : candidates.executables) {
        const bool is_path = candidate.front() == '/';
        const std::filesystem::path found = is_path ? std::filesystem::path(candidate)
                                                    : search_path(candidate);
        if (!found.empty() && is_executable(found)) return found;
        looked_for += fmt::format("{}{}", looked_for.empty() ? "" : ", ", candidate);
    }
    ec = Errc::browser_not_found;
    diagnostics.message = fmt::format("no {} was found; looked for {}", name_of(spec.type), looked_for);
    diagnostics.remedy = fmt::format("install {}, or set BrowserSpec::executable", candidates.package);
    return {};
}

} // namespace everpool::io
