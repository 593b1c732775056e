// Everpool doors, Linux: the threads of one name, and how long they have run.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/linux/process_group.hpp"
#include "io/linux/thread_file.hpp"

#include <algorithm>
#include <chrono>
#include <string_view>
#include <vector>

namespace everpool::io {

/// Those of this name that this process has at present. Reads a file of /proc for each of its
/// threads.
inline std::vector<int> threads_named(int process, std::string_view name) {
    std::vector<int> out = threads_of(process);
    std::erase_if(out, [&](int thread) { return state_of_thread(process, thread).name != name; });
    return out;
}
inline bool has_thread(int process, std::string_view name) {
    return !threads_named(process, name).empty();
}

/// Those that were there when it was made; who comes later is not counted.
class NamedThreads {
public:
    /// None.
    NamedThreads() = default;
    /// Those of this name that the processes of this group have at present. Reads a file of /proc
    /// for each of their threads: some milliseconds for a browser.
    NamedThreads(int group, std::string_view name) {
        if (group <= 0) return;
        for (const int process : members_of_group(group))
            for (const int thread : threads_named(process, name))
                threads_.push_back({process, thread, {}});
        start_over();
    }

    /// Does not count those that these are as well.
    void leave_out(const NamedThreads& others) {
        std::erase_if(threads_, [&](const Thread& one) {
            return std::ranges::any_of(others.threads_, [&](const Thread& other) {
                return one.process == other.process && one.id == other.id;
            });
        });
    }

    /// From now on what they have run until now does not count.
    void start_over() {
        for (Thread& one : threads_) one.ran = run_time(one);
    }
    /// The longest that one of them has run since, if it still is; 0 if the kernel does not count.
    [[nodiscard]] std::chrono::nanoseconds ran() const {
        std::chrono::nanoseconds out{0};
        for (const Thread& one : threads_) out = std::max(out, run_time(one) - one.ran);
        return out;
    }

private:
    struct Thread {
        int process, id;
        std::chrono::nanoseconds ran;
    };
    static std::chrono::nanoseconds run_time(const Thread& one) {
        return run_time_of_thread(one.process, one.id).value_or(std::chrono::nanoseconds::zero());
    }
    std::vector<Thread> threads_;
};

} // namespace everpool::io
