// Everpool doors, Linux: the files of /proc that tell about a process.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/linux/descriptor.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace everpool::io {

/// The beginning of a file of /proc: what is looked for stands there, and a command line has no
/// limit. Empty if there is no such process.
inline std::string read_proc(int process, const char* name) {
    const std::string path = "/proc/" + std::to_string(process) + "/" + name;
    const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.is_open()) return {};
    std::string out;
    std::array<char, 4096> buffer;
    constexpr std::size_t bytes_max = 64 * 1024;
    while (out.size() < bytes_max) {
        const ssize_t bytes = ::read(file.get(), buffer.data(), buffer.size());
        if (bytes <= 0) break;
        out.append(buffer.data(), static_cast<std::size_t>(bytes));
    }
    return out;
}

/// What /proc/<process>/stat says after the process's name, from the one letter of its state on:
/// "pid (name) S ...", where the name may contain anything, brackets too. Empty if there is none.
inline std::string read_stat(int process) {
    const std::string stat = read_proc(process, "stat");
    const std::size_t bracket = stat.rfind(')');
    if (bracket == std::string::npos || bracket + 2 >= stat.size()) return {};
    return stat.substr(bracket + 2);
}

/// The entries of a folder of /proc whose names are numbers: processes, or the threads of one; in
/// the order of the folder. Empty if there is no such folder.
inline std::vector<int> numbers_in(const char* folder) {
    std::vector<int> out;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder), &::closedir);
    if (!entries) return out;
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view name = entry->d_name;
        int number = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
        if (error == std::errc{} && end == name.data() + name.size()) out.push_back(number);
    }
    return out;
}

/// Of a process, its first one included. Empty if there is no such process.
inline std::vector<int> threads_of(int process) {
    return numbers_in(("/proc/" + std::to_string(process) + "/task").c_str());
}

/// Dead, or dead and not reaped yet.
inline bool is_dead(std::string_view stat) noexcept {
    return stat.empty() || stat.front() == 'Z' || stat.front() == 'X';
}

/// The member of a stat that has this number in proc(5); empty if there is none.
/// \pre number >= 3, that of the state
inline std::string_view stat_member(std::string_view stat, int number) noexcept {
    for (int i = 3; i < number; ++i) {
        const std::size_t space = stat.find(' ');
        if (space == std::string_view::npos) return {};
        stat.remove_prefix(space + 1);
    }
    return stat.substr(0, stat.find_first_of(" \n"));
}

} // namespace everpool::io
