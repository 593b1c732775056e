// SPDX-License-Identifier: BSL-1.0
#include "ledger_rig.hpp"
#include "support/failing_allocation.hpp"
#include "support/run_length_compressor.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <new>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace everpool;
using namespace everpool::tests;

namespace {

constexpr std::size_t record_bytes = fragment_header_bytes + 200;

/// Six records, each synced by itself: so the fourth says that the third is durable.
LedgerRig six_records() {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(6);
    rig.power_cut();
    return rig;
}

std::size_t offset_of(std::uint64_t record) {
    return segment_header_bytes + (record - 1) * record_bytes;
}

/// A seventh record that reaches into a sector of its own, which a crash kept from being written.
LedgerRig torn_seventh() {
    LedgerRig rig = six_records();
    REQUIRE_FALSE(rig.open());
    rig.commit(1, 700);
    const std::string name = rig.files("segment-").back();
    Bytes bytes = *rig.disk->contents(name);
    std::fill(bytes.begin() + segment_header_bytes + 512, bytes.end(), std::byte{});
    rig.power_cut();
    rig.disk->put(name, std::move(bytes));
    return rig;
}

std::map<std::string, Bytes> files_of(const SimulatedDisk& disk) {
    std::map<std::string, Bytes> files;
    for (const std::string& name : disk.names()) files[name] = *disk.contents(name);
    return files;
}

/// A ledger that is refused leaves every byte as it was.
void check_refused(LedgerRig& rig, RecoveryMode mode, Errc code) {
    const auto before = files_of(*rig.disk);
    CHECK(rig.open(mode) == code);
    CHECK_FALSE(rig.ledger);
    CHECK_FALSE(rig.diagnostics.message.empty());
    const bool is_unchanged = files_of(*rig.disk) == before;
    CHECK(is_unchanged);
}

} // namespace

TEST_CASE("an unfinished write is cut off, unless every irregularity is an error") {
    LedgerRig rig = torn_seventh();
    check_refused(rig, RecoveryMode::absolute, Errc::storage_damaged);
    CHECK(rig.report.ending == LogEnding::torn_tail);

    REQUIRE_FALSE(rig.open(RecoveryMode::tolerate_corrupted_tail));
    CHECK(rig.seen == 6);
    CHECK(rig.report.ending == LogEnding::torn_tail);
    CHECK(rig.report.cut_file == segment_name(2));
    CHECK(rig.report.cut_bytes > 0);
    CHECK(rig.report.cut_reason.find("record 7") == 0);
    CHECK_FALSE(rig.report.is_durable_data_lost);

    // The cut is noted: from now on all is well.
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.report.ending == LogEnding::clean);
    CHECK(rig.seen == 6);
}

namespace {

/// The torn seventh was cut off, which is noted; a segment follows, and another, both durable.
LedgerRig went_on_behind_a_cut() {
    LedgerRig rig = torn_seventh();
    for (int life = 0; life < 2; ++life) {
        REQUIRE_FALSE(rig.open());
        rig.commit(5);
        rig.power_cut();
    }
    REQUIRE(rig.files("segment-").size() == 4);
    return rig;
}

} // namespace

TEST_CASE("behind a cut, what is lost of later segments is told") {
    LedgerRig rig = went_on_behind_a_cut();
    SECTION("a bit of the header of the next") { rig.damage(segment_name(3), 20); }
    SECTION("the header of the next") {
        Bytes bytes = *rig.disk->contents(segment_name(3));
        std::fill_n(bytes.begin(), 512, std::byte{});
        rig.disk->put(segment_name(3), std::move(bytes));
    }
    SECTION("all that the next has") { rig.disk->put(segment_name(3), {}); }
    SECTION("the next, as a file") { rig.disk->drop(segment_name(3)); }
    check_refused(rig, RecoveryMode::absolute, Errc::storage_damaged);
    check_refused(rig, RecoveryMode::tolerate_corrupted_tail, Errc::storage_damaged);
    REQUIRE_FALSE(rig.open(RecoveryMode::point_in_time));
    CHECK(rig.seen == 6);
    CHECK(rig.report.ending == LogEnding::corruption);
    CHECK(rig.report.is_durable_data_lost);

    // That is noted as well, and the log goes on behind all of them.
    rig.commit(3);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 9);
}

TEST_CASE("behind a cut, what is lost of the last segment is told") {
    LedgerRig rig = went_on_behind_a_cut();
    rig.disk->drop(segment_name(4));
    SECTION("a bit of its header") { rig.damage(segment_name(3), 20); }
    SECTION("its header") {
        Bytes bytes = *rig.disk->contents(segment_name(3));
        std::fill_n(bytes.begin(), 512, std::byte{});
        rig.disk->put(segment_name(3), std::move(bytes));
    }
    check_refused(rig, RecoveryMode::absolute, Errc::storage_damaged);
    check_refused(rig, RecoveryMode::tolerate_corrupted_tail, Errc::storage_damaged);
    REQUIRE_FALSE(rig.open(RecoveryMode::point_in_time));
    CHECK(rig.seen == 6);
    CHECK(rig.report.ending == LogEnding::corruption);
    CHECK(rig.report.is_durable_data_lost);
}

TEST_CASE("behind a cut, a segment of which a crash left nothing is no damage") {
    LedgerRig rig = torn_seventh();
    REQUIRE_FALSE(rig.open());
    rig.power_cut();
    const std::size_t bytes = GENERATE(std::size_t{0}, std::size_t{65536});
    rig.disk->put(segment_name(3), Bytes(bytes));
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 6);
    rig.commit(1);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 7);
}

TEST_CASE("salvage behind a cut goes on in later segments, not in what was cut off") {
    LedgerRig rig = went_on_behind_a_cut();
    rig.damage(segment_name(3), 20);
    REQUIRE_FALSE(rig.open(RecoveryMode::salvage));
    CHECK(rig.report.last_record == 16);
    CHECK(rig.report.records_skipped + rig.report.records_read == 16);
    CHECK(rig.report.records_skipped >= 4);
}

TEST_CASE("whole segments that were cut off are not read when the one that replaced them is bad") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(3, 2000);
    rig.checkpoint(CheckpointKind::full); // which keeps all segments
    rig.commit(97, 2000);
    rig.power_cut();
    const std::size_t cut_off = rig.files("segment-").size();
    REQUIRE(cut_off >= 3);
    rig.damage(segment_name(1), segment_header_bytes + 20'000);
    REQUIRE_FALSE(rig.open());
    REQUIRE(rig.seen < 12);
    while (rig.journal.last() < 35) rig.commit(1, 1990); // others than those cut off
    rig.checkpoint(CheckpointKind::full);
    rig.commit(1, 1990);
    rig.power_cut();
    REQUIRE(rig.files("segment-").size() == cut_off + 1);
    rig.damage(segment_name(cut_off + 1), 20);
    check_refused(rig, RecoveryMode::absolute, Errc::storage_damaged);
    REQUIRE_FALSE(rig.open(RecoveryMode::point_in_time));
    CHECK(rig.seen == 35);
    CHECK(rig.report.ending == LogEnding::corruption);
    rig.commit(1);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 36);
}

TEST_CASE("a log that has lost its first header is cut once, and then is whole") {
    LedgerRig rig = six_records();
    rig.damage(segment_name(1), 20);
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 0);
    CHECK(rig.report.is_durable_data_lost);
    rig.damage(segment_name(1), 20); // the bit flips back
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 0);
    rig.commit(2);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 2);
}

TEST_CASE("a durable record that is not what it was ends the log, and the report says so") {
    LedgerRig rig = six_records();
    rig.damage(segment_name(1), offset_of(3) + 50);
    check_refused(rig, RecoveryMode::absolute, Errc::storage_damaged);
    check_refused(rig, RecoveryMode::tolerate_corrupted_tail, Errc::storage_damaged);
    CHECK(rig.report.ending == LogEnding::corruption);
    CHECK(rig.report.is_durable_data_lost);

    REQUIRE_FALSE(rig.open(RecoveryMode::point_in_time));
    CHECK(rig.seen == 2);
    CHECK(rig.report.ending == LogEnding::corruption);
    CHECK(rig.report.is_durable_data_lost);
    CHECK(rig.report.cut_offset == offset_of(3));
    CHECK(rig.report.cut_bytes == 4 * record_bytes);
}

TEST_CASE("what was cut off never comes back, not even when it is whole") {
    LedgerRig rig = six_records();
    rig.damage(segment_name(1), offset_of(3) + 50);
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 2);
    rig.damage(segment_name(1), offset_of(3) + 50); // the bit flips back
    rig.commit(1);                                  // another record 3
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 3);
    rig.commit(1);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 4);
}

TEST_CASE("a record that the state refuses ends the log for good") {
    class Refusing final : public RecoveryVisitor {
    public:
        bool on_checkpoint(CheckpointKind, Lsn, std::span<const std::byte>) override {
            return true;
        }
        void on_reset() override {}
        bool on_record(Lsn lsn, std::span<const std::byte>) override { return lsn != refused; }
        Lsn refused{4};
    };
    LedgerRig rig = six_records();
    Refusing visitor;
    std::optional<Ledger> ledger;
    const auto open = [&](RecoveryMode mode) {
        rig.config.recovery = mode;
        ledger.reset();
        return Ledger::open(*rig.disk, rig.config, rig_log(), visitor, rig.report, rig.diagnostics,
                            ledger);
    };
    CHECK(open(RecoveryMode::tolerate_corrupted_tail) == Errc::storage_damaged);
    REQUIRE_FALSE(open(RecoveryMode::point_in_time));
    CHECK(rig.report.last_record == 3);
    CHECK(rig.report.cut_offset == offset_of(4));
    CHECK(rig.report.is_durable_data_lost);
    visitor.refused = Lsn{0};
    REQUIRE_FALSE(open(RecoveryMode::absolute));
    CHECK(rig.report.last_record == 3);
    ledger.reset();
    rig.journal.truncate(3);
    REQUIRE_FALSE(rig.open());
    rig.commit(2);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 5);
}

TEST_CASE("salvage skips what is bad, and takes nothing before a full checkpoint is in force") {
    LedgerRig rig = six_records();
    rig.damage(segment_name(1), offset_of(3) + 50);
    REQUIRE_FALSE(rig.open(RecoveryMode::salvage));
    CHECK(rig.report.records_read == 5);
    CHECK(rig.report.records_skipped == 1);
    CHECK(rig.report.last_record == 6);
    CHECK(rig.ledger->needs_full_checkpoint());
    CHECK(rig.append() == Errc::storage_damaged);

    CHECK(rig.checkpoint(CheckpointKind::delta) == CheckpointKind::full);
    CHECK_FALSE(rig.ledger->needs_full_checkpoint());
    rig.commit(2);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.report.checkpoint_record == 6);
    CHECK(rig.seen == 8);
}

TEST_CASE("salvage goes on behind a segment that is gone") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(100, 2000);
    rig.power_cut();
    rig.disk->drop(segment_name(2));
    REQUIRE_FALSE(rig.open(RecoveryMode::salvage));
    CHECK(rig.report.last_record == 100);
    CHECK(rig.report.records_skipped > 10);
    CHECK(rig.report.records_read + rig.report.records_skipped == 100);
}

TEST_CASE("a segment that is gone ends the log") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(100, 2000);
    rig.power_cut();
    rig.disk->drop(segment_name(2));
    check_refused(rig, RecoveryMode::tolerate_corrupted_tail, Errc::storage_damaged);
    REQUIRE_FALSE(rig.open(RecoveryMode::point_in_time));
    CHECK(rig.report.ending == LogEnding::corruption);
    CHECK(rig.report.is_durable_data_lost);
    CHECK(rig.seen > 10);
    CHECK(rig.seen < 50);
    const std::uint64_t left = rig.seen;
    rig.commit(5);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == left + 5);
}

TEST_CASE("without its manifest a log is not opened, but for salvage") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    rig.checkpoint(CheckpointKind::full);
    rig.commit(3);
    rig.power_cut();
    SECTION("it is gone") { rig.disk->drop("MANIFEST"); }
    SECTION("it is damaged") { rig.damage("MANIFEST", 70); }
    check_refused(rig, RecoveryMode::point_in_time, Errc::storage_damaged);
    REQUIRE_FALSE(rig.open(RecoveryMode::salvage));
    CHECK(rig.seen == 6);
    CHECK(rig.report.checkpoint_record == 3);
    CHECK(rig.report.checkpoints_rejected.size() == 1);
}

TEST_CASE("without its manifest a log of a newer version is left alone, too") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    rig.commit(3);
    rig.checkpoint(CheckpointKind::full);
    rig.commit(3);
    rig.checkpoint(CheckpointKind::full);
    rig.power_cut();
    rig.disk->drop("MANIFEST");
    std::string name;
    SECTION("a checkpoint") { name = checkpoint_name(CheckpointKind::full, Lsn{6}); }
    SECTION("the only segment") {
        for (const std::string& checkpoint : rig.files("checkpoint-")) rig.disk->drop(checkpoint);
        name = segment_name(1);
    }
    Bytes bytes = *rig.disk->contents(name);
    store(bytes.data() + 8, std::uint32_t{2});
    log::detail::seal_file_header(bytes.data());
    rig.disk->put(name, bytes);
    check_refused(rig, RecoveryMode::salvage, Errc::storage_newer_format);
    CHECK(rig.diagnostics.message.find(name) == 0);
}

TEST_CASE("salvage without a manifest takes the newest of more checkpoints than one may name") {
    LedgerRig rig;
    REQUIRE_FALSE(rig.open());
    const std::uint64_t count = manifest_checkpoints_max + 3;
    rig.append_many(static_cast<int>(count), 8);
    REQUIRE_FALSE(rig.ledger->sync());
    rig.power_cut();
    for (std::uint64_t lsn = 1; lsn <= count; ++lsn) {
        const Bytes body = rig.journal.checkpoint(lsn, 0);
        const auto header = encode_checkpoint_header({.log = rig_log(), .lsn = {lsn}}, body);
        Bytes file(header.size() + body.size());
        std::ranges::copy(body, std::ranges::copy(header, file.begin()).out);
        rig.disk->put(checkpoint_name(CheckpointKind::full, Lsn{lsn}), std::move(file));
    }
    rig.disk->drop("MANIFEST");
    REQUIRE_FALSE(rig.open(RecoveryMode::salvage));
    CHECK(rig.report.checkpoint_record == count);
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.report.checkpoint_record == count);
}

TEST_CASE("what a visitor throws ends the recovery, and changes nothing") {
    class Throwing final : public RecoveryVisitor {
    public:
        bool on_checkpoint(CheckpointKind, Lsn, std::span<const std::byte>) override {
            return true;
        }
        void on_reset() override {}
        bool on_record(Lsn lsn, std::span<const std::byte>) override {
            return lsn < Lsn{4} ? true : throw std::runtime_error("of a newer version");
        }
    };
    LedgerRig rig = six_records();
    const auto before = files_of(*rig.disk);
    Throwing visitor;
    std::optional<Ledger> ledger;
    CHECK_THROWS_WITH(Ledger::open(*rig.disk, rig.config, rig_log(), visitor, rig.report,
                                   rig.diagnostics, ledger),
                      Catch::Contains("newer version"));
    CHECK_FALSE(ledger);
    const bool is_unchanged = files_of(*rig.disk) == before;
    CHECK(is_unchanged);
}

TEST_CASE("a log of a newer version is left alone") {
    LedgerRig rig = six_records();
    std::string name;
    SECTION("the manifest") { name = "MANIFEST"; }
    SECTION("a segment") { name = segment_name(1); }
    Bytes bytes = *rig.disk->contents(name);
    store(bytes.data() + 8, std::uint32_t{2});
    log::detail::seal_file_header(bytes.data());
    rig.disk->put(name, bytes);
    for (const RecoveryMode mode : {RecoveryMode::point_in_time, RecoveryMode::absolute,
                                    RecoveryMode::tolerate_corrupted_tail, RecoveryMode::salvage}) {
        check_refused(rig, mode, Errc::storage_newer_format);
        CHECK(rig.diagnostics.message.find(name) == 0);
    }
}

TEST_CASE("files that are not the log's are left alone") {
    LedgerRig rig;
    const Bytes note = bytes_of(1, 100);
    const std::vector<std::string> foreign{"notes.txt", "segment-1.log", "checkpoint-1.full",
                                           "MANIFEST.old", "segment-00000000000000a7.log.gz"};
    for (const std::string& name : foreign) rig.disk->put(name, note);
    REQUIRE_FALSE(rig.open());
    CHECK(rig.report.is_new);
    rig.commit(2);
    for (int i = 0; i < 5; ++i) {
        rig.checkpoint(CheckpointKind::full);
        rig.commit(1);
    }
    rig.power_cut();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 7);
    for (const std::string& name : foreign) CHECK(*rig.disk->contents(name) == note);
}

TEST_CASE("a segment of another log is not read") {
    LedgerRig rig = six_records();
    SimulatedDisk other;
    std::optional<Ledger> ledger;
    JournalVisitor visitor(rig.journal);
    REQUIRE_FALSE(
        Ledger::open(other, rig.config, LogId{}, visitor, rig.report, rig.diagnostics, ledger));
    Lsn lsn;
    REQUIRE_FALSE(ledger->append(rig.journal.body(1), lsn));
    REQUIRE_FALSE(ledger->sync());
    rig.disk->put(segment_name(2), *other.contents(segment_name(1)));
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 6);
}

TEST_CASE("a log that the system cannot read is left alone") {
    LedgerRig rig = six_records();
    rig.disk->fail_at(1, EIO, SimulatedDisk::for_ever);
    check_refused(rig, RecoveryMode::point_in_time, Errc::storage_failed);
    CHECK(rig.diagnostics.last_cause.value() == EIO);
    rig.disk->fail_at(1, EROFS, SimulatedDisk::for_ever);
    check_refused(rig, RecoveryMode::point_in_time, Errc::storage_not_writable);
    rig.disk->heal();
    REQUIRE_FALSE(rig.open());
    CHECK(rig.seen == 6);
}

TEST_CASE("long bodies are stored compressed, and come out as they were") {
    // Says how long a run of one byte is.
    class RunLength final : public Compressor {
    public:
        bool compress(std::span<const std::byte> raw, std::vector<std::byte>& out) const override {
            for (const std::byte b : raw)
                if (b != raw[0]) return false;
            out.push_back(raw[0]);
            return true;
        }
        bool decompress(std::span<const std::byte> frame, std::size_t raw_bytes,
                        std::vector<std::byte>& out) const override {
            if (frame.size() != 1) return false;
            out.insert(out.end(), raw_bytes, frame[0]);
            return true;
        }
    };
    const RunLength compressor;
    LedgerRig rig;
    rig.config.compressor = &compressor;
    rig.config.compressed_from_bytes = 100;
    REQUIRE_FALSE(rig.open());
    const auto add = [&](Bytes body) {
        Lsn lsn;
        REQUIRE_FALSE(rig.ledger->append(body, lsn));
        rig.journal.append(std::move(body));
    };
    add(Bytes(20'000, std::byte{5}));
    add(bytes_of(1, 500));
    add(Bytes(99, std::byte{5}));
    REQUIRE_FALSE(rig.ledger->close());
    CHECK(rig.disk->contents(segment_name(1))->size() < 8192);
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute)); // and are repeated as they are
    rig.commit(1);
    rig.power_cut();
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 4);
    // Without it nothing is cut off: no byte of it is damaged.
    rig.config.compressor = nullptr;
    for (const RecoveryMode mode :
         {RecoveryMode::absolute, RecoveryMode::point_in_time, RecoveryMode::salvage}) {
        check_refused(rig, mode, Errc::invalid_request);
        CHECK(rig.diagnostics.message.find("compressed") != std::string::npos);
    }
}

TEST_CASE("a compressed record that is damaged is cut off") {
    const test::RunLengthCompressor compressor;
    LedgerRig rig;
    rig.config.compressor = &compressor;
    REQUIRE_FALSE(rig.open());
    Lsn lsn;
    Bytes body(5000, std::byte{5});
    REQUIRE_FALSE(rig.ledger->append(body, lsn));
    rig.journal.append(std::move(body));
    rig.commit(2);
    rig.power_cut();
    class Other final : public Compressor { // knows no frame
    public:
        bool compress(std::span<const std::byte>, std::vector<std::byte>&) const override {
            return false;
        }
        bool decompress(std::span<const std::byte>, std::size_t,
                        std::vector<std::byte>&) const override {
            return false;
        }
    };
    const Other other;
    rig.config.compressor = &other;
    REQUIRE_FALSE(rig.open(RecoveryMode::point_in_time));
    CHECK(rig.seen == 0);
    CHECK(rig.report.cut_reason.find("decompressed") != std::string::npos);
}

TEST_CASE("no memory while a log is opened is an exception, and changes nothing") {
    if (!FailingAllocation::is_possible) return;
    const test::RunLengthCompressor compressor;
    LedgerRig rig;
    rig.config.compressor = &compressor;
    REQUIRE_FALSE(rig.open());
    const auto add = [&](std::size_t bytes) {
        Lsn lsn;
        Bytes body(bytes, std::byte{5});
        REQUIRE_FALSE(rig.ledger->append(body, lsn));
        rig.journal.append(std::move(body));
    };
    add(20'000);
    REQUIRE_FALSE(rig.ledger->sync());
    rig.checkpoint(CheckpointKind::full);
    add(30'000);
    REQUIRE_FALSE(rig.ledger->sync());
    rig.power_cut();
    // But for the manifest, which the last step of a recovery replaces.
    const auto kept_files = [&] {
        auto files = files_of(*rig.disk);
        std::erase_if(files, [](const auto& file) { return file.first.starts_with("MANIFEST"); });
        return files;
    };
    const auto before = kept_files();
    std::uint64_t failures = 0;
    for (const RecoveryMode mode : {RecoveryMode::point_in_time, RecoveryMode::salvage})
        for (std::size_t nth = 1;; ++nth) {
            JournalVisitor visitor(rig.journal);
            std::optional<Ledger> ledger;
            rig.config.recovery = mode;
            bool has_thrown = false;
            try {
                // Large ones only: the disk takes small ones itself.
                const FailingAllocation failing(nth, 16'000);
                (void)Ledger::open(*rig.disk, rig.config, rig_log(), visitor, rig.report,
                                   rig.diagnostics, ledger);
            } catch (const std::bad_alloc&) {
                has_thrown = true;
            }
            if (!FailingAllocation::has_failed()) break;
            ++failures;
            CHECK(has_thrown);
            CHECK_FALSE(ledger);
            const bool is_unchanged = kept_files() == before;
            CHECK(is_unchanged);
        }
    CHECK(failures >= 4);
    REQUIRE_FALSE(rig.open(RecoveryMode::absolute));
    CHECK(rig.seen == 2);
}
