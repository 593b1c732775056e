// What becomes of operations and browsers that a host left behind.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_invariants.hpp"
#include "facade/state_settling.hpp"
#include "keeper_rig.hpp"

#include <set>

namespace everpool::tests {
namespace {

constexpr WorkerId worker{1};
constexpr Generation life{1};

/// Operations 1 to 6: queued, running, taken back; each idempotent if its number is odd.
KeeperRig host_with_work() {
    KeeperRig rig;
    rig.open();
    rig.commit(step(live_browser(1, {.pid = 7, .start_time_ticks = 70})));
    for (std::uint64_t id = 1; id <= 6; ++id) {
        rig.commit(step(OperationSubmitted{.id = RequestId{id},
                                           .operation = "echo",
                                           .is_idempotent = id % 2 == 1,
                                           .payload = Payload(noise(10, id))}));
        if (id > 2) rig.commit(step(OperationDispatched{RequestId{id}, worker, life}));
        if (id > 4)
            rig.commit(step(OperationRequeued{
                .id = RequestId{id}, .worker = worker, .code = Errc::worker_lost}));
    }
    return rig;
}

struct Fate {
    OperationStatus status;
    Errc code;
    bool may_run_again;
};

void check_fates(KeeperRig& next, const std::vector<Fate>& expected) {
    const StateSnapshot state = next.keeper->snapshot();
    CHECK(!core::check_state(state));
    const auto& orphans = next.keeper->orphans();
    REQUIRE(orphans.size() == expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const OrphanedOperation& orphan = orphans[i];
        INFO("operation " << i + 1);
        CHECK(orphan.operation.id == RequestId{i + 1}); // in order of their ids
        CHECK(orphan.operation.status == expected[i].status);
        CHECK(orphan.operation.code == expected[i].code);
        CHECK(orphan.may_run_again == expected[i].may_run_again);
        CHECK(orphan.operation.payload.is_empty() != expected[i].may_run_again);
        const OperationState* found = state.find_operation(RequestId{i + 1});
        REQUIRE(found != nullptr);
        CHECK(*found == orphan.operation);
    }
}

TEST_CASE("redispatch: what may be executed again waits, everything else is of unknown outcome") {
    KeeperRig next = host_with_work().after_power_cut();
    next.open();
    using enum OperationStatus;
    check_fates(next, {{queued, Errc::ok, true},
                       {queued, Errc::ok, true},
                       {queued, Errc::worker_lost, true},
                       {outcome_unknown, Errc::outcome_unknown, false},
                       {queued, Errc::worker_lost, true},
                       {outcome_unknown, Errc::outcome_unknown, false}});
}

TEST_CASE("give_up: everything ends, as cancelled if it had never been sent") {
    KeeperRig rig = host_with_work();
    rig.config.orphans = OrphanPolicy::give_up;
    KeeperRig next = rig.after_power_cut();
    next.open();
    using enum OperationStatus;
    check_fates(next, {{cancelled, Errc::cancelled, false},
                       {cancelled, Errc::cancelled, false},
                       {outcome_unknown, Errc::outcome_unknown, false},
                       {outcome_unknown, Errc::outcome_unknown, false},
                       {outcome_unknown, Errc::outcome_unknown, false},
                       {outcome_unknown, Errc::outcome_unknown, false}});
    KeeperRig last = next.after_power_cut();
    last.open();
    CHECK(last.keeper->orphans().empty());
}

TEST_CASE(
    "what recovery decided is a durable transaction of its own, and a listener is told of it") {
    KeeperRig rig = host_with_work();
    std::vector<std::string> actors;
    rig.config.on_transaction = [&](const Transaction& told) { actors.push_back(told.actor); };
    KeeperRig next = rig.after_power_cut();
    next.open();
    CHECK(actors == std::vector<std::string>{"recovery"});
    const auto last = next.keeper->last_transactions(1);
    REQUIRE(last.size() == 1);
    CHECK(last.front().actor == "recovery");
    CHECK(last.front().at != WallTime{});
    CHECK(next.keeper->health().durable == last.front().number);
}

TEST_CASE("each browser that was not gone is looked for, and only if it had a process") {
    KeeperRig rig;
    rig.open();
    const auto add = [&](std::uint32_t id, ConnectionStatus connection, ProcessIdentity process,
                         Generation generation = life) {
        BrowserAdded added = live_browser(id, process);
        added.browser.connection = connection;
        added.browser.generation = generation;
        rig.commit(step(added));
    };
    using enum ConnectionStatus;
    add(1, ready, {.pid = 10, .start_time_ticks = 5});
    add(2, draining, {.pid = 11, .start_time_ticks = 5});
    add(3, connecting, {});                           // started, and had no number yet
    add(4, disconnected, {}, Generation{});           // never started
    add(5, lost, {.pid = 12, .start_time_ticks = 5}); // known to be gone
    add(6, stopped, {.pid = 13, .start_time_ticks = 5});
    rig.commit(step(ModelRegistered{{.name = "bert"}}, ModelAssigned{"bert", {WorkerId{1}}},
                    ModelAssigned{"bert", {WorkerId{2}}},
                    ResourceAllocated{.id = ResourceId{1}, .worker = WorkerId{1}},
                    ResourceAllocated{.id = ResourceId{2}, .worker = WorkerId{2}}));
    std::multiset<int> asked;
    rig.config.process_exists = [&](const ProcessIdentity& process) {
        CHECK(process.start_time_ticks == 5);
        asked.insert(process.pid);
        return process.pid == 11;
    };
    KeeperRig next = rig.after_power_cut();
    next.open();
    CHECK(asked == std::multiset<int>{10, 11});
    const StateSnapshot state = next.keeper->snapshot();
    const auto browser = [&](std::uint32_t id) { return *state.find_browser(WorkerId{id}); };
    CHECK(browser(1).connection == lost);
    CHECK(browser(1).health == HealthStatus::unknown);
    CHECK(browser(1).process == ProcessIdentity{});
    CHECK(browser(1).last_failure == "it ended with its host");
    CHECK(browser(2).connection == disconnected);
    CHECK(browser(2).process.pid == 11);
    CHECK(browser(2).last_failure == "its host died; the process is still there");
    CHECK(browser(3).connection == lost);
    CHECK(browser(4).connection == disconnected);
    CHECK(browser(4).last_failure.empty());
    CHECK(browser(5).connection == lost);
    CHECK(browser(6).connection == stopped);
    const auto assignments = state.find_model("bert")->assignments;
    REQUIRE(assignments.size() == 1); // with the browser went what it had
    CHECK(assignments.front().worker == WorkerId{2});
    CHECK(state.find_resource(ResourceId{1}) == nullptr);
    CHECK(state.find_resource(ResourceId{2}) != nullptr);
}

TEST_CASE("more than one transaction can hold is settled by several, and all of it") {
    KeeperRig rig;
    rig.config.segment_bytes = 4 << 20;
    rig.open();
    rig.commit(step(live_browser(1)));
    constexpr std::uint64_t count = 3 * transaction_changes_max;
    for (std::uint64_t id = 1; id <= count; ++id)
        rig.commit(step(OperationSubmitted{.id = RequestId{id}, .operation = "echo"},
                        OperationDispatched{RequestId{id}, worker, life}),
                   Durability::none);
    REQUIRE(!rig.keeper->flush());
    rig.config.limits.operations_kept = 100;
    KeeperRig next = rig.after_kill();
    next.open();
    CHECK(next.keeper->orphans().size() == count); // also those that are forgotten already
    for (const OrphanedOperation& orphan : next.keeper->orphans())
        if (orphan.operation.status != OperationStatus::outcome_unknown) FAIL("left undecided");
    CHECK(next.keeper->snapshot().operation_count() == 100);
    CHECK(next.keeper->snapshot().find_browser(worker)->connection == ConnectionStatus::lost);
    CHECK(next.keeper->snapshot().version() == count + 1 + 4);
    CHECK(next.keeper->verify().empty());
}

TEST_CASE("nothing left behind is nothing to settle") {
    const facade::Settling settling = facade::settle(StateSnapshot(), OrphanPolicy::give_up,
                                                     [](const ProcessIdentity&) { return true; });
    CHECK(settling.transaction.changes.empty());
    CHECK(settling.orphans.empty());
}

} // namespace
} // namespace everpool::tests
