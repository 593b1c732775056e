// A disk that fails under a StateKeeper: what it says, and what is still there afterwards.
// SPDX-License-Identifier: BSL-1.0
#include "io/linux/file_directory.hpp"
#include "keeper_rig.hpp"
#include "support/failing_allocation.hpp"
#include "support/temporary_directory.hpp"

#include <cerrno>
#include <filesystem>

namespace everpool::tests {
namespace {

using facade::StateKeeper;

Transaction large_request(std::uint64_t id, const Payload& payload) {
    return step(OperationSubmitted{.id = RequestId{id}, .operation = "echo", .payload = payload});
}

/// The next call of the disk fails, and all after it.
void fail(SimulatedDisk& disk, int value) {
    disk.fail_at(disk.calls() + 1, value, SimulatedDisk::for_ever);
}

/// A commit whose record is written, and whose sync fails. \return what it was told
error_code commit_with_failing_sync(KeeperRig& rig, std::uint64_t number) {
    rig.gate->close_gate();
    auto waiting = std::async(std::launch::async, [&] {
        return rig.keeper->commit(note(number), Durability::sync).code;
    });
    rig.gate->await_arrival();
    fail(*rig.disk, EIO);
    rig.gate->open_gate();
    return answer_of(waiting);
}

TEST_CASE("a full disk is told, the state goes on, and the next commit writes what is missing") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    fail(*rig.disk, ENOSPC);
    for (std::uint64_t number = 2; number <= 5; ++number) {
        const CommitResult result =
            rig.keeper->commit(note(number), number % 2 == 0 ? Durability::sync : Durability::os);
        CHECK(result.code == Errc::storage_full);
        CHECK(result.number == number); // applied all the same
        CHECK(result.diagnostics.last_cause == boost::system::errc::no_space_on_device);
        CHECK_FALSE(result.diagnostics.message.empty());
    }
    StateStorageHealth health = rig.keeper->health();
    CHECK(health.trouble == Errc::storage_full);
    CHECK_FALSE(health.is_closed);
    CHECK(health.committed == 5);
    CHECK(health.durable == 1);
    CHECK(rig.keeper->flush() == Errc::storage_full);
    rig.disk->heal();
    CHECK(rig.commit_note(6) == 6);
    health = rig.keeper->health();
    CHECK(!health.trouble);
    CHECK(health.durable == 6);
    KeeperRig next = rig.after_power_cut();
    next.open();
    CHECK(next.notes() == KeeperRig::numbers(1, 6));
    CHECK(next.keeper->verify().empty());
}

TEST_CASE("what failed for those who do not wait is told by health, and tried again by itself") {
    KeeperRig rig;
    rig.config.commit_interval = 1ms;
    rig.open();
    rig.commit_note(1);
    fail(*rig.disk, ENOSPC);
    CHECK(!rig.keeper->commit(note(2), Durability::group).code);
    await([&] { return rig.keeper->health().trouble == Errc::storage_full; });
    CHECK_FALSE(rig.keeper->health().is_closed);
    rig.disk->heal();
    await([&] { return rig.keeper->health().durable == 2; });
    CHECK(!rig.keeper->health().trouble);
}

TEST_CASE("a handler is told of the failure that its commit was part of") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    fail(*rig.disk, ENOSPC);
    Told full;
    const CommitResult result = rig.keeper->commit(note(2), Durability::sync, full.handler());
    CHECK(result.number == 2);
    CHECK(!result.code);
    CHECK(full.answer() == Errc::storage_full);
    rig.disk->heal();
    CHECK(!rig.keeper->flush());
}

TEST_CASE("after a sync that failed the log is closed until the directory is opened anew") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    rig.gate->close_gate();
    auto waiting = std::async(std::launch::async,
                              [&] { return rig.keeper->commit(note(2), Durability::sync); });
    rig.gate->await_arrival(); // the record is written, the sync comes
    fail(*rig.disk, EIO);
    Told group;
    rig.keeper->commit(note(3), Durability::group, group.handler());
    rig.gate->open_gate();
    CommitResult result = answer_of(waiting);
    CHECK(result.code == Errc::storage_failed);
    CHECK(result.number == 2);
    CHECK(result.diagnostics.last_cause == boost::system::errc::io_error);
    CHECK(group.answer() == Errc::storage_failed);
    rig.disk->heal(); // too late: nobody knows what the disk has

    result = rig.keeper->commit(step(live_browser(1)), Durability::sync);
    CHECK(result.code == Errc::storage_failed);
    CHECK(result.number == 4);
    CHECK(rig.keeper->snapshot().find_browser(WorkerId{1}) != nullptr);
    CHECK(!rig.keeper->commit(note(5), Durability::none).code);
    const StateStorageHealth health = rig.keeper->health();
    CHECK(health.is_closed);
    CHECK(health.trouble == Errc::storage_failed);
    CHECK(health.committed == 5);
    CHECK(health.durable == 1);
    CHECK(rig.keeper->flush() == Errc::storage_failed);
    CHECK(rig.keeper->checkpoint(CheckpointDemand::any) == Errc::storage_failed);
    CHECK(rig.keeper->health().checkpoint_failures == 1);
    CHECK_FALSE(rig.keeper->verify().empty());

    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        KeeperRig next = rig.after_power_cut(Loss::by_chance, seed);
        next.open();
        const auto found = next.notes();
        CHECK(found == KeeperRig::numbers(1, found.size()));
        CHECK(!found.empty());
        CHECK(next.keeper->snapshot().find_browser(WorkerId{1}) == nullptr);
        CHECK(next.keeper->snapshot().version() == found.size());
    }
}

TEST_CASE(
    "a handler of a commit that a closed log cannot take is called, but not within the commit") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    CHECK(commit_with_failing_sync(rig, 2) == Errc::storage_failed);
    for (const auto durability : {Durability::os, Durability::group, Durability::sync}) {
        std::promise<std::pair<error_code, std::thread::id>> told;
        auto future = told.get_future();
        const CommitResult result = rig.keeper->commit(note(3), durability, [&](error_code ec) {
            told.set_value({ec, std::this_thread::get_id()});
        });
        CHECK(result.number != 0);
        const auto [ec, thread] = answer_of(future);
        CHECK(ec == Errc::storage_failed);
        CHECK(thread != std::this_thread::get_id());
    }
}

TEST_CASE("a record for which there is no memory closes the log, which has no gap") {
    if (!FailingAllocation::is_possible) return;
    KeeperRig rig;
    rig.config.compressed_bytes_min = 64 << 20;
    rig.open();
    const Payload payload(noise(300'000, 1));
    rig.commit(large_request(1, payload), Durability::none);
    {
        Transaction next = large_request(2, payload); // to be framed beside the first one
        const FailingAllocation failing(1, 300'000);
        const CommitResult result = rig.keeper->commit(std::move(next), Durability::sync);
        CHECK(failing.has_failed());
        CHECK(result.code == Errc::storage_failed);
        CHECK(result.number == 2);
        CHECK_FALSE(result.diagnostics.message.empty());
        CHECK_FALSE(result.diagnostics.remedy.empty());
    }
    CHECK(rig.keeper->snapshot().find_operation({2}) != nullptr);
    const CommitResult result = rig.keeper->commit(note(3), Durability::sync);
    CHECK(result.code == Errc::storage_failed);
    CHECK(result.number == 3);
    CHECK(rig.keeper->health().is_closed);
    CHECK(rig.keeper->health().trouble == Errc::storage_failed);
    CHECK(rig.keeper->checkpoint(CheckpointDemand::any) == Errc::storage_failed);
    rig.keeper.reset(); // what was framed is written
    KeeperRig next = rig.after_power_cut();
    next.open();
    CHECK(next.keeper->snapshot().version() == 1);
    CHECK(next.keeper->snapshot().find_operation({1}) != nullptr);
    CHECK(next.keeper->verify().empty());
    CHECK(next.commit_note(2) == 2);
}

// 64 MiB may wait. Whoever brings more waits until some of it is written: on a real directory, as
// it is much for a simulated one; in memory, where there is such, as it is much for a disk.
TEST_CASE("a backlog that is full makes those who commit wait for the disk, and loses nothing") {
    const TemporaryDirectory place(std::filesystem::is_directory("/dev/shm")
                                       ? std::filesystem::path("/dev/shm")
                                       : std::filesystem::temp_directory_path());
    std::unique_ptr<io::FileDirectory> files;
    Diagnostics why;
    REQUIRE(!io::FileDirectory::open(place.path / "state", files, why));
    auto gated = std::make_unique<GatedDirectory>(*files);
    GatedDirectory& gate = *gated;
    KeeperRig rig;
    rig.config.commit_interval = 1ms;
    rig.config.compressed_bytes_min = 64 << 20;
    StateKeeper keeper(facade::checked(rig.config), std::move(gated));
    REQUIRE(!keeper.commit(note(1), Durability::sync).code);
    gate.close_gate();
    const Payload payload(noise(state_payload_bytes_max, 1));
    auto flood = std::async(std::launch::async, [&] {
        for (std::uint64_t id = 1; id <= 5; ++id)
            if (const error_code ec =
                    keeper.commit(large_request(id, payload), Durability::none).code)
                return ec;
        return error_code();
    });
    gate.await_arrival();
    // 16 MiB each, and a little more: the fourth does not fit.
    await([&] { return keeper.health().committed == 5; });
    CHECK(flood.wait_for(0s) == std::future_status::timeout);
    CHECK_FALSE(keeper.health().is_closed);
    auto other =
        std::async(std::launch::async, [&] { return keeper.commit(note(2), Durability::none); });
    auto verification = std::async(std::launch::async, [&] { return keeper.verify(); });
    CHECK(keeper.snapshot().operation_count() == 4); // readers never wait
    gate.open_gate();
    CHECK(!answer_of(flood));
    CHECK(answer_of(other).number != 0);
    for (const std::string& difference : answer_of(verification)) FAIL_CHECK(difference);
    CHECK(!keeper.flush());
    CHECK_FALSE(keeper.health().is_closed);
    CHECK(keeper.health().durable == 7);
}

TEST_CASE("a backlog that is full while the disk is closes the log, which has no gap") {
    KeeperRig rig;
    rig.config.commit_interval = 1ms;
    rig.config.compressed_bytes_min = 64 << 20;
    rig.open();
    rig.commit_note(1);
    fail(*rig.disk, ENOSPC);
    const Payload payload(noise(state_payload_bytes_max, 1));
    std::uint64_t id = 1;
    while (rig.keeper->commit(large_request(id, payload), Durability::none).number != 0 &&
           !rig.keeper->health().is_closed)
        REQUIRE(++id < 20);
    StateStorageHealth health = rig.keeper->health();
    CHECK(health.trouble == Errc::storage_full);
    CHECK(health.with_system == 1);
    CHECK(rig.keeper->commit(note(2), Durability::sync).code == Errc::storage_full);
    CHECK(rig.keeper->flush() == Errc::storage_full);
    CHECK(rig.keeper->snapshot().operation_count() == id); // the state goes on
    rig.disk->heal();
    CHECK(rig.keeper->commit(note(3), Durability::sync).code == Errc::storage_full);
    CHECK(rig.keeper->health().is_closed);
    KeeperRig next = rig.after_kill();
    next.open();
    CHECK(next.notes() == KeeperRig::numbers(1, 1));
    CHECK(next.keeper->verify().empty());
    fail(*rig.disk, ENOSPC); // or its end would write it all
}

// --- opening -------------------------------------------------------------------------------------

/// A host died with work under way, and with checkpoints.
KeeperRig host_that_died() {
    KeeperRig rig;
    rig.open();
    rig.commit(step(live_browser(1, {.pid = 77}), ModelRegistered{{.name = "bert"}}));
    REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::full));
    rig.commit(step(OperationSubmitted{.id = RequestId{1}, .operation = "echo"},
                    OperationDispatched{RequestId{1}, WorkerId{1}, Generation{1}}));
    rig.commit_note(1);
    REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
    rig.commit_note(2);
    return rig.after_kill();
}

void check_settled(StateKeeper& keeper) {
    const StateSnapshot state = keeper.snapshot();
    REQUIRE(state.find_browser(WorkerId{1}) != nullptr);
    CHECK(state.find_browser(WorkerId{1})->connection == ConnectionStatus::lost);
    REQUIRE(state.find_operation(RequestId{1}) != nullptr);
    CHECK(state.find_operation(RequestId{1})->status == OperationStatus::outcome_unknown);
    CHECK(state.find_model("bert") != nullptr);
    CHECK(KeeperRig::notes_in(keeper) == KeeperRig::numbers(1, 2));
    for (const std::string& difference : keeper.verify()) FAIL_CHECK(difference);
}

TEST_CASE("a disk that fails at any call of an opening costs nothing: the next one finds it all") {
    KeeperRig left = host_that_died();
    std::uint64_t calls = 0;
    {
        KeeperRig rig = left.after_kill();
        rig.open();
        calls = rig.disk->calls();
        check_settled(*rig.keeper);
    }
    std::uint64_t refused = 0, accepted = 0;
    for (std::uint64_t call = 1; call <= calls; ++call)
        for (const int value : {EIO, ENOSPC}) {
            INFO("call " << call << " of " << calls << ", " << (value == EIO ? "EIO" : "ENOSPC"));
            KeeperRig rig = left.after_kill();
            rig.disk->fail_at(call, value);
            Diagnostics why;
            const error_code ec = rig.failure_of_open(&why);
            ++(ec ? refused : accepted);
            if (ec) {
                CHECK((ec == Errc::storage_failed || ec == Errc::storage_full ||
                       ec == Errc::storage_damaged));
                CHECK_FALSE(why.message.empty());
            }
            rig.keeper.reset();
            KeeperRig next = rig.after_power_cut(Loss::by_chance, call);
            next.open();
            check_settled(*next.keeper);
        }
    CHECK(refused > calls);
    std::printf("opening: each of %llu calls failed in two ways; refused %llu times, opened %llu\n",
                static_cast<unsigned long long>(calls), static_cast<unsigned long long>(refused),
                static_cast<unsigned long long>(accepted));
}

} // namespace
} // namespace everpool::tests
