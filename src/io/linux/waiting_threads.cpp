// SPDX-License-Identifier: BSL-1.0
#include "io/linux/waiting_threads.hpp"

#include "io/linux/process_group.hpp"
#include "io/linux/thread_file.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace everpool::io {

WaitingThreads::WaitingThreads(int group, std::span<const std::string_view> names)
    : looked_at_(std::chrono::steady_clock::now()) {
    if (group <= 0) return;
    for (const int process : members_of_group(group)) {
        for (const int thread : threads_of(process)) {
            ThreadState state = state_of_thread(process, thread);
            const bool is_meant =
                thread == process || std::ranges::find(names, state.name) != names.end();
            if (!state.is_ready || !is_meant) continue;
            if (const auto ran = run_time_of_thread(process, thread))
                threads_.push_back({process, thread, *ran, std::move(state.name)});
        }
    }
}

void WaitingThreads::look_again() {
    const auto now = std::chrono::steady_clock::now();
    const auto little = (now - std::exchange(looked_at_, now)) / 10;
    std::erase_if(threads_, [&](Thread& one) {
        const auto ran = run_time_of_thread(one.process, one.id);
        if (!ran || *ran - std::exchange(one.ran, *ran) >= little) return true;
        return !state_of_thread(one.process, one.id).is_ready;
    });
}

} // namespace everpool::io
