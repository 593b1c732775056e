// PoolCore: who of those that wait is served first, and for how long they wait.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

#include <cstdint>
#include <vector>

using namespace everpool;
using namespace everpool::core;

namespace {

constexpr auto high = Priority::high, normal = Priority::normal, low = Priority::low;
constexpr Duration aging = 5s;

/// One worker, which computes request 1.
struct Busy {
    explicit Busy(CoreConfig config = CoreRig::workers(1, 1)) : rig(std::move(config)) {
        rig.start();
        running = only<Dispatch>(rig.submit(1));
    }

    /// The ids of what is served next, one after the other, until nothing waits.
    std::vector<std::uint64_t> serve_all() {
        std::vector<std::uint64_t> order;
        while (rig.core.queued() != 0) {
            running = only<Dispatch>(rig.reply(running));
            order.push_back(running.request.value);
        }
        return order;
    }

    CoreRig rig;
    Dispatch running;
};

using Order = std::vector<std::uint64_t>;

} // namespace

TEST_CASE("who is more urgent is served first, and among equals who came first") {
    Busy busy;
    busy.rig.submit({.id = {2}, .priority = low});
    busy.rig.submit({.id = {3}, .priority = normal});
    busy.rig.submit({.id = {4}, .priority = high});
    busy.rig.submit({.id = {5}, .priority = low});
    busy.rig.submit({.id = {6}, .priority = high});
    busy.rig.submit({.id = {7}, .priority = normal});
    CHECK(busy.serve_all() == Order{4, 6, 3, 7, 2, 5});
}

TEST_CASE("a request is served before a more urgent one that comes so much later") {
    Busy busy;
    busy.rig.submit({.id = {2}, .priority = low});
    busy.rig.pass_alive(aging - 1ms);
    busy.rig.submit({.id = {3}, .priority = normal}); // a moment too soon to be overtaken
    busy.rig.pass_alive(2ms);
    busy.rig.submit({.id = {4}, .priority = normal});
    busy.rig.pass_alive(aging);
    busy.rig.submit({.id = {5}, .priority = high});
    CHECK(busy.serve_all() == Order{3, 2, 4, 5});
}

TEST_CASE("without aging priorities make no difference to the order") {
    CoreConfig config = CoreRig::workers(1, 1);
    config.priority_aging = {};
    Busy busy(config);
    busy.rig.submit({.id = {2}, .priority = low});
    busy.rig.submit({.id = {3}, .priority = high});
    CHECK(busy.serve_all() == Order{2, 3});
}

TEST_CASE("urgency counts across models") {
    CoreConfig config = CoreRig::workers(1, 1);
    config.model_count = 2;
    Busy busy(config);
    busy.rig.submit({.id = {2}, .model = m0, .priority = low});
    busy.rig.submit({.id = {3}, .model = m1});
    busy.rig.submit({.id = {4}, .priority = high});
    CHECK(busy.serve_all() == Order{4, 3, 2});
}

TEST_CASE("a request that a lost worker gives back keeps its place, also before more urgent ones") {
    Busy busy;
    busy.rig.submit({.id = {2}, .priority = low});
    busy.running = only<Dispatch>(busy.rig.reply(busy.running));
    REQUIRE(busy.running.request == RequestId{2});
    busy.rig.submit({.id = {3}, .priority = low});
    busy.rig.pass_alive(1s);
    busy.rig.submit({.id = {4}, .priority = low});
    busy.rig.lose(w0, LossCause::page_crashed);
    busy.rig.pass_alive(1s);
    busy.running = only<Dispatch>(busy.rig.make_ready(w0));
    CHECK(busy.running.request == RequestId{2});
    CHECK(busy.serve_all() == Order{3, 4});
}

TEST_CASE("each priority has a queue of its own, which is full by itself") {
    CoreConfig config = CoreRig::workers(1, 1);
    config.queue_count_max = 2;
    config.queue_count_max_of[static_cast<std::size_t>(low)] = 1;
    Busy busy(config);
    CHECK(busy.rig.submit({.id = {2}, .priority = low}).empty());
    CHECK(only<Complete>(busy.rig.submit({.id = {3}, .priority = low})).code == Errc::queue_full);
    CHECK(busy.rig.submit({.id = {4}}).empty());
    CHECK(busy.rig.submit({.id = {5}}).empty());
    CHECK(only<Complete>(busy.rig.submit({.id = {6}})).code == Errc::queue_full);
    CHECK(busy.rig.submit({.id = {7}, .priority = high}).empty());
    CHECK(busy.rig.core.queued() == 4);
    CHECK(busy.rig.core.queued(low) == 1);
    CHECK(busy.rig.core.queued(normal) == 2);
    CHECK(busy.rig.core.queued(high) == 1);
    CHECK(busy.serve_all() == Order{7, 4, 5, 2});
}

TEST_CASE("who has waited for as long as he may is refused, and the others are served") {
    Busy busy;
    busy.rig.submit({.id = {2}, .queue_deadline = busy.rig.now + 300ms});
    busy.rig.submit({.id = {3}});
    CHECK(all<Complete>(busy.rig.pass_alive(299ms)).empty());
    CHECK(only<Complete>(busy.rig.pass_alive(1ms)) == Complete{{2}, Errc::queue_timeout});
    CHECK(busy.serve_all() == Order{3});
}

TEST_CASE("who need not wait at all is served without patience, or refused at once") {
    Busy busy;
    busy.rig.submit({.id = {2}, .queue_deadline = busy.rig.now});
    CHECK(only<Complete>(busy.rig.pass(0ms)) == Complete{{2}, Errc::queue_timeout});
    busy.rig.reply(busy.running);
    CHECK(has(busy.rig.submit({.id = {3}, .queue_deadline = busy.rig.now}),
              Dispatch{w0, {1}, {3}, 1}));
}

TEST_CASE("the answer that makes room comes before the wakeup: who is too late is not served") {
    Busy busy;
    busy.rig.submit({.id = {2}, .queue_deadline = busy.rig.now + 50ms});
    busy.rig.submit({.id = {3}, .queue_deadline = busy.rig.now + 51ms});
    busy.rig.submit({.id = {4}});
    busy.rig.now += 51ms;
    const Actions actions = busy.rig.reply(busy.running);
    CHECK(has(actions, Complete{{2}, Errc::queue_timeout}));
    CHECK(has(actions, Complete{{3}, Errc::queue_timeout}));
    CHECK(only<Dispatch>(actions).request == RequestId{4});
}

TEST_CASE("who has had a worker is patient from then on") {
    Busy busy;
    const TimePoint end = busy.rig.now + 300ms;
    busy.rig.submit({.id = {2}, .queue_deadline = end});
    busy.running = only<Dispatch>(busy.rig.reply(busy.running));
    busy.rig.lose(w0, LossCause::page_crashed);
    CHECK(all<Complete>(busy.rig.pass_alive(1s)).empty());
    REQUIRE(busy.rig.now > end);
    CHECK(only<Dispatch>(busy.rig.make_ready(w0)).request == RequestId{2});
}

TEST_CASE("who may be delayed is served when nobody else waits, and has his deadline still") {
    Busy busy;
    const auto patience = busy.rig.now + 100ms, end = busy.rig.now + 10s;
    const auto delayed = TimeoutAction::delay;
    busy.rig.submit({.id = {2}, .timeout_action = delayed, .queue_deadline = patience});
    busy.rig.submit(
        {.id = {3}, .timeout_action = delayed, .deadline = end, .queue_deadline = patience});
    CHECK(all<Complete>(busy.rig.pass_alive(200ms)).empty());
    CHECK(busy.rig.core.stats().delayed == 2);
    busy.rig.submit({.id = {4}, .priority = low});
    busy.rig.pass_alive(100ms);
    busy.rig.submit({.id = {5}, .timeout_action = delayed, .queue_deadline = busy.rig.now + 1ms});
    busy.rig.pass_alive(100ms);
    busy.running = only<Dispatch>(busy.rig.reply(busy.running));
    CHECK(busy.running.request == RequestId{4});
    CHECK(only<Complete>(busy.rig.pass_alive(10s)) == Complete{{3}, Errc::deadline_exceeded});
    CHECK(busy.serve_all() == Order{2, 5});
}

TEST_CASE("a vote of which nobody has been asked yet is refused as a whole, or delayed") {
    CoreConfig config = CoreRig::workers(3, 1);
    CoreRig rig(config);
    rig.start();
    std::vector<Dispatch> running;
    for (std::uint64_t id = 1; id <= 3; ++id) running.push_back(only<Dispatch>(rig.submit(id)));
    const TimePoint end = rig.now + 100ms;
    rig.submit({.id = {4}, .copies = 3, .queue_deadline = end});
    rig.submit(
        {.id = {5}, .copies = 3, .timeout_action = TimeoutAction::delay, .queue_deadline = end});
    CHECK(rig.core.queued() == 6);
    CHECK(only<Complete>(rig.pass_alive(100ms)) == Complete{{4}, Errc::queue_timeout});
    CHECK(rig.core.queued() == 3);
    rig.submit(6);
    CHECK(only<Dispatch>(rig.reply(running[0])).request == RequestId{6});
    CHECK(only<Dispatch>(rig.reply(running[1])).request == RequestId{5});
    CHECK(all<Complete>(rig.pass_alive(1s)).empty()); // one has been asked: it waits for the others
    CHECK(only<Dispatch>(rig.reply(running[2])).request == RequestId{5});
}

TEST_CASE("a borrower's requests wait for his worker, and are served by their urgency") {
    CoreRig rig(CoreRig::workers(1, 1));
    rig.start();
    rig.send(Acquire{{1}});
    const LeaseId lease{1};
    const auto running = only<Dispatch>(rig.submit({.id = {1}, .lease = lease}));
    rig.submit({.id = {2}, .lease = lease, .queue_deadline = rig.now + 10ms});
    rig.submit({.id = {3}, .priority = high, .lease = lease});
    CHECK(all<Complete>(rig.pass_alive(100ms)).empty());
    const auto next = only<Dispatch>(rig.reply(running));
    CHECK(next.request == RequestId{3});
    CHECK(only<Dispatch>(rig.reply(next)).request == RequestId{2});
}

TEST_CASE("an urgent request of a borrower goes before one that his worker has no room for yet") {
    CoreConfig config = CoreRig::workers(1, 2);
    config.in_flight_bytes_max = 100;
    CoreRig rig(config);
    rig.start();
    rig.send(Acquire{{1}});
    const LeaseId lease{1};
    CHECK_FALSE(rig.submit({.id = {1}, .lease = lease, .bytes = 60}).empty());
    CHECK(rig.submit({.id = {2}, .lease = lease, .bytes = 60}).empty());
    CHECK(rig.submit({.id = {3}, .lease = lease, .bytes = 40}).empty()); // no more urgent than 2
    const Actions actions = rig.submit({.id = {4}, .priority = high, .lease = lease, .bytes = 40});
    CHECK(only<Dispatch>(actions).request == RequestId{4});
}

TEST_CASE("who is said to have waited for longer comes before the others") {
    Busy busy;
    busy.rig.submit({.id = {7}, .priority = high});
    busy.rig.submit({.id = {2}, .priority = low, .waits_since = busy.rig.now - 1min});
    busy.rig.submit({.id = {8}, .priority = high, .waits_since = busy.rig.now + 1min});
    busy.rig.submit({.id = {9}, .priority = high});
    CHECK(busy.serve_all() == Order{2, 7, 8, 9});
}

TEST_CASE("a priority that is none counts as normal") {
    Busy busy;
    busy.rig.submit({.id = {2}, .priority = static_cast<Priority>(200)});
    busy.rig.submit({.id = {3}, .priority = high});
    CHECK(busy.rig.core.queued(normal) == 1);
    CHECK(busy.serve_all() == Order{3, 2});
}

TEST_CASE("who is refused can be told who has what since when") {
    Busy busy;
    const TimePoint begin = busy.rig.now;
    CHECK(busy.rig.core.worker(w0).busy_since == begin);
    CHECK(busy.rig.core.waiting_since(low) == never);
    busy.rig.pass_alive(1s);
    busy.rig.submit({.id = {2}, .priority = low});
    CHECK(busy.rig.core.waiting_since(low) == begin + 1s);
    busy.rig.pass_alive(1s);
    busy.rig.submit({.id = {3}, .priority = low});
    CHECK(busy.rig.core.waiting_since(low) == begin + 1s);
    CHECK(busy.rig.core.worker(w0).busy_since == begin);
    busy.rig.reply(busy.running);
    CHECK(busy.rig.core.waiting_since(low) == begin + 2s);
    CHECK(busy.rig.core.worker(w0).busy_since == busy.rig.now);
}
