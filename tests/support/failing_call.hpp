// Tests: a system call that the kernel refuses to one thread.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <cstddef>
#include <cstdint>
#include <thread>

namespace everpool::tests {

struct FailingCall {
    std::uint32_t number; ///< SYS_...
    std::uint16_t error;  ///< what it fails with
    /// Only if this argument has one of these bits set; 0: always.
    std::uint32_t argument{0}, bits{0};
};

/// Runs `function` on a thread of its own, to which the call fails; all the rest is real. A filter
/// stays with its thread, so the thread ends here. Do not check anything in `function`.
/// \return false if filters are forbidden here, and nothing was run.
template <class Function>
bool run_with_failing(const FailingCall& call, Function function) {
    bool is_run = false;
    std::thread([&] {
        const auto at = [](std::size_t offset) { return static_cast<std::uint32_t>(offset); };
        const std::uint8_t otherwise = call.bits == 0 ? 0 : 1; // instructions to pass over
        const std::size_t argument = offsetof(seccomp_data, args) + 8 * call.argument;
        sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at(offsetof(seccomp_data, nr))),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call.number, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at(argument)), // the lower half: little-endian
            BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, call.bits, 0, otherwise),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | call.error),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        const sock_fprog program{.len = sizeof filter / sizeof *filter, .filter = filter};
        is_run = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                 ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
        if (is_run) function();
    }).join();
    return is_run;
}

} // namespace everpool::tests
