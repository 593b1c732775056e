// The log as an audit trail: filtered, while it is written, the last ones, with and without a disk.
// SPDX-License-Identifier: BSL-1.0
#include "keeper_rig.hpp"

#include <atomic>
#include <cerrno>

namespace everpool::tests {
namespace {

using facade::StateKeeper;
using Found = std::vector<std::uint64_t>;

Found numbers_of(StateKeeper& keeper, const TransactionFilter& filter) {
    Found out;
    CHECK(!keeper.visit(1, filter, [&](const Transaction& transaction) {
        out.push_back(transaction.number);
        return true;
    }));
    return out;
}

/// As the comments say. At second n is transaction n.
void commit_a_history(const KeeperRig& rig) {
    const auto commit = [&](auto... changes) {
        Transaction transaction = step(std::move(changes)...);
        transaction.at = WallTime(std::chrono::seconds(rig.keeper->snapshot().version() + 1));
        rig.commit(std::move(transaction), Durability::none);
    };
    commit(live_browser(1), live_browser(2));                                             // 1
    commit(ModelRegistered{{.name = "bert"}});                                            // 2
    commit(ModelAssigned{"bert", {WorkerId{2}}});                                         // 3
    commit(OperationSubmitted{.id = RequestId{7}, .operation = "echo", .model = "bert"}); // 4
    commit(OperationDispatched{RequestId{7}, WorkerId{1}, Generation{1}});                // 5
    commit(Note{"in between"});                                                           // 6
    commit(OperationFinished{.id = RequestId{7}, .worker = WorkerId{1}},
           MetricRecorded{.key = {.model = "bert"}, .duration = 1ms});           // 7
    commit(BrowserChanged{.id = WorkerId{2}, .health = HealthStatus::degraded}); // 8
}

TEST_CASE("the log is filtered by browser, model, operation, time and action, and by all at once") {
    for (const bool is_on_disk : {true, false}) {
        KeeperRig rig;
        if (is_on_disk) rig.open();
        else rig.open_without_disk();
        commit_a_history(rig);
        StateKeeper& keeper = *rig.keeper;
        CHECK(numbers_of(keeper, {}) == Found{1, 2, 3, 4, 5, 6, 7, 8});
        CHECK(numbers_of(keeper, {.browser = WorkerId{1}}) == Found{1, 5, 7});
        CHECK(numbers_of(keeper, {.browser = WorkerId{2}}) == Found{1, 3, 8});
        CHECK(numbers_of(keeper, {.model = "bert"}) == Found{2, 3, 4, 7});
        CHECK(numbers_of(keeper, {.operation = RequestId{7}}) == Found{4, 5, 7});
        CHECK(numbers_of(keeper, {.action = ChangeKind::note}) == Found{6});
        CHECK(numbers_of(keeper, {.from = WallTime(3s)}) == Found{3, 4, 5, 6, 7, 8});
        CHECK(numbers_of(keeper, {.until = WallTime(3s)}) == Found{1, 2});
        CHECK(numbers_of(keeper, {.from = WallTime(4s), .until = WallTime(6s)}) == Found{4, 5});
        CHECK(numbers_of(keeper, {.browser = WorkerId{1},
                                  .operation = RequestId{7},
                                  .action = ChangeKind::operation_finished,
                                  .from = WallTime(1s)}) == Found{7});
        CHECK(numbers_of(keeper, {.browser = WorkerId{9}}).empty());
    }
}

TEST_CASE("a visit ends when the visitor has enough") {
    for (const bool is_on_disk : {true, false}) {
        KeeperRig rig;
        if (is_on_disk) rig.open();
        else rig.open_without_disk();
        commit_a_history(rig);
        std::size_t visits = 0;
        CHECK(!rig.keeper->visit(1, {}, [&](const Transaction&) { return ++visits < 3; }));
        CHECK(visits == 3);
    }
}

TEST_CASE("the last transactions are given oldest first, and no more than there are") {
    for (const bool is_on_disk : {true, false}) {
        KeeperRig rig;
        if (is_on_disk) rig.open();
        else rig.open_without_disk();
        CHECK(rig.keeper->last_transactions(3).empty());
        commit_a_history(rig);
        CHECK(rig.keeper->last_transactions(0).empty());
        const auto last = rig.keeper->last_transactions(2);
        REQUIRE(last.size() == 2);
        CHECK(last[0].number == 7);
        CHECK(last[1].number == 8);
        CHECK(last[0].changes.size() == 2);
        CHECK(rig.keeper->last_transactions(1000).size() == 8);
        CHECK(rig.keeper->last_transactions(SIZE_MAX).size() == 8);
    }
}

TEST_CASE("without a directory so many transactions are kept, and no more") {
    KeeperRig rig;
    rig.config.transactions_kept = 5;
    rig.open_without_disk();
    rig.commit_notes(1, 1000);
    CHECK(rig.notes() == KeeperRig::numbers(996, 1000));
    CHECK(rig.keeper->last_transactions(100).size() == 5);
    CHECK(rig.keeper->last_transactions(2).front().number == 999);
    rig.config.transactions_kept = 0;
    rig.open_without_disk();
    rig.commit_notes(1, 3);
    CHECK(rig.notes().empty());
    CHECK(rig.keeper->last_transactions(100).empty());
}

TEST_CASE("what is committed while somebody reads does not disturb him, nor he those who commit") {
    for (const bool is_on_disk : {true, false}) {
        KeeperRig rig;
        rig.config.transactions_kept = 1000;
        if (is_on_disk) rig.open();
        else rig.open_without_disk();
        rig.commit_notes(1, 600, Durability::none);
        std::uint64_t expected = 0, more = 600;
        CHECK(!rig.keeper->visit(1, {}, [&](const Transaction& transaction) {
            CHECK(transaction.number == ++expected);
            rig.commit_note(++more, Durability::none); // the visitor himself may
            return true;
        }));
        CHECK(expected == 600);
        CHECK(rig.keeper->snapshot().version() == 1200);
    }
}

// Those that are kept move on under the reader: what he has not seen yet may be gone, and what he
// sees is whole and in order.
TEST_CASE("without a directory a slow reader misses what is not kept any more, and nothing else") {
    KeeperRig rig;
    rig.config.transactions_kept = 300;
    rig.open_without_disk();
    rig.commit_notes(1, 300);
    Found seen;
    CHECK(!rig.keeper->visit(1, {}, [&](const Transaction& transaction) {
        seen.push_back(transaction.number);
        if (seen.size() == 1) rig.commit_notes(301, 570);
        return true;
    }));
    CHECK(std::ranges::is_sorted(seen));
    CHECK(seen.front() == 1);
    CHECK(seen.back() == 300);
    CHECK(seen.size() == 256 + 30); // those that he had been given, and 271 to 300
}

TEST_CASE("what is in memory only is read as well, and what cannot be written is an error") {
    KeeperRig rig;
    rig.open();
    rig.commit_note(1);
    rig.commit_note(2, Durability::none);
    CHECK(rig.notes() == KeeperRig::numbers(1, 2));
    rig.commit_note(3, Durability::none);
    rig.disk->fail_at(rig.disk->calls() + 1, ENOSPC);
    Found seen;
    const error_code ec = rig.keeper->visit(1, {}, [&](const Transaction& transaction) {
        seen.push_back(transaction.number);
        return true;
    });
    CHECK(ec == Errc::storage_full);
    CHECK(seen == Found{1, 2}); // it tells that something is missing
    CHECK(rig.notes() == KeeperRig::numbers(1, 3));
}

TEST_CASE("a record that is damaged ends the visit with an error, after those before it") {
    KeeperRig rig;
    rig.open();
    rig.commit_notes(1, 3);
    rig.damage("segment-0000000000000001.log", 4096 + 150);
    Found seen;
    const error_code ec = rig.keeper->visit(1, {}, [&](const Transaction& transaction) {
        seen.push_back(transaction.number);
        return true;
    });
    CHECK(ec == Errc::storage_damaged);
    CHECK(seen.size() < 3);
}

TEST_CASE("the trail goes on through restarts") {
    KeeperRig rig;
    rig.open();
    rig.commit_notes(1, 3);
    KeeperRig next = rig.after_power_cut();
    next.open();
    next.commit_notes(4, 5);
    KeeperRig last = next.after_power_cut();
    last.open();
    CHECK(last.notes() == KeeperRig::numbers(1, 5));
    CHECK(last.keeper->last_transactions(4).front().number == 2);
}

} // namespace
} // namespace everpool::tests
