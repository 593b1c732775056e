// PoolCore: workers that die, hang, lie, and come back.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

using namespace everpool;
using namespace everpool::core;

TEST_CASE("what a lost worker had goes to another one at once, before the restart") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    rig.submit(1); // on 0
    rig.submit(2); // on 1
    rig.submit(3); // on 0
    const Actions actions = rig.lose(w0, LossCause::process_exited);
    CHECK(all<Dispatch>(actions) == std::vector<Dispatch>{{w1, {1}, {1}, 2}, {w1, {1}, {3}, 2}});
    const StartWorker restart{
        w0, {2}, RecoveryRung::restart_browser, {}, LossCause::process_exited};
    CHECK(only<StartWorker>(actions) == restart);
    CHECK(place_of(actions, Dispatch{w1, {1}, {3}, 2}) < place_of(actions, restart));
    CHECK(has(actions, Notice{.what = Notice::What::worker_lost,
                              .worker = w0,
                              .generation = {1},
                              .cause = LossCause::process_exited,
                              .operations = 2}));
    CHECK(rig.core.worker(w0).last_cause == LossCause::process_exited);
    CHECK(rig.core.worker(w0).restarts == 1);
}

TEST_CASE("requests that come back stand in front of those that never had a turn, in order") {
    CoreRig rig(CoreRig::workers(1, 2));
    rig.start();
    for (std::uint64_t id = 1; id <= 4; ++id) rig.submit(id);
    rig.lose(w0, LossCause::page_crashed);
    CHECK(rig.core.queued() == 4);
    const auto dispatches = all<Dispatch>(rig.make_ready(w0));
    CHECK(dispatches == std::vector<Dispatch>{{w0, {2}, {1}, 2}, {w0, {2}, {2}, 2}});
}

TEST_CASE("a request that must not be repeated completes with outcome_unknown") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    rig.submit({.id = {1}, .idempotent = false});
    const Actions actions = rig.lose(w0, LossCause::page_crashed);
    CHECK(only<Complete>(actions) == Complete{{1}, Errc::outcome_unknown, 1, w0});
    CHECK(all<Dispatch>(actions).empty());
}

TEST_CASE("a request completes with worker_lost when its attempts are used up") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    rig.submit({.id = {1}, .max_attempts = 2});
    REQUIRE(only<Dispatch>(rig.lose(w0, LossCause::page_crashed)).attempt == 2);
    CHECK(only<Complete>(rig.lose(w1, LossCause::page_crashed)) ==
          Complete{{1}, Errc::worker_lost, 2, w1});
}

TEST_CASE("max_attempts of 0 means the pool's own") {
    CoreConfig c = CoreRig::workers(2);
    c.max_attempts = 1;
    CoreRig rig(c);
    rig.start();
    rig.submit({.id = {1}, .max_attempts = 0});
    CHECK(only<Complete>(rig.lose(w0, LossCause::page_crashed)).code == Errc::worker_lost);
}

TEST_CASE("an answer from a worker's previous life is not delivered") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    const auto before = only<Dispatch>(rig.submit(1));
    rig.lose(w0, LossCause::connection_closed);
    CHECK(rig.reply(before).empty()); // while it restarts
    const auto after = only<Dispatch>(rig.make_ready(w0));
    CHECK(after == Dispatch{w0, {2}, {1}, 2});
    CHECK(rig.reply(before).empty()); // when it is back
    CHECK(only<Complete>(rig.reply(after)) == Complete{{1}, Errc::ok, 2, w0});
}

TEST_CASE("events of a previous life of a worker mean nothing") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    rig.lose(w0, LossCause::page_crashed);
    const std::vector<Event> old{
        WorkerConnected{w0, {1}},
        WorkerStartFailed{w0, {1}, Errc::browser_not_found, true},
        WorkerLost{w0, {1}, LossCause::process_exited},
        WorkerStopped{w0, {1}},
        ModelLoaded{w0, {1}, m0},
        ModelWarmedUp{w0, {1}, m0},
        ModelRejected{w0, {1}, m0},
        PongArrived{w0, {1}, wire::Channel::data, 1},
    };
    for (const Event& event : old) CHECK(rig.send(event).empty());
    CHECK(rig.core.stats().stale_ignored == old.size());
    CHECK(rig.generation(w0) == Generation{2});
}

TEST_CASE("events of workers that do not exist mean nothing") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    for (const WorkerId id : {WorkerId{1}, WorkerId::none()})
        for (const Event& event : std::initializer_list<Event>{
                 WorkerConnected{id, {1}}, WorkerLost{id, {1}, {}}, WorkerStopped{id, {1}},
                 WorkerStartFailed{id, {1}, {}, true}, ModelLoaded{id, {1}, m0},
                 PongArrived{id, {1}, wire::Channel::data, 1}})
            CHECK(rig.send(event).empty());
    CHECK(rig.core.stats().stale_ignored == 12);
}

TEST_CASE("a worker that does not become ready in time is restarted as a process") {
    CoreConfig c = CoreRig::workers(1);
    c.start_timeout = 30s;
    CoreRig rig(c);
    rig.send(Start{});
    CHECK(all<StartWorker>(rig.pass(30s - 1ns)).empty());
    const Actions actions = rig.pass(1ns);
    CHECK(only<StartWorker>(actions) ==
          StartWorker{w0, {2}, RecoveryRung::restart_browser, {}, LossCause::start_timed_out});
    CHECK(rig.core.worker(w0).last_cause == LossCause::start_timed_out);
}

TEST_CASE("a lost device restarts the compute thread only") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    CHECK(only<StartWorker>(rig.lose(w0, LossCause::device_lost)) ==
          StartWorker{w0, {2}, RecoveryRung::replace_compute, {}, LossCause::device_lost});
}

// The answer comes before the event. What else is sent to the dead thread would only use up
// attempts.
TEST_CASE("an answer that tells of a lost device counts as the loss") {
    CoreRig rig(CoreRig::workers(1, 2));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit(1));
    rig.submit(2);
    const Actions actions = rig.reply(sent, Errc::device_lost);
    CHECK(all<Complete>(actions).empty());
    CHECK(all<Dispatch>(actions).empty());
    CHECK(only<StartWorker>(actions) ==
          StartWorker{w0, {2}, RecoveryRung::replace_compute, {}, LossCause::device_lost});
    CHECK(rig.send(WorkerLost{w0, {1}, LossCause::device_lost}).empty()); // the event, late
    CHECK(all<Dispatch>(rig.make_ready(w0)) ==
          std::vector<Dispatch>{{w0, {2}, {1}, 2}, {w0, {2}, {2}, 2}});
}

TEST_CASE("a lost device under a request that must not be repeated is told as such") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit({.id = {1}, .idempotent = false}));
    CHECK(only<Complete>(rig.reply(sent, Errc::device_lost)) ==
          Complete{{1}, Errc::device_lost, 1, w0});
}

TEST_CASE("a request that could not be sent is repeated even if it must not be executed twice") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit({.id = {1}, .idempotent = false}));
    const Errc code = GENERATE(Errc::worker_lost, Errc::queue_full);
    CHECK(only<Dispatch>(rig.refuse(sent, code)) == Dispatch{w1, {1}, {1}, 2});
}

// These codes mean that nothing was executed if the driver gives them. A page can say anything.
TEST_CASE("a worker's word that it did not execute is not enough to execute a second time") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit({.id = {1}, .idempotent = false}));
    const auto [said, told] = GENERATE(table<Errc, Errc>({
        {Errc::queue_full, Errc::queue_full},
        {Errc::worker_lost, Errc::outcome_unknown},
        {Errc::worker_unresponsive, Errc::outcome_unknown},
    }));
    const Actions actions = rig.reply(sent, said);
    CHECK(only<Complete>(actions) == Complete{{1}, told, 1, w0});
    CHECK(all<Dispatch>(actions).empty());
}

TEST_CASE("a retryable error on the last attempt is what the caller gets") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit({.id = {1}, .max_attempts = 1}));
    CHECK(only<Complete>(rig.reply(sent, Errc::device_lost)).code == Errc::device_lost);
}

TEST_CASE("operations that nobody waits for go with their worker") {
    CoreRig rig(CoreRig::workers(1, 1));
    rig.start();
    rig.submit(1);
    rig.send(Cancel{{1}});
    rig.submit(2);
    CHECK(all<Complete>(rig.lose(w0, LossCause::page_crashed)).empty());
    CHECK(only<Dispatch>(rig.make_ready(w0)).request == RequestId{2});
}

TEST_CASE("a worker that is given up takes its waiting requests' last hope with it") {
    CoreConfig c = CoreRig::workers(1);
    c.restart_count_max = 2;
    CoreRig rig(c);
    rig.start();
    rig.submit(1);
    rig.lose(w0, LossCause::process_exited);
    rig.lose(w0, LossCause::process_exited);
    rig.pass(1s); // the delayed restart
    const Actions actions = rig.lose(w0, LossCause::process_exited);
    CHECK(only<Complete>(actions) == Complete{{1}, Errc::no_worker_available, 1, w0});
    CHECK(has(actions, Notice{.what = Notice::What::worker_failed,
                              .worker = w0,
                              .generation = {3},
                              .code = Errc::browser_launch_failed}));
    CHECK(has(actions, StopWorker{w0, {3}, false}));
    CHECK(rig.core.next_wakeup() == never);
}

TEST_CASE("restarts are delayed more and more, and the delay is kept") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    CHECK(all<StartWorker>(rig.lose(w0, LossCause::process_exited)).size() == 1);
    CHECK(all<StartWorker>(rig.lose(w0, LossCause::process_exited)).empty());
    CHECK(rig.state(w0) == WorkerState::waiting);
    const TimePoint due = rig.core.next_wakeup();
    CHECK(due > rig.now);
    CHECK(due <= rig.now + 100ms);
    CHECK(only<StartWorker>(rig.pass(due - rig.now)).generation == Generation{3});
}

TEST_CASE("a browser is started after a pause, unless nobody is left whom that could disturb") {
    CoreConfig config = CoreRig::workers(2);
    config.launch_pause = 50ms;
    CoreRig rig(config);
    rig.start();
    CHECK(all<StartWorker>(rig.lose(w0, LossCause::process_exited)).empty());
    CHECK(all<StartWorker>(rig.pass_alive(20ms)).empty());
    rig.lose(w1, LossCause::process_exited);
    CHECK(all<StartWorker>(rig.pass(0ms)).size() == 2); // both at once
}

TEST_CASE("a start that fails is repeated without that pause if nobody is ready") {
    CoreConfig config = CoreRig::workers(1);
    config.launch_pause = 1s;
    config.restart_delay_min = config.restart_delay_max = 1ms;
    CoreRig rig(config);
    rig.send(Start{});
    rig.send(WorkerStartFailed{w0, rig.generation(w0), Errc::browser_launch_failed, false});
    CHECK(only<StartWorker>(rig.pass(1ms)).worker == w0);
}

TEST_CASE("a flood of connects and closes is answered by no more than restarts with delays") {
    CoreRig rig(CoreRig::workers(1));
    rig.send(Start{});
    std::size_t starts = 1;
    for (int i = 0; i < 2000; ++i) {
        rig.send(WorkerConnected{w0, rig.generation(w0)});
        starts += all<StartWorker>(rig.lose(w0, LossCause::connection_closed)).size();
        starts += all<StartWorker>(rig.pass(10ms)).size();
    }
    // 20 s: with delays that grow to 10 s, a handful.
    CHECK(starts > 3);
    CHECK(starts < 40);
}
