// Processes that take processor time, or get none.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/linux/proc_file.hpp"
#include "support/catch.hpp"
#include "support/processors.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

namespace everpool::tests {

inline void pin_to_first_processor() {
    const cpu_set_t first = first_processor();
    ::sched_setaffinity(0, sizeof first, &first);
}

/// A shell with this script in a group of its own, on the first processor.
class Shell {
public:
    /// `is_last`: it runs when nobody else on that processor wants to.
    explicit Shell(const char* script, bool is_last = false) {
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::setpgid(0, 0);
            pin_to_first_processor();
            const sched_param none{};
            if (is_last) ::sched_setscheduler(0, SCHED_IDLE, &none);
            ::execl("/bin/sh", "sh", "-c", script, nullptr);
            ::_exit(127);
        }
        ::setpgid(pid_, pid_); // whichever of both is first
    }
    ~Shell() {
        ::kill(-pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;

    [[nodiscard]] int pid() const noexcept { return pid_; }
    [[nodiscard]] char state() const { return io::read_stat(pid_).substr(0, 1)[0]; }

private:
    pid_t pid_{};
};

/// Keeps the first processor busy.
class Rival {
public:
    ~Rival() {
        is_over_ = true;
        thread_.join();
    }

private:
    std::atomic<bool> is_over_{false};
    std::thread thread_{[this] {
        pin_to_first_processor();
        while (!is_over_) {}
    }};
};

/// Asked again and again, for this long at most.
inline bool is_so_in_the_end(const std::function<bool()>& condition,
                             std::chrono::milliseconds most = std::chrono::seconds(30)) {
    const auto limit = std::chrono::steady_clock::now() + most;
    while (std::chrono::steady_clock::now() < limit)
        if (condition()) return true;
    return false;
}

inline constexpr const char* loop_script = "while :; do :; done";

/// Its second thread loops, under the name of Chromium's compute threads.
inline constexpr const char* compute_loop_script =
    "exec python3 -c 'import ctypes, threading\n"
    "def loop():\n"
    "    ctypes.CDLL(None).prctl(15, b\"DedicatedWorker\", 0, 0, 0)\n"
    "    while True: pass\n"
    "threading.Thread(target=loop).start()'";

} // namespace everpool::tests
