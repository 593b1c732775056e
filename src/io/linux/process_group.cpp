// SPDX-License-Identifier: BSL-1.0
#include "io/linux/process_group.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

namespace everpool::io {
namespace {

/// The beginning of a file of /proc: what is looked for stands there, and a command line has no
/// limit.
std::string read_proc(int process, const char* name) {
    const std::string path = "/proc/" + std::to_string(process) + "/" + name;
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    std::string out;
    std::array<char, 4096> buffer;
    constexpr std::size_t bytes_max = 64 * 1024;
    while (out.size() < bytes_max) {
        const ssize_t bytes = ::read(file, buffer.data(), buffer.size());
        if (bytes <= 0) break;
        out.append(buffer.data(), static_cast<std::size_t>(bytes));
    }
    ::close(file);
    return out;
}

/// "pid (name) S ...", where the name may contain anything, brackets too.
bool is_dead(int process) {
    const std::string stat = read_proc(process, "stat");
    const std::size_t bracket = stat.rfind(')');
    if (bracket == std::string::npos || bracket + 2 >= stat.size()) return true;
    const char state = stat[bracket + 2];
    return state == 'Z' || state == 'X';
}

} // namespace

std::vector<int> members_of_group(int group) {
    std::vector<int> out;
    const std::unique_ptr<DIR, int (*)(DIR*)> processes(::opendir("/proc"), &::closedir);
    if (!processes) return out;
    while (const dirent* entry = ::readdir(processes.get())) {
        const std::string_view name = entry->d_name;
        int process = 0;
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), process);
        if (error == std::errc{} && end == name.data() + name.size() && ::getpgid(process) == group)
            out.push_back(process);
    }
    return out;
}

bool is_group_gone(int group) {
    if (::kill(-group, 0) != 0 && errno == ESRCH) return true;
    return std::ranges::all_of(members_of_group(group), is_dead);
}

std::string command_line_of(int process) {
    std::string line = read_proc(process, "cmdline");
    while (!line.empty() && line.back() == '\0') line.pop_back();
    std::ranges::replace(line, '\0', ' ');
    return line;
}

} // namespace everpool::io
