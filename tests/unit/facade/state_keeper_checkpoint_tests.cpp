// Checkpoints of a StateKeeper: when, of what, how many, and what they cost others.
// SPDX-License-Identifier: BSL-1.0
#include "keeper_rig.hpp"

#include <cerrno>

namespace everpool::tests {
namespace {

std::string newest_checkpoint(const KeeperRig& rig) {
    std::string newest;
    for (const std::string& name : rig.disk->names())
        if (name.starts_with("checkpoint-")) newest = std::max(newest, name);
    return newest;
}

/// Some 50 KiB, so that a segment is soon full.
void commit_much(const KeeperRig& rig, std::uint64_t id) {
    rig.commit(step(OperationSubmitted{.id = RequestId{id},
                                       .operation = "echo",
                                       .is_idempotent = true,
                                       .payload = Payload(noise(50'000, id))}));
}

TEST_CASE("a checkpoint is written on demand: a full one first, then what has changed") {
    KeeperRig rig;
    rig.open();
    CHECK(!rig.keeper->checkpoint(CheckpointDemand::any)); // of nothing
    CHECK(rig.files("checkpoint-") == 0);
    rig.commit_note(1, Durability::none);
    CHECK(!rig.keeper->checkpoint(CheckpointDemand::any));
    CHECK(rig.keeper->health().checkpoint == 1);
    CHECK(rig.keeper->health().durable == 1); // it holds nothing that could be lost
    CHECK(rig.files("checkpoint-", ".full") == 1);
    rig.commit_note(2);
    CHECK(!rig.keeper->checkpoint(CheckpointDemand::any));
    CHECK(rig.files("checkpoint-", ".delta") == 1);
    const std::uint64_t changes = rig.disk->changes();
    CHECK(!rig.keeper->checkpoint(CheckpointDemand::any)); // nothing is new
    CHECK(rig.disk->changes() == changes);
    rig.commit_note(3);
    CHECK(!rig.keeper->checkpoint(CheckpointDemand::full));
    CHECK(rig.files("checkpoint-", ".full") == 2);
    KeeperRig next = rig.after_power_cut();
    next.open();
    CHECK(next.keeper->recovery().checkpoint_record == 3);
    CHECK(next.keeper->recovery().records_read == 0);
    CHECK(next.keeper->snapshot() == rig.keeper->snapshot());
}

TEST_CASE("a checkpoint is written by itself when its time has come and something is new") {
    KeeperRig rig;
    rig.config.checkpoint_interval = 10ms;
    rig.open();
    rig.commit_note(1);
    await([&] { return rig.keeper->health().checkpoint == 1; });
    rig.commit_note(2, Durability::none);
    await([&] { return rig.keeper->health().checkpoint == 2; });
    CHECK(rig.files("checkpoint-") == 2);
}

TEST_CASE("the end of a keeper does not wait for the next checkpoint") {
    KeeperRig rig;
    rig.config.checkpoint_interval = 24h;
    rig.open();
    rig.commit_note(1);
    rig.keeper.reset();
    CHECK(rig.files("checkpoint-") == 0);
}

TEST_CASE("a chain of deltas is as long as it may be, and no longer") {
    KeeperRig rig;
    rig.config.delta_chain_max = 3;
    rig.config.checkpoint_count_kept = 100;
    rig.open();
    std::string kinds;
    for (std::uint64_t number = 1; number <= 9; ++number) {
        rig.commit_note(number);
        REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
        kinds += newest_checkpoint(rig).ends_with(".full") ? 'f' : 'd';
        KeeperRig next = rig.after_power_cut();
        next.open();
        CHECK(next.keeper->recovery().checkpoints_read <= 4);
        CHECK(next.keeper->snapshot() == rig.keeper->snapshot());
    }
    CHECK(kinds == "fdddfdddf");
}

TEST_CASE("without deltas every checkpoint is full") {
    KeeperRig rig;
    rig.config.delta_chain_max = 0;
    rig.open();
    for (std::uint64_t number = 1; number <= 3; ++number) {
        rig.commit_note(number);
        REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
    }
    CHECK(rig.files("checkpoint-", ".full") == 3);
    CHECK(rig.files("checkpoint-", ".delta") == 0);
}

TEST_CASE("after a restart deltas go on from the checkpoint that was found") {
    KeeperRig rig;
    rig.open();
    rig.commit(step(live_browser(1)));
    REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
    rig.commit(step(BrowserChanged{.id = WorkerId{1}, .connection = ConnectionStatus::stopped}));
    KeeperRig next = rig.after_power_cut();
    next.open();
    next.commit_note(3);
    REQUIRE(!next.keeper->checkpoint(CheckpointDemand::any));
    CHECK(newest_checkpoint(next).ends_with(".delta"));
    KeeperRig last = next.after_power_cut();
    last.open();
    CHECK(last.keeper->recovery().checkpoints_read == 2);
    CHECK(last.keeper->snapshot() == next.keeper->snapshot());
    CHECK(last.keeper->snapshot().find_browser(WorkerId{1})->connection ==
          ConnectionStatus::stopped);
}

TEST_CASE("the newest checkpoints are kept, what they do not need goes into quarantine and away") {
    KeeperRig rig;
    rig.config.checkpoint_count_kept = 2;
    rig.config.delta_chain_max = 0;
    rig.open();
    std::size_t quarantined_most = 0;
    for (std::uint64_t id = 1; id <= 12; ++id) {
        commit_much(rig, 2 * id);
        commit_much(rig, 2 * id + 1);
        REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
        CHECK(rig.files("checkpoint-") <= 2);
        CHECK(rig.files("segment-") <= 6);
        quarantined_most = std::max(quarantined_most, rig.files("quarantine-"));
    }
    CHECK(quarantined_most > 0); // renamed first
    CHECK(quarantined_most <= 12);
    std::vector<Transaction> kept = rig.keeper->last_transactions(1000);
    CHECK(kept.size() < 24);
    REQUIRE(!kept.empty());
    CHECK(kept.front().number > 1); // as far back as the log reaches
    CHECK(kept.back().number == 24);
    CHECK(rig.keeper->verify().empty());
    KeeperRig next = rig.after_power_cut();
    next.open();
    CHECK(next.keeper->snapshot() == rig.keeper->snapshot());
    CHECK(next.keeper->snapshot().operation_count() == 24);
}

TEST_CASE("while somebody reads, nothing that he needs is cleared away") {
    KeeperRig rig;
    rig.config.checkpoint_count_kept = 1;
    rig.config.delta_chain_max = 0;
    rig.open();
    for (std::uint64_t id = 1; id <= 8; ++id) commit_much(rig, id);
    std::uint64_t seen = 0;
    std::size_t while_reading = 0;
    const error_code ec = rig.keeper->visit(1, {}, [&](const Transaction& transaction) {
        CHECK(transaction.number == ++seen);
        for (std::uint64_t i = 0; seen == 1 && i < 6; ++i) { // six collections meanwhile
            commit_much(rig, 100 + i);
            CHECK(!rig.keeper->checkpoint(CheckpointDemand::any));
            while_reading = rig.files("quarantine-");
        }
        return true;
    });
    CHECK(!ec);
    CHECK(seen == 8); // what came after it had begun need not be seen
    CHECK(while_reading > 8);
    CHECK(rig.files("quarantine-") < while_reading / 2); // it was only put off
}

TEST_CASE("a selective checkpoint holds what a pool needs to go on, and the log has the rest") {
    KeeperRig rig;
    rig.config.is_checkpoint_selective = true;
    rig.config.checkpoint_count_kept = 1;
    rig.open();
    rig.commit(step(live_browser(1), ModelRegistered{{.name = "bert"}},
                    ModelAssigned{"bert", {.worker = WorkerId{1}}},
                    ResourceAllocated{.id = ResourceId{5}, .worker = WorkerId{1}},
                    MetricRecorded{.key = {.model = "bert"}, .duration = 1ms}));
    for (std::uint64_t id = 1; id <= 2; ++id)
        rig.commit(step(OperationSubmitted{.id = RequestId{id}, .operation = "echo"},
                        OperationDispatched{RequestId{id}, WorkerId{1}, Generation{1}}));
    rig.commit(step(OperationFinished{.id = RequestId{1}, .worker = WorkerId{1}}));
    commit_much(rig, 10);
    REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
    commit_much(rig, 11);
    commit_much(rig, 12);
    CHECK(rig.keeper->verify().empty());
    REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
    rig.commit(step(MetricRecorded{.key = {.model = "gpt"}, .duration = 1ms}));
    CHECK(rig.keeper->verify().empty());
    CHECK(rig.files("checkpoint-", ".delta") == 0);

    rig.config.process_exists = [](const ProcessIdentity&) { return true; };
    KeeperRig next = rig.after_power_cut();
    next.open();
    const StateSnapshot found = next.keeper->snapshot();
    CHECK(found.find_browser(WorkerId{1}) != nullptr);
    CHECK(found.find_model("bert") != nullptr);
    CHECK(found.find_operation(RequestId{1}) == nullptr); // finished long ago
    CHECK(found.find_operation(RequestId{2}) != nullptr);
    CHECK(found.find_operation(RequestId{12}) != nullptr);
    CHECK(found.find_metric({.model = "bert"}) == nullptr);
    CHECK(found.find_metric({.model = "gpt"}) != nullptr); // the log reaches back to it
    CHECK(next.keeper->verify().empty());
    const StateSnapshot whole = rig.keeper->snapshot();
    CHECK(whole.find_operation(RequestId{1}) != nullptr);
    CHECK(whole.find_metric({.model = "bert"}) != nullptr);
}

TEST_CASE("commits go on while a checkpoint is written, however long that takes") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    rig.gate->close_gate();
    auto checkpoint = std::async(std::launch::async,
                                 [&] { return rig.keeper->checkpoint(CheckpointDemand::full); });
    rig.gate->await_arrival(); // it waits for its file's sync
    for (std::uint64_t number = 2; number <= 200; ++number)
        rig.commit_note(number, number % 2 == 0 ? Durability::os : Durability::none);
    CHECK(rig.keeper->health().committed == 200);
    CHECK(rig.keeper->health().with_system >= 200 - 1);
    CHECK(rig.keeper->snapshot().version() == 200);
    CHECK(rig.keeper->last_transactions(500).size() >= 199);
    CHECK(checkpoint.wait_for(0s) == std::future_status::timeout);
    rig.gate->open_gate();
    CHECK(!answer_of(checkpoint));
    CHECK(rig.keeper->health().checkpoint == 1); // of the moment when it began
    CHECK(rig.keeper->verify().empty());
}

TEST_CASE("checkpoints that are asked for at the same time are written one after the other") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    std::vector<std::future<error_code>> answers;
    for (int i = 0; i < 6; ++i)
        answers.push_back(std::async(std::launch::async, [&] {
            (void)rig.keeper->commit(note(2), Durability::none);
            return rig.keeper->checkpoint(CheckpointDemand::any);
        }));
    for (auto& answer : answers) CHECK(!answer_of(answer));
    CHECK(rig.keeper->health().checkpoint == 7);
    CHECK(rig.keeper->health().checkpoint_failures == 0);
    CHECK(rig.keeper->verify().empty());
}

TEST_CASE("a checkpoint that fails at any of its calls is counted, and those before it count on") {
    KeeperRig made;
    made.open();
    made.commit_note(1);
    REQUIRE(!made.keeper->checkpoint(CheckpointDemand::full));
    made.commit_note(2);
    const KeeperRig left = made.after_kill();
    std::uint64_t failed = 0;
    for (std::uint64_t call = 1;; ++call) {
        INFO("call " << call);
        KeeperRig rig = left.after_kill();
        rig.open();
        rig.commit_note(3);
        const std::uint64_t failing = rig.disk->calls() + call;
        rig.disk->fail_at(failing, ENOSPC);
        const error_code ec = rig.keeper->checkpoint(CheckpointDemand::any);
        if (rig.disk->calls() < failing) break; // it had been done before
        const StateStorageHealth health = rig.keeper->health();
        CHECK(health.checkpoint_failures == (ec ? 1 : 0));
        CHECK(health.committed == 3);
        failed += ec ? 1 : 0;
        if (ec && !health.is_closed) {
            CHECK((ec == Errc::storage_full || ec == Errc::storage_failed));
            CHECK(health.checkpoint == 1);
            CHECK(rig.commit_note(4) == 4);
            CHECK(!rig.keeper->checkpoint(CheckpointDemand::any));
            CHECK(rig.keeper->verify().empty());
        }
        KeeperRig next = rig.after_power_cut(Loss::by_chance, call);
        next.open();
        CHECK(next.notes() == KeeperRig::numbers(1, ec && !health.is_closed ? 4 : 3));
        CHECK(next.keeper->verify().empty());
    }
    CHECK(failed >= 5);
}

TEST_CASE("a state that was larger under other limits is read as it was") {
    KeeperRig rig;
    rig.open();
    for (std::uint32_t id = 1; id <= 10; ++id) rig.commit(step(live_browser(id)));
    REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::full));
    rig.config.limits.browsers_max = 3;
    KeeperRig next = rig.after_power_cut();
    next.open();
    CHECK(next.keeper->snapshot().browser_count() == 10);
    CHECK(next.keeper->commit(step(live_browser(11)), Durability::sync).code ==
          Errc::invalid_transaction);
}

} // namespace
} // namespace everpool::tests
