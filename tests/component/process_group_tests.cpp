// Who is in a process group, with real processes.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/child_process.hpp"
#include "io/linux/proc_file.hpp"
#include "io/linux/process_group.hpp"
#include "io/linux/process_watch.hpp"
#include "support/catch.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

using namespace everpool;

namespace {

/// A shell in a group of its own, with one child in the same group, both waiting.
class Family {
public:
    Family() {
        std::array<int, 2> ready{};
        REQUIRE(::pipe(ready.data()) == 0);
        leader = ::fork();
        REQUIRE(leader >= 0);
        if (leader == 0) {
            ::setpgid(0, 0);
            ::dup2(ready[1], 1);
            ::execl("/bin/sh", "sh", "-c", "sleep 1000 & echo $!; wait", nullptr);
            ::_exit(127);
        }
        ::close(ready[1]);
        char byte = 0;
        std::string number;
        while (::read(ready[0], &byte, 1) == 1 && byte != '\n') number += byte;
        ::close(ready[0]);
        child = std::stoi(number);
        child_fd = static_cast<int>(::syscall(SYS_pidfd_open, child, 0));
        REQUIRE(child_fd >= 0);
    }
    ~Family() {
        ::kill(-leader, SIGKILL);
        ::waitpid(leader, nullptr, 0);
        ::close(child_fd);
    }
    Family(const Family&) = delete;
    Family& operator=(const Family&) = delete;

    int leader{0}, child{0};
    int child_fd{-1};
};

/// The death of another's child cannot be waited for, but its pidfd becomes readable.
bool is_dead_in_time(int pidfd) {
    pollfd readable{pidfd, POLLIN, 0};
    return ::poll(&readable, 1, 10'000) == 1;
}

} // namespace

TEST_CASE("a group's members are its leader and the children that stayed in it") {
    const Family family;
    auto members = io::members_of_group(family.leader);
    std::ranges::sort(members);
    CHECK(members == std::vector<int>{std::min(family.leader, family.child),
                                      std::max(family.leader, family.child)});
    CHECK_FALSE(io::is_group_gone(family.leader));
    CHECK(std::ranges::count(io::members_of_group(::getpgrp()), ::getpid()) == 1);
}

TEST_CASE("a group is gone when all are dead, whether anybody has reaped them or not") {
    const Family family;
    CHECK_FALSE(io::is_group_gone(family.leader));
    ::kill(-family.leader, SIGKILL);
    siginfo_t info{};
    // Waits for the leader's death and leaves it unreaped: still a member, and dead.
    REQUIRE(::waitid(P_PID, static_cast<id_t>(family.leader), &info, WEXITED | WNOWAIT) == 0);
    CHECK(std::ranges::count(io::members_of_group(family.leader), family.leader) == 1);
    CHECK(is_dead_in_time(family.child_fd));
    CHECK(io::is_group_gone(family.leader));
    CHECK(std::ranges::count(io::members_of_group(family.leader), family.leader) == 1);
}

TEST_CASE("a group that never was is gone") { CHECK(io::is_group_gone(0x7ffffffe)); }

TEST_CASE("a command line is its arguments with spaces between, and empty for nobody") {
    const Family family;
    CHECK(io::command_line_of(family.leader) == "sh -c sleep 1000 & echo $!; wait");
    CHECK(io::command_line_of(0x7ffffffe).empty());
}

TEST_CASE("a process's parent is who has started it") {
    const Family family;
    CHECK(io::parent_of(family.child) == family.leader);
    CHECK(io::parent_of(family.leader) == ::getpid());
    CHECK(io::parent_of(-1) == 0);
}

TEST_CASE("the end of a process that is not our child is told, once") {
    const Family family;
    boost::asio::io_context context;
    int told = 0;
    const io::ProcessWatch watch(context.get_executor(), family.child, family.leader,
                                 [&] { ++told; });
    context.poll();
    CHECK(told == 0);
    ::kill(family.child, SIGKILL);
    context.restart();
    context.run_for(std::chrono::seconds{10});
    CHECK(told == 1);
}

TEST_CASE(
    "a process that is not of that group is told as gone, and a watch that ends tells nothing") {
    const Family family;
    boost::asio::io_context context;
    int told = 0;
    {
        const io::ProcessWatch stranger(context.get_executor(), ::getpid(), family.leader,
                                        [&] { ++told; });
        CHECK(told == 0); // never inside
        context.run_for(std::chrono::seconds{10});
        CHECK(told == 1);
    }
    {
        const io::ProcessWatch watch(context.get_executor(), family.child, family.leader,
                                     [&] { ++told; });
    }
    ::kill(family.child, SIGKILL);
    REQUIRE(is_dead_in_time(family.child_fd));
    context.restart();
    context.poll();
    CHECK(told == 1);
}

namespace {

/// Runs a script of Python, whose threads are those of the system, until it has printed "ready".
/// Descriptor 3 reads what tell() writes.
class PythonProcess {
public:
    explicit PythonProcess(const std::string& script) {
        REQUIRE_FALSE(child_->start(
            {"/usr/bin/env", {"python3", "-uc", script}, {"PATH=/usr/bin:/bin"}, true},
            [&](std::string_view piece) { output_ += piece; }, [] {},
            [&](int) { has_exited = true; }));
        run_until([&] { return output_ == "ready\n"; });
    }
    /// Looks again and again, for what /proc says is no event of the loop.
    template <class Condition>
    void run_until(Condition is_true) {
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{30};
        while (!is_true() && std::chrono::steady_clock::now() < end) {
            context.restart();
            context.run_one_for(std::chrono::milliseconds{10});
        }
        REQUIRE(is_true());
    }
    void tell() { boost::asio::write(child_->control_in(), boost::asio::buffer("\n", 1)); }
    void kill() { child_->kill_group(); }
    [[nodiscard]] int id() const { return child_->process_id(); }
    [[nodiscard]] std::ptrdiff_t thread_count() const {
        return std::distance(
            std::filesystem::directory_iterator("/proc/" + std::to_string(id()) + "/task"), {});
    }

    boost::asio::io_context context;
    bool has_exited{false};

private:
    std::shared_ptr<io::ChildProcess> child_ =
        std::make_shared<io::ChildProcess>(context.get_executor());
    std::string output_;
};

bool can_watch_threads() {
    const auto pidfd = ::syscall(SYS_pidfd_open, ::gettid(), O_EXCL);
    if (pidfd >= 0) ::close(static_cast<int>(pidfd));
    else std::puts("skipped: this kernel watches no threads");
    return pidfd >= 0;
}

} // namespace

TEST_CASE("the end of a thread is not that of its process") {
    PythonProcess python("import threading\n"
                         "threading.Thread(target=open(3).readline).start()\n"
                         "print('ready')\n"
                         "threading.Event().wait()\n");
    int told = 0;
    const io::ProcessWatch watch(python.context.get_executor(), python.id(), python.id(),
                                 [&] { ++told; });
    REQUIRE(python.thread_count() == 2);
    python.tell();
    python.run_until([&] { return python.thread_count() == 1; });
    python.context.poll(); // it has been heard of by now
    CHECK(told == 0);
    python.kill();
    python.run_until([&] { return told > 0 && python.has_exited; });
    CHECK(told == 1);
}

// The first thread is gone, as in a process that dies; that another one lives keeps the process
// from being over, as its memory does when it is given back.
TEST_CASE("a process that is dying is told of before it is over") {
    if (!can_watch_threads()) return;
    PythonProcess python("import ctypes, os, threading\n"
                         "threading.Thread(target=open(3).readline).start()\n"
                         "threading.Thread(target=threading.Event().wait).start()\n"
                         "print('ready')\n"
                         "exit = {'x86_64': 60, 'aarch64': 93}[os.uname().machine]\n"
                         "ctypes.CDLL(None).syscall(exit, 0)\n");
    int told = 0;
    const io::ProcessWatch watch(python.context.get_executor(), python.id(), python.id(),
                                 [&] { ++told; });
    python.run_until([&] { return io::is_dead(io::read_stat(python.id())); });
    CHECK(told == 0);
    python.tell();
    python.run_until([&] { return told > 0; });
    CHECK_FALSE(python.has_exited);
    python.kill();
    python.run_until([&] { return python.has_exited; });
    CHECK(told == 1);
}

TEST_CASE("how a process died is known before it is reaped") {
    const Family family;
    CHECK(io::wait_status_of(family.leader) == 0);
    ::kill(family.leader, SIGTERM);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(family.leader), &info, WEXITED | WNOWAIT) == 0);
    CHECK(io::wait_status_of(family.leader) == SIGTERM);
    CHECK(io::wait_status_of(-1) == 0);
}

TEST_CASE("the port that a process listens on is found, one that it is connected to is not") {
    CHECK(io::listening_port_of(-1) == 0);
    const Family family;
    CHECK(io::listening_port_of(family.leader) == 0);
    boost::asio::io_context context;
    boost::asio::ip::tcp::acceptor acceptor(context, {boost::asio::ip::address_v4::loopback(), 0});
    CHECK(io::listening_port_of(::getpid()) == acceptor.local_endpoint().port());
    boost::asio::ip::tcp::socket client(context);
    client.connect(acceptor.local_endpoint());
    acceptor.close();
    CHECK(io::listening_port_of(::getpid()) == 0);
}
