// PoolCore: the strategy parallel, by which several slots try to be ready first.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

#include <algorithm>

using namespace everpool;
using namespace everpool::core;

namespace {

using What = Notice::What;

constexpr WorkerId r1{2}, r2{3}; ///< of two workers, the first and the second dormant slot

/// Two chromium workers that may turn to Firefox, and two dormant slots.
CoreConfig parallel(std::uint32_t models = 0) {
    CoreConfig config = CoreRig::workers(2);
    config.worker_alternatives.assign(2, {{.type = BrowserType::firefox}});
    config.rival_count = 2;
    config.model_count = models;
    config.strategy = make_recovery_strategy(RecoveryStrategy::parallel);
    return config;
}

struct Contest : CoreRig {
    explicit Contest(CoreConfig config = parallel()) : CoreRig(std::move(config)) {
        send(Start{});
        make_ready(w0);
        make_ready(w1);
    }
    [[nodiscard]] WorkerRole role(WorkerId worker) const { return core.worker(worker).role; }
    Actions stopped(WorkerId worker) { return send(WorkerStopped{worker, generation(worker)}); }
};

} // namespace

TEST_CASE("nothing is started in a dormant slot before a worker fails") {
    CoreRig rig(parallel());
    const auto starts = all<StartWorker>(rig.send(Start{}));
    REQUIRE(starts.size() == 2);
    rig.make_ready(w0);
    CHECK(only<StartFinished>(rig.make_ready(w1)).code == Errc::ok);
    CHECK(rig.core.worker(r1).role == WorkerRole::dormant);
    CHECK(rig.state(r1) == WorkerState::idle);
}

TEST_CASE("a page that hangs is replaced, its browser started anew, and another one, all at once") {
    Contest rig;
    const auto starts = all<StartWorker>(rig.lose(w0, LossCause::page_hung));
    REQUIRE(starts.size() == 3);
    CHECK(starts[0].worker == w0);
    CHECK(starts[0].rung == RecoveryRung::new_page);
    CHECK(starts[0].like.is_none());
    CHECK(starts[1] ==
          StartWorker{r1, {1}, RecoveryRung::restart_browser, {}, LossCause::page_hung, w0});
    CHECK(
        starts[2] ==
        StartWorker{
            r2, {1}, RecoveryRung::other_type, WorkerForm{.browser = 1}, LossCause::page_hung, w0});
    CHECK(rig.role(w0) == WorkerRole::active);
    CHECK(rig.role(r1) == WorkerRole::rival);
}

TEST_CASE("a browser that is gone is started anew by the worker itself, another one by a rival") {
    Contest rig;
    const auto starts = all<StartWorker>(rig.lose(w0, LossCause::process_exited));
    REQUIRE(starts.size() == 2);
    CHECK(starts[0].worker == w0);
    CHECK(starts[1].worker == r1);
    CHECK(starts[1].rung == RecoveryRung::other_type);
}

TEST_CASE("where there is no other browser, a rival is started on another machine") {
    CoreConfig config = parallel();
    config.worker_alternatives.assign(2, {{.type = BrowserType::chromium, .machine = 1}});
    Contest rig(std::move(config));
    const auto starts = all<StartWorker>(rig.lose(w0, LossCause::process_exited));
    REQUIRE(starts.size() == 2);
    CHECK(starts[1].rung == RecoveryRung::other_machine);
    CHECK(starts[1].form == WorkerForm{.browser = 1});
    CHECK(starts[1].like == w0);
}

TEST_CASE("the worker that is back first ends the contest, and nothing of its rivals is left") {
    Contest rig;
    rig.lose(w0, LossCause::page_hung);
    const Actions actions = rig.make_ready(w0);
    CHECK(all<StopWorker>(actions) == std::vector<StopWorker>{{r1, {1}, false}, {r2, {1}, false}});
    CHECK(rig.role(r1) == WorkerRole::dormant);
    CHECK(rig.send(WorkerConnected{r1, {1}}).empty()); // too late
    rig.stopped(r1);
    rig.stopped(r2);
    CHECK(rig.state(r1) == WorkerState::stopped);
    CHECK(all<StartWorker>(rig.pass_alive(1min)).empty());
}

TEST_CASE("the rival that is ready first is what the worker was, and that is dormant") {
    Contest rig;
    rig.submit({.id = {1}, .preferred_browsers = pack_preferences({BrowserType::firefox})});
    rig.lose(w0, LossCause::page_hung);
    const Actions actions = rig.make_ready(r2);
    CHECK(has(actions, Notice{.what = What::worker_replaced,
                              .worker = w0,
                              .generation = {2},
                              .other = r2,
                              .rung = RecoveryRung::other_type}));
    CHECK(all<StopWorker>(actions) == std::vector<StopWorker>{{r1, {1}, false}, {w0, {2}, false}});
    CHECK(rig.role(r2) == WorkerRole::active);
    CHECK(rig.role(w0) == WorkerRole::dormant);
    CHECK(rig.role(r1) == WorkerRole::dormant);
    const auto sent = only<Dispatch>(
        rig.submit({.id = {2}, .preferred_browsers = pack_preferences({BrowserType::firefox})}));
    CHECK(sent.worker == r2);
    CHECK(rig.lose(w0, LossCause::process_exited).empty()); // who cares
}

TEST_CASE("a rival wins only with every model that the worker served") {
    Contest rig(parallel(2));
    rig.lose(w0, LossCause::page_hung);
    rig.send(WorkerConnected{r1, {1}});
    rig.send(ModelLoaded{r1, {1}, m0});
    rig.send(ModelWarmedUp{r1, {1}, m0});
    const Actions actions = rig.send(ModelRejected{r1, {1}, m1, Errc::provider_unavailable});
    CHECK(only<StopWorker>(actions).worker == r1);
    CHECK(rig.role(r1) == WorkerRole::dormant);
    CHECK(rig.role(w0) == WorkerRole::active);
    rig.make_ready(r2);
    CHECK(rig.role(r2) == WorkerRole::active);
}

TEST_CASE("what was dormant takes part again once it has stopped, in the place of another worker") {
    Contest rig;
    rig.lose(w0, LossCause::page_hung);
    rig.make_ready(r1);                                                      // 0 and r2 are stopped
    CHECK(all<StartWorker>(rig.lose(w1, LossCause::page_hung)).size() == 1); // nobody is free yet
    rig.make_ready(w1);
    rig.stopped(w0);
    rig.stopped(r2);
    rig.pass_alive(rig.core.config().restart_healthy_after);
    const auto starts = all<StartWorker>(rig.lose(r1, LossCause::page_hung));
    REQUIRE(starts.size() == 3);
    CHECK(starts[1].worker == w0);
    CHECK(starts[1].generation == Generation{3});
    CHECK(starts[1].like == r1);
    CHECK(starts[2].worker == r2);
}

TEST_CASE("a slot whose browser is never said to be closed is free again after a while") {
    Contest rig;
    rig.lose(w0, LossCause::page_hung);
    rig.make_ready(w0);
    const Actions actions = rig.pass_alive(rig.core.config().stop_timeout);
    CHECK(all<StopWorker>(actions) == std::vector<StopWorker>{{r1, {1}, false}, {r2, {1}, false}});
    CHECK(rig.stopped(r1).empty()); // it is, after all
    rig.pass_alive(rig.core.config().restart_healthy_after);
    const auto starts = all<StartWorker>(rig.lose(w0, LossCause::page_hung));
    REQUIRE(starts.size() == 3);
    CHECK(starts[1].worker == r1);
    CHECK(starts[2].worker == r2);
}

TEST_CASE("what hangs in the midst of a recovery is told as what hangs, not as what came before") {
    Contest rig(parallel(1));
    rig.lose(w0, LossCause::page_crashed);
    rig.send(WorkerConnected{w0, rig.generation(w0)});
    const Actions at_once = rig.lose(w0, LossCause::page_hung);
    const Actions later_on = rig.pass_alive(rig.core.config().restart_delay_max);
    auto starts = all<StartWorker>(at_once);
    const auto others = all<StartWorker>(later_on);
    starts.insert(starts.end(), others.begin(), others.end());
    const auto own = std::ranges::find(starts, w0, &StartWorker::worker);
    REQUIRE(own != starts.end());
    CHECK(own->cause == LossCause::page_hung);
}

TEST_CASE("rivals wait for as long as the worker does whose place they may take") {
    Contest rig;
    rig.lose(w0, LossCause::page_hung);
    rig.make_ready(w0);
    rig.stopped(r1);
    rig.stopped(r2);
    CHECK(all<StartWorker>(rig.lose(w0, LossCause::page_hung)).empty()); // so soon after the first
    const auto starts = all<StartWorker>(rig.pass_alive(rig.core.config().restart_delay_min));
    REQUIRE(starts.size() == 3);
    CHECK(starts[0].worker == w0);
    CHECK(starts[1].worker == r1);
    CHECK(starts[2].worker == r2);
}

TEST_CASE("a failure that comes back soon is no newer where a rival has won") {
    Contest rig;
    WorkerId serving = w0;
    rig.lose(w0, LossCause::page_hung);
    for (int i = 0; i < 3; ++i) {
        const WorkerId winner = serving == r1 ? w0 : r1;
        rig.make_ready(winner);
        rig.stopped(serving);
        rig.stopped(r2);
        serving = winner;
        CHECK(all<StartWorker>(rig.lose(serving, LossCause::page_hung)).empty());
        REQUIRE(all<StartWorker>(rig.pass_alive(rig.core.config().restart_delay_max)).size() == 3);
    }
}

TEST_CASE("two workers lost at once share the rivals, and recover independently") {
    Contest rig;
    CHECK(all<StartWorker>(rig.lose(w0, LossCause::process_exited)).size() == 2);
    CHECK(all<StartWorker>(rig.lose(w1, LossCause::process_exited)).size() == 2);
    rig.make_ready(r1); // of 0
    CHECK(rig.role(w0) == WorkerRole::dormant);
    CHECK(rig.role(r2) == WorkerRole::rival);
    rig.make_ready(w1);
    CHECK(rig.role(w1) == WorkerRole::active);
    CHECK(rig.role(r2) == WorkerRole::dormant);
}

TEST_CASE(
    "a worker that is given up may be saved by its rival, and is given up with the last one") {
    CoreConfig c = parallel();
    c.restart_count_max = 1;
    const bool is_saved = GENERATE(true, false);
    Contest rig(c);
    rig.submit(1);
    rig.lose(w0, LossCause::process_exited);
    Actions actions = rig.lose(w0, LossCause::process_exited);
    CHECK(rig.state(w0) == WorkerState::failed);
    CHECK(only<StopWorker>(actions).worker == w0);
    for (const Notice& notice : all<Notice>(actions)) CHECK(notice.what != What::worker_failed);
    if (is_saved) {
        rig.make_ready(r1);
        CHECK(rig.role(r1) == WorkerRole::active);
        CHECK(rig.role(w0) == WorkerRole::dormant);
        return;
    }
    actions = rig.send(WorkerStartFailed{r1, {1}, Errc::browser_launch_failed, false});
    std::vector<WorkerId> failed;
    for (const Notice& notice : all<Notice>(actions))
        if (notice.what == What::worker_failed) failed.push_back(notice.worker);
    CHECK(failed == std::vector<WorkerId>{r1, w0});
    CHECK(rig.role(w0) == WorkerRole::active);
    CHECK(rig.role(r1) == WorkerRole::dormant);
}

TEST_CASE("a worker that is given up is told of when its last rival is ready without its models") {
    CoreConfig c = parallel(2);
    c.restart_count_max = 1;
    Contest rig(c);
    rig.lose(w0, LossCause::process_exited);
    rig.lose(w0, LossCause::process_exited);
    REQUIRE(rig.state(w0) == WorkerState::failed);
    rig.send(WorkerConnected{r1, {1}});
    rig.send(ModelLoaded{r1, {1}, m0});
    rig.send(ModelWarmedUp{r1, {1}, m0});
    const Actions actions = rig.send(ModelRejected{r1, {1}, m1, Errc::provider_unavailable});
    CHECK(rig.role(r1) == WorkerRole::dormant);
    const auto told = all<Notice>(actions);
    CHECK(std::ranges::count_if(told, [](const Notice& notice) {
              return notice.what == What::worker_failed && notice.worker == w0;
          }) == 1);
}

TEST_CASE("what several were asked waits for the rivals of those that have been given up") {
    CoreConfig c = parallel();
    c.restart_count_max = 1;
    Contest rig(c);
    CHECK(all<Dispatch>(rig.submit({.id = {1}, .copies = 2})).size() == 2);
    for (const WorkerId id : {w0, w1}) rig.lose(id, LossCause::process_exited);
    for (const WorkerId id : {w0, w1})
        CHECK(all<Complete>(rig.lose(id, LossCause::process_exited)).empty());
    REQUIRE(rig.state(w0) == WorkerState::failed);
    REQUIRE(rig.state(w1) == WorkerState::failed);
    CHECK(only<Dispatch>(rig.make_ready(r1)).worker == r1);
    CHECK(only<Dispatch>(rig.make_ready(r2)).worker == r2);
}

TEST_CASE("a stop in the middle of a contest stops everybody who takes part") {
    Contest rig;
    rig.lose(w0, LossCause::page_hung);
    CHECK(all<StopWorker>(rig.send(Stop{})).size() == 4);
    for (const WorkerId id : {w0, w1, r1}) rig.stopped(id);
    CHECK(only<StopFinished>(rig.stopped(r2)) == StopFinished{});
}

TEST_CASE("a standby is recovered without rivals") {
    CoreConfig c = parallel();
    c.standby_count = 1;
    Contest rig(c);
    CHECK(all<StartWorker>(rig.lose(w1, LossCause::page_hung)).size() == 1);
}
