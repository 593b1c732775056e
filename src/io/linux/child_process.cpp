// SPDX-License-Identifier: BSL-1.0
#include "io/linux/child_process.hpp"

#include "io/linux/descriptor.hpp"
#include "io/linux/spawn_setting.hpp"

#include <boost/asio/buffer.hpp>

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace everpool::io {

namespace {

constexpr std::size_t tail_bytes_max = 4096;
/// Above this no descriptor number collides with those that the child is to see.
constexpr int descriptor_min = 10;

/// For commands, because writing to a socket whose reader has died is an error, and to such a pipe
/// a SIGPIPE, which ends the host.
struct SocketPair {
    Descriptor ours, theirs;

    error_code open() {
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return last_error();
        ours = Descriptor(ends[0]);
        theirs = Descriptor(ends[1]);
        return {};
    }
};

/// The same file under a number that dup2 onto 0 to 4 cannot overwrite.
error_code move_up(Descriptor& descriptor) {
    const int moved = ::fcntl(descriptor.get(), F_DUPFD_CLOEXEC, descriptor_min);
    if (moved < 0) return last_error();
    descriptor = Descriptor(moved);
    return {};
}

} // namespace

ChildProcess::ChildProcess(boost::asio::any_io_executor strand)
    : pidfd_(strand), output_(strand), from_child_(strand), to_child_(strand) {}

ChildProcess::~ChildProcess() { abandon(); }

error_code ChildProcess::start(const ChildOptions& options, OutputHandler output,
                               BeforeReapHandler before_reap, ExitHandler exited) {
    Pipe out, answer;
    SocketPair command;
    const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    if (!null.is_open()) return last_error();
    if (error_code ec = out.open()) return ec;
    if (error_code ec = move_up(out.write)) return ec;
    SpawnSetting setting(ChildSession::of_host);
    setting.redirect(null, 0);
    setting.redirect(out.write, 1);
    setting.redirect(out.write, 2);
    if (options.has_control_pipe) {
        if (error_code ec = command.open()) return ec;
        if (error_code ec = answer.open()) return ec;
        if (error_code ec = move_up(command.theirs)) return ec;
        if (error_code ec = move_up(answer.write)) return ec;
        setting.redirect(command.theirs, 3);
        setting.redirect(answer.write, 4);
    }
    std::vector<std::string> arguments{options.executable.string()};
    arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
    pid_t pid = 0;
    if (error_code ec = setting.spawn(options.executable.c_str(), std::move(arguments),
                                      options.environment, pid))
        return ec;
    pid_ = pid;
    on_output_ = std::move(output);
    before_reap_ = std::move(before_reap);
    on_exit_ = std::move(exited);

    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0) {
        const error_code ec = last_error();
        abandon();
        return ec;
    }
    pidfd_.assign(pidfd);
    output_.assign(out.read.release());
    if (options.has_control_pipe) {
        to_child_.assign(boost::asio::local::stream_protocol(), command.ours.release());
        from_child_.assign(answer.read.release());
    }
    read_output();
    await_exit();
    return {};
}

void ChildProcess::read_output() {
    output_.async_read_some(boost::asio::buffer(buffer_),
                            [weak = weak_from_this()](error_code ec, std::size_t bytes) {
                                const auto self = weak.lock();
                                if (!self || ec) return;
                                self->take_output({self->buffer_.data(), bytes});
                                self->read_output();
                            });
}

void ChildProcess::take_output(std::string_view piece) {
    tail_ += piece;
    if (tail_.size() > tail_bytes_max) tail_.erase(0, tail_.size() - tail_bytes_max);
    if (on_output_) on_output_(piece);
}

/// The exit may be known before the last words have been read, which say why.
void ChildProcess::drain_output() {
    error_code ec;
    output_.non_blocking(true, ec);
    std::array<char, 4096> buffer;
    // Other processes of the group may hold the pipe and go on writing: a pipe's length at most.
    for (int round = 0; round < 16 && !ec; ++round) {
        const std::size_t bytes = output_.read_some(boost::asio::buffer(buffer), ec);
        if (bytes != 0) take_output({buffer.data(), bytes});
    }
}

void ChildProcess::await_exit() {
    pidfd_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                      [weak = weak_from_this()](error_code ec) {
                          const auto self = weak.lock();
                          if (!self || ec || self->pid_ == 0) return;
                          if (!is_readable(self->pidfd_.native_handle())) return self->await_exit();
                          self->drain_output();
                          if (self->before_reap_) self->before_reap_();
                          const int status = self->reap();
                          const auto exited = std::exchange(self->on_exit_, nullptr);
                          if (exited) exited(status);
                      });
}

void ChildProcess::kill_group() noexcept {
    if (pid_ != 0) ::kill(-pid_, SIGKILL);
}

int ChildProcess::reap() noexcept {
    kill_group();
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {}
    pid_ = 0;
    return status;
}

void ChildProcess::abandon() noexcept {
    if (pid_ != 0) {
        if (before_reap_) before_reap_();
        (void)reap();
    }
    on_output_ = nullptr;
    before_reap_ = nullptr;
    on_exit_ = nullptr;
    error_code ignored;
    if (to_child_.is_open()) to_child_.close(ignored);
    for (auto* descriptor : {&pidfd_, &output_, &from_child_})
        if (descriptor->is_open()) descriptor->close(ignored);
}

} // namespace everpool::io
