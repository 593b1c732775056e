// PoolCore: workers on loan.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

using namespace everpool;
using namespace everpool::core;

namespace {

CoreRig ready_rig(std::size_t workers, std::uint32_t max_in_flight = 2) {
    CoreConfig config = CoreRig::workers(workers);
    config.max_in_flight_per_worker = max_in_flight;
    CoreRig rig(config);
    rig.start();
    return rig;
}

} // namespace

TEST_CASE("an idle worker is lent at once, and works for its borrower alone") {
    CoreRig rig = ready_rig(2);
    CHECK(rig.send(Acquire{{1}}) == Actions{LeaseGranted{{1}, w0, {1}}});
    CHECK(rig.core.worker(w0).leased);
    for (std::uint64_t id = 1; id <= 2; ++id) CHECK(only<Dispatch>(rig.submit(id)).worker == w1);
    CHECK(rig.submit(3).empty()); // worker 1 is full, worker 0 is lent
    CHECK(only<Dispatch>(rig.submit({.id = {4}, .lease = {1}})).worker == w0);
}

TEST_CASE("a worker is lent to one borrower at a time, in the order of asking") {
    CoreRig rig = ready_rig(1);
    rig.send(Acquire{{1}});
    CHECK(rig.send(Acquire{{2}}).empty());
    CHECK(rig.send(Acquire{{3}}).empty());
    CHECK(rig.send(Release{{1}}) == Actions{LeaseGranted{{2}, w0, {1}}});
    CHECK(rig.send(Release{{2}}) == Actions{LeaseGranted{{3}, w0, {1}}});
    CHECK(rig.send(Release{{3}}).empty());
    CHECK_FALSE(rig.core.worker(w0).leased);
}

TEST_CASE("a busy worker that is reserved takes nothing new and is lent when it is idle") {
    CoreRig rig = ready_rig(1, 2);
    const auto running = only<Dispatch>(rig.submit(1));
    CHECK(rig.send(Acquire{{1}}).empty());
    CHECK(rig.submit(2).empty()); // there would be room, but the lease would starve
    CHECK(rig.reply(running) ==
          Actions{Complete{{1}, Errc::ok, 1, w0}, LeaseGranted{{1}, w0, {1}}});
    CHECK(only<Dispatch>(rig.send(Release{{1}})).request == RequestId{2});
}

TEST_CASE("a lease prefers an idle worker to a preferred one that is busy") {
    CoreConfig config;
    config.worker_browsers = {BrowserType::edge, BrowserType::firefox};
    CoreRig rig(config);
    rig.start();
    const std::uint32_t edge = pack_preferences({BrowserType::edge});
    rig.submit({.id = {1}, .preferred_browsers = edge});
    CHECK(only<LeaseGranted>(rig.send(Acquire{{1}, ModelId::none(), never, edge})).worker == w1);
}

TEST_CASE("what is released while it works is free when its accepted operations are done") {
    CoreRig rig = ready_rig(1, 1);
    rig.send(Acquire{{1}});
    const auto first = only<Dispatch>(rig.submit({.id = {1}, .lease = {1}}));
    rig.submit({.id = {2}, .lease = {1}});
    rig.submit(3);
    CHECK(rig.send(Release{{1}}).empty());
    CHECK(rig.send(Release{{1}}).empty()); // twice
    CHECK(only<Complete>(rig.submit({.id = {4}, .lease = {1}})).code == Errc::invalid_request);
    const auto second = only<Dispatch>(rig.reply(first));
    CHECK(second.request == RequestId{2});
    CHECK(only<Dispatch>(rig.reply(second)).request == RequestId{3});
}

TEST_CASE("a lease that is withdrawn while it waits ends with cancelled") {
    CoreRig rig = ready_rig(1);
    const auto running = only<Dispatch>(rig.submit(1));
    rig.send(Acquire{{1}}); // reserves
    rig.send(Acquire{{2}}); // waits
    CHECK(rig.send(Release{{2}}) == Actions{LeaseEnded{{2}, Errc::cancelled}});
    rig.submit(2);
    const Actions actions = rig.send(Release{{1}});
    CHECK(only<LeaseEnded>(actions) == LeaseEnded{{1}, Errc::cancelled});
    CHECK(only<Dispatch>(actions).request == RequestId{2}); // not reserved any more
    CHECK(rig.send(Release{{1}}).empty());
    (void)running;
}

TEST_CASE("a lease is not waited for beyond its deadline") {
    CoreRig rig = ready_rig(1);
    rig.submit(1);
    rig.send(Acquire{{1}, ModelId::none(), rig.now + 500ms});
    rig.send(Acquire{{2}, ModelId::none(), rig.now + 500ms});
    rig.submit(2);
    const Actions actions = rig.pass(500ms);
    CHECK(all<LeaseEnded>(actions) ==
          std::vector<LeaseEnded>{{{1}, Errc::deadline_exceeded}, {{2}, Errc::deadline_exceeded}});
    CHECK(only<Dispatch>(actions).request == RequestId{2});
    CHECK(only<LeaseEnded>(rig.send(Acquire{{3}, ModelId::none(), rig.now})).code ==
          Errc::deadline_exceeded);
}

// Found by the simulator: the answer comes before the wakeup that is due.
TEST_CASE("a lease whose deadline passed while the host was late is not granted any more") {
    CoreRig rig = ready_rig(1);
    const auto running = only<Dispatch>(rig.submit(1));
    rig.send(Acquire{{1}, ModelId::none(), rig.now + 1s}); // reserves
    rig.send(Acquire{{2}, ModelId::none(), rig.now + 1s}); // waits
    rig.send(Acquire{{3}});
    rig.now += 2s;
    const Actions actions = rig.reply(running);
    CHECK(all<LeaseEnded>(actions) ==
          std::vector<LeaseEnded>{{{1}, Errc::deadline_exceeded}, {{2}, Errc::deadline_exceeded}});
    CHECK(only<LeaseGranted>(actions) == LeaseGranted{{3}, w0, {1}});
}

TEST_CASE("a granted lease has no deadline") {
    CoreRig rig = ready_rig(1);
    rig.send(Acquire{{1}, ModelId::none(), rig.now + 500ms});
    CHECK(all<LeaseEnded>(rig.pass(1s)).empty());
}

TEST_CASE("a lost worker ends its lease and everything under it; nothing is repeated elsewhere") {
    CoreRig rig = ready_rig(2, 2);
    rig.send(Acquire{{1}});
    rig.submit({.id = {1}, .lease = {1}});
    rig.submit({.id = {2}, .lease = {1}, .idempotent = false});
    rig.submit({.id = {3}, .lease = {1}, .idempotent = false}); // waits
    const Actions actions = rig.lose(w0, LossCause::page_crashed);
    CHECK(has(actions, Complete{{1}, Errc::worker_lost, 1, w0}));
    CHECK(has(actions, Complete{{2}, Errc::outcome_unknown, 1, w0}));
    CHECK(has(actions, Complete{{3}, Errc::worker_lost, 0, WorkerId::none()})); // never sent
    CHECK(only<LeaseEnded>(actions) == LeaseEnded{{1}, Errc::worker_lost});
    CHECK(all<Dispatch>(actions).empty());
    CHECK(only<Complete>(rig.submit({.id = {4}, .lease = {1}})).code == Errc::worker_lost);
    CHECK(rig.send(Release{{1}}).empty());
}

TEST_CASE("a lease that was given back is not ended a second time by the loss of its worker") {
    CoreRig rig = ready_rig(1);
    rig.send(Acquire{{1}});
    rig.submit({.id = {1}, .lease = {1}});
    rig.send(Release{{1}});
    CHECK(all<LeaseEnded>(rig.lose(w0, LossCause::page_crashed)).empty());
}

TEST_CASE("when the worker that was reserved is lost, the lease looks for another one") {
    CoreRig rig = ready_rig(2);
    rig.submit(1);          // on 0
    rig.submit(2);          // on 1
    rig.send(Acquire{{1}}); // reserves 0
    const Actions actions = rig.lose(w0, LossCause::page_crashed);
    CHECK(all<LeaseGranted>(actions).empty());
    // Request 1 was placed on worker 1 first; both must be done before the lease is granted there.
    CHECK(only<Dispatch>(actions).worker == w1);
    rig.reply({w1, {1}, {1}, 2});
    CHECK(only<LeaseGranted>(rig.reply({w1, {1}, {2}, 1})) == LeaseGranted{{1}, w1, {1}});
}

TEST_CASE("a lease waits for a worker that is being restarted") {
    CoreRig rig = ready_rig(1);
    rig.lose(w0, LossCause::page_crashed);
    CHECK(rig.send(Acquire{{1}}).empty());
    CHECK(only<LeaseGranted>(rig.make_ready(w0)) == LeaseGranted{{1}, w0, {2}});
}

TEST_CASE("a lease needs a worker that serves its model") {
    CoreConfig config = CoreRig::workers(2);
    config.model_count = 1;
    CoreRig rig(config);
    rig.send(Start{});
    rig.send(WorkerConnected{w0, {1}});
    rig.send(ModelRejected{w0, {1}, m0, Errc::provider_unavailable});
    rig.make_ready(w1);
    CHECK(only<LeaseGranted>(rig.send(Acquire{{1}, m0})).worker == w1);
    CHECK(rig.send(Acquire{{2}, m0}).empty());
    CHECK(only<LeaseGranted>(rig.send(Acquire{{3}})).worker == w0);
    CHECK(only<Complete>(rig.submit({.id = {1}, .model = m0, .lease = {3}})).code ==
          Errc::model_rejected);
}

TEST_CASE("a request may not use a lease that has not been granted") {
    CoreRig rig = ready_rig(1);
    rig.send(Acquire{{1}});
    rig.send(Acquire{{2}});
    CHECK(only<Complete>(rig.submit({.id = {1}, .lease = {2}})).code == Errc::invalid_request);
    CHECK(only<Complete>(rig.submit({.id = {2}, .lease = {9}})).code == Errc::worker_lost);
}

TEST_CASE("one lease more than allowed ends with queue_full, and an id is used once") {
    CoreConfig config = CoreRig::workers(1);
    config.lease_count_max = 2;
    CoreRig rig(config);
    rig.start();
    rig.send(Acquire{{1}});
    rig.send(Acquire{{2}});
    CHECK(only<LeaseEnded>(rig.send(Acquire{{3}})) == LeaseEnded{{3}, Errc::queue_full});
    CHECK(rig.send(Acquire{{1}}).empty());
    CHECK(rig.send(Acquire{{0}}).empty());
    CHECK(rig.send(Release{{7}}).empty());
    CHECK(rig.core.stats().stale_ignored == 3);
}

TEST_CASE("an operation that its borrower gave up keeps the worker from the next borrower") {
    CoreRig rig = ready_rig(1);
    rig.send(Acquire{{1}});
    const auto sent = only<Dispatch>(rig.submit({.id = {1}, .lease = {1}}));
    rig.send(Acquire{{2}});
    rig.send(Cancel{{1}});
    CHECK(rig.send(Release{{1}}).empty());
    CHECK(only<LeaseGranted>(rig.reply(sent)) == LeaseGranted{{2}, w0, {1}});
}

// Each ended lease used to look for the next one from within itself: at the limit of the
// configuration the stack was too small for that.
TEST_CASE("any number of leases may pass their deadline while the host is late") {
    CoreConfig config = CoreRig::workers(1);
    config.lease_count_max = 100'000;
    PoolCore core(config, 1);
    TimePoint now{1h};
    Actions actions;
    core.on(Start{}, now, actions);
    core.on(WorkerConnected{w0, {1}}, now, actions);
    core.on(Acquire{{1}}, now, actions);
    for (std::uint64_t id = 2; id <= config.lease_count_max; ++id)
        core.on(Acquire{{id}, ModelId::none(), now + 1s}, now, actions);
    now += 2s; // the release comes before the wakeup that is due
    actions.clear();
    core.on(Release{{1}}, now, actions);
    CHECK(all<LeaseEnded>(actions).size() == config.lease_count_max - 1);
    CHECK_FALSE(core.worker(w0).leased);
}
