// Everpool doors, Linux: tells when a process dies, without waiting until all of it is gone.
// SPDX-License-Identifier: BSL-1.0
//
// The exit of a process can be waited for only when it has given back its memory, which takes a
// browser 30 to 50 ms. Its threads end before, and from Linux 6.9 on the end of a thread can be
// waited for too; so two of them are watched beside the process.
#pragma once

#include <boost/asio/any_io_executor.hpp>

#include <functional>
#include <memory>

namespace everpool::io {

/// Watches one process of a process group until it dies or the watch ends. How it died its parent
/// can know (wait_status_of).
class ProcessWatch {
public:
    /// `died` is called once, not from inside; also if there is no such process in that group (any
    /// more). It may destroy the watch. Never called where there is no descriptor left to watch
    /// with.
    ProcessWatch(const boost::asio::any_io_executor& executor, int process, int group,
                 std::function<void()> died);

private:
    class Watch;
    std::shared_ptr<Watch> watch_;
};

/// Dead and not reaped, or on the way there, of which nothing comes back. False if there is none.
bool is_dying(int process);

/// The wait status of a process that is dying or dead; 0 if it exited with 0, lives, or is nobody's
/// business.
int wait_status_of(int process);

/// The port that this process listens on with TCP; 0 if there is none (yet).
unsigned short listening_port_of(int process);

} // namespace everpool::io
