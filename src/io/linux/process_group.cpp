// SPDX-License-Identifier: BSL-1.0
#include "io/linux/process_group.hpp"

#include "io/linux/proc_file.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

namespace everpool::io {
namespace {

bool is_process_dead(int process) { return is_dead(read_stat(process)); }

} // namespace

std::vector<int> members_of_group(int group) {
    std::vector<int> out = numbers_in("/proc");
    std::erase_if(out, [&](int process) { return ::getpgid(process) != group; });
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
