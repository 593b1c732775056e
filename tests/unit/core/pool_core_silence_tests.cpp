// PoolCore: who is taken for dead because nothing is heard of him, and who is not.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

using namespace everpool;
using namespace everpool::core;

TEST_CASE("a worker that leaves its page's pings unanswered is restarted at page level") {
    CoreConfig c = CoreRig::workers(2);
    c.ping_interval = 1s;
    c.ping_timeout = 3s;
    CoreRig rig(c);
    rig.start();
    rig.submit(1);
    Actions actions;
    for (int i = 0; i < 50 && all<StartWorker>(actions).empty(); ++i) {
        actions = rig.pass(100ms);
        for (const auto& ping : all<SendPing>(actions)) // worker 1 and all compute threads answer
            if (ping.worker == w1 || ping.channel == wire::Channel::data)
                rig.send(PongArrived{ping.worker, ping.generation, ping.channel, ping.sequence});
    }
    CHECK(only<StartWorker>(actions) == StartWorker{w0, {2}, RestartLevel::page});
    CHECK(only<Dispatch>(actions) == Dispatch{w1, {1}, {1}, 2});
    CHECK(rig.core.worker(w0).last_cause == LossCause::unresponsive);
}

TEST_CASE("a compute thread that is busy for less than its own timeout is left alone") {
    CoreConfig c = CoreRig::workers(1);
    c.ping_timeout = 3s;
    c.compute_ping_timeout = 20s;
    CoreRig rig(c);
    rig.start();
    const auto sent = only<Dispatch>(rig.submit(1));
    CHECK(all<StartWorker>(rig.pass_without_compute(20s)).empty());
    CHECK(only<Complete>(rig.reply(sent)).code == Errc::ok);
    // The answer was a sign of life; after it, silence is measured anew.
    CHECK(all<StartWorker>(rig.pass_without_compute(19s)).empty());
    CHECK(only<StartWorker>(rig.pass_without_compute(2s)).level == RestartLevel::page);
}

// Four operations of 20 s are longer than the 30 s that the compute thread has to answer a ping.
TEST_CASE("a full queue of long operations does not look like a compute thread that hangs") {
    CoreRig rig(CoreRig::workers(1, 4));
    rig.start();
    std::vector<Dispatch> sent;
    for (std::uint64_t id = 1; id <= 4; ++id) sent.push_back(only<Dispatch>(rig.submit(id)));
    for (const Dispatch& one : sent) {
        rig.pass_without_compute(20s);
        CHECK(only<Complete>(rig.reply(one)).code == Errc::ok);
    }
    CHECK(rig.core.stats().workers_lost == 0);
}

// Else a caller's bad input, which the driver refuses by itself, would keep a dead thread alive.
TEST_CASE("the driver's own refusals do not count as signs of life") {
    CoreRig rig(CoreRig::workers(1, 4));
    rig.start();
    Actions seen;
    for (std::uint64_t id = 1; id <= 60 && all<StartWorker>(seen).empty(); ++id) {
        rig.refuse(only<Dispatch>(rig.submit(id)), Errc::invalid_input);
        seen = rig.pass_without_compute(1s);
    }
    CHECK(only<StartWorker>(seen).generation == Generation{2});
}

// --- a host that stands still --------------------------------------------------------------------
// Suspended, in a debugger, or busy in a handler: pongs and hellos lie unread in its sockets.

TEST_CASE("a host that stood still for however long blames no worker") {
    const auto stall = GENERATE(4500ms, 7s, 11s, 40s, 1h);
    CoreRig rig(CoreRig::workers(3));
    rig.start();
    rig.submit(1);
    const auto pings = all<SendPing>(rig.pass(1s));
    REQUIRE(pings.size() == 6);
    rig.now += stall;
    CHECK(all<StartWorker>(rig.pass(0s)).empty());
    for (const SendPing& ping : pings)
        rig.send(PongArrived{ping.worker, ping.generation, ping.channel, ping.sequence});
    CHECK(all<StartWorker>(rig.pass_alive(1min)).empty());
    CHECK(rig.core.stats().workers_lost == 0);
    CHECK(rig.core.stats().host_stalls == 1);
}

TEST_CASE("a worker that was silent before the host stood still is found out soon after") {
    CoreRig rig(CoreRig::workers(1)); // ping_timeout is 5 s
    rig.start();
    REQUIRE(all<StartWorker>(rig.pass(4s)).empty()); // silent for 3 s
    rig.now += 1h;
    CHECK(all<StartWorker>(rig.pass(0s)).empty());
    CHECK(only<StartWorker>(rig.pass(3s)).generation == Generation{2});
}

TEST_CASE("a host that is always late finds out a silent worker all the same") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    Actions seen;
    for (int i = 0; i < 20 && all<StartWorker>(seen).empty(); ++i) {
        rig.now = rig.core.next_wakeup() + 900ms;
        seen = rig.pass(0s);
    }
    CHECK(only<StartWorker>(seen).generation == Generation{2});
}

TEST_CASE("a worker that was starting while the host stood still is given the rest of its time") {
    CoreRig rig(CoreRig::workers(1)); // start_timeout is 30 s
    rig.send(Start{});
    rig.pass(20s);
    rig.now += 1h;
    CHECK(all<StartWorker>(rig.send(WorkerConnected{w0, {1}})).empty());
    CHECK(rig.state(w0) == WorkerState::ready);

    CoreRig silent(CoreRig::workers(1));
    silent.send(Start{});
    silent.now += 1h;
    CHECK(all<StartWorker>(silent.pass(0s)).empty());
    CHECK(all<StartWorker>(silent.pass(29s - 1ns)).empty());
    CHECK(only<StartWorker>(silent.pass(1ns)).generation == Generation{2});
}

TEST_CASE("a given-up operation whose answer lies unread does not cost the worker its life") {
    CoreRig rig(CoreRig::workers(1, 1));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit(1));
    rig.send(Cancel{{1}});
    rig.now += 1h;
    CHECK(all<StartWorker>(rig.pass(0s)).empty());
    CHECK(rig.reply(sent, Errc::cancelled).empty());
    CHECK(all<StartWorker>(rig.pass_alive(1min)).empty());
}
