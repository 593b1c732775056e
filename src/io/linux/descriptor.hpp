// Everpool doors, Linux: descriptors that close themselves.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace everpool::io {

/// What the last system call of this thread said.
inline error_code last_error() { return {errno, boost::system::system_category()}; }

/// Closes itself; below zero: none. Move-only.
class Descriptor {
public:
    Descriptor() = default;
    explicit Descriptor(int fd) noexcept : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        close();
        fd_ = std::exchange(other.fd_, -1);
        return *this;
    }
    ~Descriptor() { close(); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
    int release() noexcept { return std::exchange(fd_, -1); }
    void close() noexcept {
        if (is_open()) ::close(release());
    }

private:
    int fd_{-1};
};

/// Whether there is something to read; of a pidfd: whether its process has died. To be asked when
/// a wait has ended, as Asio may end the wait for a new descriptor by an event of a closed one.
inline bool is_readable(int fd) noexcept {
    pollfd one{fd, POLLIN, 0};
    return ::poll(&one, 1, 0) != 0;
}

struct Pipe {
    Descriptor read, write;

    error_code open() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) return last_error();
        read = Descriptor(ends[0]);
        write = Descriptor(ends[1]);
        return {};
    }
};

} // namespace everpool::io
