// The processes that a browser consists of, as /proc has them.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <stdexcept>
#include <string>
#include <system_error>
#include <vector>

namespace everpool::tests {

/// A file of /proc about a process; empty if there is none, or if it ends while it is read.
inline std::string proc_file(int pid, const char* name) {
    std::ifstream in("/proc/" + std::to_string(pid) + "/" + name, std::ios::binary);
    try {
        return {std::istreambuf_iterator<char>(in), {}};
    } catch (const std::ios_base::failure&) { // libstdc++ throws what read() refuses
        return {};
    }
}

/// What a process was started with as its home; a browser's is in its private directory. Empty if
/// it has none, or is gone.
inline std::string home_of(int pid) {
    const std::string environment = '\0' + proc_file(pid, "environ");
    const std::string name("\0HOME=", 6);
    const auto found = environment.find(name);
    if (found == std::string::npos) return {};
    const auto begin = found + name.size();
    return environment.substr(begin, environment.find('\0', begin) - begin);
}

/// The private directory of the pool that this browser belongs to.
/// \throws std::runtime_error if it is gone: nothing could be told of what it leaves behind
inline std::filesystem::path nest_of(int browser) {
    const std::filesystem::path home = home_of(browser);
    if (home.empty())
        throw std::runtime_error("process " + std::to_string(browser) + " has no home");
    return home.parent_path().parent_path(); // <nest>/<browser>/home
}

/// By a signal. False also if it is gone.
inline bool is_stopped(int pid) {
    const std::string stat = proc_file(pid, "stat");
    // "<pid> (<name>) <state> ...", and the name may have brackets and spaces of its own.
    const auto name_end = stat.rfind(") ");
    return name_end != std::string::npos && stat.compare(name_end + 2, 1, "T") == 0;
}

/// Every process that was started with something below this directory in its environment or on its
/// command line, whatever its group: a browser's own, its zygotes, its crash handlers. (Chromium's
/// children write their command line over their environment.)
inline std::vector<int> processes_of(const std::filesystem::path& directory) {
    const std::string below = directory.string() + '/';
    std::vector<int> out;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
        const std::string name = entry.path().filename().string();
        if (!std::ranges::all_of(name, [](unsigned char c) { return std::isdigit(c) != 0; }))
            continue;
        const int pid = std::stoi(name);
        if (proc_file(pid, "environ").find(below) != std::string::npos ||
            proc_file(pid, "cmdline").find(below) != std::string::npos)
            out.push_back(pid);
    }
    return out;
}

} // namespace everpool::tests
