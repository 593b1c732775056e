// How long threads of one name have run, with real processes.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/named_threads.hpp"
#include "support/busy_processes.hpp"
#include "support/catch.hpp"
#include "support/processors.hpp"

#include <chrono>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

TEST_CASE("how long threads have run is counted by their name, and begun anew") {
    if (!tells_run_times()) return;
    const Shell shell(compute_loop_script);
    io::NamedThreads loops;
    CHECK(loops.ran() == 0ns);
    CHECK(is_so_in_the_end([&] {
        loops = io::NamedThreads(shell.pid(), "DedicatedWorker");
        return is_so_in_the_end([&] { return loops.ran() > 0ns; }, 50ms);
    }));
    CHECK(is_so_in_the_end([&] { return loops.ran() >= 500ms; }));
    // The kernel brings the time of a thread that runs up to date at its next tick.
    const auto begin = std::chrono::steady_clock::now();
    loops.start_over();
    const auto ran = loops.ran();
    CHECK(ran <= std::chrono::steady_clock::now() - begin + 50ms);
    CHECK(io::NamedThreads(shell.pid(), "nobody").ran() == 0ns);

    io::NamedThreads others(shell.pid(), "DedicatedWorker");
    others.leave_out(loops);
    CHECK(is_so_in_the_end([&] { return loops.ran() >= 100ms; }));
    CHECK(others.ran() == 0ns);
}
