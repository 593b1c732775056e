// PoolCore: who is taken for dead because nothing is heard of him, and who is not.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

using namespace everpool;
using namespace everpool::core;

namespace {

/// A request, of which the compute thread says nothing but its answer.
void work(CoreRig& rig, std::uint64_t id, Duration run_time) {
    const auto sent = only<Dispatch>(rig.submit(id));
    rig.pass_without_compute(run_time);
    CHECK(only<Complete>(rig.reply(sent)).code == Errc::ok);
}

/// What the operating system says, if this asks it.
void answer_starvation(CoreRig& rig, const Action& action, const ThreadsSeen& seen) {
    const auto* ask = std::get_if<AskControl>(&action);
    if (ask == nullptr || ask->question != ControlQuestion::starvation) return;
    rig.send(ControlAnswered{ask->worker, ask->generation, ask->question, ask->sequence, seen});
}

void work_a_hundred_times(CoreRig& rig, Duration run_time, std::uint64_t first = 1) {
    for (std::uint64_t id = first; id < first + 100; ++id) work(rig, id, run_time);
}

} // namespace

TEST_CASE("a worker whose page leaves its pings unanswered is given another page") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    rig.submit(1);
    Actions seen = rig.pass_answering(2s, [](const SendPing& ping) {
        return ping.worker == w1 || ping.channel == wire::Channel::data;
    });
    CHECK(only<StartWorker>(seen) ==
          StartWorker{w0, {2}, RecoveryRung::new_page, {}, LossCause::page_hung});
    CHECK(only<Dispatch>(seen) == Dispatch{w1, {1}, {1}, 2});
    CHECK(rig.core.worker(w0).last_cause == LossCause::page_hung);
}

TEST_CASE("a compute thread that is busy for less than its own timeout is left alone") {
    CoreConfig c = CoreRig::workers(1);
    c.compute_ping_timeout = 20s;
    CoreRig rig(c);
    rig.start();
    const auto sent = only<Dispatch>(rig.submit(1));
    CHECK(all<StartWorker>(rig.pass_without_compute(20s)).empty());
    CHECK(only<Complete>(rig.reply(sent)).code == Errc::ok);
    // The answer was a sign of life; after it, an idle thread has no excuse.
    CHECK(only<StartWorker>(rig.pass_without_compute(2s)).rung == RecoveryRung::replace_compute);
}

TEST_CASE("how long work takes is learnt, and what takes far longer is taken for hung") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    work_a_hundred_times(rig, 500ms);
    rig.submit(101);
    // Such work, a little for the machine, and the pause that anybody is granted: 1.35 s.
    CHECK(all<StartWorker>(rig.pass_without_compute(1300ms)).empty());
    CHECK(only<StartWorker>(rig.pass_without_compute(300ms)).cause == LossCause::compute_hung);
}

TEST_CASE("work that seldom takes far longer is no loop, though it runs all the time") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    for (std::uint64_t id = 1; id <= 1000; ++id) work(rig, id, id % 400 == 0 ? 800ms : 100ms);
    const auto sent = only<Dispatch>(rig.submit(1001));
    const TimePoint begin = rig.now;
    while (rig.now - begin < 800ms)
        for (const Action& action : rig.pass_without_compute(10ms)) {
            CHECK_FALSE(std::holds_alternative<StartWorker>(action));
            answer_starvation(rig, action, {.compute_ran = rig.now - begin});
        }
    CHECK(only<Complete>(rig.reply(sent)).code == Errc::ok);
}

TEST_CASE("a thread that hangs in work of milliseconds is found as soon as an idle one") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    work_a_hundred_times(rig, 5ms);
    rig.submit(101);
    CHECK(all<StartWorker>(rig.pass_without_compute(900ms)).empty());
    CHECK(only<StartWorker>(rig.pass_without_compute(350ms)).cause == LossCause::compute_hung);
}

TEST_CASE("a pause that a machine made once does not make a hang be found later") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    work_a_hundred_times(rig, 5ms);
    work(rig, 101, 450ms);
    work_a_hundred_times(rig, 5ms, 102);
    rig.submit(202);
    CHECK(only<StartWorker>(rig.pass_without_compute(1250ms)).cause == LossCause::compute_hung);
}

TEST_CASE("a browser that is silent on its control channel is restarted though its page answers") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    rig.pass_alive(5s);
    rig.answers_control = false;
    CHECK(only<StartWorker>(rig.pass_alive(1300ms)) ==
          StartWorker{w0, {2}, RecoveryRung::restart_browser, {}, LossCause::browser_hung});
}

TEST_CASE("an endless shader costs the GPU process and the compute thread, and nothing else") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    rig.submit({.id = {1}, .deadline = rig.now + 2s});
    const Actions seen = rig.pass_alive(2s);
    CHECK(only<Complete>(seen).code == Errc::deadline_exceeded);
    // Nothing is known of such work: it has as long again as its caller gave it.
    CHECK(all<StartWorker>(rig.pass_alive(1900ms)).empty());
    CHECK(only<StartWorker>(rig.pass_alive(200ms)) ==
          StartWorker{w0, {2}, RecoveryRung::replace_compute, {}, LossCause::gpu_hung});
}

// Callers who give up what waits behind a hung operation would keep its worker alive by that.
TEST_CASE("that what waited is taken back says nothing of what it waited for") {
    CoreRig rig(CoreRig::workers(1, 2));
    rig.start();
    const TimePoint begun = rig.now;
    rig.submit({.id = {1}, .deadline = rig.now + 2s});
    Actions seen = rig.pass_alive(2s);
    for (std::uint64_t id = 2; id <= 20 && all<StartWorker>(seen).empty(); ++id) {
        const auto behind = only<Dispatch>(rig.submit({.id = {id}, .deadline = rig.now + 300ms}));
        seen = rig.pass_alive(300ms);
        rig.reply(behind, Errc::cancelled);
    }
    CHECK(only<StartWorker>(seen).cause == LossCause::gpu_hung);
    CHECK(rig.now - begun <= 4300ms);
}

TEST_CASE("of what is taken back in the midst of it, the worker has got rid") {
    CoreRig rig(CoreRig::workers(1, 2));
    rig.start();
    const auto first = only<Dispatch>(rig.submit({.id = {1}, .deadline = rig.now + 2s}));
    const auto second = only<Dispatch>(rig.submit({.id = {2}, .deadline = rig.now + 2s}));
    rig.pass_alive(3900ms);
    rig.reply(first, Errc::cancelled); // and it begins with the next one, which has its whole time
    CHECK(all<StartWorker>(rig.pass_alive(1900ms)).empty());
    rig.reply(second, Errc::cancelled);
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

TEST_CASE("a silent worker whose threads wait for a processor is kept, for ping_timeout at most") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    const auto pass_starved = [&](Duration duration) {
        Actions actions;
        for (const TimePoint end = rig.now + duration; rig.now < end;)
            for (const Action& action : rig.pass(10ms)) {
                actions.push_back(action);
                answer_starvation(rig, action, {.does_any_wait = true});
            }
        return actions;
    };
    CHECK(all<StartWorker>(pass_starved(2500ms)).empty());
    CHECK(rig.core.stats().starvations > 1);
    CHECK(only<StartWorker>(pass_starved(1s)).worker == w0);
}

// --- a host that stands still --------------------------------------------------------------------
// Suspended, in a debugger, or busy in a handler: pongs and hellos lie unread in its sockets.

TEST_CASE("a host that stood still for however long blames no worker") {
    const auto stall = GENERATE(4500ms, 7s, 11s, 40s, 1h);
    CoreRig rig(CoreRig::workers(3));
    rig.start();
    rig.submit(1);
    const auto pings = all<SendPing>(rig.pass(100ms));
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
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    REQUIRE(all<StartWorker>(rig.pass(800ms)).empty());
    rig.now += 1h;
    CHECK(all<StartWorker>(rig.pass(0s)).empty());
    CHECK(only<StartWorker>(rig.pass(500ms)).generation == Generation{2});
}

TEST_CASE("a host that is always late finds out a silent worker all the same") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    Actions seen;
    for (int i = 0; i < 100 && all<StartWorker>(seen).empty(); ++i) {
        rig.now = rig.core.next_wakeup() + 90ms;
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
    CHECK(all<StartWorker>(silent.pass(29900ms - 1ns)).empty());
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
