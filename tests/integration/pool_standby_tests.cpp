// Several real browsers at once: a standby that takes over, rivals of which one wins, and a fleet
// of which none starts.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/recovery_manager.hpp"
#include "io/browser.hpp"
#include "support/browser_rig.hpp"
#include "support/catch.hpp"
#include "support/module_file.hpp"
#include "support/pool_under_test.hpp"
#include "support/temporary_directory.hpp"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using Kind = PoolEvent::Kind;

namespace {

/// Lets the pool work until this is so; fails the test if it does not become so.
template <class Condition>
void work_until(PoolUnderTest& test, Condition is_so) {
    const auto limit = std::chrono::steady_clock::now() + 60s;
    while (!is_so() && std::chrono::steady_clock::now() < limit) (void)test.run(Request::echo({}));
    REQUIRE(is_so());
}

/// As many active workers as there were are ready, and nothing runs anywhere else.
bool is_settled(const ResourcePoolSnapshot& snapshot, std::size_t active) {
    std::size_t ready = 0, others = 0;
    for (const WorkerSnapshot& worker : snapshot.workers) {
        const bool is_active = worker.role == WorkerRole::active;
        ready += is_active && worker.state == WorkerState::ready && worker.process_id != 0;
        others += !is_active && (worker.process_id != 0 || worker.role == WorkerRole::rival ||
                                 worker.state == WorkerState::stopping);
    }
    return ready == active && others == 0;
}

ResourcePoolConfig two_in_parallel() {
    ResourcePoolConfig config;
    config.browsers.at(0).count = 2;
    config.fault_tolerance.recovery_strategy = RecoveryStrategy::parallel;
    return config;
}

} // namespace

TEST_CASE("a standby of another engine has a killed worker's request before a browser can start") {
    const SlowModule slow;
    ResourcePoolConfig config;
    config.standby_count = 1;
    config.modules = {slow.spec()};
    PoolUnderTest test(config);
    test.start();
    const auto workers = test.pool().snapshot().workers;
    REQUIRE(workers.size() == 2);
    CHECK(workers[0].role == WorkerRole::active);
    CHECK(workers[1].role == WorkerRole::standby);
    CHECK(workers[1].browser == BrowserType::firefox);
    for (int i = 0; i < 8; ++i) // nothing of this is the standby's
        CHECK(test.run(Request::echo({})).result.worker == WorkerId{0});

    // Long enough that the kill comes before its end, however busy the machine is.
    auto pending = test.submit(SlowModule::request(3000, true));
    while (test.pool().snapshot().in_flight == 0) std::this_thread::yield();
    REQUIRE(::kill(workers[0].process_id, SIGKILL) == 0);
    const Answer answer = pending.get();
    INFO(answer.result.diagnostics.text());
    REQUIRE_FALSE(answer.ec);
    CHECK(answer.result.worker == WorkerId{1});
    CHECK(answer.result.browser == BrowserType::firefox);
    CHECK(answer.result.attempts == 2);
    WARN(
        "from the first try to the standby's answer, 3000 ms of work included: "
        << std::chrono::duration_cast<std::chrono::milliseconds>(answer.result.timing.total).count()
        << " ms");
    const auto is_back = [](const PoolEvent& event) {
        return event.kind == Kind::worker_ready && event.worker == WorkerId{0} &&
               event.generation > Generation{1};
    };
    const auto has_moved = [](const PoolEvent& event) {
        return event.kind == Kind::request_redispatched && event.worker == WorkerId{1};
    };
    bool was_moved_first = false;
    test.wait_until([&](const std::vector<PoolEvent>& events) {
        const auto back = std::ranges::find_if(events, is_back);
        was_moved_first = std::find_if(events.begin(), back, has_moved) != back;
        return back != events.end();
    });
    CHECK(was_moved_first);
    CHECK(test.run(Request::echo({})).result.worker == WorkerId{0});
    test.stop();
}

TEST_CASE("a killed browser is started anew and another one beside it; one of them stays") {
    PoolUnderTest test(two_in_parallel());
    test.start();
    const int victim = test.pool().snapshot().workers.at(0).process_id;
    REQUIRE(::kill(victim, SIGKILL) == 0);
    (void)test.wait_for([](const PoolEvent& event) { return event.kind == Kind::worker_lost; });
    work_until(test, [&] { return is_settled(test.pool().snapshot(), 2); });
    const RecoverySnapshot recoveries = RecoveryManager(test.pool()).snapshot();
    CHECK(recoveries.browsers_ready == 2);
    CHECK(recoveries.browsers_total == 2);
    REQUIRE_FALSE(recoveries.last.empty());
    const RecoveryRecord& record = recoveries.last.front();
    INFO(record.text());
    CHECK(record.outcome == RecoveryOutcome::recovered);
    CHECK(record.path.size() >= 2);
    CHECK(std::ranges::count(record.path, Errc::ok, &RecoveryStep::code) == 1);
    CHECK(test.run(Request::echo({})).ec == error_code{});
    std::set<std::string> homes;
    for (const WorkerSnapshot& worker : test.pool().snapshot().workers)
        if (worker.process_id != 0) homes.insert(home_of(worker.process_id));
    CHECK(homes.size() == 2);
    test.stop();
    for (const std::string& home : homes) CHECK_FALSE(std::filesystem::exists(home));
}

TEST_CASE("a page that hangs is contested by three; the winner stays, and nothing of the others") {
    PoolUnderTest test(two_in_parallel());
    test.start();
    const WorkerSnapshot victim = test.pool().snapshot().workers.at(0);
    const std::string home = home_of(victim.process_id);
    REQUIRE_FALSE(home.empty());
    const auto directory = std::filesystem::path(home).parent_path();
    const FaultOrder stop{.fault = Fault::renderer_stop, .worker = victim.worker};
    REQUIRE_FALSE(test.inject(stop).first);
    (void)test.wait_for([&](const PoolEvent& event) {
        return event.kind == Kind::worker_lost && event.worker == victim.worker;
    });
    std::set<WorkerId> started;
    work_until(test, [&] {
        for (const WorkerSnapshot& worker : test.pool().snapshot().workers)
            if (worker.role == WorkerRole::rival) started.insert(worker.worker);
        return is_settled(test.pool().snapshot(), 2);
    });
    CHECK_FALSE(started.empty());
    const auto last = RecoveryManager(test.pool()).snapshot().last;
    REQUIRE_FALSE(last.empty());
    INFO(last.front().text());
    CHECK(last.front().outcome == RecoveryOutcome::recovered);
    CHECK(last.front().path.size() >= 2);
    WARN(last.front().text());
    if (last.front().replaced_by != WorkerId::none()) // crash handlers go a little later
        work_until(test, [&] { return processes_of(directory).empty(); });
    test.stop();
}

TEST_CASE("browsers that exit at once are not started over and over, and start when put right") {
    error_code ec;
    Diagnostics why;
    const std::filesystem::path real = io::find_browser(BrowserSpec{}, ec, why);
    REQUIRE_FALSE(ec);
    const TemporaryDirectory directory;
    const auto path = std::filesystem::path(directory.path) / "browser";
    const auto install = [&](const std::string& line) {
        const std::filesystem::path fresh = path.string() + ".new";
        std::ofstream(fresh) << "#!/bin/sh\n" << line << '\n';
        std::filesystem::permissions(fresh, std::filesystem::perms::owner_all);
        std::filesystem::rename(fresh, path);
    };
    const std::string works = "exec '" + real.string() + "' \"$@\"";
    install(works);
    ResourcePoolConfig config;
    config.browsers.at(0).executable = path;
    config.browsers.at(0).count = 2;
    config.restart_delay_min = 20ms;
    config.restart_delay_max = 100ms;
    config.restart_count_max = 1000;
    // No other browser is to come to the rescue.
    config.fault_tolerance.recovery_strategy = RecoveryStrategy::reconnect;
    PoolUnderTest test(config);
    test.start();

    install("echo 'no such library' >&2; exit 127");
    for (const WorkerSnapshot& worker : test.pool().snapshot().workers)
        REQUIRE(::kill(worker.process_id, SIGKILL) == 0);
    const PoolEvent failing =
        test.wait_for([](const PoolEvent& event) { return event.kind == Kind::fleet_failing; });
    CHECK(failing.code == Errc::browser_launch_failed);
    INFO(failing.diagnostics.text());
    CHECK(failing.diagnostics.message.find("alone goes on trying") != std::string::npos);
    const auto shown = RecoveryManager(test.pool()).snapshot().fleet_failure;
    REQUIRE(shown);
    CHECK(shown->prober == failing.worker);
    // The other one has tried twice, or a third time at that very moment, and no more.
    Generation last{};
    for (int i = 0; i < 5; ++i)
        last = test.wait_for([&](const PoolEvent& event) {
                       return event.kind == Kind::worker_starting &&
                              event.worker == failing.worker && event.generation > last;
                   })
                   .generation;
    const WorkerId other{1 - failing.worker.value};
    CHECK(test.pool().snapshot().workers.at(other.value).state == WorkerState::waiting);
    CHECK(test.pool().snapshot().workers.at(other.value).generation <= Generation{4});

    install(works);
    (void)test.wait_for([](const PoolEvent& event) { return event.kind == Kind::fleet_recovered; });
    (void)test.wait_for([&](const PoolEvent& event) {
        return event.kind == Kind::worker_ready && event.worker == other &&
               event.generation > Generation{1};
    });
    CHECK_FALSE(RecoveryManager(test.pool()).snapshot().fleet_failure);
    CHECK(test.run(Request::echo({})).ec == error_code{});
    test.stop();
}
