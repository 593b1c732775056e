// The processors that a test may use, and what the kernel says of who runs on them.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/processes.hpp"

#include <sched.h>
#include <time.h>
#include <unistd.h>

#include <cstddef>
#include <string>

namespace everpool::tests {

inline cpu_set_t usable_processors() {
    cpu_set_t out;
    CPU_ZERO(&out);
    ::sched_getaffinity(0, sizeof out, &out);
    return out;
}

/// The first of those that may be used, alone.
inline cpu_set_t first_processor() {
    const cpu_set_t usable = usable_processors();
    std::size_t number = 0;
    while (!CPU_ISSET(number, &usable)) ++number;
    cpu_set_t out;
    CPU_ZERO(&out);
    CPU_SET(number, &out);
    return out;
}

/// Not every kernel says how long its threads have run. One that does may say 0 of who has never
/// left its processor, as a test that has just begun; asking for the time used brings it up to date.
inline bool tells_run_times() {
    timespec used{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    const std::string line = proc_file(::getpid(), "schedstat");
    return !line.empty() && line[0] != '0';
}

} // namespace everpool::tests
