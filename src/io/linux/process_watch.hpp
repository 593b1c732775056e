// Everpool doors, Linux: tells when a process that is not our child has ended.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <functional>

namespace everpool::io {

/// Watches one process of a process group until it ends or the watch does. How it ended only its
/// parent can know.
class ProcessWatch {
public:
    /// `ended` is called once, not from inside; also if there is no such process in that group (any
    /// more). It may destroy the watch.
    ProcessWatch(const boost::asio::any_io_executor& executor, int process, int group,
                 std::function<void()> ended);

private:
    boost::asio::posix::stream_descriptor pidfd_;
};

/// The port that this process listens on with TCP; 0 if there is none (yet).
unsigned short listening_port_of(int process);

} // namespace everpool::io
