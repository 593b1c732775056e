// SPDX-License-Identifier: BSL-1.0
#include "io/linux/process_group.hpp"

#include "io/linux/proc_file.hpp"

#include <dirent.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>
#include <system_error>

namespace everpool::io {
namespace {

bool is_process_dead(int process) { return is_dead(read_stat(process)); }

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
    return std::ranges::all_of(members_of_group(group), is_process_dead);
}

int parent_of(int process) {
    const std::string stat = read_stat(process); // "S 123 ..."
    int parent = 0;
    if (stat.size() > 2) std::from_chars(stat.data() + 2, stat.data() + stat.size(), parent);
    return parent;
}

std::string command_line_of(int process) {
    std::string line = read_proc(process, "cmdline");
    while (!line.empty() && line.back() == '\0') line.pop_back();
    std::ranges::replace(line, '\0', ' ');
    return line;
}

bool send_signal(int process, ProcessSignal signal) noexcept {
    if (process <= 0) return false; // would be a group, or everybody
    const int number = signal == ProcessSignal::kill   ? SIGKILL
                       : signal == ProcessSignal::stop ? SIGSTOP
                                                       : SIGCONT;
    return ::kill(process, number) == 0;
}

} // namespace everpool::io
