// Parts of scenario_recovery: what a pool has left behind.
// SPDX-License-Identifier: BSL-1.0
//
// Every browser of a pool has its home in the pool's private directory, and so has every process that
// a browser starts, whatever session or group it moves to: it stands in its environment.
#pragma once

#include <sys/types.h>

#include <cctype>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

namespace scenario {

inline std::string read_environment(const std::string& process) {
    std::ifstream in("/proc/" + process + "/environ", std::ios::binary);
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// The private directory of the pool that this browser belongs to; empty if it is gone.
inline std::filesystem::path nest_of(int browser) {
    const std::string environment = '\0' + read_environment(std::to_string(browser));
    const std::size_t at = environment.find(std::string("\0HOME=", 6));
    if (at == std::string::npos) return {};
    // <nest>/<browser>/home
    return std::filesystem::path(
               environment.substr(at + 6, environment.find('\0', at + 6) - at - 6))
        .parent_path()
        .parent_path();
}

/// Processes whose home is in there, and the directory itself.
inline std::size_t count_left(const std::filesystem::path& nest) {
    if (nest.empty()) return 0;
    std::size_t out = std::filesystem::exists(nest) ? 1 : 0;
    std::error_code ec;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ec)) {
        const std::string name = entry.path().filename();
        if (std::isdigit(static_cast<unsigned char>(name.front())) != 0 &&
            read_environment(name).find("HOME=" + nest.string() + '/') != std::string::npos)
            ++out;
    }
    return out;
}

/// What is still there when `grace` is over: crash handlers notice the end of their browser by
/// themselves, and the kernel takes a while to end processes with many mappings.
inline std::size_t count_leaked(const std::filesystem::path& nest,
                                std::chrono::seconds grace = std::chrono::seconds{3}) {
    const auto deadline = std::chrono::steady_clock::now() + grace;
    std::size_t left = count_left(nest);
    while (left != 0 && std::chrono::steady_clock::now() < deadline) left = count_left(nest);
    return left;
}

} // namespace scenario
