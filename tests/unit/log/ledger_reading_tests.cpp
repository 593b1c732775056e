// SPDX-License-Identifier: BSL-1.0
#include "ledger_rig.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

using namespace everpool;
using namespace everpool::tests;

namespace {

/// Reads to the end, compares, and says how many there were.
std::uint64_t read_all(const LedgerRig& rig, LogReading& reading) {
    Lsn lsn;
    std::span<const std::byte> body;
    std::uint64_t count = 0;
    while (reading.next(lsn, body)) {
        CHECK(lsn.value == reading.first().value + count);
        CHECK(std::ranges::equal(body, rig.journal.body(lsn.value)));
        ++count;
    }
    CHECK_FALSE(reading.next(lsn, body));
    return count;
}

} // namespace

TEST_CASE("a log is read from any record on, while it is being written") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(100, 2000);
    LogReading all = rig.ledger->reading(Lsn{1});
    LogReading some = rig.ledger->reading(Lsn{90});
    rig.commit(50, 2000);
    rig.append_many(1);
    CHECK(read_all(rig, all) == 100); // those that were written when it was made
    CHECK_FALSE(all.error());
    CHECK(read_all(rig, some) == 11);
    CHECK_FALSE(some.error());
    LogReading none = rig.ledger->reading(Lsn{151});
    CHECK(read_all(rig, none) == 0);
    CHECK_FALSE(none.error());
}

TEST_CASE("a log is read over the seams that recoveries left") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    for (int life = 0; life < 5; ++life) {
        rig.commit(3);
        rig.append_many(4);
        REQUIRE_FALSE(rig.ledger->write_out());
        if (life % 2 == 0) rig.power_cut(Loss::by_chance, static_cast<std::uint64_t>(life));
        REQUIRE_FALSE(rig.open());
    }
    LogReading reading = rig.ledger->reading(Lsn{1});
    CHECK(read_all(rig, reading) == rig.seen);
    rig.commit(1);
    LogReading more = rig.ledger->reading(Lsn{1});
    CHECK(read_all(rig, more) == rig.journal.last());
    CHECK_FALSE(more.error());
}

TEST_CASE("what checkpoints made superfluous is not there to be read, but a reading goes on") {
    LedgerRig rig;
    rig.config.checkpoints_kept = 1;
    REQUIRE_FALSE(rig.open());
    rig.commit(100, 2000);
    LogReading before = rig.ledger->reading(Lsn{1});
    rig.checkpoint(CheckpointKind::full); // its segments are in quarantine now
    LogReading after = rig.ledger->reading(Lsn{1});
    CHECK(after.first() > Lsn{1});
    CHECK(read_all(rig, after) == 100 - after.first().value + 1);
    CHECK(read_all(rig, before) == 100);
    CHECK_FALSE(before.error());
}

TEST_CASE("a record that is not what it was is an error of the reading") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(5);
    rig.damage(segment_name(1), segment_header_bytes + 2 * (fragment_header_bytes + 200) + 40);
    LogReading reading = rig.ledger->reading(Lsn{1});
    CHECK(read_all(rig, reading) == 2);
    CHECK(reading.error() == Errc::storage_damaged);
    CHECK(reading.trouble().message.find("record 3") != std::string::npos);
}
