// SPDX-License-Identifier: BSL-1.0
#include "ledger_rig.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

using namespace everpool;
using namespace everpool::tests;

using enum CheckpointKind;

TEST_CASE("recovery begins at the checkpoint, and does not read what it covers") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(100, 2000);
    rig.checkpoint(full);
    rig.commit(5);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 105);
    CHECK(rig.report.checkpoint_record == 100);
    CHECK(rig.report.checkpoints_read == 1);
    CHECK(rig.report.records_read == 5);
    CHECK(rig.report.segments_read == 1);
}

TEST_CASE("deltas build on each other, and the chain of them is bounded") {
    LedgerRig rig;
    rig.config.deltas_max = 2;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    std::vector<CheckpointKind> kinds;
    for (int i = 0; i < 7; ++i) {
        kinds.push_back(rig.checkpoint(delta));
        rig.commit(1);
    }
    CHECK(kinds == std::vector{full, delta, delta, full, delta, delta, full});
    rig.checkpoint(delta);
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.report.checkpoints_read == 2);
    CHECK(rig.report.records_read == 0);
    CHECK(rig.seen == 10);
}

TEST_CASE("a checkpoint of nothing new is not needed") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    CHECK_FALSE(rig.ledger->begin_checkpoint(full).is_needed());
    rig.commit(1);
    rig.checkpoint(full);
    CHECK_FALSE(rig.ledger->begin_checkpoint(full).is_needed());
    CHECK_FALSE(rig.ledger->begin_checkpoint(delta).is_needed());
    rig.commit(1);
    CHECK(rig.checkpoint(delta) == delta);
    CHECK_FALSE(rig.ledger->begin_checkpoint(delta).is_needed());
    CHECK(rig.checkpoint(full) == full); // of the same record
    CHECK(rig.ledger->checkpoint() == Lsn{2});
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.report.checkpoints_read == 1);
}

TEST_CASE("a checkpoint comes into force only when what it holds is durable") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.append_many(3);
    CheckpointPlan plan = rig.ledger->begin_checkpoint(full);
    CHECK_FALSE(rig.ledger->publish(plan)); // not written
    REQUIRE_FALSE(plan.write(rig.journal.checkpoint(3, 0)));
    CHECK_FALSE(rig.ledger->publish(plan)); // not durable
    rig.append_many(1);
    REQUIRE_FALSE(rig.ledger->sync());
    auto publication = rig.ledger->publish(plan);
    REQUIRE(publication);
    REQUIRE_FALSE(publication->perform());
    REQUIRE_FALSE(rig.ledger->done(std::move(*publication)));
    CHECK(rig.ledger->checkpoint() == Lsn{3});
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.report.checkpoint_record == 3);
    CHECK(rig.seen == 4);
}

TEST_CASE("the newest checkpoints are kept, with all that they need; the rest goes by and by") {
    LedgerRig rig;
    rig.config.checkpoints_kept = 3;
    REQUIRE_FALSE(rig.open());
    std::vector<std::string> oldest;
    for (int i = 1; i <= 12; ++i) {
        rig.commit(20, 2000);
        rig.checkpoint(full);
        CHECK(rig.files("checkpoint-").size() == static_cast<std::size_t>(std::min(i, 3)));
        if (i == 4) oldest = rig.files("quarantine-");
        if (i == 5) // one round in quarantine
            for (const std::string& name : oldest) CHECK(rig.disk->contents(name) != nullptr);
        if (i == 6) // and no longer
            for (const std::string& name : oldest) CHECK(rig.disk->contents(name) == nullptr);
    }
    CHECK_FALSE(oldest.empty());
    CHECK(rig.files("segment-").size() < 5);
    CHECK(rig.files("quarantine-").size() < 8);
    // Any of the three will do.
    const auto kept = rig.files("checkpoint-");
    rig.power_cut();
    for (const std::string& name : kept) {
        LedgerRig other;
        other.journal = rig.journal;
        other.config = rig.config;
        other.disk = rig.disk->after_kill(1);
        for (const std::string& newer : kept)
            if (newer > name) other.damage(newer, 100);
        const error_code ec = other.open();
        INFO(other.diagnostics.text());
        REQUIRE_FALSE(ec);
        CHECK(other.seen == 240);
        CHECK(checkpoint_name(full, Lsn{other.report.checkpoint_record}) == name);
        CHECK_FALSE(other.report.is_durable_data_lost);
    }
}

TEST_CASE("a quarantined file that is found by the next life goes as well") {
    LedgerRig rig;
    rig.config.checkpoints_kept = 1;
    REQUIRE_FALSE(rig.open());
    for (int i = 0; i < 3; ++i) {
        rig.commit(20, 2000);
        rig.checkpoint(full);
    }
    const auto found = rig.files("quarantine-");
    CHECK_FALSE(found.empty());
    rig.power_cut(Loss::nothing);
    REQUIRE_FALSE(rig.open());
    for (int i = 0; i < 3; ++i) {
        rig.commit(1);
        rig.checkpoint(full);
    }
    for (const std::string& name : found) CHECK(rig.disk->contents(name) == nullptr);
}

TEST_CASE("a checkpoint that is not what it was is passed over for an older one") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    rig.checkpoint(full);
    rig.commit(3);
    rig.checkpoint(delta);
    rig.commit(3);
    rig.checkpoint(delta);
    rig.commit(3);
    rig.power_cut();
    std::uint64_t expected = 0;
    SECTION("the last delta") {
        rig.damage(checkpoint_name(delta, Lsn{9}), 80);
        expected = 6;
    }
    SECTION("the first delta, on which the last builds") {
        rig.damage(checkpoint_name(delta, Lsn{6}), 80);
        expected = 3;
    }
    SECTION("one that is gone") {
        rig.disk->drop(checkpoint_name(delta, Lsn{6}));
        expected = 3;
    }
    SECTION("the full one, on which all build: the log reaches back to the first record") {
        rig.damage(checkpoint_name(full, Lsn{3}), 80);
        expected = 0;
    }
    CHECK(rig.open(RecoveryMode::absolute) == Errc::storage_damaged);
    REQUIRE_FALSE(rig.open(RecoveryMode::point_in_time));
    CHECK(rig.seen == 12);
    CHECK(rig.report.checkpoint_record == expected);
    CHECK(rig.report.checkpoints_rejected.size() == 1);
    CHECK_FALSE(rig.report.is_durable_data_lost);

    // It is forgotten, and what follows does not build on it.
    CHECK(rig.checkpoint(delta) == (expected == 0 ? full : delta));
    rig.commit(1);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.report.checkpoint_record == 12);
    CHECK(rig.seen == 13);
}

TEST_CASE("without any beginning nothing is opened") {
    LedgerRig rig;
    rig.config.checkpoints_kept = 1;
    REQUIRE_FALSE(rig.open());
    for (int i = 0; i < 3; ++i) {
        rig.commit(60, 2000);
        rig.checkpoint(full);
    }
    rig.commit(1);
    rig.power_cut();
    rig.damage(rig.files("checkpoint-").back(), 80);
    CHECK(rig.open(RecoveryMode::point_in_time) == Errc::storage_damaged);
    CHECK(rig.diagnostics.remedy.find("salvage") != std::string::npos);
    REQUIRE_FALSE(rig.open(RecoveryMode::salvage));
    CHECK(rig.report.records_read > 0);
    CHECK(rig.report.last_record == 181);
    CHECK(rig.ledger->needs_full_checkpoint());
}

TEST_CASE("damage to records that a checkpoint holds does no harm, and is reported") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    rig.checkpoint(full);
    rig.commit(3);
    rig.power_cut();
    rig.damage(segment_name(1), segment_header_bytes + fragment_header_bytes + 10);
    CHECK(rig.open(RecoveryMode::absolute) == Errc::storage_damaged);
    REQUIRE_FALSE(rig.open(RecoveryMode::point_in_time));
    CHECK(rig.seen == 6);
    CHECK(rig.report.ending == LogEnding::clean);
    CHECK(rig.report.records_skipped == 1);
    rig.commit(1);
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 7);
}

TEST_CASE("a checkpoint that cannot be written changes nothing, and may be tried again") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    CheckpointPlan plan = rig.ledger->begin_checkpoint(full);
    const Bytes body = rig.journal.checkpoint(3, 0);
    rig.disk->fail_at(rig.disk->calls() + 2, ENOSPC, SimulatedDisk::for_ever);
    CHECK(plan.write(body) == Errc::storage_full);
    CHECK(plan.trouble().last_cause.value() == ENOSPC);
    CHECK(rig.ledger->finish_checkpoint(plan) == Errc::invalid_request);
    rig.disk->heal();
    REQUIRE_FALSE(plan.write(body));
    rig.disk->fail_at(rig.disk->calls() + 3, ENOSPC, SimulatedDisk::for_ever);
    CHECK(rig.ledger->finish_checkpoint(plan) == Errc::storage_full);
    CHECK(rig.ledger->checkpoint() == Lsn{0});
    CHECK_FALSE(rig.ledger->is_poisoned());
    rig.disk->heal();
    REQUIRE_FALSE(rig.ledger->finish_checkpoint(plan));
    CHECK(rig.ledger->checkpoint() == Lsn{3});
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.report.checkpoint_record == 3);
}

TEST_CASE("salvage that skipped only what a checkpoint holds leaves that one alone") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(6);
    rig.checkpoint(full);
    rig.power_cut();
    rig.damage(segment_name(1), segment_header_bytes + 2 * (fragment_header_bytes + 200) + 50);
    REQUIRE_FALSE(rig.open(RecoveryMode::salvage));
    CHECK(rig.seen == 6);
    CHECK(rig.report.records_skipped == 1);
    CHECK_FALSE(rig.ledger->needs_full_checkpoint());
    CHECK_FALSE(rig.ledger->begin_checkpoint(full).is_needed());
    rig.commit(1);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::point_in_time));
    CHECK(rig.seen == 7);
}

TEST_CASE("a poisoned ledger writes no checkpoint: the manifest on disk may name the file") {
    LedgerRig rig;
    rig.config.checkpoints_kept = 1;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    CheckpointPlan plan = rig.ledger->begin_checkpoint(full);
    const Bytes body = rig.journal.checkpoint(3, 0);
    REQUIRE_FALSE(plan.write(body));
    rig.disk->fail_at(rig.disk->calls() + 6, EIO); // the sync after the manifest was renamed
    CHECK(rig.ledger->finish_checkpoint(plan) == Errc::storage_failed);
    CHECK(rig.ledger->is_poisoned());
    const std::uint64_t before = rig.disk->calls();
    CheckpointPlan again = rig.ledger->begin_checkpoint(full);
    CHECK(again.write(body) == Errc::storage_failed);
    CHECK(again.trouble().last_cause.value() == EIO);
    CHECK_FALSE(again.is_written());
    CHECK(rig.disk->calls() == before);
}

TEST_CASE("a checkpoint that could not be published is published anew, not written") {
    // An error of a rename does not tell whether it was done: the manifest may name the file.
    const std::uint64_t seed = GENERATE(range(std::uint64_t{1}, std::uint64_t{9}));
    LedgerRig rig;
    rig.disk = std::make_unique<SimulatedDisk>(seed);
    rig.config.checkpoints_kept = 1;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    CheckpointPlan plan = rig.ledger->begin_checkpoint(full);
    const Bytes body = rig.journal.checkpoint(3, 0);
    REQUIRE_FALSE(plan.write(body));
    rig.disk->fail_at(rig.disk->calls() + 5, EIO); // the rename
    CHECK(rig.ledger->finish_checkpoint(plan) == Errc::storage_failed);
    REQUIRE_FALSE(rig.ledger->is_poisoned());
    rig.disk->on_change = [&] {
        LedgerRig other;
        other.journal = rig.journal;
        other.disk = rig.disk->after_power_cut(Loss::by_chance, seed);
        CHECK_FALSE(other.open(RecoveryMode::absolute)); // nothing is amiss
        CHECK(other.seen == 3);
    };
    CheckpointPlan again = rig.ledger->begin_checkpoint(full);
    CHECK(again.is_needed());
    REQUIRE_FALSE(again.write(body));
    REQUIRE_FALSE(rig.ledger->finish_checkpoint(again));
    rig.disk->on_change = nullptr;
    CHECK(rig.ledger->checkpoint() == Lsn{3});
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.report.checkpoint_record == 3);
}

TEST_CASE("a sync that poisons is no full disk, whatever the system calls it: checkpoints") {
    const std::uint64_t call = GENERATE(std::uint64_t{1}, std::uint64_t{6}); // before and after
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    CheckpointPlan plan = rig.ledger->begin_checkpoint(full);
    REQUIRE_FALSE(plan.write(rig.journal.checkpoint(3, 0)));
    rig.disk->fail_at(rig.disk->calls() + call, ENOSPC);
    CHECK(rig.ledger->finish_checkpoint(plan) == Errc::storage_failed);
    CHECK(rig.ledger->is_poisoned());
    CHECK(rig.ledger->trouble().last_cause.value() == ENOSPC);
}
