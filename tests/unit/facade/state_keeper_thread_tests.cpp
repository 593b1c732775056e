// A StateKeeper under threads that do everything at once, under power cuts at every change of its
// disk, and beside a model of plain maps.
// SPDX-License-Identifier: BSL-1.0
#include "../state/state_script.hpp"
#include "everpool/core/state_invariants.hpp"
#include "keeper_rig.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace everpool::tests {
namespace {

using facade::StateKeeper;

TEST_CASE("everything may be called from any thread at any time") {
    KeeperRig rig;
    rig.config.commit_interval = 1ms;
    rig.config.checkpoint_interval = 10ms;
    rig.config.checkpoint_count_kept = 2;
    rig.config.delta_chain_max = 2;
    std::uint64_t told = 0;
    rig.config.on_transaction = [&](const Transaction& transaction) {
        told += transaction.number == told + 1 ? 1 : 0;
    };
    StateKeeper& keeper = rig.open();
    rig.commit(step(live_browser(1), ModelRegistered{{.name = "bert"}}));
    constexpr std::uint64_t writers = 3, rounds = 150;
    std::atomic<std::uint64_t> promised{0}, kept{0}, writing{writers}, broken{0};
    std::vector<std::thread> threads;
    for (std::uint64_t writer = 1; writer <= writers; ++writer)
        threads.emplace_back([&, writer] {
            for (std::uint64_t i = 0; i < rounds; ++i) {
                const RequestId id{(writer << 32) + i};
                const auto durability = static_cast<Durability>((i + writer) % 4);
                broken += keeper
                              .commit(step(OperationSubmitted{.id = id, .operation = "echo"},
                                           OperationDispatched{id, WorkerId{1}, Generation{1}}),
                                      durability)
                              .number == 0;
                ++promised;
                broken += keeper
                              .commit(step(OperationFinished{.id = id, .worker = WorkerId{1}}),
                                      durability, [&](error_code ec) { kept += !ec; })
                              .number == 0;
            }
            --writing;
        });
    const auto meanwhile = [&](auto act) {
        threads.emplace_back([&, act] {
            while (writing != 0) act();
        });
    };
    meanwhile([&] { broken += core::check_state(keeper.snapshot()).has_value(); });
    meanwhile([&] { broken += !keeper.verify().empty(); });
    meanwhile([&] {
        std::uint64_t last = 0;
        (void)keeper.visit(1, {}, [&](const Transaction& transaction) {
            broken += last != 0 && transaction.number != last + 1;
            last = transaction.number;
            return true;
        });
        broken += keeper.last_transactions(10).empty();
    });
    meanwhile([&] {
        const StateStorageHealth health = keeper.health();
        broken += health.checkpoint > health.durable || health.durable > health.with_system ||
                  health.with_system > health.committed || health.is_closed;
        broken += !!keeper.flush();
    });
    meanwhile([&] {
        broken += !!keeper.checkpoint(CheckpointDemand::any);
        broken += keeper.reconcile(keeper.snapshot(), "itself").code.failed();
    });
    for (std::thread& thread : threads) thread.join();
    const std::uint64_t last = keeper.snapshot().version();
    rig.keeper.reset();
    CHECK(broken == 0);
    CHECK(kept == promised);
    CHECK(told == last);
    KeeperRig next = rig.after_power_cut();
    next.config.on_transaction = {};
    next.open();
    CHECK(next.keeper->recovery().last_record == last);
    CHECK(next.keeper->recovery().ending == LogEnding::clean);
}

// --- power cuts ----------------------------------------------------------------------------------

/// Commits, checkpoints, restarts; what was acknowledged is in `durable`, what was begun in
/// `begun`.
void play(KeeperRig& rig, std::atomic<std::uint64_t>& begun, std::atomic<std::uint64_t>& durable) {
    core::Prng prng(5);
    for (int life = 0; life < 3; ++life) {
        rig.open();
        for (int i = 0; i < 25; ++i) {
            const auto durability = static_cast<Durability>(prng.below(4));
            const std::uint64_t number = ++begun;
            const CommitResult result =
                rig.keeper->commit(prng.ratio(1, 4) ? step(Note{std::to_string(number)},
                                                           Note{std::string(15'000, 'x')})
                                                    : note(number),
                                   durability);
            REQUIRE(!result.code);
            if (durability == Durability::sync) durable = number;
            if (prng.ratio(1, 6)) {
                REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
                durable = number;
            }
        }
        REQUIRE(!rig.keeper->flush());
        durable = begun.load();
        rig.keeper.reset();
    }
}

TEST_CASE("wherever the power is cut, what was acknowledged is there, and nothing else") {
    KeeperRig rig;
    rig.config.checkpoint_count_kept = 2;
    rig.config.compressed_bytes_min = 64 << 20;
    std::atomic<std::uint64_t> begun{0}, durable{0};
    std::uint64_t cuts{0}, torn{0};
    std::vector<std::string> complaints;
    // By whichever thread makes the change, one after the other.
    const auto look = [&] {
        const std::uint64_t cut = ++cuts;
        for (const Loss loss : {Loss::all, Loss::by_chance}) {
            const std::uint64_t promised = durable, most = begun;
            KeeperRig left = rig.after_power_cut(loss, cut);
            left.config.checkpoint_count_kept = 100;
            left.open();
            const RecoveryReport& report = left.keeper->recovery();
            torn += report.ending == LogEnding::torn_tail;
            const std::uint64_t found = left.keeper->snapshot().version();
            const auto expect = [&](bool is_right, const char* what) {
                if (!is_right)
                    complaints.push_back("change " + std::to_string(cut) + ": " + what + ": " +
                                         report.text());
            };
            expect(found >= promised, "what was acknowledged is lost");
            expect(found <= most, "something is there that was never committed");
            expect(report.ending != LogEnding::corruption, "it is called corruption");
            expect(!report.is_durable_data_lost, "it is called lost");
            for (const Transaction& transaction : left.keeper->last_transactions(10))
                expect(std::get<Note>(transaction.changes.front()).text ==
                           std::to_string(transaction.number),
                       "another transaction is there");
            expect(left.keeper->commit(note(1), Durability::sync).number == found + 1,
                   "it does not go on");
            expect(left.keeper->verify().empty(), "disk and state differ");
        }
    };
    rig.disk->on_change = look;
    play(rig, begun, durable);
    rig.disk->on_change = {};
    for (const std::string& complaint : complaints) FAIL_CHECK(complaint);
    CHECK(torn > 0);
    std::printf("power cuts: %llu, each with all and with some of it lost; torn tails %llu\n",
                static_cast<unsigned long long>(cuts), static_cast<unsigned long long>(torn));
}

// --- a model -------------------------------------------------------------------------------------

TEST_CASE("the state is what plain maps would hold, and is so again after every thousand") {
    using namespace state_tests;
    const char* const wanted = std::getenv("EVERPOOL_SEEDS");
    const std::uint64_t seeds = wanted != nullptr ? std::strtoull(wanted, nullptr, 10) : 3;
    std::uint64_t taken = 0, refused = 0, reopened = 0;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        INFO("seed " << seed);
        KeeperRig rig;
        rig.config.limits = {.browsers_max = 6,
                             .models_max = 4,
                             .operations_max = 40,
                             .operations_kept = 30,
                             .resources_max = 20,
                             .metrics_max = 10};
        rig.config.segment_bytes = 256 << 10;
        rig.config.process_exists = [](const ProcessIdentity&) { return true; };
        PlainState plain(rig.config.limits);
        StateScript script(seed);
        rig.open();
        for (int i = 1; i <= 3000; ++i) {
            Transaction transaction = script.next(plain);
            // The manager numbers them itself, and dates those that have no date.
            transaction.number = plain.version + 1;
            if (transaction.at == WallTime{}) transaction.at = WallTime(1ns);
            const bool is_taken = plain.apply(transaction);
            const CommitResult result = rig.keeper->commit(
                transaction, script.prng().ratio(1, 20) ? Durability::sync : Durability::none);
            INFO(i << ": " << result.diagnostics.text());
            REQUIRE(is_taken == (result.number == plain.version && !result.code));
            ++(is_taken ? taken : refused);
            if (script.prng().ratio(1, 300))
                REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::any));
            if (i % 1000 != 0) continue;
            REQUIRE(plain.is(rig.keeper->snapshot()));
            REQUIRE(rig.keeper->verify().empty());
            REQUIRE(!rig.keeper->flush());
            KeeperRig next = rig.after_power_cut(Loss::by_chance, seed);
            next.open();
            // What recovery itself has settled comes on top.
            for (const Transaction& own : next.keeper->last_transactions(
                     next.keeper->snapshot().version() - plain.version)) {
                REQUIRE(own.actor == "recovery");
                REQUIRE(plain.apply(own));
            }
            REQUIRE(plain.is(next.keeper->snapshot()));
            rig = std::move(next);
            ++reopened;
        }
    }
    CHECK(taken > 500 * seeds);
    std::printf("keeper and model: %llu seeds, %llu transactions taken, %llu refused, %llu times "
                "recovered\n",
                static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(taken),
                static_cast<unsigned long long>(refused),
                static_cast<unsigned long long>(reopened));
}

} // namespace
} // namespace everpool::tests
