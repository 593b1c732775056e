// PoolCore: requests that are given to a worker together.
// SPDX-License-Identifier: BSL-1.0
#include "core_rig.hpp"

#include <cstdint>
#include <vector>

using namespace everpool;
using namespace everpool::core;

namespace {

using Ids = std::vector<std::uint64_t>;

CoreConfig batching(BatchRule rule, std::size_t workers = 1) {
    CoreConfig config = CoreRig::workers(workers);
    config.model_count = 2;
    rule.first_work = 1;
    config.work_count = 1U + rule.work_count();
    config.batching = {rule, {}};
    return config;
}

RequestMeta joinable(std::uint64_t id, std::uint32_t rows = 1, std::uint64_t batch = 7) {
    return {.id = {id}, .model = m0, .batch = batch, .rows = rows};
}

/// Of what is given to workers: the ids of each batch, in order; what is alone is one.
std::vector<Ids> batches_of(const Actions& actions) {
    std::vector<Ids> out;
    std::uint64_t last = 0;
    for (const Dispatch& one : all<Dispatch>(actions)) {
        if (one.batch == 0 || one.batch != last) out.emplace_back();
        out.back().push_back(one.request.value);
        last = one.batch;
    }
    return out;
}

/// Started, and both places of worker 0 taken: by request 100, and by request 101.
struct BusyWorker {
    explicit BusyWorker(const BatchRule& rule, std::size_t workers = 1)
        : rig(batching(rule, workers)) {
        rig.start();
        first = only<Dispatch>(rig.submit(joinable(100)));
        second = only<Dispatch>(rig.submit(joinable(101)));
    }
    CoreRig rig;
    Dispatch first, second;
};

} // namespace

TEST_CASE("requests that wait for the same worker go to it together") {
    BusyWorker busy({.rows_max = 3});
    CHECK(busy.first.batch == 0);
    for (std::uint64_t id = 1; id <= 4; ++id) CHECK(busy.rig.submit(joinable(id)).empty());
    CHECK(batches_of(busy.rig.reply(busy.first)) == std::vector<Ids>{{1, 2, 3}});
    CHECK(batches_of(busy.rig.reply(busy.second)) == std::vector<Ids>{{4}});
}

TEST_CASE("a place is free when the whole batch is answered") {
    BusyWorker busy({.rows_max = 2});
    for (std::uint64_t id = 1; id <= 3; ++id) busy.rig.submit(joinable(id));
    const auto batch = all<Dispatch>(busy.rig.reply(busy.first));
    REQUIRE(batch.size() == 2);
    CHECK(all<Dispatch>(busy.rig.reply(batch[0])).empty());
    CHECK(batches_of(busy.rig.reply(batch[1])) == std::vector<Ids>{{3}});
}

TEST_CASE("only those go together that may, and stand behind each other") {
    BusyWorker busy({.rows_max = 8});
    busy.rig.submit(joinable(1));
    busy.rig.submit(joinable(2));
    busy.rig.submit(joinable(3, 1, 8)); // other inputs
    busy.rig.submit(joinable(4));
    CHECK(batches_of(busy.rig.reply(busy.first)) == std::vector<Ids>{{1, 2}});
    CHECK(batches_of(busy.rig.reply(busy.second)) == std::vector<Ids>{{3}});
}

TEST_CASE("who is alone by nature goes alone") {
    BusyWorker busy({.rows_max = 8});
    RequestMeta once = joinable(1);
    once.idempotent = false;
    CHECK(only<Dispatch>(busy.rig.submit(once)).batch == 0); // there is room for it
    busy.rig.submit({.id = {2}, .model = m0});
    busy.rig.submit({.id = {3}, .model = m0}); // neither may that one
    busy.rig.submit(joinable(4));
    CHECK(batches_of(busy.rig.reply(busy.first)) == std::vector<Ids>{{3}});
}

TEST_CASE("a batch has no more rows than its model allows, but for a request that alone has more") {
    BusyWorker busy({.rows_max = 4});
    busy.rig.submit(joinable(1, 2));
    busy.rig.submit(joinable(2, 2));
    busy.rig.submit(joinable(3, 9));
    busy.rig.submit(joinable(4));
    CHECK(batches_of(busy.rig.reply(busy.first)) == std::vector<Ids>{{1, 2}});
    CHECK(batches_of(busy.rig.reply(busy.second)) == std::vector<Ids>{{3}});
}

TEST_CASE("a batch has no more bytes than a worker may have") {
    CoreConfig config = batching({.rows_max = 8});
    config.in_flight_bytes_max = 100;
    CoreRig rig(config);
    rig.start();
    const auto first = only<Dispatch>(rig.submit(joinable(100)));
    const auto second = only<Dispatch>(rig.submit(joinable(101)));
    for (std::uint64_t id = 1; id <= 3; ++id) {
        RequestMeta meta = joinable(id);
        meta.bytes = 40;
        rig.submit(meta);
    }
    CHECK(batches_of(rig.reply(first)) == std::vector<Ids>{{1, 2}});
    CHECK(all<Dispatch>(rig.reply(second)).empty());
}

TEST_CASE("who was at a worker that was lost goes alone, as it may be what it was lost by") {
    BusyWorker busy({.rows_max = 8}, 2);
    // The second worker has room for two more.
    const auto third = only<Dispatch>(busy.rig.submit(joinable(102)));
    const auto fourth = only<Dispatch>(busy.rig.submit(joinable(103)));
    for (std::uint64_t id = 1; id <= 3; ++id) busy.rig.submit(joinable(id));
    const auto batch = all<Dispatch>(busy.rig.reply(busy.first));
    REQUIRE(batch.size() == 3);
    CHECK(batch[0].worker == busy.first.worker);
    busy.rig.lose(batch[0].worker, LossCause::process_exited);
    const Dispatch& other = third.worker == batch[0].worker ? busy.second : third;
    const Dispatch& another = fourth.worker == batch[0].worker ? busy.second : fourth;
    std::vector<Ids> again;
    for (const Dispatch& one : {other, another})
        if (one.worker != batch[0].worker)
            for (const Ids& ids : batches_of(busy.rig.reply(one))) again.push_back(ids);
    REQUIRE_FALSE(again.empty());
    for (const Ids& ids : again) CHECK(ids.size() == 1);
}

TEST_CASE("a cancelled request keeps its place in its batch until that is answered") {
    BusyWorker busy({.rows_max = 2});
    for (std::uint64_t id = 1; id <= 3; ++id) busy.rig.submit(joinable(id));
    const auto batch = all<Dispatch>(busy.rig.reply(busy.first));
    REQUIRE(batch.size() == 2);
    const Actions cancelled = busy.rig.send(Cancel{batch[0].request});
    CHECK(only<Complete>(cancelled).code == Errc::cancelled);
    CHECK(all<Dispatch>(busy.rig.reply(batch[1])).empty());
    const Actions late = busy.rig.reply(batch[0]);
    CHECK(all<Complete>(late).empty());
    CHECK(batches_of(late) == std::vector<Ids>{{3}});
}

TEST_CASE("with a delay an idle worker waits for company, and no longer than that") {
    CoreRig rig(batching({.rows_max = 4, .delay_max = 10ms}));
    rig.start();
    CHECK(all<Dispatch>(rig.submit(joinable(1))).empty());
    CHECK(all<Dispatch>(rig.pass_alive(6ms)).empty());
    CHECK(all<Dispatch>(rig.submit(joinable(2))).empty());
    CHECK(batches_of(rig.pass_alive(4ms)) == std::vector<Ids>{{1, 2}});
    // The next one has its own time.
    CHECK(all<Dispatch>(rig.submit(joinable(3))).empty());
    CHECK(all<Dispatch>(rig.pass_alive(9ms)).empty());
    CHECK(batches_of(rig.pass_alive(1ms)) == std::vector<Ids>{{3}});
}

TEST_CASE("a full batch does not wait") {
    CoreRig rig(batching({.rows_max = 3, .delay_max = 10ms}));
    rig.start();
    rig.submit(joinable(1));
    rig.submit(joinable(2));
    CHECK(batches_of(rig.submit(joinable(3))) == std::vector<Ids>{{1, 2, 3}});
    CHECK(all<Dispatch>(rig.submit(joinable(4))).empty());
    CHECK(batches_of(rig.submit(joinable(5, 2))) == std::vector<Ids>{{4, 5}});
}

TEST_CASE("a batch has a preferred number of rows, until it has waited long enough") {
    CoreRig rig(batching({.rows_max = 8, .delay_max = 10ms, .preferred = {2, 4}}));
    rig.start();
    rig.submit(joinable(1));
    CHECK(batches_of(rig.submit(joinable(2))) == std::vector<Ids>{{1, 2}});
    rig.submit(joinable(3));
    CHECK(batches_of(rig.pass_alive(10ms)) == std::vector<Ids>{{3}});
}

TEST_CASE("who waits for company does not hold up another model's") {
    CoreRig rig(batching({.rows_max = 4, .delay_max = 10ms}));
    rig.start();
    rig.submit(joinable(1));
    CHECK(only<Dispatch>(rig.submit({.id = {2}, .model = m1})).request == RequestId{2});
    rig.pass_alive(10ms);
}

TEST_CASE("an event that comes after a batch's time has it sent") {
    CoreRig rig(batching({.rows_max = 4, .delay_max = 10ms}));
    rig.start();
    rig.submit(joinable(1));
    rig.now += 11ms; // the wakeup is late
    const Actions actions = rig.submit({.id = {2}, .model = m1});
    CHECK(all<Dispatch>(actions).size() == 2);
}

TEST_CASE("what goes alone has more places at a worker than what waits for company") {
    BusyWorker busy({.rows_max = 4});
    CHECK(all<Dispatch>(busy.rig.submit(joinable(1))).empty());
    busy.rig.send(Cancel{RequestId{1}});
    CHECK(only<Dispatch>(busy.rig.submit({.id = {2}, .model = m1})).request == RequestId{2});
}

TEST_CASE("how long a batch takes is learnt apart from how long one row takes") {
    BusyWorker busy({.rows_max = 4});
    std::uint64_t id = 200;
    std::vector<Dispatch> batch;
    Dispatch beside = busy.second;
    busy.rig.reply(busy.first);
    // Batches of four take 400 ms each, which nobody would grant to one row.
    for (int i = 0; i < 60; ++i) {
        const auto alone = only<Dispatch>(busy.rig.submit(joinable(++id)));
        for (int k = 0; k < 4; ++k) busy.rig.submit(joinable(++id));
        busy.rig.pass_alive(1ms);
        batch = all<Dispatch>(busy.rig.reply(beside));
        REQUIRE(batch.size() == 4);
        busy.rig.pass_alive(1ms);
        busy.rig.reply(alone);
        busy.rig.pass_without_compute(400ms);
        REQUIRE(busy.rig.state(w0) == WorkerState::ready);
        beside = only<Dispatch>(busy.rig.submit(joinable(++id)));
        for (const Dispatch& one : batch) busy.rig.reply(one);
    }
    // A single one that takes as long is found to hang.
    busy.rig.reply(beside);
    (void)only<Dispatch>(busy.rig.submit(joinable(++id)));
    busy.rig.pass_without_compute(2s);
    CHECK(busy.rig.state(w0) != WorkerState::ready);
}

TEST_CASE("a batch that is due is not forgotten for one that comes late as well") {
    CoreRig rig(batching({.rows_max = 4, .delay_max = 10ms}));
    rig.start();
    rig.submit(joinable(1));
    rig.now += 11ms; // the wakeup is late
    RequestMeta once = joinable(2);
    once.idempotent = false; // goes behind it, and alone
    CHECK(all<Dispatch>(rig.submit(once)).size() == 2);
}

TEST_CASE("who has less patience than company may take to come goes alone") {
    CoreRig rig(batching({.rows_max = 4, .delay_max = 10ms}));
    rig.start();
    RequestMeta hurried = joinable(1);
    hurried.deadline = rig.now + 10ms;
    CHECK(only<Dispatch>(rig.submit(hurried)).batch == 0);
    RequestMeta impatient = joinable(2);
    impatient.queue_deadline = rig.now + 5ms;
    CHECK(only<Dispatch>(rig.submit(impatient)).request == RequestId{2});
}

TEST_CASE("nobody is refused for those who wait for company, while a worker is idle") {
    CoreConfig config = batching({.rows_max = 4, .delay_max = 10ms});
    config.queue_count_max = 2;
    CoreRig rig(config);
    rig.start();
    rig.submit(joinable(1));
    rig.submit(joinable(2));
    const Actions third = rig.submit(joinable(3));
    CHECK(all<Complete>(third).empty());
    CHECK(only<Dispatch>(third).request == RequestId{3});
    CHECK(batches_of(rig.pass_alive(10ms)) == std::vector<Ids>{{1, 2}});
}

TEST_CASE("in a pool that drains nobody waits for company, as none will come") {
    CoreRig rig(batching({.rows_max = 4, .delay_max = 10s}));
    rig.start();
    rig.submit(joinable(1));
    rig.submit(joinable(2));
    CHECK(batches_of(rig.send(Drain{})) == std::vector<Ids>{{1, 2}});
}

TEST_CASE("what a batch's first answer was not computed for does not count as its time") {
    BusyWorker busy({.rows_max = 2});
    std::uint64_t id = 200;
    Dispatch beside = busy.second;
    busy.rig.reply(busy.first);
    // One of each two is refused by the driver at once; batches take 400 ms all the same.
    for (int i = 0; i < 60; ++i) {
        const auto alone = only<Dispatch>(busy.rig.submit(joinable(++id)));
        for (int k = 0; k < 2; ++k) busy.rig.submit(joinable(++id));
        const auto batch = all<Dispatch>(busy.rig.reply(beside));
        REQUIRE(batch.size() == 2);
        busy.rig.refuse(batch[0], Errc::invalid_input);
        busy.rig.pass_alive(1ms);
        busy.rig.reply(alone);
        busy.rig.pass_without_compute(400ms);
        REQUIRE(busy.rig.state(w0) == WorkerState::ready);
        busy.rig.reply(batch[1]);
        beside = only<Dispatch>(busy.rig.submit(joinable(++id)));
    }
    busy.rig.reply(beside);
    const auto first = only<Dispatch>(busy.rig.submit(joinable(++id)));
    const auto second = only<Dispatch>(busy.rig.submit(joinable(++id)));
    for (int k = 0; k < 2; ++k) busy.rig.submit(joinable(++id));
    busy.rig.reply(first);
    busy.rig.reply(second);
    // A batch is known to take no longer than that: it hangs.
    busy.rig.pass_without_compute(3s);
    CHECK(busy.rig.state(w0) != WorkerState::ready);
}
