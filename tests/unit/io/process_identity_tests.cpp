// A process that died is not taken for the one that was given its number.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/process_identity.hpp"

#include "support/catch.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace everpool;

TEST_CASE("a process that lives is recognised, by number and start") {
    const ProcessIdentity self = io::identity_of(::getpid());
    CHECK(self.pid == ::getpid());
    CHECK(self.start_time_ticks > 0);
    CHECK(io::exists(self));
    CHECK(self == io::identity_of(::getpid()));
}

TEST_CASE("a number that was given to another process does not bring the first one back") {
    ProcessIdentity earlier = io::identity_of(::getpid());
    earlier.start_time_ticks -= 1;
    CHECK_FALSE(io::exists(earlier));
}

TEST_CASE("a process that has ended is gone, reaped or not") {
    const pid_t child = ::fork();
    if (child == 0) {
        ::pause();
        ::_exit(0);
    }
    REQUIRE(child > 0);
    const ProcessIdentity identity = io::identity_of(child);
    CHECK(io::exists(identity));
    REQUIRE(::kill(child, SIGKILL) == 0);
    siginfo_t info{};
    REQUIRE(::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT) == 0);
    CHECK_FALSE(io::exists(identity)); // dead, and still in the table
    REQUIRE(::waitpid(child, nullptr, 0) == child);
    CHECK_FALSE(io::exists(identity));
}

TEST_CASE("no process has the number 0") {
    CHECK_FALSE(io::exists({}));
    CHECK(io::identity_of(0) == ProcessIdentity{});
}
