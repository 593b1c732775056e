// Everpool doors, Linux: threads that are ready to run, and get no processor.
// SPDX-License-Identifier: BSL-1.0
//
// What hangs does not wait for a processor: it is stopped (T), waits for something that does not
// come (S), or loops, and then it runs. A thread that is ready (R) and has run for less than a
// tenth of the time since it was last looked at is silent for no fault of its own.
#pragma once

#include <algorithm>
#include <chrono>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::io {

class WaitingThreads {
public:
    /// Of the threads that a process began with, and of those of these names, in all processes of
    /// this group: who is ready to run or runs at present. None if there is no such group, or the
    /// kernel does not say how long its threads have run (CONFIG_SCHED_INFO). Reads a file of /proc
    /// for each thread: some milliseconds for a browser.
    explicit WaitingThreads(int group, std::span<const std::string_view> names = {});

    /// Leaves those that have waited since.
    void look_again();

    [[nodiscard]] bool are_there_any() const noexcept { return !threads_.empty(); }
    [[nodiscard]] bool has(std::string_view name) const noexcept {
        return std::ranges::find(threads_, name, &Thread::name) != threads_.end();
    }

private:
    struct Thread {
        int process, id;
        std::chrono::nanoseconds ran;
        std::string name;
    };
    std::chrono::steady_clock::time_point looked_at_;
    std::vector<Thread> threads_;
};

} // namespace everpool::io
