// What a StateKeeper finds when it is opened: whole logs, torn and damaged ones, and newer ones.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_codec.hpp"
#include "everpool/log/ledger.hpp"
#include "keeper_rig.hpp"

#include <algorithm>
#include <map>
#include <optional>

namespace everpool::tests {
namespace {

using Files = std::map<std::string, std::vector<std::byte>>;

Files files_of(const SimulatedDisk& disk) {
    Files out;
    for (const std::string& name : disk.names()) out[name] = *disk.contents(name);
    return out;
}

/// Opened in that mode it must say that error, and leave every byte as it was.
RecoveryReport check_refused(const KeeperRig& left, RecoveryMode mode, Errc code) {
    INFO(name_of(mode));
    KeeperRig rig = left.after_kill();
    rig.config.recovery = mode;
    const Files before = files_of(*rig.disk);
    Diagnostics why;
    CHECK(rig.failure_of_open(&why) == code);
    CHECK_FALSE(why.message.empty());
    CHECK_FALSE(why.remedy.empty());
    const bool is_unchanged = files_of(*rig.disk) == before;
    CHECK(is_unchanged);
    return {};
}

Transaction long_note(std::uint64_t number) {
    Transaction transaction = note(number);
    const auto bytes = noise(5000, number);
    std::string text;
    for (const std::byte byte : bytes)
        text += static_cast<char>('!' + std::to_integer<unsigned>(byte) % 90);
    transaction.changes.emplace_back(Note{std::move(text)});
    return transaction;
}

/// The texts of all notes that are short.
std::vector<std::string> short_notes(const KeeperRig& rig) {
    auto out = rig.notes();
    std::erase_if(out, [](const std::string& text) { return text.size() > 100; });
    return out;
}

std::size_t end_of(const std::vector<std::byte>& bytes) {
    const auto last = std::find_if(bytes.rbegin(), bytes.rend(),
                                   [](std::byte byte) { return byte != std::byte{}; });
    return static_cast<std::size_t>(bytes.rend() - last);
}

const std::string first_segment = "segment-0000000000000001.log";

/// Three durable records, and a fourth of which a sector was never written.
KeeperRig torn() {
    KeeperRig rig;
    rig.config.compressed_bytes_min = 64 << 10;
    rig.open();
    for (std::uint64_t number = 1; number <= 3; ++number) rig.commit(long_note(number));
    rig.commit(long_note(4), Durability::os);
    KeeperRig left = rig.after_kill();
    std::vector<std::byte> bytes = *left.disk->contents(first_segment);
    const std::size_t sector = (end_of(bytes) - 2000) / 512 * 512;
    std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(sector), 512, std::byte{});
    left.disk->put(first_segment, std::move(bytes));
    return left;
}

/// Five durable records, the third of which is not what it was.
KeeperRig corrupt() {
    KeeperRig rig;
    rig.config.compressed_bytes_min = 64 << 10;
    rig.open();
    std::size_t inside = 0;
    for (std::uint64_t number = 1; number <= 5; ++number) {
        rig.commit(long_note(number));
        if (number == 2) inside = end_of(*rig.disk->contents(first_segment)) + 1000;
    }
    KeeperRig left = rig.after_kill();
    left.damage(first_segment, inside);
    return left;
}

TEST_CASE("an empty directory is a new log, and says so") {
    KeeperRig rig;
    rig.open();
    CHECK(rig.keeper->recovery().is_new);
    CHECK(rig.keeper->recovery().text() == "a new log: nothing to recover");
    CHECK(rig.keeper->orphans().empty());
    CHECK(rig.keeper->snapshot() == StateSnapshot());
    rig.open();
    CHECK_FALSE(rig.keeper->recovery().is_new);
}

TEST_CASE("the report says what was read") {
    KeeperRig rig;
    rig.open();
    rig.commit_notes(1, 5);
    REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::full));
    rig.commit_notes(6, 8);
    KeeperRig next = rig.after_power_cut();
    next.open();
    const RecoveryReport& report = next.keeper->recovery();
    CHECK(report.mode == RecoveryMode::point_in_time);
    CHECK(report.checkpoint_record == 5);
    CHECK(report.checkpoints_read == 1);
    CHECK(report.checkpoints_rejected.empty());
    CHECK(report.records_read == 3);
    CHECK(report.last_record == 8);
    CHECK(report.segments_read == 1);
    CHECK(report.bytes_read > 0);
    CHECK(report.ending == LogEnding::clean);
    CHECK(report.cut_file.empty());
    CHECK_FALSE(report.is_durable_data_lost);
    CHECK(report.text().find("3 records of 1 segment") != std::string::npos);
}

TEST_CASE("an unfinished last write is a torn tail: cut off, unless any irregularity is an error") {
    const KeeperRig left = torn();
    check_refused(left, RecoveryMode::absolute, Errc::storage_damaged);
    for (const auto mode : {RecoveryMode::point_in_time, RecoveryMode::tolerate_corrupted_tail,
                            RecoveryMode::salvage}) {
        INFO(name_of(mode));
        KeeperRig rig = left.after_kill();
        rig.config.recovery = mode;
        rig.open();
        const RecoveryReport& report = rig.keeper->recovery();
        CHECK(report.mode == mode);
        CHECK(report.ending == LogEnding::torn_tail);
        CHECK_FALSE(report.is_durable_data_lost);
        CHECK(report.last_record == 3);
        CHECK(report.cut_file == first_segment);
        CHECK(report.cut_offset > 0);
        CHECK(report.cut_bytes > 2000);
        CHECK(report.cut_reason.find("record 4") == 0);
        CHECK(report.text().find("ending torn_tail") != std::string::npos);
        CHECK(report.text().find("\ncut " + first_segment) != std::string::npos);
        CHECK(short_notes(rig) == KeeperRig::numbers(1, 3));
        CHECK(rig.commit_note(4) == 4);
        CHECK(rig.keeper->verify().empty());
        // The cut is noted: the next host finds a whole log.
        KeeperRig next = rig.after_power_cut();
        next.config.recovery = RecoveryMode::absolute;
        next.open();
        CHECK(next.keeper->recovery().ending == LogEnding::clean);
        CHECK(short_notes(next) == KeeperRig::numbers(1, 4));
    }
}

TEST_CASE(
    "a durable record that is not what it was is corruption, and told apart from a torn tail") {
    const KeeperRig left = corrupt();
    check_refused(left, RecoveryMode::absolute, Errc::storage_damaged);
    check_refused(left, RecoveryMode::tolerate_corrupted_tail, Errc::storage_damaged);
    KeeperRig rig = left.after_kill();
    rig.open();
    const RecoveryReport& report = rig.keeper->recovery();
    CHECK(report.ending == LogEnding::corruption);
    CHECK(report.is_durable_data_lost);
    CHECK(report.last_record == 2);
    CHECK(report.text().find("Records that had been made durable are lost.") != std::string::npos);
    CHECK(short_notes(rig) == KeeperRig::numbers(1, 2)); // a state that really was
    CHECK(rig.commit_note(3) == 3);
    CHECK(rig.keeper->verify().empty());
    KeeperRig next = rig.after_power_cut();
    next.config.recovery = RecoveryMode::absolute;
    next.open();
    CHECK(short_notes(next) == KeeperRig::numbers(1, 3)); // what was cut off stays away
}

TEST_CASE(
    "salvage takes what can be read, counts what cannot, and goes on from a checkpoint of it") {
    KeeperRig rig = corrupt().after_kill();
    rig.config.recovery = RecoveryMode::salvage;
    rig.open();
    const RecoveryReport& report = rig.keeper->recovery();
    CHECK(report.records_read == 4);
    CHECK(report.records_skipped == 1);
    CHECK(report.last_record == 5);
    CHECK(rig.keeper->health().checkpoint == 5);
    CHECK(rig.keeper->snapshot().version() == 5);
    CHECK(rig.commit_note(6) == 6);
    CHECK(rig.keeper->verify().empty());
    CHECK(short_notes(rig) == KeeperRig::numbers(6, 6)); // the log begins anew
    KeeperRig next = rig.after_power_cut();
    next.config.recovery = RecoveryMode::absolute;
    next.open();
    CHECK(next.keeper->snapshot() == rig.keeper->snapshot());
}

TEST_CASE("salvage goes on above numbers that the log has and the state has not") {
    KeeperRig rig;
    rig.config.compressed_bytes_min = 64 << 10;
    rig.open();
    std::size_t inside = 0;
    for (std::uint64_t number = 1; number <= 3; ++number) {
        if (number == 3) inside = end_of(*rig.disk->contents(first_segment)) + 1000;
        rig.commit(long_note(number));
    }
    rig.commit(step(live_browser(1))); // durable, and above it nothing but itself
    KeeperRig left = rig.after_kill();
    left.damage(first_segment, inside);
    left.damage(first_segment, end_of(*left.disk->contents(first_segment)) - 20);
    left.config.recovery = RecoveryMode::salvage;
    left.open();
    const std::uint64_t found = left.keeper->snapshot().version();
    CHECK(found == 2);
    const std::uint64_t number = left.commit_note(7);
    CHECK(number > found);
    CHECK(left.keeper->snapshot().version() == number);
    CHECK(left.keeper->last_transactions(1).front().number == number);
    CHECK(left.keeper->verify().empty());
    KeeperRig next = left.after_power_cut();
    next.config.recovery = RecoveryMode::absolute;
    next.open();
    CHECK(next.keeper->snapshot() == left.keeper->snapshot());
}

TEST_CASE("a checkpoint that is damaged is passed over for the one before it") {
    KeeperRig rig;
    rig.open();
    for (std::uint64_t number = 1; number <= 3; ++number) {
        rig.commit(step(live_browser(static_cast<std::uint32_t>(number))));
        REQUIRE(!rig.keeper->checkpoint(CheckpointDemand::full));
    }
    rig.config.process_exists = [](const ProcessIdentity&) { return true; };
    KeeperRig left = rig.after_power_cut();
    left.damage("checkpoint-0000000000000003.full", 100);
    check_refused(left, RecoveryMode::absolute, Errc::storage_damaged);
    KeeperRig next = left.after_kill();
    next.open();
    const RecoveryReport& report = next.keeper->recovery();
    REQUIRE(report.checkpoints_rejected.size() == 1);
    CHECK(report.checkpoints_rejected.front().find("checkpoint-0000000000000003.full: ") == 0);
    CHECK(report.text().find("not used: checkpoint-") != std::string::npos);
    CHECK(report.checkpoint_record == 2);
    CHECK(next.keeper->snapshot().browser_count() == 3);
    CHECK(next.keeper->verify().empty());
}

TEST_CASE("opening twice gives the same state, and the second time writes no transaction") {
    KeeperRig rig;
    rig.open();
    rig.commit(step(live_browser(1, {.pid = 7}), live_browser(2, {.pid = 8}), live_browser(3),
                    ModelRegistered{{.name = "bert"}}, ModelAssigned{"bert", {WorkerId{1}}},
                    MetricRecorded{.key = {.model = "bert"}, .duration = 3ms}));
    for (std::uint64_t id = 1; id <= 3; ++id)
        rig.commit(step(OperationSubmitted{
            .id = RequestId{id}, .operation = "echo", .is_idempotent = id == 1}));
    for (std::uint64_t id = 1; id <= 2; ++id)
        rig.commit(step(OperationDispatched{RequestId{id}, WorkerId{1}, Generation{1}}));
    rig.config.process_exists = [](const ProcessIdentity& process) { return process.pid == 8; };
    KeeperRig first = rig.after_power_cut();
    first.open();
    const StateSnapshot settled = first.keeper->snapshot();
    CHECK(settled.version() > rig.keeper->snapshot().version());
    CHECK(first.keeper->orphans().size() == 3);
    for (int round = 0; round < 3; ++round) {
        KeeperRig again = first.after_power_cut();
        again.open();
        CHECK(again.keeper->snapshot() == settled);
        CHECK(again.keeper->orphans().size() == 2); // those that still wait
        for (const OrphanedOperation& orphan : again.keeper->orphans()) CHECK(orphan.may_run_again);
        first = std::move(again);
    }
}

// --- newer versions ------------------------------------------------------------------------------

/// A log whose records are these bodies, and a checkpoint, if there is one, of the first of them.
std::unique_ptr<SimulatedDisk> log_of(const std::vector<std::vector<std::byte>>& bodies,
                                      const std::vector<std::byte>& checkpoint = {}) {
    class Nobody final : public log::RecoveryVisitor {
    public:
        bool on_checkpoint(log::CheckpointKind, log::Lsn, std::span<const std::byte>) override {
            return true;
        }
        void on_reset() override {}
        bool on_record(log::Lsn, std::span<const std::byte>) override { return true; }
    } nobody;
    auto disk = std::make_unique<SimulatedDisk>();
    std::optional<log::Ledger> ledger;
    RecoveryReport report;
    Diagnostics why;
    REQUIRE(!log::Ledger::open(*disk, {.segment_bytes = 64 << 10}, log::LogId{{7}}, nobody, report,
                               why, ledger));
    for (const auto& body : bodies) {
        log::Lsn lsn;
        REQUIRE(!ledger->append(body, lsn));
        REQUIRE(!ledger->sync());
        if (checkpoint.empty() || lsn != log::Lsn{1}) continue;
        log::CheckpointPlan plan = ledger->begin_checkpoint(log::CheckpointKind::full);
        REQUIRE(!plan.write(checkpoint));
        REQUIRE(!ledger->finish_checkpoint(plan));
    }
    return disk;
}

std::vector<std::byte> record(std::uint64_t number) {
    Transaction transaction = note(number);
    transaction.number = number;
    std::vector<std::byte> out;
    core::encode_transaction(transaction, out);
    return out;
}

std::vector<std::byte> of_newer_version(std::vector<std::byte> bytes) {
    bytes.at(0) = std::byte{core::state_format_version + 1};
    return bytes;
}

/// Whatever the mode, salvage included: it is no damage, and must not be cut off.
void check_newer(const SimulatedDisk& disk) {
    for (const auto mode : {RecoveryMode::point_in_time, RecoveryMode::absolute,
                            RecoveryMode::tolerate_corrupted_tail, RecoveryMode::salvage}) {
        INFO(name_of(mode));
        KeeperRig rig(disk.after_kill(1));
        rig.config.recovery = mode;
        Diagnostics why;
        CHECK(rig.failure_of_open(&why) == Errc::storage_newer_format);
        CHECK(why.message.find("newer version") != std::string::npos);
        CHECK(why.remedy.find("open it with that version") != std::string::npos);
        CHECK(rig.disk->changes() == 0);
        CHECK(files_of(*rig.disk) == files_of(disk));
    }
}

TEST_CASE("a record of a newer version passes through the ledger before anything is changed") {
    check_newer(*log_of({of_newer_version(record(1))}));
    check_newer(*log_of({record(1), record(2), of_newer_version(record(3)), record(4)}));
}

TEST_CASE("a checkpoint of a newer version passes through the ledger before anything is changed") {
    core::StateCore core;
    const auto checkpoint = of_newer_version(core::encode_full(core.snapshot()));
    check_newer(*log_of({record(1), record(2)}, checkpoint));
}

TEST_CASE("a record that makes no sense is damage, and no newer version") {
    std::vector<std::byte> senseless = record(2);
    senseless.resize(senseless.size() / 2);
    KeeperRig rig(log_of({record(1), senseless, record(3)}));
    rig.open();
    CHECK(rig.keeper->recovery().ending == LogEnding::corruption);
    CHECK(rig.keeper->recovery().is_durable_data_lost);
    CHECK(rig.notes() == KeeperRig::numbers(1, 1));
}

} // namespace
} // namespace everpool::tests
