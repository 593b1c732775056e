// Everpool doors, Linux: a child process in a process group of its own.
// SPDX-License-Identifier: BSL-1.0
//
// Started by posix_spawn, which shares the parent's memory until exec: a plain fork of a host with
// a gigabyte in use was measured at 34 ms. Its exit is an event (pidfd). The whole group is killed
// before its leader is reaped, because until then the leader's number, which is the group's, cannot
// be taken by anybody else.
//
// Threading: one strand. Callbacks never come from inside start().
#pragma once

#include "everpool/error.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include <array>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::io {

struct ChildOptions {
    std::filesystem::path executable;
    std::vector<std::string> arguments;   ///< without the executable itself
    std::vector<std::string> environment; ///< "NAME=value"; nothing is inherited
    bool has_control_pipe{false};         ///< the child reads descriptor 3 and writes descriptor 4
};

class ChildProcess : public std::enable_shared_from_this<ChildProcess> {
public:
    /// What the child writes to stdout and stderr, in pieces as they come.
    using OutputHandler = std::function<void(std::string_view)>;
    /// Called once when the leader has exited, before it is reaped...
    using BeforeReapHandler = std::function<void()>;
    /// ...and after, with its wait status.
    using ExitHandler = std::function<void(int)>;

    explicit ChildProcess(boost::asio::any_io_executor strand);
    ~ChildProcess(); ///< kills the group and reaps the leader
    ChildProcess(const ChildProcess&) = delete;
    ChildProcess& operator=(const ChildProcess&) = delete;

    error_code start(const ChildOptions& options, OutputHandler output,
                     BeforeReapHandler before_reap, ExitHandler exited);

    /// SIGKILL for the whole group; nothing if it has been reaped.
    void kill_group() noexcept;
    /// No callbacks any more, and the group is killed and reaped now.
    void abandon() noexcept;

    [[nodiscard]] int process_id() const noexcept { return pid_; }

    using CommandSocket = boost::asio::local::stream_protocol::socket;
    /// Our ends of the control pipe. \pre started with has_control_pipe
    [[nodiscard]] CommandSocket& control_in() noexcept { return to_child_; }
    [[nodiscard]] boost::asio::posix::stream_descriptor& control_out() noexcept {
        return from_child_;
    }

    /// The last 4 KiB of output.
    [[nodiscard]] const std::string& last_output() const noexcept { return tail_; }

private:
    void read_output();
    void drain_output();
    void take_output(std::string_view piece);
    void await_exit();
    int reap() noexcept;

    boost::asio::posix::stream_descriptor pidfd_, output_, from_child_;
    CommandSocket to_child_;
    OutputHandler on_output_;
    BeforeReapHandler before_reap_;
    ExitHandler on_exit_;
    std::array<char, 4096> buffer_{};
    std::string tail_;
    int pid_{0};
};

} // namespace everpool::io
