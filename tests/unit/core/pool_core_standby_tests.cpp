// PoolCore: workers that are ready and have nothing to do as long as the others are there.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

using namespace everpool;
using namespace everpool::core;

namespace {

/// `active` chromium workers, then one Firefox as their standby.
CoreConfig with_standby(std::size_t active, std::uint32_t in_flight_max = 2) {
    CoreConfig config = CoreRig::workers(active, in_flight_max);
    config.worker_browsers.push_back(BrowserType::firefox);
    config.standby_count = 1;
    return config;
}

} // namespace

TEST_CASE("a standby is started and warmed up like any worker, and is told from them") {
    CoreConfig c = with_standby(1);
    c.model_count = 1;
    CoreRig rig(c);
    const Actions actions = rig.send(Start{});
    CHECK(all<StartWorker>(actions).size() == 2);
    rig.make_ready(w0);
    CHECK(only<StartFinished>(rig.make_ready(w1)).code == Errc::ok);
    CHECK(rig.core.worker(w0).role == WorkerRole::active);
    CHECK(rig.core.worker(w1).role == WorkerRole::standby);
    CHECK(rig.state(w1) == WorkerState::ready);
}

TEST_CASE("a standby is given nothing while the active workers are there, however busy they are") {
    CoreRig rig(with_standby(2, 1));
    rig.start();
    CHECK(
        only<Dispatch>(
            rig.submit({.id = {1}, .preferred_browsers = pack_preferences({BrowserType::firefox})}))
            .worker == w0);
    CHECK(only<Dispatch>(rig.submit(2)).worker == w1);
    CHECK(rig.submit(3).empty());
    CHECK(rig.core.queued() == 1);
    CHECK(rig.core.in_flight(w2) == 0);
    CHECK(all<LeaseGranted>(rig.send(Acquire{{1}})).empty());
}

TEST_CASE("what a lost worker had goes to the standby at once, as does what waited for room") {
    CoreRig rig(with_standby(1, 2));
    rig.start();
    rig.submit(1);
    rig.submit(2);
    rig.submit(3); // waits
    const Actions actions = rig.lose(w0, LossCause::process_exited);
    const auto dispatches = all<Dispatch>(actions);
    CHECK(dispatches == std::vector<Dispatch>{{w1, {1}, {1}, 2}, {w1, {1}, {2}, 2}});
    CHECK(place_of(actions, dispatches.front()) < place_of(actions, only<StartWorker>(actions)));
    CHECK(only<Dispatch>(rig.reply(dispatches.front())).request == RequestId{3});
}

TEST_CASE("an active worker that has room comes before the standby") {
    CoreRig rig(with_standby(2, 1));
    rig.start();
    rig.submit(1); // on 0
    CHECK(only<Dispatch>(rig.lose(w0, LossCause::page_crashed)).worker == w1);
    CHECK(only<Dispatch>(rig.submit(2)).worker == w2);
}

TEST_CASE("when the lost worker is back the standby finishes what it has, and gets no more") {
    CoreRig rig(with_standby(1, 2));
    rig.start();
    rig.submit(1);
    const auto moved = only<Dispatch>(rig.lose(w0, LossCause::page_crashed));
    REQUIRE(moved.worker == w1);
    rig.make_ready(w0);
    CHECK(only<Dispatch>(rig.submit(2)).worker == w0);
    CHECK(only<Complete>(rig.reply(moved)).code == Errc::ok);
    CHECK(only<Dispatch>(rig.submit(3)).worker == w0);
}

TEST_CASE("a standby serves a model that no active worker serves, and nothing else besides") {
    CoreConfig c = with_standby(1);
    c.model_count = 2;
    CoreRig rig(c);
    rig.send(Start{});
    rig.send(WorkerConnected{w0, {1}});
    rig.send(ModelRejected{w0, {1}, m0, Errc::model_rejected});
    rig.send(ModelLoaded{w0, {1}, m1});
    rig.send(ModelWarmedUp{w0, {1}, m1});
    rig.make_ready(w1);
    CHECK(only<Dispatch>(rig.submit({.id = {1}, .model = m0})).worker == w1);
    CHECK(only<Dispatch>(rig.submit({.id = {2}, .model = m1})).worker == w0);
    CHECK(only<Dispatch>(rig.submit({.id = {3}})).worker == w0);
}

// A large request for the active worker's model held up what only the standby serves.
TEST_CASE("when the lost worker is back, its standby goes on with what is left to it alone") {
    CoreConfig c = with_standby(1, 3);
    c.model_count = 2;
    c.in_flight_bytes_max = 100;
    CoreRig rig(c);
    const auto start_active = [&](Generation life) {
        rig.send(WorkerConnected{w0, life});
        rig.send(ModelRejected{w0, life, m0, Errc::model_rejected});
        rig.send(ModelLoaded{w0, life, m1});
        return rig.send(ModelWarmedUp{w0, life, m1});
    };
    rig.send(Start{});
    start_active({1});
    rig.make_ready(w1);
    rig.lose(w0, LossCause::page_crashed);
    CHECK(only<Dispatch>(rig.submit({.id = {1}, .model = m1, .bytes = 60})).worker == w1);
    rig.submit({.id = {2}, .model = m1, .bytes = 60}); // no room
    rig.submit({.id = {3}, .model = m0, .bytes = 10}); // behind it
    REQUIRE(rig.core.queued() == 2);
    rig.send(WorkerConnected{w0, {2}});
    rig.send(ModelLoaded{w0, {2}, m1});
    const Actions actions = rig.send(ModelWarmedUp{w0, {2}, m1});
    CHECK(all<Dispatch>(actions) == std::vector<Dispatch>{{w0, {2}, {2}, 1}, {w1, {1}, {3}, 1}});
}

TEST_CASE("a lease that lost its worker's place gets the standby") {
    CoreRig rig(with_standby(1));
    rig.start();
    REQUIRE(only<LeaseGranted>(rig.send(Acquire{{1}})).worker == w0);
    rig.send(Acquire{{2}});
    const Actions actions = rig.lose(w0, LossCause::page_crashed);
    CHECK(only<LeaseGranted>(actions) == LeaseGranted{{2}, w1, {1}});
}

TEST_CASE("a pool whose active workers are all given up lives on its standby") {
    CoreConfig c = with_standby(1);
    c.restart_count_max = 1;
    CoreRig rig(c);
    rig.start();
    rig.submit(1);
    rig.lose(w0, LossCause::process_exited);
    rig.lose(w0, LossCause::process_exited);
    REQUIRE(rig.state(w0) == WorkerState::failed);
    CHECK(only<Dispatch>(rig.submit(2)).worker == w1);
}

TEST_CASE("not every worker can be a standby") {
    CoreConfig c = CoreRig::workers(2);
    c.standby_count = 2;
    CHECK_THROWS_WITH(PoolCore(c, 1), "CoreConfig::standby_count must be less than "
                                      "worker_browsers has entries");
}
