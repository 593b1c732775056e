// Tests: a system that has no more than so many threads left.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <stdexcept>

namespace everpool::tests {

/// While it lives, threads have stacks so large that this process has room for `count` new ones.
class ThreadLimit {
public:
    explicit ThreadLimit(std::size_t count) {
        check(::pthread_getattr_default_np(&before_), "pthread_getattr_default_np");
        check(::getrlimit(RLIMIT_AS, &room_before_), "getrlimit");
        pthread_attr_t large;
        check(::pthread_attr_init(&large), "pthread_attr_init");
        check(::pthread_attr_setstacksize(&large, stack_bytes), "pthread_attr_setstacksize");
        check(::pthread_setattr_default_np(&large), "pthread_setattr_default_np");
        check(::pthread_attr_destroy(&large), "pthread_attr_destroy");
        rlimit room = room_before_;
        room.rlim_cur = bytes_in_use() + count * stack_bytes + stack_bytes / 2;
        check(::setrlimit(RLIMIT_AS, &room), "setrlimit");
    }
    ~ThreadLimit() {
        ::setrlimit(RLIMIT_AS, &room_before_);
        ::pthread_setattr_default_np(&before_);
        ::pthread_attr_destroy(&before_);
    }
    ThreadLimit(const ThreadLimit&) = delete;
    ThreadLimit& operator=(const ThreadLimit&) = delete;

private:
    /// What else is taken meanwhile is small beside half of it.
    static constexpr std::size_t stack_bytes = std::size_t{4} << 30;

    static void check(int outcome, const char* what) {
        if (outcome != 0) throw std::runtime_error(what);
    }
    static std::size_t bytes_in_use() {
        std::size_t pages = 0;
        std::ifstream("/proc/self/statm") >> pages;
        return pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    }

    pthread_attr_t before_{};
    rlimit room_before_{};
};

} // namespace everpool::tests
