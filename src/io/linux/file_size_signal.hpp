// Everpool doors, Linux: the signal of a limit of file sizes (ulimit -f).
// SPDX-License-Identifier: BSL-1.0
//
// Who writes beyond that limit gets EFBIG, which is as good as a full disk, and SIGXFSZ besides,
// the default of which ends the process. What a signal does belongs to the host and not to a
// library: so it is held back from the thread that writes, and taken away if it came.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <time.h>

namespace everpool::io {

/// Is there such a limit for this process now?
inline bool has_file_size_limit() noexcept {
    rlimit limit{};
    return ::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur != RLIM_INFINITY;
}

/// Holds the signal back from this thread while it lives. May be nested.
class HeldFileSizeSignal {
public:
    HeldFileSizeSignal() noexcept {
        sigemptyset(&signal_);
        sigaddset(&signal_, SIGXFSZ);
        ::pthread_sigmask(SIG_BLOCK, &signal_, &before_);
        // Then the host holds it back itself, and has one already: that is not ours to take.
        sigset_t pending;
        was_pending_ = sigismember(&before_, SIGXFSZ) == 1 && ::sigpending(&pending) == 0 &&
                       sigismember(&pending, SIGXFSZ) == 1;
    }
    HeldFileSizeSignal(const HeldFileSizeSignal&) = delete;
    HeldFileSizeSignal& operator=(const HeldFileSizeSignal&) = delete;
    ~HeldFileSizeSignal() {
        const timespec at_once{};
        if (!was_pending_) (void)::sigtimedwait(&signal_, nullptr, &at_once);
        ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    }

private:
    sigset_t signal_, before_;
    bool was_pending_{false};
};

} // namespace everpool::io
