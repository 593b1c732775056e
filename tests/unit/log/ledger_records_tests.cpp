// SPDX-License-Identifier: BSL-1.0
#include "ledger_rig.hpp"
#include "support/failing_allocation.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>
#include <optional>
#include <string>
#include <utility>

using namespace everpool;
using namespace everpool::tests;

TEST_CASE("records are numbered from 1, and are durable once synced") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    CHECK(rig.report.is_new);
    CHECK(rig.ledger->appended() == Lsn{0});
    rig.append_many(3);
    CHECK(rig.ledger->appended() == Lsn{3});
    CHECK(rig.ledger->written() == Lsn{0});
    REQUIRE_FALSE(rig.ledger->write_out());
    CHECK(rig.ledger->written() == Lsn{3});
    CHECK(rig.ledger->durable() == Lsn{0});
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK(rig.ledger->durable() == Lsn{3});

    rig.append_many(2);
    REQUIRE_FALSE(rig.ledger->write_out());
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK_FALSE(rig.report.is_new);
    CHECK(rig.seen == 3);
    CHECK(rig.report.records_read == 3);
    CHECK(rig.report.last_record == 3);
    CHECK(rig.report.ending == LogEnding::clean);
}

TEST_CASE("a log keeps the name that it was made with") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    std::optional<Ledger> again;
    JournalVisitor visitor(rig.journal);
    rig.ledger.reset();
    REQUIRE_FALSE(
        Ledger::open(*rig.disk, {}, LogId{}, visitor, rig.report, rig.diagnostics, again));
    CHECK(again->id() == rig_log());
}

TEST_CASE("others append while a batch is performed, and their records go with the next") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.append_many(2);
    Batch batch = rig.ledger->take(Reach::disk);
    CHECK(batch.last() == Lsn{2});
    CHECK_FALSE(batch.is_empty());
    rig.append_many(1);
    CHECK_FALSE(batch.perform());
    rig.append_many(1);
    CHECK(rig.ledger->durable() == Lsn{0}); // nobody is told before it is given back
    CHECK_FALSE(rig.ledger->done(std::move(batch)));
    CHECK(rig.ledger->durable() == Lsn{2});
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK(rig.ledger->durable() == Lsn{4});
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 4);
}

TEST_CASE("a batch that is given back without being performed changes nothing") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.append_many(2);
    Batch batch = rig.ledger->take(Reach::disk);
    rig.append_many(1);
    CHECK_FALSE(rig.ledger->done(std::move(batch)));
    CHECK(rig.ledger->written() == Lsn{0});
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK(rig.ledger->durable() == Lsn{3});
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 3);
}

TEST_CASE("what is written already needs only the sync, and what is durable nothing") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.append_many(1);
    REQUIRE_FALSE(rig.ledger->write_out());
    std::uint64_t before = rig.disk->changes();
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK(rig.disk->changes() == before + 1);
    before = rig.disk->calls();
    Batch batch = rig.ledger->take(Reach::disk);
    CHECK(batch.is_empty());
    CHECK_FALSE(rig.ledger->done(std::move(batch)));
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK(rig.disk->calls() == before);
}

TEST_CASE("what is written can be synced while a batch writes more") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.append_many(1);
    CHECK(rig.ledger->begins_segment());
    REQUIRE_FALSE(rig.ledger->write_out());
    CHECK_FALSE(rig.ledger->begins_segment());
    rig.append_many(1);
    CHECK_FALSE(rig.ledger->begins_segment());
    WrittenSync sync = rig.ledger->take_sync();
    CHECK(sync.last() == Lsn{1});
    Batch batch = rig.ledger->take(Reach::system);
    REQUIRE_FALSE(batch.perform());
    REQUIRE_FALSE(rig.ledger->done(std::move(batch)));
    REQUIRE_FALSE(sync.perform());
    CHECK(rig.ledger->durable() == Lsn{0});
    REQUIRE_FALSE(rig.ledger->done(std::move(sync)));
    CHECK(rig.ledger->durable() == Lsn{1}); // maybe more is, but nobody knows
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK(rig.ledger->durable() == Lsn{2});
    rig.append_many(1, 70'000);
    CHECK(rig.ledger->begins_segment());
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 2);
}

TEST_CASE("a sync alone says nothing of what was only read by a recovery") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    rig.append_many(3);
    REQUIRE_FALSE(rig.ledger->write_out());
    REQUIRE_FALSE(rig.open()); // on the same machine
    const Lsn durable = rig.ledger->durable();
    CHECK(rig.ledger->written() == Lsn{5});
    WrittenSync sync = rig.ledger->take_sync();
    CHECK(sync.last() == durable);
    REQUIRE_FALSE(sync.perform());
    REQUIRE_FALSE(rig.ledger->done(std::move(sync)));
    CHECK(rig.ledger->durable() == durable);
}

TEST_CASE("a sync alone that fails poisons the ledger") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    rig.append_many(1);
    REQUIRE_FALSE(rig.ledger->write_out());
    WrittenSync sync = rig.ledger->take_sync();
    rig.disk->fail_at(rig.disk->calls() + 1, EIO);
    CHECK(sync.perform());
    CHECK(rig.ledger->done(std::move(sync)) == Errc::storage_failed);
    CHECK(rig.ledger->is_poisoned());
    CHECK(rig.ledger->trouble().last_cause.value() == EIO);
    CHECK(rig.ledger->durable() == Lsn{2});
    CHECK(rig.ledger->sync() == Errc::storage_failed);
    CHECK(rig.append() == Errc::storage_failed);
    WrittenSync again = rig.ledger->take_sync();
    CHECK(again.perform());
    CHECK(rig.ledger->done(std::move(again)) == Errc::storage_failed);
}

TEST_CASE("a full segment is followed by another, and a long record gets one of its own") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(100, 2000);
    CHECK(rig.files("segment-").size() > 2);
    for (const std::string& name : rig.files("segment-"))
        CHECK(rig.disk->contents(name)->size() == rig.config.segment_bytes);
    rig.commit(1, 300'000);
    rig.commit(1, 10);
    CHECK(rig.disk->contents(rig.files("segment-").back())->size() >= rig.config.segment_bytes);
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 102);
}

TEST_CASE("a recovered segment is never written again") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    const Bytes before = *rig.disk->contents(segment_name(1));
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    CHECK(*rig.disk->contents(segment_name(1)) == before);
    CHECK(rig.files("segment-").size() == 2);
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 4);
}

TEST_CASE("records that a killed host left in the system's cache are made durable by the next") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    rig.append_many(3);
    REQUIRE_FALSE(rig.ledger->write_out());
    REQUIRE_FALSE(rig.open()); // on the same machine
    CHECK(rig.seen == 5);
    CHECK(rig.ledger->durable() < Lsn{5});
    rig.commit(1);
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 6);
}

TEST_CASE("a record that is too long is refused, and so is one too many while nothing is written") {
    LedgerRig rig;
    rig.config.unwritten_bytes_max = 64 << 10;
    REQUIRE_FALSE(rig.open());
    Lsn lsn;
    CHECK(rig.ledger->append(Bytes(record_bytes_max + 1), lsn) == Errc::message_too_large);
    rig.append_many(60, 1000);
    error_code ec;
    while (!ec) ec = rig.append(1000);
    CHECK(ec == Errc::queue_full);
    CHECK(rig.journal.last() >= 61);
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK_FALSE(rig.append(1000));
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK_FALSE(rig.append(100'000)); // alone, it is taken
}

TEST_CASE("a full disk loses nothing: the next attempt writes to the same place") {
    LedgerRig rig;
    rig.config.unwritten_bytes_max = 64 << 10;
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    rig.disk->fail_at(rig.disk->calls() + 1, ENOSPC, SimulatedDisk::for_ever);
    rig.append_many(2);
    CHECK(rig.ledger->sync() == Errc::storage_full);
    CHECK(rig.ledger->trouble().last_cause.value() == ENOSPC);
    CHECK_FALSE(rig.ledger->is_poisoned());
    CHECK(rig.ledger->durable() == Lsn{2});
    rig.append_many(3);
    CHECK(rig.ledger->sync() == Errc::storage_full);
    error_code ec;
    while (!ec) ec = rig.append(2000);
    CHECK(ec == Errc::storage_full); // why it cannot take more
    rig.disk->heal();
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK(rig.ledger->durable().value == rig.journal.last());
    const std::uint64_t all = rig.journal.last();
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == all);
    CHECK(rig.report.ending == LogEnding::clean);
}

TEST_CASE("after a sync that failed a ledger does nothing any more") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    rig.append_many(1);
    REQUIRE_FALSE(rig.ledger->write_out());
    rig.disk->fail_at(rig.disk->calls() + 1, EIO);
    CHECK(rig.ledger->sync() == Errc::storage_failed);
    CHECK(rig.ledger->is_poisoned());
    const std::uint64_t before = rig.disk->calls();
    CHECK(rig.ledger->sync() == Errc::storage_failed);
    CHECK(rig.append() == Errc::storage_failed);
    CHECK(rig.ledger->close() == Errc::storage_failed);
    CheckpointPlan plan = rig.ledger->begin_checkpoint(CheckpointKind::full);
    CHECK_FALSE(rig.ledger->publish(plan)); // was never written
    CHECK(rig.disk->calls() == before);
    CHECK(rig.ledger->durable() == Lsn{2});

    // The record can be read, yet it may not be on the disk: the next life writes it once more.
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 3);
    REQUIRE_FALSE(rig.ledger->sync());
    CHECK(rig.ledger->durable() == Lsn{3});
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 3);
}

TEST_CASE("a sync that poisons is no full disk, whatever the system calls it") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    error_code ec;
    SECTION("of a segment's name") {
        rig.append_many(1);
        rig.disk->fail_at(rig.disk->calls() + 5, ENOSPC); // create, allocate, write, sync, this
        ec = rig.ledger->sync();
    }
    SECTION("of a segment") {
        rig.commit(1);
        rig.append_many(1);
        rig.disk->fail_at(rig.disk->calls() + 2, ENOSPC);
        ec = rig.ledger->sync();
    }
    SECTION("of a segment that is closed") {
        rig.commit(1);
        rig.disk->fail_at(rig.disk->calls() + 2, ENOSPC);
        ec = rig.ledger->close();
    }
    CHECK(ec == Errc::storage_failed);
    CHECK(rig.ledger->is_poisoned());
    CHECK(rig.ledger->trouble().last_cause.value() == ENOSPC);
    CHECK(rig.ledger->trouble().remedy.find("room") == std::string::npos);
}

TEST_CASE("no memory to take back what was not written poisons: nothing goes on behind a hole") {
    if (!FailingAllocation::is_possible) return;
    std::uint64_t failures = 0;
    for (std::size_t nth = 1;; ++nth) {
        LedgerRig rig;
        REQUIRE_FALSE(rig.open());
        rig.commit(2);
        rig.append_many(2);
        Batch batch = rig.ledger->take(Reach::disk);
        rig.append_many(60, 2000); // for this segment and the next
        rig.disk->fail_at(rig.disk->calls() + 1, ENOSPC);
        CHECK(batch.perform() == Errc::storage_full);
        bool has_thrown = false;
        try {
            const FailingAllocation failing(nth);
            (void)rig.ledger->done(std::move(batch));
        } catch (const std::bad_alloc&) {
            has_thrown = true;
        }
        if (!FailingAllocation::has_failed()) break;
        ++failures;
        const error_code ec = rig.ledger->sync();
        CHECK(rig.ledger->is_poisoned() == has_thrown);
        CHECK(ec == (has_thrown ? make_error_code(Errc::storage_failed) : error_code{}));
        const std::uint64_t durable = rig.ledger->durable().value;
        rig.power_cut();
        REQUIRE_FALSE(rig.open());
        CHECK(rig.seen >= durable);
    }
    CHECK(failures > 0);
}

TEST_CASE("a publication whose sync failed poisons a batch that was out meanwhile") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    CheckpointPlan plan = rig.ledger->begin_checkpoint(CheckpointKind::full);
    REQUIRE_FALSE(plan.write(rig.journal.checkpoint(2, 0)));
    auto publication = rig.ledger->publish(plan);
    REQUIRE(publication);
    rig.append_many(1);
    Batch batch = rig.ledger->take(Reach::disk);
    rig.disk->fail_at(rig.disk->calls() + 1, EIO); // the sync of the directory
    CHECK(publication->perform() == Errc::storage_failed);
    CHECK_FALSE(batch.perform());
    CHECK(rig.ledger->done(std::move(*publication)) == Errc::storage_failed);
    CHECK(rig.ledger->done(std::move(batch)) == Errc::storage_failed);
    CHECK(rig.ledger->is_poisoned());
}

TEST_CASE("closing gives back the room that the last segment does not use") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    REQUIRE_FALSE(rig.ledger->close());
    CHECK(rig.disk->contents(segment_name(1))->size() < 8192);
    rig.commit(1); // it may be used on
    REQUIRE_FALSE(rig.ledger->close());
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 3);
}

TEST_CASE("a configuration out of range is refused by name") {
    LedgerRig rig;
    rig.config.segment_bytes = 1;
    CHECK_THROWS_WITH(rig.open(), Catch::Contains("LedgerConfig::segment_bytes"));
    rig.config = {.checkpoints_kept = 0};
    CHECK_THROWS_WITH(rig.open(), Catch::Contains("LedgerConfig::checkpoints_kept"));
    rig.config = {.deltas_max = 101};
    CHECK_THROWS_WITH(rig.open(), Catch::Contains("LedgerConfig::deltas_max"));
    rig.config = {.unwritten_bytes_max = 1};
    CHECK_THROWS_WITH(rig.open(), Catch::Contains("LedgerConfig::unwritten_bytes_max"));
}
