// Who is in a process group, with real processes.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/child_process.hpp"
#include "io/linux/process_group.hpp"
#include "io/linux/process_watch.hpp"
#include "support/catch.hpp"
#include "support/run_until.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>

#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <optional>
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

TEST_CASE("a thread's end is not its process's, whose wait status is known before it is reaped") {
    boost::asio::io_context context;
    const auto child = std::make_shared<io::ChildProcess>(context.get_executor());
    std::string output;
    std::optional<int> exited;
    REQUIRE_FALSE(child->start({"/usr/bin/env",
                                {"python3", "-uc",
                                 "import threading\n"
                                 "thread = threading.Thread(target=open(3).readline)\n"
                                 "thread.start()\n"
                                 "print('two')\n"
                                 "thread.join()\n"
                                 "print('one')\n"
                                 "threading.Event().wait()\n"},
                                {"PATH=/usr/bin:/bin"},
                                true},
                               [&](std::string_view piece) { output += piece; }, [] {},
                               [&](int status) { exited = status; }));
    const auto run_until = [&](auto is_true) {
        REQUIRE(tests::run_until(context, is_true, std::chrono::seconds{30}));
    };
    run_until([&] { return output == "two\n"; });
    int told = 0;
    const io::ProcessWatch watch(context.get_executor(), child->process_id(), child->process_id(),
                                 [&] { ++told; });
    boost::asio::write(child->control_in(), boost::asio::buffer("\n", 1));
    run_until([&] { return output == "two\none\n"; });
    CHECK(told == 0);
    child->kill_group();
    run_until([&] { return told > 0 && exited.has_value(); });
    CHECK(told == 1);

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
