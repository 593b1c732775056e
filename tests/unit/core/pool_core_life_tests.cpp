// PoolCore: start, readiness, drain, stop, and what is refused when.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

using namespace everpool;
using namespace everpool::core;

TEST_CASE("start launches every worker as a process, under generation 1") {
    CoreRig rig(CoreRig::workers(2));
    const Actions actions = rig.send(Start{});
    CHECK(all<StartWorker>(actions) ==
          std::vector<StartWorker>{
              {w0, {1}, RecoveryRung::restart_browser},
              {w1, {1}, RecoveryRung::restart_browser}});
    CHECK(rig.state(w0) == WorkerState::starting);
    CHECK(all<StartFinished>(actions).empty());
}

TEST_CASE("start is finished once every worker is ready") {
    CoreRig rig(CoreRig::workers(2));
    rig.send(Start{});
    CHECK(all<StartFinished>(rig.make_ready(w1)).empty());
    CHECK(only<StartFinished>(rig.make_ready(w0)).code == Errc::ok);
    CHECK(rig.state(w0) == WorkerState::ready);
}

TEST_CASE("start succeeds if one worker is ready and the others have failed for good") {
    CoreRig rig(CoreRig::workers(2));
    rig.send(Start{});
    rig.make_ready(w0);
    const Actions actions = rig.send(WorkerStartFailed{w1, {1}, Errc::browser_not_found, true});
    CHECK(only<StartFinished>(actions).code == Errc::ok);
    CHECK(rig.state(w1) == WorkerState::failed);
    // Whatever is left of it is killed.
    CHECK(has(actions, StopWorker{w1, {1}, false}));
}

TEST_CASE("start fails with the cause if no worker can be had") {
    CoreRig rig(CoreRig::workers(1));
    rig.send(Start{});
    const Actions actions = rig.send(WorkerStartFailed{w0, {1}, Errc::browser_not_found, true});
    CHECK(only<StartFinished>(actions).code == Errc::browser_not_found);
    CHECK(only<Complete>(rig.submit(1)).code == Errc::no_worker_available);
    CHECK(only<LeaseEnded>(rig.send(Acquire{{1}})).code == Errc::no_worker_available);
}

TEST_CASE("a worker that was ready once does not hold up the start by failing later") {
    CoreRig rig(CoreRig::workers(2));
    rig.send(Start{});
    rig.make_ready(w0);
    rig.lose(w0, LossCause::process_exited);
    CHECK(only<StartFinished>(rig.make_ready(w1)).code == Errc::ok);
}

TEST_CASE("models are loaded and warmed up on each worker, told one by one") {
    CoreConfig config = CoreRig::workers(1);
    config.model_count = 2;
    CoreRig rig(config);
    rig.send(Start{});
    CHECK(only<LoadModel>(rig.send(WorkerConnected{w0, {1}})) == LoadModel{w0, {1}, m0});
    CHECK(only<WarmUpModel>(rig.send(ModelLoaded{w0, {1}, m0})) == WarmUpModel{w0, {1}, m0});
    CHECK(only<LoadModel>(rig.send(ModelWarmedUp{w0, {1}, m0})) == LoadModel{w0, {1}, m1});
    CHECK(only<WarmUpModel>(rig.send(ModelLoaded{w0, {1}, m1})) == WarmUpModel{w0, {1}, m1});
    const Actions actions = rig.send(ModelWarmedUp{w0, {1}, m1});
    CHECK(has(
        actions,
        Notice{.what = Notice::What::model_ready, .worker = w0, .generation = {1}, .model = m1}));
    CHECK(has(actions, Notice{.what = Notice::What::worker_ready,
                              .worker = w0,
                              .generation = {1},
                              .rung = RecoveryRung::restart_browser}));
    CHECK(has(actions, StartFinished{Errc::ok}));
}

TEST_CASE("a worker that rejects every model still serves requests without one") {
    CoreConfig config = CoreRig::workers(1);
    config.model_count = 1;
    CoreRig rig(config);
    rig.send(Start{});
    rig.send(WorkerConnected{w0, {1}});
    const Actions actions = rig.send(ModelRejected{w0, {1}, m0, Errc::model_rejected});
    CHECK(has(actions, StartFinished{Errc::ok}));
    CHECK(only<Dispatch>(rig.submit(1)).worker == w0);
    CHECK(only<Complete>(rig.submit({.id = {2}, .model = m0})).code == Errc::model_rejected);
}

TEST_CASE("requests and leases are refused before the start and after the stop") {
    CoreRig rig(CoreRig::workers(1));
    CHECK(only<Complete>(rig.submit(1)).code == Errc::pool_not_running);
    CHECK(only<LeaseEnded>(rig.send(Acquire{{1}})).code == Errc::pool_not_running);
    rig.start();
    rig.send(Stop{});
    CHECK(only<Complete>(rig.submit(2)).code == Errc::pool_not_running);
    rig.send(WorkerStopped{w0, rig.generation(w0)});
    CHECK(rig.core.phase() == PoolPhase::stopped);
    CHECK(only<Complete>(rig.submit(3)).code == Errc::pool_not_running);
    CHECK(only<LeaseEnded>(rig.send(Acquire{{2}})).code == Errc::pool_not_running);
}

TEST_CASE("requests submitted while the workers start are served by the first one that is ready") {
    CoreRig rig(CoreRig::workers(2));
    rig.send(Start{});
    CHECK(rig.submit(1).empty());
    CHECK(only<Dispatch>(rig.make_ready(w1)) == Dispatch{w1, {1}, {1}, 1});
}

TEST_CASE("a second start is ignored and counted") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    CHECK(rig.send(Start{}).empty());
    CHECK(rig.core.stats().ignored[Event(Start{}).index()] == 1);
    CHECK(rig.core.stats().stale_ignored == 1);
}

// --- drain ---------------------------------------------------------------------------------------

TEST_CASE("a drain is finished when what was accepted has completed; nothing new is taken") {
    CoreConfig config = CoreRig::workers(1);
    config.max_in_flight_per_worker = 1;
    CoreRig rig(config);
    rig.start();
    const auto first = only<Dispatch>(rig.submit(1));
    rig.submit(2);
    CHECK(rig.send(Drain{}).empty());
    CHECK(only<Complete>(rig.submit(3)).code == Errc::pool_draining);
    CHECK(only<LeaseEnded>(rig.send(Acquire{{1}})).code == Errc::pool_draining);
    const Actions actions = rig.reply(first);
    CHECK(all<DrainFinished>(actions).empty());
    CHECK(rig.reply(only<Dispatch>(actions)).back() == Action(DrainFinished{}));
    CHECK(has(rig.send(Drain{}), DrainFinished{})); // asked again: at once
}

TEST_CASE("a lease that waits when the pool drains is refused, one that is held may finish") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    rig.send(Acquire{{1}});
    const auto running = only<Dispatch>(rig.submit({.id = {1}, .lease = {1}}));
    rig.send(Acquire{{2}});
    CHECK(only<LeaseEnded>(rig.send(Drain{})) == LeaseEnded{{2}, Errc::pool_draining});
    CHECK(has(rig.reply(running), DrainFinished{}));
}

TEST_CASE("a drain with nothing accepted is finished at once, whatever the phase") {
    CoreRig rig(CoreRig::workers(1));
    CHECK(has(rig.send(Drain{}), DrainFinished{})); // before the start
    rig.start();
    CHECK(rig.core.phase() == PoolPhase::running);
    rig.send(Stop{});
    CHECK(has(rig.send(Drain{}), DrainFinished{}));
}

TEST_CASE("operations that nobody waits for do not hold up a drain") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    rig.submit(1);
    rig.send(Drain{});
    CHECK(has(rig.send(Cancel{{1}}), DrainFinished{}));
}

// --- stop ----------------------------------------------------------------------------------------

TEST_CASE("stop cancels what is outstanding, closes the workers and waits for them") {
    CoreConfig config = CoreRig::workers(2);
    config.max_in_flight_per_worker = 1;
    CoreRig rig(config);
    rig.start();
    for (std::uint64_t id = 1; id <= 3; ++id) rig.submit(id);
    rig.send(Acquire{{1}});
    const Actions actions = rig.send(Stop{});
    const auto completions = all<Complete>(actions);
    REQUIRE(completions.size() == 3);
    for (std::uint64_t id = 1; id <= 3; ++id) {
        CHECK(completions[id - 1].request == RequestId{id});
        CHECK(completions[id - 1].code == Errc::cancelled);
    }
    CHECK(only<LeaseEnded>(actions) == LeaseEnded{{1}, Errc::cancelled});
    CHECK(all<StopWorker>(actions) == std::vector<StopWorker>{{w0, {1}, true}, {w1, {1}, true}});
    CHECK(all<StopFinished>(actions).empty());
    CHECK(all<StopFinished>(rig.send(WorkerStopped{w1, {1}})).empty());
    CHECK(has(rig.send(WorkerStopped{w0, {1}}), StopFinished{}));
    CHECK(rig.core.next_wakeup() == never);
    CHECK(has(rig.send(Stop{}), StopFinished{})); // asked again: at once
}

TEST_CASE("stop before the start is finished at once, and a start after it is ignored") {
    CoreRig rig(CoreRig::workers(1));
    CHECK(rig.send(Stop{}) == Actions{StopFinished{}});
    CHECK(rig.send(Start{}).empty());
}

TEST_CASE("stop during the start ends the start") {
    CoreRig rig(CoreRig::workers(1));
    rig.send(Start{});
    const Actions actions = rig.send(Stop{});
    CHECK(only<StartFinished>(actions).code == Errc::cancelled);
    CHECK(has(actions, StopWorker{w0, {1}, true}));
}

TEST_CASE("a close that is stuck is killed after the timeout and not waited for") {
    CoreConfig config = CoreRig::workers(2);
    config.stop_timeout = 5s;
    CoreRig rig(config);
    rig.start();
    rig.send(Stop{});
    rig.send(WorkerStopped{w0, {1}});
    CHECK(all<StopFinished>(rig.pass(5s - 1ns)).empty());
    const Actions actions = rig.pass(1ns);
    CHECK(actions == Actions{StopWorker{w1, {1}, false}, StopFinished{}});
    CHECK(rig.state(w1) == WorkerState::stopped);
    CHECK(rig.send(WorkerStopped{w1, {1}}).empty()); // late
}

TEST_CASE("the kill of a worker that failed for good is waited for at the stop") {
    CoreRig rig(CoreRig::workers(2));
    rig.send(Start{});
    rig.make_ready(w0);
    rig.send(WorkerStartFailed{w1, {1}, Errc::browser_launch_failed, true});
    rig.send(Stop{});
    CHECK(all<StopFinished>(rig.send(WorkerStopped{w0, {1}})).empty());
    CHECK(has(rig.send(WorkerStopped{w1, {1}}), StopFinished{}));
}

TEST_CASE("a drain that is overtaken by a stop is answered by the stop") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    rig.submit(1);
    rig.send(Drain{});
    CHECK(all<DrainFinished>(rig.send(Stop{})).empty());
    CHECK(has(rig.send(WorkerStopped{w0, {1}}), StopFinished{}));
}

// --- broken invariants ---------------------------------------------------------------------------

TEST_CASE("a broken invariant stops the pool and not the host") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    rig.submit(1);
    rig.send(Acquire{{1}});
    Actions actions;
    rig.core.on_broken("found by a driver", rig.now, actions);
    CHECK(rig.core.is_broken());
    CHECK(rig.core.broken_because() == "found by a driver");
    CHECK(only<Complete>(actions) == Complete{{1}, Errc::internal_error, 1, w0});
    CHECK(only<LeaseEnded>(actions).code == Errc::internal_error);
    CHECK(has(actions, StopWorker{w0, {1}, false}));
    CHECK(check_invariants(rig.core) == "found by a driver");

    const auto send = [&](const Event& event) {
        actions.clear();
        rig.core.on(event, rig.now, actions);
        return actions;
    };
    CHECK(only<Complete>(send(Submit{{.id = {2}}})).code == Errc::internal_error);
    CHECK(all<StopFinished>(send(WorkerStopped{w0, {1}})).empty()); // nobody has asked for a stop
    CHECK(has(send(Stop{}), StopFinished{}));
}

TEST_CASE("a configuration out of range is refused with the member's name") {
    const auto refused = [](auto change) {
        CoreConfig config;
        change(config);
        CHECK_THROWS_AS(PoolCore(config, 1), std::invalid_argument);
    };
    refused([](CoreConfig& c) { c.worker_browsers.clear(); });
    refused([](CoreConfig& c) { c.max_in_flight_per_worker = 0; });
    refused([](CoreConfig& c) { c.queue_count_max = 0; });
    refused([](CoreConfig& c) { c.max_attempts = 0; });
    refused([](CoreConfig& c) { c.ping_interval = 0s; });
    refused([](CoreConfig& c) { c.restart_delay_max = c.restart_delay_min - 1ns; });
    refused([](CoreConfig& c) { c.launch_pause = -1ns; });
    refused([](CoreConfig& c) { c.stop_timeout = -1s; });
    CoreConfig config;
    config.restart_count_max = 0;
    CHECK_THROWS_WITH(PoolCore(config, 1), "CoreConfig::restart_count_max must be 1 to 1000");
}

TEST_CASE("time that runs backwards does no harm") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    rig.submit({.id = {1}, .deadline = rig.now + 1s});
    rig.now -= 10min;
    CHECK(rig.pass(0s).empty());
    CHECK(only<Dispatch>(rig.submit(2)).worker == w0);
}
