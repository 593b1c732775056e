// verify() finds what differs, and nothing else; reconcile() merges, and says what it did.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_core.hpp"
#include "keeper_rig.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace everpool::tests {
namespace {

bool mentions(const std::vector<std::string>& lines, std::string_view text) {
    return std::ranges::any_of(
        lines, [&](const std::string& line) { return line.find(text) != std::string::npos; });
}

/// Three checkpoints, and records before and after each.
KeeperRig with_checkpoints() {
    KeeperRig rig;
    rig.open();
    for (std::uint32_t id = 1; id <= 3; ++id) {
        rig.commit(step(live_browser(id)));
        REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
        rig.commit(step(OperationSubmitted{.id = RequestId{id}, .operation = "echo"}));
    }
    return rig;
}

std::string file_of(const KeeperRig& rig, std::string_view prefix, std::string_view suffix) {
    for (const std::string& name : rig.disk->names())
        if (name.starts_with(prefix) && name.ends_with(suffix)) return name;
    FAIL("there is none");
    return {};
}

TEST_CASE("verify finds nothing where all is well") {
    KeeperRig rig;
    rig.open();
    CHECK(rig.keeper->verify().empty());
    rig = with_checkpoints();
    CHECK(rig.keeper->verify().empty());
    rig.commit_note(1, Durability::none); // in memory only: it is written for the comparison
    CHECK(rig.keeper->verify().empty());
    KeeperRig next = rig.after_power_cut();
    next.open();
    CHECK(next.keeper->verify().empty());
}

TEST_CASE("verify changes nothing on disk") {
    KeeperRig rig = with_checkpoints();
    const std::uint64_t changes = rig.disk->changes();
    CHECK(rig.keeper->verify().empty());
    CHECK(rig.disk->changes() == changes);
}

TEST_CASE("verify finds a damaged or missing checkpoint, delta, record and segment") {
    KeeperRig rig = with_checkpoints();
    SECTION("a full checkpoint") {
        const std::string name = file_of(rig, "checkpoint-", ".full");
        rig.damage(name, 80);
        CHECK(mentions(rig.keeper->verify(), name));
    }
    SECTION("a delta") {
        const std::string name = file_of(rig, "checkpoint-", ".delta");
        rig.damage(name, 70);
        CHECK(mentions(rig.keeper->verify(), name));
    }
    SECTION("a checkpoint that is gone") {
        const std::string name = file_of(rig, "checkpoint-", ".delta");
        rig.disk->drop(name);
        CHECK(mentions(rig.keeper->verify(), name));
    }
    SECTION("a record that no recovery would need any more") {
        rig.damage("segment-0000000000000001.log", 4096 + 40);
        CHECK(mentions(rig.keeper->verify(), "the log: "));
    }
    SECTION("the log") {
        rig.disk->drop("segment-0000000000000001.log");
        CHECK(mentions(rig.keeper->verify(), "the log: "));
    }
    CHECK(rig.commit_note(9, Durability::none) == 7); // it only looks
}

// Each file is whole, and tells of another past.
TEST_CASE("verify finds a log that tells another story than the state") {
    KeeperRig common;
    common.open();
    common.commit(step(live_browser(1)));
    KeeperRig mine = common.after_power_cut(), theirs = common.after_power_cut();
    mine.config.process_exists =
        theirs.config.process_exists = [](const ProcessIdentity&) { return true; };
    mine.open();
    theirs.open();
    mine.commit(step(BrowserChanged{.id = WorkerId{1}, .health = HealthStatus::degraded}));
    theirs.commit(step(BrowserChanged{.id = WorkerId{1}, .health = HealthStatus::unhealthy}));
    CHECK(mine.keeper->verify().empty());
    for (const std::string& name : theirs.disk->names())
        mine.disk->put(name, *theirs.disk->contents(name));
    const auto found = mine.keeper->verify();
    REQUIRE_FALSE(found.empty());
    CHECK(mentions(found, "browser 1: "));
    CHECK(mentions(found, "degraded"));
    CHECK(mentions(found, "(in memory / on disk)"));
}

TEST_CASE("verify finds a checkpoint that tells another story than the state") {
    KeeperRig common;
    common.open();
    common.commit(step(live_browser(1)));
    KeeperRig mine = common.after_power_cut(), theirs = common.after_power_cut();
    for (KeeperRig* rig : {&mine, &theirs}) {
        rig->config.process_exists = [](const ProcessIdentity&) { return true; };
        rig->open();
        rig->commit(step(ModelRegistered{{.name = rig == &mine ? "bert" : "gpt2"}}));
        REQUIRE(!rig->keeper->checkpoint(CheckpointDemand::full));
    }
    const std::string name = file_of(mine, "checkpoint-", ".full");
    mine.disk->put(name, *theirs.disk->contents(name));
    CHECK_FALSE(mine.keeper->verify().empty());
}

TEST_CASE("verify tells of a log that is closed, or cannot be written") {
    KeeperRig rig = with_checkpoints();
    rig.commit_note(1, Durability::none);
    rig.disk->fail_at(rig.disk->calls() + 1, ENOSPC, 1);
    CHECK(mentions(rig.keeper->verify(), "the log cannot be written: "));
    CHECK(rig.keeper->verify().empty());
    rig.gate->close_gate();
    auto failing = std::async(std::launch::async,
                              [&] { return rig.keeper->commit(note(2), Durability::sync).code; });
    rig.gate->await_arrival();
    rig.disk->fail_at(rig.disk->calls() + 1, EIO, SimulatedDisk::for_ever);
    rig.gate->open_gate();
    CHECK(answer_of(failing) == Errc::storage_failed);
    CHECK_FALSE(rig.keeper->verify().empty());
    (void)rig.keeper->commit(note(3), Durability::none);
    CHECK(mentions(rig.keeper->verify(), "the log is closed: "));
}

TEST_CASE("verify finds nothing while commits and checkpoints go on") {
    for (const bool is_selective : {false, true}) {
        KeeperRig rig;
        rig.config.commit_interval = 1ms;
        rig.config.checkpoint_count_kept = 2;
        rig.config.delta_chain_max = 2;
        rig.config.is_checkpoint_selective = is_selective;
        rig.open();
        rig.commit(step(live_browser(1)));
        std::atomic<bool> is_over{false};
        std::vector<std::thread> threads;
        for (std::uint64_t thread = 1; thread <= 2; ++thread)
            threads.emplace_back([&, thread] {
                for (std::uint64_t id = thread << 32; !is_over; ++id) {
                    (void)rig.keeper->commit(
                        step(OperationSubmitted{.id = RequestId{id}, .operation = "echo"},
                             OperationDispatched{RequestId{id}, WorkerId{1}, Generation{1}}),
                        static_cast<Durability>(id % 4));
                    (void)rig.keeper->commit(
                        step(OperationFinished{.id = RequestId{id}, .worker = WorkerId{1}}),
                        Durability::none);
                }
            });
        threads.emplace_back([&] {
            while (!is_over) (void)rig.keeper->checkpoint(CheckpointDemand::any);
        });
        for (int round = 0; round < 30; ++round)
            for (const std::string& difference : rig.keeper->verify()) FAIL_CHECK(difference);
        is_over = true;
        for (std::thread& thread : threads) thread.join();
    }
}

// --- reconcile -----------------------------------------------------------------------------------

/// Two hosts that have gone on alone from the same state.
struct Views {
    KeeperRig mine, theirs;

    Views() {
        KeeperRig common;
        common.open();
        common.commit(step(live_browser(1), ModelRegistered{{.name = "bert"}}));
        for (std::uint64_t id = 1; id <= 2; ++id)
            common.commit(step(OperationSubmitted{.id = RequestId{id}, .operation = "echo"},
                               OperationDispatched{RequestId{id}, WorkerId{1}, Generation{1}}));
        mine = KeeperRig(common.after_power_cut());
        theirs = KeeperRig(common.after_power_cut());
        for (KeeperRig* rig : {&mine, &theirs}) rig->open_without_disk();
        // The same past, without what a recovery would make of it.
        for (const Transaction& transaction : common.keeper->last_transactions(100))
            for (KeeperRig* rig : {&mine, &theirs}) rig->commit(transaction);
    }
};

TEST_CASE("reconcile merges what another view knows, by one transaction that says so") {
    Views views;
    views.theirs.commit(step(OperationFinished{.id = RequestId{1}, .worker = WorkerId{1}}));
    views.theirs.commit(step(ModelAssigned{"bert", {WorkerId{1}}}));
    const std::uint64_t before = views.mine.keeper->snapshot().version();
    const CommitResult result =
        views.mine.keeper->reconcile(views.theirs.keeper->snapshot(), "the standby");
    CHECK(!result.code);
    CHECK(result.number == before + 1);
    const StateSnapshot now = views.mine.keeper->snapshot();
    CHECK(now.find_operation(RequestId{1})->status == OperationStatus::completed);
    CHECK(now.find_model("bert")->assignments.size() == 1);
    const auto last = views.mine.keeper->last_transactions(1);
    REQUIRE(last.size() == 1);
    CHECK(last.front().number == result.number);
    CHECK(last.front().actor == "reconcile");
    CHECK(last.front().at != WallTime{});
    REQUIRE(last.front().changes.size() == 1);
    const auto& audit = std::get<Reconciled>(last.front().changes.front());
    CHECK(audit.source == "the standby");
    CHECK(audit.rule.find("final status, then version") == 0);
    CHECK(mentions(audit.findings, "operation 1: the other's taken"));
    CHECK(mentions(audit.findings, "model bert: the other's taken"));
    CHECK(audit.operations.size() == 1);
}

TEST_CASE("reconcile with a view that is not complete removes nothing, unless it is told to") {
    Views views;
    KeeperRig partial; // a browser's own account: it knows of nothing but itself
    partial.open_without_disk();
    partial.commit(step(live_browser(1)));
    for (std::uint64_t i = 1; i <= 5; ++i) partial.commit_note(i);
    partial.commit(step(BrowserChanged{.id = WorkerId{1}, .health = HealthStatus::degraded}));
    const StateSnapshot other = partial.keeper->snapshot();
    REQUIRE(views.mine.keeper->reconcile(other, "browser 1").number != 0);
    StateSnapshot now = views.mine.keeper->snapshot();
    CHECK(now.find_browser(WorkerId{1})->health == HealthStatus::degraded);
    CHECK(now.operation_count() == 2);
    CHECK(now.model_count() == 1);
    REQUIRE(views.theirs.keeper->reconcile(other, "a standby", AbsentRecords::are_removed).number !=
            0);
    now = views.theirs.keeper->snapshot();
    CHECK(now.find_browser(WorkerId{1})->health == HealthStatus::degraded);
    CHECK(now.operation_count() == 0);
    CHECK(now.model_count() == 0);
}

TEST_CASE("reconcile with nothing to merge commits nothing") {
    Views views;
    const StateSnapshot before = views.mine.keeper->snapshot();
    CommitResult result =
        views.mine.keeper->reconcile(views.theirs.keeper->snapshot(), "the standby");
    CHECK(!result.code);
    CHECK(result.number == 0);
    CHECK(views.mine.keeper->snapshot() == before);
    views.theirs.commit(step(OperationFinished{.id = RequestId{1}, .worker = WorkerId{1}}));
    const StateSnapshot other = views.theirs.keeper->snapshot();
    CHECK(views.mine.keeper->reconcile(other, "the standby").number != 0);
    CHECK(views.mine.keeper->reconcile(other, "the standby").number == 0); // once is enough
}

TEST_CASE("in a conflict a final status wins, and what lost is told") {
    Views views;
    views.mine.commit(step(OperationFinished{.id = RequestId{1}, .worker = WorkerId{1}}));
    for (int i = 0; i < 3; ++i) // a higher version, of an operation that still runs
        views.theirs.commit(step(OperationRequeued{.id = RequestId{1}, .worker = WorkerId{1}},
                                 OperationDispatched{RequestId{1}, WorkerId{1}, Generation{1}}));
    views.theirs.commit(step(BrowserChanged{.id = WorkerId{1}, .health = HealthStatus::unhealthy}));
    CHECK(views.mine.keeper->reconcile(views.theirs.keeper->snapshot(), "browser 1").number != 0);
    const StateSnapshot now = views.mine.keeper->snapshot();
    CHECK(now.find_operation(RequestId{1})->status == OperationStatus::completed);
    CHECK(now.find_browser(WorkerId{1})->health == HealthStatus::unhealthy);
    const auto last = views.mine.keeper->last_transactions(1);
    const auto& audit = std::get<Reconciled>(last.front().changes.front());
    CHECK(mentions(audit.findings, "operation 1: one's own kept"));
    CHECK(mentions(audit.findings, "browser 1: the other's taken"));
}

TEST_CASE("what was merged is as durable as the level demands, and is there after a power cut") {
    for (const auto level :
         {FaultToleranceLevel::low, FaultToleranceLevel::high, FaultToleranceLevel::critical}) {
        INFO(name_of(level));
        KeeperRig rig, other;
        rig.config.fault_tolerance = level;
        rig.open();
        rig.commit(step(live_browser(1)));
        other.open_without_disk();
        other.commit(step(live_browser(1)));
        other.commit(step(ModelRegistered{{.name = "bert"}}));
        const CommitResult result = rig.keeper->reconcile(other.keeper->snapshot(), "other");
        CHECK(!result.code);
        CHECK(result.number == 2);
        const bool must_be_durable = level == FaultToleranceLevel::critical;
        CHECK((rig.keeper->health().durable == 2) == must_be_durable);
        CHECK(!rig.keeper->flush());
        KeeperRig next = rig.after_power_cut();
        next.open();
        CHECK(next.keeper->snapshot().find_model("bert") != nullptr);
        CHECK(next.keeper->verify().empty());
    }
}

} // namespace
} // namespace everpool::tests
