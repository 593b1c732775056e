// PoolCore: all workers fail together, and one worker fails again and again.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string_view>

using namespace everpool;
using namespace everpool::core;

namespace {

using What = Notice::What;

std::vector<Notice> notices(const Actions& actions, What what) {
    std::vector<Notice> out;
    for (const Notice& notice : all<Notice>(actions))
        if (notice.what == what) out.push_back(notice);
    return out;
}

/// Whose browser exits as soon as it is started, whenever one is.
struct BrokenMachine {
    explicit BrokenMachine(CoreConfig config) : rig(std::move(config)) {}

    Actions pass(Duration duration) {
        Actions seen;
        for (const TimePoint end = rig.now + duration; rig.now < end;) {
            const TimePoint next = std::min(end, std::max(rig.core.next_wakeup(), rig.now));
            note(rig.pass(next - rig.now), seen);
            if (rig.core.next_wakeup() == never) break;
        }
        return seen;
    }
    void note(const Actions& actions, Actions& seen) {
        seen.insert(seen.end(), actions.begin(), actions.end());
        for (const StartWorker& start : all<StartWorker>(actions))
            note(rig.send(WorkerStartFailed{start.worker, start.generation,
                                            Errc::browser_launch_failed, false}),
                 seen);
    }
    CoreRig rig;
};

std::size_t starts_of(const Actions& actions, WorkerId worker) {
    const auto starts = all<StartWorker>(actions);
    return static_cast<std::size_t>(std::ranges::count(starts, worker, &StartWorker::worker));
}

} // namespace

TEST_CASE("when no worker starts, one goes on trying and the others wait") {
    CoreConfig c = CoreRig::workers(4);
    c.restart_count_max = 1000;
    BrokenMachine machine(c);
    Actions seen;
    machine.note(machine.rig.send(Start{}), seen);
    const Actions early = machine.pass(5s);
    seen.insert(seen.end(), early.begin(), early.end());
    const auto failing = notices(seen, What::fleet_failing);
    REQUIRE(failing.size() == 1);
    CHECK(failing.front().worker == w0);
    CHECK(failing.front().code == Errc::browser_launch_failed);
    CHECK(failing.front().cause == LossCause::process_exited);

    const Actions later = machine.pass(10min);
    CHECK(starts_of(later, w0) > 30); // about every five seconds
    CHECK(starts_of(later, w0) < 400);
    for (const WorkerId other : {w1, w2, WorkerId{3}}) {
        CHECK(starts_of(later, other) == 0);
        CHECK(machine.rig.state(other) == WorkerState::waiting);
    }
}

TEST_CASE("when the one that tries is ready, the others start at once") {
    BrokenMachine machine(CoreRig::workers(3));
    Actions seen;
    machine.note(machine.rig.send(Start{}), seen);
    machine.pass(3s);
    CoreRig& rig = machine.rig;
    REQUIRE(rig.core.fleet_trouble());
    while (rig.state(w0) != WorkerState::starting) rig.pass(1s);
    const Actions actions = rig.make_ready(w0);
    CHECK(notices(actions, What::fleet_recovered).size() == 1);
    CHECK(starts_of(actions, w1) == 1);
    CHECK(starts_of(actions, w2) == 1);
    CHECK_FALSE(rig.core.fleet_trouble());
    rig.make_ready(w1);
    const Actions last = rig.make_ready(w2);
    CHECK(only<StartFinished>(last).code == Errc::ok);
}

TEST_CASE("losing all browsers at once slows nothing") {
    CoreRig rig(CoreRig::workers(3));
    rig.start();
    for (const WorkerId id : {w0, w1, w2})
        CHECK(only<StartWorker>(rig.lose(id, LossCause::process_exited)).worker == id);
    CHECK_FALSE(rig.core.fleet_trouble());
    for (const WorkerId id : {w0, w1, w2}) rig.make_ready(id);
    for (const WorkerId id : {w0, w1, w2}) CHECK(rig.state(id) == WorkerState::ready);
}

TEST_CASE("pages that do not load on any worker are a matter of the ladder, not of the fleet") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    for (int i = 0; i < 3; ++i) // reload_page, new_page, then restart_browser
        for (const WorkerId id : {w0, w1}) {
            if (rig.state(id) == WorkerState::waiting) rig.pass(1s);
            rig.lose(id, LossCause::page_crashed);
        }
    CHECK_FALSE(rig.core.fleet_trouble());
}

TEST_CASE("when the one that tries is given up, all are, for what they share") {
    CoreConfig c = CoreRig::workers(3);
    c.restart_count_max = 5;
    BrokenMachine machine(c);
    Actions seen;
    machine.note(machine.rig.send(Start{}), seen);
    const Actions rest = machine.pass(5min);
    seen.insert(seen.end(), rest.begin(), rest.end());
    const auto failed = notices(seen, What::worker_failed);
    REQUIRE(failed.size() == 3);
    for (const Notice& notice : failed) CHECK(notice.code == Errc::browser_launch_failed);
    CHECK(starts_of(seen, w0) == 5);
    CHECK(starts_of(seen, w1) == 2);
    CHECK(only<StartFinished>(seen).code == Errc::browser_launch_failed);
    CHECK(machine.rig.core.next_wakeup() == never);
    machine.rig.submit(1); // refused at once
    CHECK(machine.rig.core.queued() == 0);
}

TEST_CASE("when the one that tries fails for a reason of its own, the next one tries") {
    CoreConfig c = CoreRig::workers(2);
    c.restart_count_max = 1000;
    BrokenMachine machine(c);
    Actions seen;
    machine.note(machine.rig.send(Start{}), seen);
    machine.pass(3s);
    CoreRig& rig = machine.rig;
    REQUIRE(rig.core.fleet_trouble());
    while (rig.state(w0) != WorkerState::starting) rig.pass(1s);
    const Actions actions =
        rig.send(WorkerStartFailed{w0, rig.generation(w0), Errc::browser_not_found, true});
    CHECK(rig.state(w0) == WorkerState::failed);
    CHECK(starts_of(actions, w1) == 1);
    CHECK(rig.core.fleet_trouble()->prober == w1);
    REQUIRE(notices(actions, What::fleet_failing).size() == 1);
    CHECK(notices(actions, What::fleet_failing).front().worker == w1);
}

TEST_CASE("that the one that tries takes too long is a reason of its own where others exited") {
    CoreConfig c = CoreRig::workers(2);
    c.restart_count_max = 6;
    BrokenMachine machine(c);
    Actions seen;
    machine.note(machine.rig.send(Start{}), seen);
    CoreRig& rig = machine.rig;
    while (!rig.core.fleet_trouble()) machine.pass(1s);
    Actions actions;
    while (rig.state(w0) != WorkerState::failed) {
        while (rig.state(w0) != WorkerState::starting) rig.pass(1s);
        actions = rig.lose(w0, LossCause::start_timed_out);
    }
    CHECK(rig.state(w1) != WorkerState::failed);
    CHECK(starts_of(actions, w1) == 1);
    CHECK(rig.core.fleet_trouble()->prober == w1);
}

TEST_CASE("a stop ends the waiting of a fleet that fails") {
    BrokenMachine machine(CoreRig::workers(2));
    Actions seen;
    machine.note(machine.rig.send(Start{}), seen);
    machine.pass(3s);
    REQUIRE(machine.rig.core.fleet_trouble());
    CHECK(all<StopWorker>(machine.rig.send(Stop{})).size() == 2);
    CHECK(all<StartWorker>(machine.rig.pass(1h)).empty());
}

TEST_CASE("a page that dies of hunger again and again costs its browser, then its settings") {
    CoreConfig c = CoreRig::workers(1);
    c.restart_intensity = 3;
    CoreRig rig(c);
    rig.start();
    std::vector<RecoveryRung> rungs;
    for (int i = 0; i < 12; ++i) {
        rig.pass_alive(500ms);
        const auto at_once = all<StartWorker>(rig.lose(w0, LossCause::memory_exhausted));
        for (const StartWorker& start : at_once) rungs.push_back(start.rung);
        while (rig.state(w0) == WorkerState::waiting)
            for (const StartWorker& start : all<StartWorker>(rig.pass(100ms)))
                rungs.push_back(start.rung);
        rig.make_ready(w0);
    }
    using enum RecoveryRung;
    // Chromium has one set of settings against hunger. Then it is as high as it goes, with them.
    CHECK(rungs == std::vector{reload_page, reload_page, reload_page, restart_browser,
                               restart_browser, restart_browser, restart_browser, restart_adjusted,
                               restart_browser, restart_browser, restart_browser, restart_browser});
    rig.pass_alive(60s);
    CHECK(only<StartWorker>(rig.lose(w0, LossCause::memory_exhausted)).rung == reload_page);
}

TEST_CASE("escalation goes no further than the strategy") {
    CoreConfig c = CoreRig::workers(1);
    c.restart_intensity = 1;
    c.restart_delay_min = c.restart_delay_max = 1ms;
    c.strategy = make_recovery_strategy(RecoveryStrategy::reconnect);
    CoreRig rig(c);
    rig.start();
    for (int i = 0; i < 8; ++i) {
        rig.lose(w0, LossCause::page_crashed);
        rig.pass(2ms);
        REQUIRE(rig.state(w0) == WorkerState::starting);
        rig.make_ready(w0);
    }
    rig.lose(w0, LossCause::page_crashed);
    const auto path = all<StartWorker>(rig.pass(2ms));
    REQUIRE(path.size() == 1);
    CHECK(path.front().rung == RecoveryRung::restart_browser);
}

TEST_CASE("a strategy that throws has nothing to offer, and the worker comes back without it") {
    class Broken final : public BrowserRecoveryStrategy {
        [[nodiscard]] std::string_view name() const noexcept override { return "broken"; }
        [[nodiscard]] std::optional<RecoveryRung> next(const RecoverySituation&) const override {
            throw std::runtime_error("a bug of the host's");
        }
    };
    CoreConfig c = CoreRig::workers(1);
    c.strategy = std::make_shared<Broken>();
    CoreRig rig(c);
    rig.start();
    CHECK(only<StartWorker>(rig.lose(w0, LossCause::page_crashed)).rung ==
          RecoveryRung::reload_page);
    rig.make_ready(w0);
    CHECK(rig.state(w0) == WorkerState::ready);
}
