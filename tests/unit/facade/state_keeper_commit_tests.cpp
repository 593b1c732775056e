// What a commit promises, by durability: on a disk of which the power is cut.
// SPDX-License-Identifier: BSL-1.0
#include "keeper_rig.hpp"

#include <atomic>
#include <thread>

namespace everpool::tests {
namespace {

using facade::StateKeeper;
using Numbers = std::vector<std::string>;

Numbers notes_after_power_cut(const KeeperRig& rig) {
    KeeperRig next = rig.after_power_cut();
    next.open();
    return next.notes();
}

TEST_CASE("a commit with sync survives a power cut once it has returned") {
    KeeperRig rig;
    rig.open();
    CHECK(rig.commit_note(1) == 1);
    CHECK(rig.commit_note(2) == 2);
    CHECK(rig.keeper->health().durable == 2);
    CHECK(notes_after_power_cut(rig) == KeeperRig::numbers(1, 2));
}

TEST_CASE("a commit with os is with the system when it returns, and no sync is made for it") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1); // begins the segment
    const std::uint64_t syncs = rig.gate->syncs();
    rig.commit_note(2, Durability::os);
    CHECK(rig.gate->syncs() == syncs);
    CHECK(rig.keeper->health().with_system == 2);
    CHECK(rig.keeper->health().durable == 1);
    KeeperRig killed = rig.after_kill();
    killed.open();
    CHECK(killed.notes() == KeeperRig::numbers(1, 2));
    CHECK(notes_after_power_cut(rig) == KeeperRig::numbers(1, 1));
}

TEST_CASE("a commit with none stays in memory, and goes along with the next one that is not") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    const std::uint64_t calls = rig.disk->calls();
    rig.commit_notes(2, 40, Durability::none);
    CHECK(rig.disk->calls() == calls);
    CHECK(rig.keeper->health().committed == 40);
    CHECK(rig.keeper->health().with_system == 1);
    rig.commit_note(41);
    CHECK(rig.keeper->health().durable == 41);
    CHECK(notes_after_power_cut(rig) == KeeperRig::numbers(1, 41));
}

TEST_CASE("a commit with group does not wait, and is durable within the interval by itself") {
    KeeperRig rig;
    rig.config.commit_interval = 1ms;
    rig.open();
    rig.commit_note(1);
    rig.gate->close_gate();
    rig.commit_note(2, Durability::group); // returns although nothing can be synced
    CHECK(rig.keeper->health().durable == 1);
    rig.gate->await_arrival(); // nobody asked for it but the interval
    Told told;
    REQUIRE(!rig.keeper->commit(note(3), Durability::group, told.handler()).code);
    rig.gate->open_gate();
    CHECK(!told.answer());
    CHECK(rig.keeper->health().durable == 3);
    CHECK(notes_after_power_cut(rig) == KeeperRig::numbers(1, 3));
}

TEST_CASE("a commit with group waits for the interval, and not for less") {
    KeeperRig rig; // ten seconds
    rig.open();
    rig.commit_note(1);
    const std::uint64_t syncs = rig.gate->syncs();
    rig.commit_note(2, Durability::group);
    rig.commit_note(3, Durability::os);
    CHECK(rig.gate->syncs() == syncs);
    CHECK(rig.keeper->health().durable == 1);
}

TEST_CASE("an interval below a millisecond means: in the background, at once") {
    KeeperRig rig;
    rig.config.commit_interval = 100us;
    rig.open();
    Told told;
    REQUIRE(!rig.keeper->commit(note(1), Durability::group, told.handler()).code);
    CHECK(!told.answer());
    CHECK(rig.keeper->health().durable == 1);
}

TEST_CASE("what was never awaited is written in the end, if there is too much of it to be kept") {
    KeeperRig rig;
    rig.config.commit_interval = 1ms;
    rig.config.segment_bytes = 16 << 20;
    rig.open();
    rig.commit_note(1);
    rig.gate->close_gate();
    for (std::uint64_t i = 1; i <= 9; ++i)
        rig.commit(step(OperationSubmitted{.id = RequestId{i},
                                           .operation = "echo",
                                           .payload = Payload(noise(1 << 20, i))}),
                   Durability::none);
    rig.gate->await_arrival();
    rig.gate->open_gate();
    CHECK(!rig.keeper->flush());
}

TEST_CASE("the order on disk is the order of the commits, whatever their durability") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        KeeperRig rig;
        rig.open();
        core::Prng prng(seed);
        std::uint64_t promised = 0;
        for (std::uint64_t number = 1; number <= 60; ++number) {
            const auto durability = static_cast<Durability>(prng.below(4));
            rig.commit_note(number, durability);
            if (durability == Durability::sync) promised = number;
        }
        KeeperRig next = rig.after_power_cut(Loss::by_chance, seed);
        next.open();
        const Numbers found = next.notes();
        INFO("seed " << seed);
        CHECK(found.size() >= promised);
        CHECK(found == KeeperRig::numbers(1, found.size()));
    }
}

TEST_CASE("commits that wait at the same time share a sync") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    rig.gate->close_gate();
    std::vector<std::future<CommitResult>> answers;
    const auto commit = [&](std::uint64_t number) {
        answers.push_back(std::async(std::launch::async, [&rig, number] {
            return rig.keeper->commit(note(number), Durability::sync);
        }));
    };
    commit(2);
    rig.gate->await_arrival();
    const std::uint64_t syncs = rig.gate->syncs();
    for (std::uint64_t number = 3; number <= 20; ++number) commit(number);
    while (rig.keeper->health().committed != 20) std::this_thread::yield();
    rig.gate->open_gate();
    for (auto& answer : answers) CHECK(!answer_of(answer).code);
    CHECK(rig.gate->syncs() <= syncs + 2); // those who came after the second had begun: a third
    CHECK(rig.keeper->health().durable == 20);
}

TEST_CASE("a commit without waiting is applied when it returns, and tells when it is durable") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    rig.gate->close_gate();
    Told none, group, sync;
    CommitResult result =
        rig.keeper->commit(step(live_browser(1)), Durability::none, none.handler());
    CHECK(result.number == 2);
    CHECK(none.is_there()); // at once
    CHECK(!none.answer());
    CHECK(rig.keeper->snapshot().find_browser(WorkerId{1}) != nullptr);
    result = rig.keeper->commit(note(3), Durability::group, group.handler());
    CHECK(result.number == 3);
    CHECK_FALSE(result.code);
    result = rig.keeper->commit(note(4), Durability::sync, sync.handler());
    CHECK(result.number == 4);
    rig.gate->await_arrival(); // sync does not wait for the interval
    CHECK_FALSE(sync.is_there());
    CHECK_FALSE(group.is_there());
    rig.gate->open_gate();
    CHECK(!sync.answer());
    CHECK(!group.answer()); // along with it
    CHECK(rig.keeper->health().durable == 4);
}

TEST_CASE("a commit without waiting may do without a handler") {
    KeeperRig rig;
    rig.open();
    for (const auto durability :
         {Durability::none, Durability::os, Durability::group, Durability::sync})
        CHECK(!rig.keeper->commit(note(1), durability, nullptr).code);
    CHECK(!rig.keeper->flush());
    CHECK(rig.keeper->health().durable == 4);
    rig.open_without_disk();
    CHECK(!rig.keeper->commit(note(1), Durability::sync, nullptr).code);
}

TEST_CASE("a handler is called on another thread, and may commit and read") {
    KeeperRig rig;
    rig.open();
    std::promise<std::thread::id> done;
    std::atomic<int> calls{0}, failures{0};
    const std::function<void(error_code)> again = [&](error_code ec) {
        failures += !!ec;
        if (++calls == 5) return done.set_value(std::this_thread::get_id());
        failures += rig.keeper->snapshot().version() == 0;
        failures += rig.keeper->commit(note(0), Durability::sync, again).number == 0;
    };
    rig.keeper->commit(note(0), Durability::sync, again);
    auto future = done.get_future();
    CHECK(answer_of(future) != std::this_thread::get_id());
    CHECK(rig.keeper->snapshot().version() == 5);
    CHECK(failures == 0);
}

TEST_CASE("handlers that still wait are called when the keeper ends, and may ask it") {
    KeeperRig rig;
    StateKeeper& keeper = rig.open();
    int calls = 0;
    std::uint64_t version = 0;
    for (int i = 0; i < 10; ++i)
        keeper.commit(note(1), Durability::group, [&](error_code ec) {
            calls += !ec;
            version = keeper.snapshot().version();
        });
    rig.keeper.reset();
    CHECK(calls == 10);
    CHECK(version == 10);
    rig.open();
    CHECK(rig.notes().size() == 10);
}

TEST_CASE("flush makes all durable that was committed before") {
    KeeperRig rig;
    rig.open();
    rig.commit_notes(1, 3, Durability::none);
    rig.commit_note(4, Durability::group);
    CHECK(!rig.keeper->flush());
    CHECK(rig.keeper->health().durable == 4);
    CHECK(notes_after_power_cut(rig) == KeeperRig::numbers(1, 4));
    CHECK(!rig.keeper->flush()); // nothing to do
}

TEST_CASE("the end of a keeper makes everything durable") {
    KeeperRig rig;
    rig.open();
    rig.commit_notes(1, 5, Durability::none);
    rig.keeper.reset();
    CHECK(notes_after_power_cut(rig) == KeeperRig::numbers(1, 5));
}

TEST_CASE("a transaction that an invariant forbids changes nothing, and says why") {
    KeeperRig rig;
    rig.open();
    rig.commit(step(live_browser(1)));
    const StateSnapshot before = rig.keeper->snapshot();
    const std::uint64_t calls = rig.disk->calls();
    Told never;
    const CommitResult result =
        rig.keeper->commit(step(Note{"first"}, live_browser(1)), Durability::sync, never.handler());
    CHECK(result.code == Errc::invalid_transaction);
    CHECK(result.number == 0);
    CHECK(result.diagnostics.message.find("browser_added") != std::string::npos);
    CHECK(rig.keeper->snapshot() == before);
    CHECK(rig.disk->calls() == calls);
    CHECK(rig.commit_note(2) == 2); // no number was lost
    CHECK_FALSE(never.is_there());
}

TEST_CASE("a transaction that no record can hold is refused before it is applied") {
    KeeperRig rig;
    rig.open();
    const Payload large(noise(state_payload_bytes_max, 1));
    Transaction transaction;
    for (std::uint64_t id = 1; id <= 5; ++id)
        transaction.changes.emplace_back(
            OperationSubmitted{.id = RequestId{id}, .operation = "echo", .payload = large});
    const CommitResult result = rig.keeper->commit(transaction, Durability::sync);
    CHECK(result.code == Errc::message_too_large);
    CHECK(result.number == 0);
    CHECK(result.diagnostics.remedy.find("divide it") != std::string::npos);
    CHECK(rig.keeper->snapshot().version() == 0);
}

TEST_CASE("a transaction's time is given if it has none, and kept if it has one") {
    KeeperRig rig;
    rig.open();
    const auto before =
        std::chrono::time_point_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now());
    Transaction timed = note(1);
    timed.at = WallTime(5s);
    rig.commit(timed);
    rig.commit_note(2);
    const auto found = rig.keeper->last_transactions(2);
    REQUIRE(found.size() == 2);
    CHECK(found[0].at == WallTime(5s));
    CHECK(found[1].at >= before);
}

TEST_CASE("a listener is told everything in order, once it is applied, and may read the keeper") {
    KeeperRig rig;
    std::vector<std::uint64_t> told;
    bool has_seen_itself = true;
    rig.config.on_transaction = [&](const Transaction& transaction) {
        told.push_back(transaction.number);
        if (!rig.keeper) return;
        has_seen_itself = has_seen_itself &&
                          rig.keeper->snapshot().version() >= transaction.number &&
                          rig.keeper->last_transactions(1).size() == 1 &&
                          rig.keeper->health().committed >= transaction.number;
    };
    for (const bool is_on_disk : {true, false}) {
        told.clear();
        if (is_on_disk) rig.open();
        else rig.open_without_disk();
        std::vector<std::thread> threads;
        for (int thread = 0; thread < 4; ++thread)
            threads.emplace_back([&] {
                for (int i = 0; i < 25; ++i) (void)rig.keeper->commit(note(1), Durability::none);
            });
        for (std::thread& thread : threads) thread.join();
        CHECK(told.size() == 100);
        CHECK(std::ranges::is_sorted(told));
        CHECK(has_seen_itself);
        CHECK(rig.keeper->commit(step(BrowserRemoved{WorkerId{9}}), Durability::none).code ==
              Errc::invalid_transaction);
        CHECK(told.size() == 100); // of what was not applied it is told nothing
        rig.keeper.reset();
    }
}

TEST_CASE("a listener is told although the disk fails") {
    KeeperRig rig;
    std::size_t told = 0;
    rig.config.on_transaction = [&](const Transaction&) { ++told; };
    rig.open();
    rig.commit_note(1);
    rig.disk->fail_at(rig.disk->calls() + 1, EIO, SimulatedDisk::for_ever);
    CHECK(rig.keeper->commit(note(2), Durability::sync).code == Errc::storage_failed);
    CHECK(told == 2);
}

TEST_CASE("without a directory everything is as with one, but nothing is on disk") {
    KeeperRig rig;
    rig.open_without_disk();
    CHECK(rig.keeper->recovery().is_new);
    Told told;
    CHECK(rig.commit(step(live_browser(1)), Durability::sync) == 1);
    CHECK(rig.keeper->commit(note(2), Durability::sync, told.handler()).number == 2);
    CHECK(told.is_there());
    CHECK(!rig.keeper->flush());
    CHECK(!rig.keeper->checkpoint(CheckpointDemand::full));
    CHECK(rig.keeper->verify().empty());
    const StateStorageHealth health = rig.keeper->health();
    CHECK_FALSE(health.is_on_disk);
    CHECK_FALSE(health.is_closed);
    CHECK(health.committed == 2);
    CHECK(health.durable == 0);
    CHECK(rig.keeper->last_transactions(10).size() == 2);
}

} // namespace
} // namespace everpool::tests
