// Threads that get no processor, told from those that hang, with real processes.
// SPDX-License-Identifier: BSL-1.0
#include "facade/starvation_watch.hpp"
#include "io/linux/named_threads.hpp"
#include "io/linux/proc_file.hpp"
#include "io/linux/waiting_threads.hpp"
#include "support/catch.hpp"
#include "support/processors.hpp"

#include <boost/asio/io_context.hpp>

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

using namespace everpool;
using namespace std::chrono_literals;

namespace {

void pin_to_first_processor() {
    const cpu_set_t first = tests::first_processor();
    ::sched_setaffinity(0, sizeof first, &first);
}

/// A shell with this script in a group of its own, on the first processor.
class Shell {
public:
    /// `is_last`: it runs when nobody else on that processor wants to.
    explicit Shell(const char* script, bool is_last = false) {
        pid_ = ::fork();
        REQUIRE(pid_ >= 0);
        if (pid_ == 0) {
            ::setpgid(0, 0);
            pin_to_first_processor();
            const sched_param none{};
            if (is_last) ::sched_setscheduler(0, SCHED_IDLE, &none);
            ::execl("/bin/sh", "sh", "-c", script, nullptr);
            ::_exit(127);
        }
        ::setpgid(pid_, pid_); // whichever of both is first
    }
    ~Shell() {
        ::kill(-pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;

    [[nodiscard]] int pid() const noexcept { return pid_; }
    [[nodiscard]] char state() const { return io::read_stat(pid_).substr(0, 1)[0]; }

private:
    pid_t pid_{};
};

/// Keeps the first processor busy.
class Rival {
public:
    ~Rival() {
        is_over_ = true;
        thread_.join();
    }

private:
    std::atomic<bool> is_over_{false};
    std::thread thread_{[this] {
        pin_to_first_processor();
        while (!is_over_) {}
    }};
};

/// Of 40 ms.
bool has_waiting_threads(int group) {
    io::WaitingThreads threads(group);
    std::this_thread::sleep_for(40ms); // what is measured, and no synchronisation
    threads.look_again();
    return threads.are_there_any();
}

bool is_so_in_the_end(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + 30s;
    while (std::chrono::steady_clock::now() < limit)
        if (condition()) return true;
    return false;
}

constexpr const char* loop = "while :; do :; done";

/// Its second thread loops, under the name of Chromium's compute threads.
constexpr const char* compute_loop =
    "exec python3 -c 'import ctypes, threading\n"
    "def loop():\n"
    "    ctypes.CDLL(None).prctl(15, b\"DedicatedWorker\", 0, 0, 0)\n"
    "    while True: pass\n"
    "threading.Thread(target=loop).start()'";

} // namespace

TEST_CASE("a thread that is ready and gets no processor waits") {
    if (!tests::tells_run_times()) return;
    const Rival rival;
    const Shell shell(loop, true);
    CHECK(is_so_in_the_end([&] { return has_waiting_threads(shell.pid()); }));
}

TEST_CASE("a thread that loops on a processor of its own does not wait") {
    if (!tests::tells_run_times()) return;
    const Shell shell(loop);
    CHECK(is_so_in_the_end([&] {
        return io::WaitingThreads(shell.pid()).are_there_any() && !has_waiting_threads(shell.pid());
    }));
}

TEST_CASE("who sleeps or is stopped does not wait") {
    const Shell sleeper("exec sleep 3600");
    CHECK(is_so_in_the_end([&] {
        return sleeper.state() == 'S' && !io::WaitingThreads(sleeper.pid()).are_there_any();
    }));
    const Shell looper(loop);
    ::kill(looper.pid(), SIGSTOP);
    REQUIRE(is_so_in_the_end([&] { return looper.state() == 'T'; }));
    CHECK_FALSE(io::WaitingThreads(looper.pid()).are_there_any());
}

TEST_CASE("of the other threads of a process only those that are named are looked at") {
    if (!tests::tells_run_times()) return;
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

TEST_CASE("how long threads have run is counted by their name, and begun anew") {
    if (!tests::tells_run_times()) return;
    const Shell shell(compute_loop);
    io::NamedThreads loops;
    CHECK(loops.ran() == 0ns);
    CHECK(is_so_in_the_end([&] {
        loops = io::NamedThreads(shell.pid(), "DedicatedWorker");
        std::this_thread::sleep_for(1ms); // what is measured, and no synchronisation
        return loops.ran() > 0ns;
    }));
    CHECK(is_so_in_the_end([&] { return loops.ran() >= 50ms; }));
    const auto begin = std::chrono::steady_clock::now();
    loops.start_over();
    const auto ran = loops.ran();
    CHECK(ran <= std::chrono::steady_clock::now() - begin);
    CHECK(io::NamedThreads(shell.pid(), "nobody").ran() == 0ns);
}

TEST_CASE("a compute thread's time is counted since the oldest question that it has not answered") {
    if (!tests::tells_run_times()) return;
    std::optional<Rival> rival(std::in_place);
    const Shell shell(compute_loop, true);
    boost::asio::io_context context;
    facade::StarvationWatch watch(context.get_executor());
    const auto look = [&] {
        std::optional<Duration> out;
        watch.look([&out](bool is_compute, Duration ran) {
            if (is_compute) out = ran;
        });
        context.restart();
        context.run();
        return out;
    };
    CHECK_FALSE(look()); // nobody to look at
    CHECK(is_so_in_the_end([&] {
        watch.watch(shell.pid(), BrowserEngine::chromium); // it has its name after a while
        watch.on_ping(1);
        return look().has_value();
    }));
    const auto let_it_run = [&] {
        rival.reset();
        const io::NamedThreads clock(shell.pid(), "DedicatedWorker");
        REQUIRE(is_so_in_the_end([&] { return clock.ran() >= 200ms; }));
        rival.emplace();
    };
    const auto has_run_long = [&] { return look() >= 200ms; };
    const auto has_begun_anew = [&] {
        const auto ran = look();
        return ran && *ran < 200ms;
    };
    let_it_run();
    watch.on_ping(2);
    CHECK(is_so_in_the_end(has_run_long));
    watch.on_pong(1);
    CHECK(is_so_in_the_end(has_begun_anew));
    let_it_run();
    CHECK(is_so_in_the_end(has_run_long));
    watch.on_pong(2);
    watch.on_ping(3);
    CHECK(is_so_in_the_end(has_begun_anew));
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
