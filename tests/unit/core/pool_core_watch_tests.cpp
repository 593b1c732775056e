// PoolCore: workers that answer, but wrongly, or more slowly than they did.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

#include <algorithm>
#include <vector>

using namespace everpool;
using namespace everpool::core;

namespace {

/// `count` workers with one model, of one operation at a time.
CoreConfig with_model(std::size_t count, Duration canary_interval = 10s) {
    CoreConfig config = CoreRig::workers(count, 1);
    config.model_count = 1;
    config.canary_interval = canary_interval;
    return config;
}

/// Gives each of the workers `rounds` operations, which take them these times.
void work(CoreRig& rig, std::vector<Duration> times, int rounds, std::uint64_t& id) {
    for (int i = 0; i < rounds; ++i) {
        std::vector<Dispatch> sent(times.size());
        for (std::size_t worker = 0; worker < times.size(); ++worker)
            for (const auto& one : all<Dispatch>(rig.submit({.id = {++id}, .model = m0})))
                sent.at(one.worker.value) = one;
        Duration passed{};
        for (std::size_t worker = 0; worker < times.size(); ++worker) {
            if (sent[worker].request.value == 0) continue;
            rig.now += times[worker] - passed;
            passed = times[worker];
            rig.reply(sent[worker]);
        }
    }
}

} // namespace

TEST_CASE("a ready worker is asked for a known answer from time to time, and goes on") {
    CoreRig rig(with_model(1));
    rig.start();
    CHECK(all<WarmUpModel>(rig.pass_alive(9900ms)).empty());
    CHECK(only<WarmUpModel>(rig.pass_alive(200ms)) == WarmUpModel{w0, {1}, m0});
    CHECK(all<WarmUpModel>(rig.pass_alive(10s)).empty()); // one at a time
    rig.send(ModelWarmedUp{w0, {1}, m0});
    CHECK(rig.state(w0) == WorkerState::ready);
    CHECK(rig.core.stats().canaries == 1);
    CHECK(all<WarmUpModel>(rig.pass_alive(10s)).size() == 1);
}

TEST_CASE("of a model whose answer is not known none is asked for") {
    CoreConfig config = with_model(1);
    config.model_count = 2;
    config.models_without_answer = {m0};
    CoreRig rig(config);
    rig.start();
    CHECK(only<WarmUpModel>(rig.pass_alive(11s)).model == m1);
    rig.send(ModelWarmedUp{w0, {1}, m1});
    CHECK(only<WarmUpModel>(rig.pass_alive(11s)).model == m1);

    config.models_without_answer = {m0, m1};
    CoreRig silent(config);
    silent.start();
    CHECK(all<WarmUpModel>(silent.pass_alive(1min)).empty());
    config.models_without_answer = {ModelId{2}};
    CHECK_THROWS_AS(CoreRig(config), std::invalid_argument);
}

TEST_CASE("a worker whose known answer is another one now loses what it has, and is recovered") {
    CoreConfig config = with_model(2);
    config.max_in_flight_per_worker = 4;
    CoreRig rig(config);
    rig.start();
    rig.pass_alive(10s);
    const auto sent = only<Dispatch>(rig.submit({.id = {1}, .model = m0}));
    const Actions seen = rig.send(ModelRejected{sent.worker, {1}, m0, Errc::model_rejected});
    const auto restart = only<StartWorker>(seen);
    CHECK(restart.worker == sent.worker);
    CHECK(restart.cause == LossCause::wrong_answer);
    CHECK(restart.rung == RecoveryRung::replace_compute);
    CHECK(finder_of_loss(seen) == WrongAnswerFinder::canary);
    CHECK(only<Dispatch>(seen).worker != sent.worker); // the caller is served by another one
    CHECK(rig.core.stats().canaries_wrong == 1);
}

TEST_CASE("a worker that is still wrong after a step is not cured, and the next step is taken") {
    CoreConfig config = with_model(1);
    config.restart_delay_min = config.restart_delay_max = 1ms;
    CoreRig rig(config);
    rig.start();
    rig.pass_alive(10s);
    Actions seen = rig.send(ModelRejected{w0, {1}, m0, Errc::model_rejected});
    std::vector<RecoveryRung> path;
    while (rig.state(w0) != WorkerState::ready && rig.state(w0) != WorkerState::failed) {
        for (const StartWorker& start : all<StartWorker>(seen)) path.push_back(start.rung);
        if (all<StartWorker>(seen).empty()) {
            seen = rig.pass(1ms);
            continue;
        }
        const Generation life = rig.generation(w0);
        rig.send(WorkerConnected{w0, life});
        rig.send(ModelLoaded{w0, life, m0});
        seen = rig.send(ModelRejected{w0, life, m0, Errc::model_rejected});
    }
    REQUIRE(path.size() > 2);
    CHECK(path.front() == RecoveryRung::replace_compute);
    CHECK(path.at(1) > path.front());
    // The last step has no next one: it serves what it can, and says what it cannot.
    CHECK(rig.state(w0) == WorkerState::ready);
    CHECK(all<Notice>(seen).front().what == Notice::What::model_rejected);
    CHECK(only<Complete>(rig.submit({.id = {1}, .model = m0})).code == Errc::model_rejected);
}

TEST_CASE("an answer to a canary that was not asked means nothing") {
    CoreRig rig(with_model(1));
    rig.start();
    const std::uint64_t ignored = rig.core.stats().stale_ignored;
    rig.send(ModelRejected{w0, {1}, m0, Errc::model_rejected});
    rig.send(ModelWarmedUp{w0, {1}, m0});
    CHECK(rig.core.stats().stale_ignored == ignored + 2);
    CHECK(rig.state(w0) == WorkerState::ready);
}

TEST_CASE("a canary takes a place like any operation, and gives it back") {
    CoreRig rig(with_model(1));
    rig.start();
    rig.pass_alive(10s);
    CHECK(all<Dispatch>(rig.submit({.id = {1}, .model = m0})).empty());
    CHECK(only<Dispatch>(rig.send(ModelWarmedUp{w0, {1}, m0})).request == RequestId{1});
}

TEST_CASE("a worker that is leased is left alone, and a lease waits for a canary's end") {
    CoreRig rig(with_model(1));
    rig.start();
    rig.send(Acquire{{1}, m0});
    CHECK(all<WarmUpModel>(rig.pass_alive(30s)).empty());
    rig.send(Release{{1}});
    CHECK(all<WarmUpModel>(rig.pass_alive(10s)).size() == 1);
    CHECK(all<LeaseGranted>(rig.send(Acquire{{2}, m0})).empty());
    CHECK(only<LeaseGranted>(rig.send(ModelWarmedUp{w0, {1}, m0})).lease == LeaseId{2});
}

TEST_CASE("a canary that is swallowed counts as a wrong one, though pings are answered") {
    CoreConfig config = with_model(1);
    config.compute_ping_timeout = 5s;
    CoreRig rig(config);
    rig.start();
    const Actions seen = rig.pass_alive(15100ms); // its pings are answered all the time
    CHECK(only<StartWorker>(seen).cause == LossCause::wrong_answer);
    CHECK(finder_of_loss(seen) == WrongAnswerFinder::canary);
}

TEST_CASE("a recovery's verification that fails is told as found by the warm-up") {
    const bool is_loaded = GENERATE(true, false); // or the model does not even get so far
    CAPTURE(is_loaded);
    CoreRig rig(with_model(1));
    rig.start();
    const Actions lost = rig.lose(w0, LossCause::compute_hung);
    CHECK_FALSE(finder_of_loss(lost)); // no answer was wrong
    const Generation life = rig.generation(w0);
    rig.send(WorkerConnected{w0, life});
    if (is_loaded) rig.send(ModelLoaded{w0, life, m0});
    const Actions seen = rig.send(ModelRejected{w0, life, m0, Errc::model_rejected});
    CHECK(finder_of_loss(seen) == WrongAnswerFinder::warm_up);
}

TEST_CASE("what a driver calls a wrong answer was not found by the core") {
    CoreRig rig(with_model(1));
    rig.start();
    CHECK_FALSE(finder_of_loss(rig.lose(w0, LossCause::wrong_answer)));
}

TEST_CASE("without models, or with an interval of zero, nobody is asked") {
    CoreRig rig(with_model(1, 0s));
    rig.start();
    CHECK(all<WarmUpModel>(rig.pass_alive(5min)).empty());
    CoreRig empty(CoreRig::workers(1));
    empty.start();
    CHECK(all<WarmUpModel>(empty.pass_alive(5min)).empty());
}

TEST_CASE("a worker that has become slow by its own fault finishes what it has, and is recovered") {
    CoreRig rig(with_model(3, 0s));
    rig.start();
    std::uint64_t id = 0;
    work(rig, {10ms, 10ms, 10ms}, 60, id);
    CHECK(rig.core.stats().workers_lost == 0);
    // Not at once: who waits for something that hangs is slow as well, until that is found.
    work(rig, {10ms, 10ms, 100ms}, 25, id);
    CHECK(rig.core.stats().workers_lost == 0);
    work(rig, {10ms, 10ms, 100ms}, 25, id);
    CHECK(rig.core.stats().workers_lost == 1);
    CHECK(rig.core.worker(w2).last_cause == LossCause::slow);
    CHECK(rig.core.stats().redispatched == 0); // nothing of its was begun anew elsewhere
}

TEST_CASE("a pool may be stopped while a slow worker finishes what it has") {
    CoreConfig config = with_model(3, 0s);
    config.max_in_flight_per_worker = 2;
    CoreRig rig(config);
    rig.start();
    std::uint64_t id = 0;
    // Each has two at a time, one after the other. The last worker's first one takes it so long; its
    // second one fails, which tells nothing of its speed.
    const auto round = [&](Duration slow) {
        std::vector<Dispatch> sent;
        for (int i = 0; i < 6; ++i)
            sent.push_back(only<Dispatch>(rig.submit({.id = {++id}, .model = m0})));
        std::ranges::stable_sort(sent, {}, [](const Dispatch& one) { return one.worker.value; });
        for (const std::size_t one : {0U, 1U}) {
            rig.now += 10ms;
            rig.reply(sent[one]);
            rig.reply(sent[one + 2]);
        }
        rig.now += slow - 20ms;
        rig.reply(sent[4]);
        if (rig.core.worker(w2).is_finishing) return;
        rig.reply(sent[5], Errc::operation_failed);
    };
    for (int i = 0; i < 40; ++i) round(20ms);
    for (int i = 0; i < 40 && !rig.core.worker(w2).is_finishing; ++i) round(200ms);
    REQUIRE(rig.core.worker(w2).is_finishing);
    CHECK(all<StopWorker>(rig.send(Stop{})).size() == 3);
    CHECK_FALSE(rig.core.worker(w2).is_finishing);
}

TEST_CASE("that a worker takes milliseconds where it took a third of one is no failure") {
    CoreRig rig(with_model(3, 0s));
    rig.start();
    std::uint64_t id = 0;
    work(rig, {300us, 300us, 300us}, 60, id);
    work(rig, {300us, 300us, 9ms}, 2000, id);
    CHECK(rig.core.stats().workers_lost == 0);
    work(rig, {300us, 300us, 11ms}, 2000, id);
    CHECK(rig.core.stats().workers_lost == 1);
}

TEST_CASE("if all workers have become slow, it is the machine, and none is restarted") {
    CoreRig rig(with_model(3, 0s));
    rig.start();
    std::uint64_t id = 0;
    work(rig, {10ms, 10ms, 10ms}, 60, id);
    work(rig, {100ms, 100ms, 100ms}, 60, id);
    CHECK(rig.core.stats().workers_lost == 0);
}

TEST_CASE("a single worker has nobody to be compared with, and is left alone") {
    CoreRig rig(with_model(1, 0s));
    rig.start();
    std::uint64_t id = 0;
    work(rig, {10ms}, 60, id);
    work(rig, {100ms}, 60, id);
    CHECK(rig.core.stats().workers_lost == 0);
}
