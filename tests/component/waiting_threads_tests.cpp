// Threads that get no processor, told from those that hang, with real processes.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/waiting_threads.hpp"
#include "support/busy_processes.hpp"
#include "support/catch.hpp"
#include "support/processors.hpp"

#include <signal.h>

#include <array>
#include <chrono>
#include <string>
#include <string_view>
#include <thread>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

/// Of 40 ms.
bool has_waiting_threads(int group) {
    io::WaitingThreads threads(group);
    std::this_thread::sleep_for(40ms); // what is measured, and no synchronisation
    threads.look_again();
    return threads.are_there_any();
}

} // namespace

TEST_CASE("a thread that is ready and gets no processor waits") {
    if (!tells_run_times()) return;
    const Rival rival;
    const Shell shell(loop_script, true);
    CHECK(is_so_in_the_end([&] { return has_waiting_threads(shell.pid()); }));
}

TEST_CASE("a thread that loops on a processor of its own does not wait") {
    if (!tells_run_times()) return;
    const Shell shell(loop_script);
    CHECK(is_so_in_the_end([&] {
        return io::WaitingThreads(shell.pid()).are_there_any() && !has_waiting_threads(shell.pid());
    }));
}

TEST_CASE("who sleeps or is stopped does not wait") {
    const Shell sleeper("exec sleep 3600");
    CHECK(is_so_in_the_end([&] {
        return sleeper.state() == 'S' && !io::WaitingThreads(sleeper.pid()).are_there_any();
    }));
    const Shell looper(loop_script);
    ::kill(looper.pid(), SIGSTOP);
    REQUIRE(is_so_in_the_end([&] { return looper.state() == 'T'; }));
    CHECK_FALSE(io::WaitingThreads(looper.pid()).are_there_any());
}

TEST_CASE("of the other threads of a process only those that are named are looked at") {
    if (!tells_run_times()) return;
    // python3 -c: its second thread loops, and is given a name.
    const Shell shell("exec python3 -c 'import ctypes, threading\n"
                      "def loop():\n"
                      "    ctypes.CDLL(None).prctl(15, b\"looper (1) R\", 0, 0, 0)\n"
                      "    while True: pass\n"
                      "threading.Thread(target=loop).start()'");
    constexpr std::array<std::string_view, 2> names{"nobody", "looper (1) R"};
    CHECK(is_so_in_the_end([&] {
        const io::WaitingThreads threads(shell.pid(), names);
        return threads.has("looper (1) R") && !threads.has("nobody") &&
               !io::WaitingThreads(shell.pid()).are_there_any();
    }));
}

TEST_CASE("nobody waits in a group that is not there") {
    CHECK_FALSE(io::WaitingThreads(0).are_there_any());
    CHECK_FALSE(io::WaitingThreads(-1).are_there_any());
    const int gone = [] {
        const Shell shell("exit 0");
        return shell.pid();
    }();
    CHECK_FALSE(has_waiting_threads(gone));
}
