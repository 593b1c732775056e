// For how long a compute thread has run that waits for a processor, with real processes.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser_spec.hpp"
#include "everpool/core/event.hpp"
#include "everpool/time.hpp"
#include "facade/starvation_watch.hpp"
#include "io/linux/named_threads.hpp"
#include "support/busy_processes.hpp"
#include "support/catch.hpp"
#include "support/processors.hpp"

#include <boost/asio/io_context.hpp>

#include <chrono>
#include <cstdint>
#include <optional>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

/// A loop under the name of a compute thread, and who looks at it.
struct WatchedLoop {
    const Shell shell{compute_loop_script, true};
    std::optional<Rival> rival;
    boost::asio::io_context context;
    facade::StarvationWatch watch{context.get_executor()};

    /// Until it has run for 200 ms more; from then on it gets next to nothing.
    void run_for_long() {
        rival.reset();
        io::NamedThreads clock;
        REQUIRE(is_so_in_the_end([&] {
            if (clock.ran() == 0ns) clock = io::NamedThreads(shell.pid(), "DedicatedWorker");
            return clock.ran() >= 200ms;
        }));
        rival.emplace();
    }
    /// Empty: it was not told.
    std::optional<core::ThreadsSeen> look() {
        std::optional<core::ThreadsSeen> out;
        watch.look([&out](const core::ThreadsSeen& seen) { out = seen; });
        context.restart();
        context.run();
        return out;
    }
    /// In the end.
    template <class Condition>
    bool sees(Condition condition) {
        return is_so_in_the_end([&] {
            const auto seen = look();
            return seen && condition(*seen);
        });
    }
    /// While it waits for a processor.
    bool has_run_long() {
        return sees([](const core::ThreadsSeen& seen) {
            return seen.does_compute_wait && seen.compute_ran >= 200ms;
        });
    }
    bool has_begun_anew() {
        return sees([](const core::ThreadsSeen& seen) {
            return seen.does_compute_wait && seen.compute_ran < 200ms;
        });
    }
};

} // namespace

TEST_CASE("a compute thread's time is counted since its oldest unanswered ping") {
    if (!tells_run_times()) return;
    WatchedLoop loop;
    CHECK_FALSE(loop.look()); // nobody is watched
    loop.run_for_long();
    loop.watch.watch(loop.shell.pid(), BrowserEngine::chromium);
    loop.watch.on_ping(1);
    CHECK(loop.has_begun_anew());
    loop.run_for_long();
    loop.watch.on_ping(2);
    loop.watch.on_ping(3);
    CHECK(loop.has_run_long());
    SECTION("an older one is answered") {
        loop.watch.on_pong(2);
        CHECK(loop.has_begun_anew());
        loop.run_for_long();
        loop.watch.on_ping(4);
        CHECK(loop.has_run_long());
    }
    SECTION("all are answered") {
        loop.watch.on_pong(3);
        loop.watch.on_ping(4);
        CHECK(loop.has_begun_anew());
    }
    SECTION("answers to what was not asked, or was answered, do not count") {
        loop.watch.on_pong(4);
        loop.watch.on_pong(0);
        CHECK(loop.has_run_long());
    }
    SECTION("another sign of life answers as well, if later") {
        loop.watch.on_sign_of_life();
        loop.watch.on_ping(4);
        CHECK(loop.has_begun_anew());
    }
    SECTION("a new session counts from 1, whatever number the last one came to") {
        loop.watch.start_over();
        loop.watch.on_ping(1);
        CHECK(loop.has_begun_anew());
        loop.run_for_long();
        for (const std::uint64_t ping : {2, 3, 4}) loop.watch.on_ping(ping);
        CHECK(loop.has_run_long());
    }
}

TEST_CASE("that nobody waits for a processor is told as well") {
    if (!tells_run_times()) return;
    WatchedLoop loop;
    loop.run_for_long();
    loop.watch.watch(loop.shell.pid(), BrowserEngine::chromium);
    loop.watch.on_ping(1);
    loop.rival.reset();
    CHECK(loop.sees([](const core::ThreadsSeen& seen) {
        return !seen.does_any_wait && !seen.does_compute_wait && seen.compute_ran >= 200ms;
    }));
}

TEST_CASE("a compute thread that was given up is not counted for the next") {
    if (!tells_run_times()) return;
    WatchedLoop loop;
    loop.run_for_long();
    const auto begin_and_run = [&loop] {
        loop.watch.watch(loop.shell.pid(), BrowserEngine::chromium);
        loop.watch.on_ping(1);
        loop.run_for_long();
    };
    begin_and_run();
    CHECK(loop.has_run_long());
    begin_and_run();
    CHECK(loop.has_begun_anew());
}
