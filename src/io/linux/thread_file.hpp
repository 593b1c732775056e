// Everpool doors, Linux: the files of /proc that tell about a thread.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/linux/proc_file.hpp"

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <system_error>

namespace everpool::io {

inline std::string read_thread_file(int process, int thread, const char* name) {
    return read_proc(process, ("task/" + std::to_string(thread) + "/" + name).c_str());
}

/// "id (name) R ...", where the name may contain anything, brackets too.
struct ThreadState {
    bool is_ready{false};   ///< runs, or waits for a processor
    bool is_stopped{false}; ///< by a signal, as all of its process
    std::string name;       ///< its first 15 bytes
};

/// Neither ready nor stopped nor named if there is no such thread.
inline ThreadState state_of_thread(int process, int thread) {
    const std::string stat = read_thread_file(process, thread, "stat");
    const std::size_t begin = stat.find('('), end = stat.rfind(") ");
    if (begin == std::string::npos || end == std::string::npos) return {};
    const std::string state = stat.substr(end + 2, 1);
    return {state == "R", state == "T", stat.substr(begin + 1, end - begin - 1)};
}

/// How long it has run: the first of "ran waited slices" of the kernel's sched-stats.rst. None if
/// there is no such thread; all are 0 where the kernel does not count (CONFIG_SCHED_INFO).
inline std::optional<std::chrono::nanoseconds> run_time_of_thread(int process, int thread) {
    const std::string line = read_thread_file(process, thread, "schedstat");
    std::int64_t out = 0;
    const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), out);
    if (error != std::errc{} || out == 0) return std::nullopt;
    return std::chrono::nanoseconds(out);
}

} // namespace everpool::io
