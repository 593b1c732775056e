// SPDX-License-Identifier: BSL-1.0
#include "io/linux/waiting_threads.hpp"

#include "io/linux/proc_file.hpp"
#include "io/linux/process_group.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace everpool::io {
namespace {

std::string task_file(int thread, const char* name) {
    return "task/" + std::to_string(thread) + "/" + name;
}

/// "id (name) R ...", where the name may contain anything, brackets too.
struct State {
    bool is_ready{false};
    std::string name;
};

State state_of(int process, int thread) {
    const std::string stat = read_proc(process, task_file(thread, "stat").c_str());
    const std::size_t begin = stat.find('('), end = stat.rfind(") ");
    if (begin == std::string::npos || end == std::string::npos) return {};
    return {stat.substr(end + 2, 1) == "R", stat.substr(begin + 1, end - begin - 1)};
}

/// "ran waited slices", in nanoseconds and a number: the kernel's sched-stats.rst. All are 0 where
/// it does not count.
std::optional<std::chrono::nanoseconds> run_time_of(int process, int thread) {
    const std::string line = read_proc(process, task_file(thread, "schedstat").c_str());
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out);
    if (error != std::errc{} || out == 0) return std::nullopt;
    return std::chrono::nanoseconds(out);
}

} // namespace

WaitingThreads::WaitingThreads(int group, std::span<const std::string_view> names)
    : looked_at_(std::chrono::steady_clock::now()) {
    if (group <= 0) return;
    for (const int process : members_of_group(group)) {
        for (const int thread : threads_of(process)) {
            State state = state_of(process, thread);
            const bool is_meant =
                thread == process || std::ranges::find(names, state.name) != names.end();
            if (!state.is_ready || !is_meant) continue;
            if (const auto ran = run_time_of(process, thread))
                threads_.push_back({process, thread, *ran, std::move(state.name)});
        }
    }
}

void WaitingThreads::look_again() {
    const auto now = std::chrono::steady_clock::now();
    const auto little = (now - std::exchange(looked_at_, now)) / 10;
    std::erase_if(threads_, [&](Thread& one) {
        const auto ran = run_time_of(one.process, one.id);
        if (!ran || *ran - std::exchange(one.ran, *ran) >= little) return true;
        return !state_of(one.process, one.id).is_ready;
    });
}

} // namespace everpool::io
