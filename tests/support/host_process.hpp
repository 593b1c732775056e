// Tests: a host program that is started, listened to and killed.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <signal.h>

#include <cstdio>
#include <stdexcept>
#include <string>
#include <vector>

namespace everpool::tests {

/// Its standard output is a pipe to us; what it has written before it was killed is still in there.
class HostProcess {
public:
    explicit HostProcess(const std::string& command) {
        // popen's shell execs the program, so that its pid is the host's.
        pipe_ = ::popen(("exec " + command + " & echo $!; wait").c_str(), "r");
        if (pipe_ == nullptr) throw std::runtime_error("cannot start " + command);
        pid_ = std::stoi(read_line());
    }
    ~HostProcess() {
        kill();
        if (pipe_ != nullptr) ::pclose(pipe_);
    }
    HostProcess(const HostProcess&) = delete;
    HostProcess& operator=(const HostProcess&) = delete;

    /// \throws std::runtime_error if it has ended
    std::string next_line() {
        std::string line = read_line();
        if (line.empty()) throw std::runtime_error("the host has ended");
        lines_.push_back(line);
        return line;
    }
    void wait_for(const std::string& line) {
        while (next_line() != line) {}
    }

    [[nodiscard]] int pid() const noexcept { return pid_; }

    /// It is dead when this returns, and what it had is free.
    void kill() {
        if (pid_ == 0) return;
        ::kill(pid_, SIGKILL);
        pid_ = 0;
        // The shell has the pipe open as well, until it has waited for the host.
        for (std::string line = read_line(); !line.empty(); line = read_line())
            lines_.push_back(line);
    }

    /// All that has been read of it; once it was killed, all that it has ever written. A line that
    /// it could not finish does not count.
    [[nodiscard]] const std::vector<std::string>& all_lines() const noexcept { return lines_; }

private:
    std::string read_line() {
        std::string line;
        for (int c = std::fgetc(pipe_); c != EOF; c = std::fgetc(pipe_)) {
            if (c == '\n') return line;
            line += static_cast<char>(c);
        }
        return {};
    }

    std::FILE* pipe_{nullptr};
    int pid_{0};
    std::vector<std::string> lines_;
};

} // namespace everpool::tests
