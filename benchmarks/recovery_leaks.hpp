// Parts of scenario_recovery: what a pool has left behind.
// SPDX-License-Identifier: BSL-1.0
//
// Every browser of a pool has its home and its profile in the pool's private directory. Each of its
// processes, whatever group it moves to, has one of them in its environment or on its command line.
#pragma once

#include "support/processes.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <thread>

namespace scenario {

using everpool::tests::nest_of;

/// Processes that have to do with it, and the directory itself. \pre not empty
inline std::size_t count_left(const std::filesystem::path& nest) {
    return everpool::tests::processes_of(nest).size() + (std::filesystem::exists(nest) ? 1 : 0);
}

/// What is still there at `deadline`: crash handlers notice the end of their browser by themselves,
/// and the kernel takes a while to end processes with many mappings. Earlier if nothing is.
inline std::size_t count_leaked(const std::filesystem::path& nest,
                                std::chrono::steady_clock::time_point deadline) {
    std::size_t left = count_left(nest);
    while (left != 0 && std::chrono::steady_clock::now() < deadline) {
        // Nobody tells of it, and to look all the time would take a processor from who cleans up.
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
        left = count_left(nest);
    }
    return left;
}

} // namespace scenario
