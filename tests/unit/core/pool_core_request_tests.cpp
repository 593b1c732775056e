// PoolCore: requests on healthy workers.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

using namespace everpool;
using namespace everpool::core;

namespace {

CoreConfig config(std::size_t workers, std::uint32_t max_in_flight, std::uint32_t models = 0) {
    CoreConfig out = CoreRig::workers(workers);
    out.max_in_flight_per_worker = max_in_flight;
    out.model_count = models;
    return out;
}

} // namespace

TEST_CASE("a request goes to a ready worker and completes with its answer") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    const Actions sent = rig.submit(1);
    CHECK(sent == Actions{Dispatch{w0, {1}, {1}, 1}});
    CHECK(rig.core.in_flight() == 1);
    CHECK(rig.core.in_flight(w0) == 1);
    CHECK(rig.reply(only<Dispatch>(sent)) == Actions{Complete{{1}, Errc::ok, 1, w0}});
    CHECK(rig.core.in_flight() == 0);
    CHECK(rig.core.stats().succeeded == 1);
}

TEST_CASE("requests are spread over the workers with the fewest in flight") {
    CoreRig rig(config(3, 2));
    rig.start();
    std::vector<WorkerId> order;
    for (std::uint64_t id = 1; id <= 6; ++id)
        order.push_back(only<Dispatch>(rig.submit(id)).worker);
    CHECK(order == std::vector<WorkerId>{w0, w1, w2, w0, w1, w2});
    CHECK(rig.submit(7).empty());
    CHECK(rig.core.queued() == 1);
}

TEST_CASE("a preferred browser is used as long as it has room, then another one") {
    CoreConfig c = config(0, 1);
    c.worker_browsers = {BrowserType::chromium, BrowserType::firefox, BrowserType::edge};
    CoreRig rig(c);
    rig.start();
    const std::uint32_t order = pack_preferences({BrowserType::edge, BrowserType::firefox});
    const auto submit = [&](std::uint64_t id) {
        return only<Dispatch>(rig.submit({.id = {id}, .preferred_browsers = order})).worker;
    };
    CHECK(submit(1) == w2);
    CHECK(submit(2) == w1);
    CHECK(submit(3) == w0);
}

TEST_CASE("waiting requests are served first come, first served") {
    CoreRig rig(config(1, 1));
    rig.start();
    auto running = only<Dispatch>(rig.submit(1));
    for (std::uint64_t id = 2; id <= 4; ++id) rig.submit(id);
    for (std::uint64_t id = 2; id <= 4; ++id) {
        running = only<Dispatch>(rig.reply(running));
        CHECK(running.request == RequestId{id});
    }
}

TEST_CASE("a request that nobody can take does not stand in the way of another model's") {
    CoreRig rig(config(2, 1, 2));
    rig.send(Start{});
    // Worker 0 serves model 0 only, worker 1 model 1 only.
    rig.send(WorkerConnected{w0, {1}});
    rig.send(ModelLoaded{w0, {1}, m0});
    rig.send(ModelWarmedUp{w0, {1}, m0});
    rig.send(ModelRejected{w0, {1}, m1, Errc::provider_unavailable});
    rig.send(WorkerConnected{w1, {1}});
    rig.send(ModelRejected{w1, {1}, m0, Errc::provider_unavailable});
    rig.send(ModelLoaded{w1, {1}, m1});
    rig.send(ModelWarmedUp{w1, {1}, m1});

    const auto first = only<Dispatch>(rig.submit({.id = {1}, .model = m0}));
    CHECK(first.worker == w0);
    CHECK(rig.submit({.id = {2}, .model = m0}).empty());
    CHECK(only<Dispatch>(rig.submit({.id = {3}, .model = m1})).worker == w1);
    rig.submit({.id = {4}});
    CHECK(only<Dispatch>(rig.reply(first)).request == RequestId{2}); // older than 4
}

TEST_CASE("a request for a model that every worker rejects completes with model_rejected") {
    CoreRig rig(config(2, 1, 1));
    rig.send(Start{});
    rig.submit({.id = {1}, .model = m0});
    rig.send(Acquire{{1}, m0});
    rig.send(WorkerConnected{w0, {1}});
    CHECK(all<Complete>(rig.send(ModelRejected{w0, {1}, m0, Errc::model_rejected})).empty());
    rig.send(WorkerConnected{w1, {1}});
    const Actions actions = rig.send(ModelRejected{w1, {1}, m0, Errc::model_rejected});
    CHECK(only<Complete>(actions) == Complete{{1}, Errc::model_rejected});
    CHECK(only<LeaseEnded>(actions) == LeaseEnded{{1}, Errc::model_rejected});
    CHECK(only<Complete>(rig.submit({.id = {2}, .model = m0})).code == Errc::model_rejected);
}

TEST_CASE("a model that lives on a failed worker only is not waited for") {
    CoreRig rig(config(2, 1, 1));
    rig.send(Start{});
    rig.send(WorkerConnected{w0, {1}});
    rig.send(ModelRejected{w0, {1}, m0, Errc::model_rejected});
    rig.submit({.id = {1}, .model = m0});
    const Actions actions = rig.send(WorkerStartFailed{w1, {1}, Errc::browser_not_found, true});
    CHECK(only<Complete>(actions) == Complete{{1}, Errc::model_rejected});
}

TEST_CASE("one request more than may wait completes with queue_full") {
    CoreConfig c = config(1, 1);
    c.queue_count_max = 2;
    CoreRig rig(c);
    rig.start();
    const auto running = only<Dispatch>(rig.submit(1));
    rig.submit(2);
    rig.submit(3);
    CHECK(only<Complete>(rig.submit(4)) == Complete{{4}, Errc::queue_full});
    rig.reply(running);
    CHECK(rig.submit(5).empty()); // there is room again
}

TEST_CASE("bytes in flight are bounded, but one larger request alone is allowed") {
    CoreConfig c = config(1, 4);
    c.in_flight_bytes_max = 100;
    CoreRig rig(c);
    rig.start();
    const auto large = only<Dispatch>(rig.submit({.id = {1}, .bytes = 1000}));
    CHECK(rig.submit({.id = {2}, .bytes = 60}).empty());
    rig.submit({.id = {3}, .bytes = 60});
    rig.submit({.id = {4}, .bytes = 1});
    // 2 fits, 3 does not beside it, and 4 does not overtake 3: else a large one could starve.
    const Actions next = rig.reply(large);
    CHECK(only<Dispatch>(next).request == RequestId{2});
    CHECK(rig.submit({.id = {5}, .bytes = 1}).empty());
    const auto after = all<Dispatch>(rig.reply(only<Dispatch>(next)));
    REQUIRE(after.size() == 3);
    CHECK(after[0].request == RequestId{3});
    CHECK(after[2].request == RequestId{5});
}

TEST_CASE("when the large request in front is given up, those behind it go at once") {
    CoreConfig c = config(1, 4);
    c.in_flight_bytes_max = 100;
    CoreRig rig(c);
    rig.start();
    rig.submit({.id = {1}, .bytes = 60});
    rig.submit({.id = {2}, .bytes = 60});
    rig.submit({.id = {3}, .bytes = 1});
    const Actions actions = rig.send(Cancel{{2}});
    CHECK(only<Complete>(actions) == Complete{{2}, Errc::cancelled});
    CHECK(only<Dispatch>(actions).request == RequestId{3});
}

// Found by the simulator: the second worker stayed idle until its next answer.
TEST_CASE("when another worker takes the large request in front, those behind it go at once") {
    CoreConfig c = config(2, 4);
    c.in_flight_bytes_max = 100;
    CoreRig rig(c);
    rig.start();
    const auto first = only<Dispatch>(rig.submit({.id = {1}, .bytes = 60}));
    REQUIRE(only<Dispatch>(rig.submit({.id = {2}, .bytes = 60})).worker == w1);
    CHECK(rig.submit({.id = {3}, .bytes = 90}).empty()); // fits beside neither
    CHECK(rig.submit({.id = {4}, .bytes = 30}).empty()); // does not overtake
    const auto dispatches = all<Dispatch>(rig.reply(first));
    CHECK(dispatches == std::vector<Dispatch>{{w0, {1}, {3}, 1}, {w1, {1}, {4}, 1}});
}

// --- deadlines and cancellation ------------------------------------------------------------------

TEST_CASE("a waiting request completes at its deadline, not earlier") {
    CoreRig rig(CoreRig::workers(1));
    rig.send(Start{});
    rig.submit({.id = {1}, .deadline = rig.now + 50ms});
    CHECK(rig.core.next_wakeup() == rig.now + 50ms);
    CHECK(all<Complete>(rig.pass(50ms - 1ns)).empty());
    CHECK(only<Complete>(rig.pass(1ns)) == Complete{{1}, Errc::deadline_exceeded});
    CHECK(rig.core.queued() == 0);
}

TEST_CASE("a request in flight completes at its deadline; the worker is told and keeps its place") {
    CoreRig rig(config(1, 1));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit({.id = {1}, .deadline = rig.now + 500ms}));
    rig.submit(2);
    const Actions actions = rig.pass(500ms);
    CHECK(has(actions, SendCancel{w0, {1}, {1}, 1}));
    CHECK(has(actions, Complete{{1}, Errc::deadline_exceeded, 1, w0}));
    CHECK(all<Dispatch>(actions).empty()); // the worker may still be busy with it
    CHECK(rig.core.in_flight() == 0);
    CHECK(rig.core.in_flight(w0) == 1);
    const Actions late = rig.reply(sent);
    CHECK(all<Complete>(late).empty()); // dropped
    CHECK(only<Dispatch>(late).request == RequestId{2});
    CHECK(rig.core.stats().late_answers == 1);
}

TEST_CASE("a request whose deadline passed while the host was late is not sent any more") {
    CoreRig rig(config(1, 1));
    rig.start();
    const auto running = only<Dispatch>(rig.submit(1));
    rig.submit({.id = {2}, .deadline = rig.now + 1s});
    rig.submit(3);
    rig.now += 2s; // the answer comes before the wakeup that is due
    const Actions actions = rig.reply(running);
    CHECK(has(actions, Complete{{2}, Errc::deadline_exceeded}));
    CHECK(only<Dispatch>(actions).request == RequestId{3});
}

TEST_CASE("a request whose deadline has passed when it comes is not taken") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    CHECK(only<Complete>(rig.submit({.id = {1}, .deadline = rig.now})).code ==
          Errc::deadline_exceeded);
}

TEST_CASE("a cancelled request completes at once, queued or in flight") {
    CoreRig rig(config(1, 1));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit(1));
    rig.submit(2);
    CHECK(rig.send(Cancel{{2}}) == Actions{Complete{{2}, Errc::cancelled}});
    CHECK(rig.send(Cancel{{1}}) ==
          Actions{SendCancel{w0, {1}, {1}, 1}, Complete{{1}, Errc::cancelled, 1, w0}});
    CHECK(rig.send(Cancel{{1}}).empty()); // twice
    CHECK(rig.send(Cancel{{9}}).empty()); // unknown
    CHECK(rig.core.stats().ignored[Event(Cancel{}).index()] == 2);
    CHECK(rig.reply(sent).empty());
    CHECK(rig.send(Cancel{{1}}).empty()); // gone
}

// A hung shader lets pings through. Without this rule its place would be lost for ever.
TEST_CASE("a worker that never answers a given-up operation is restarted") {
    CoreConfig c = config(1, 1);
    c.compute_ping_timeout = 10s;
    CoreRig rig(c);
    rig.start();
    rig.submit(1);
    rig.send(Cancel{{1}});
    const Actions actions = rig.pass_alive(10s);
    CHECK(only<StartWorker>(actions).generation == Generation{2});
    CHECK(rig.core.in_flight(w0) == 0);
}

// --- what callers and workers may get wrong ------------------------------------------------------

TEST_CASE("a request with an unknown model or no id is refused") {
    CoreRig rig(config(1, 1, 1));
    rig.start();
    CHECK(only<Complete>(rig.submit({.id = {1}, .model = {1}})).code == Errc::unknown_model);
    CHECK(only<Complete>(rig.submit(RequestMeta{})).code == Errc::invalid_request);
    CHECK(only<LeaseEnded>(rig.send(Acquire{{1}, ModelId{1}})).code == Errc::unknown_model);
}

TEST_CASE("a request that is submitted twice is answered once") {
    CoreRig rig(CoreRig::workers(1));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit(1));
    CHECK(rig.submit(1).empty());
    CHECK(all<Complete>(rig.reply(sent)).size() == 1);
}

TEST_CASE("answers that were not asked for are ignored and counted") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit(1));
    REQUIRE(sent.worker == w0);
    const auto ignored = [&](Replied reply) {
        const std::uint64_t before = rig.core.stats().ignored[Event(reply).index()];
        CHECK(rig.send(reply).empty());
        CHECK(rig.core.stats().ignored[Event(reply).index()] == before + 1);
    };
    ignored({w0, {1}, {2}, 1});           // no such request
    ignored({w0, {1}, {0}, 1});           // no request at all
    ignored({w0, {1}, {1}, 2});           // wrong attempt
    ignored({w1, {1}, {1}, 1});           // somebody else's
    ignored({w0, {2}, {1}, 1});           // a life to come
    ignored({w0, {0}, {1}, 1});           // no life
    ignored({WorkerId{77}, {1}, {1}, 1}); // no such worker
    ignored({WorkerId::none(), {1}, {1}, 1});
    CHECK(only<Complete>(rig.reply(sent)).code == Errc::ok);
    ignored({w0, {1}, {1}, 1}); // twice
    CHECK(rig.core.stats().stale_ignored == 9);
}

TEST_CASE("an error that another attempt cannot cure completes the request") {
    const Errc code = GENERATE(Errc::operation_failed, Errc::provider_unavailable,
                               Errc::invalid_input, Errc::message_too_large, Errc::model_rejected);
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit(1));
    CHECK(rig.reply(sent, code) == Actions{Complete{{1}, code, 1, w0}});
}

TEST_CASE("a retryable error sends the request to another worker") {
    CoreRig rig(CoreRig::workers(2));
    rig.start();
    const auto sent = only<Dispatch>(rig.submit(1));
    const Actions actions = rig.reply(sent, Errc::queue_full);
    CHECK(only<Dispatch>(actions) == Dispatch{w1, {1}, {1}, 2});
    CHECK(has(actions, Notice{.what = Notice::What::request_redispatched,
                              .worker = w1,
                              .generation = {1},
                              .request = {1}}));
    CHECK(rig.core.stats().redispatched == 1);
}

TEST_CASE("many operations pass through without the tables growing") {
    CoreRig rig(config(2, 4));
    rig.start();
    std::uint64_t id = 0;
    std::vector<Dispatch> running;
    for (int i = 0; i < 16; ++i)
        for (const auto& one : all<Dispatch>(rig.submit({.id = {++id}, .deadline = rig.now + 1h})))
            running.push_back(one);
    std::uint64_t completed = 0;
    for (int i = 0; i < 2000; ++i) {
        const Dispatch oldest = running.front();
        running.erase(running.begin());
        const Actions actions = rig.reply(oldest);
        completed += all<Complete>(actions).size();
        for (const auto& one : all<Dispatch>(actions)) running.push_back(one);
        for (const auto& one : all<Dispatch>(rig.submit({.id = {++id}, .deadline = rig.now + 1h})))
            running.push_back(one);
    }
    CHECK(completed == 2000);
    CHECK(rig.core.queued() == 8);
}
