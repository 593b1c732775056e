// A state on disk that this version cannot read, or not as it should be: refused, and not touched.
// SPDX-License-Identifier: BSL-1.0
#include "component/state_trouble_rig.hpp"
#include "everpool/core/state_codec.hpp"
#include "everpool/log/ledger.hpp"
#include "everpool/log/ledger_recovery.hpp"
#include "io/linux/file_directory.hpp"
#include "io/zstd_compressor.hpp"
#include "support/temporary_directory.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <span>

namespace fs = std::filesystem;
using namespace everpool;
using namespace everpool::tests;

namespace {

constexpr std::array all_modes{RecoveryMode::point_in_time, RecoveryMode::absolute,
                               RecoveryMode::tolerate_corrupted_tail, RecoveryMode::salvage};

using Bytes = std::vector<std::byte>;

Bytes read_file(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    const std::string text(std::istreambuf_iterator<char>(in), {});
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}

void write_file(const fs::path& path, const Bytes& bytes) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}

/// The last file by name that begins so.
fs::path last_file(const fs::path& directory, const std::string& prefix) {
    fs::path found;
    for (const auto& file : fs::directory_iterator(directory))
        if (file.path().filename().string().starts_with(prefix))
            found = std::max(found, file.path());
    REQUIRE_FALSE(found.empty());
    return found;
}

/// What the next version of the library would write in place of this file, as far as this one
/// knows.
void make_newer(const fs::path& file) {
    Bytes bytes = read_file(file);
    REQUIRE(bytes.size() >= log::file_header_bytes);
    log::store(bytes.data() + 8, std::uint32_t{2});
    log::detail::seal_file_header(bytes.data());
    write_file(file, bytes);
}

/// Takes everything for good.
class Anything final : public log::RecoveryVisitor {
public:
    bool on_checkpoint(log::CheckpointKind, log::Lsn, std::span<const std::byte>) override {
        return true;
    }
    void on_reset() override {}
    bool on_record(log::Lsn, std::span<const std::byte>) override { return true; }
};

/// The log without the state on top of it: takes what a newer version's state would write.
template <class Use>
void use_ledger(const fs::path& path, Use use) {
    std::unique_ptr<io::FileDirectory> directory;
    Diagnostics why;
    REQUIRE_FALSE(io::FileDirectory::open(path, directory, why));
    io::ZstdCompressor compressor;
    Anything visitor;
    RecoveryReport report;
    std::optional<log::Ledger> ledger;
    REQUIRE_FALSE(log::Ledger::open(*directory, {.compressor = &compressor}, {}, visitor, report,
                                    why, ledger));
    use(*ledger);
    REQUIRE_FALSE(ledger->close());
}

/// The version stands first in every body.
Bytes newer(Bytes body) {
    REQUIRE(body.at(0) == std::byte{1});
    body[0] = std::byte{2};
    return body;
}

void append_newer_record(const fs::path& path) {
    use_ledger(path, [](log::Ledger& ledger) {
        Transaction transaction = submission(1000);
        transaction.number = ledger.appended().value + 1;
        Bytes body;
        core::encode_transaction(transaction, body);
        log::Lsn lsn;
        REQUIRE_FALSE(ledger.append(newer(std::move(body)), lsn));
    });
}

void write_newer_checkpoint(const fs::path& path) {
    StateSnapshot state;
    {
        const BrowserStateManager manager(trouble_config(path));
        state = manager.snapshot();
    }
    use_ledger(path, [&](log::Ledger& ledger) {
        log::CheckpointPlan plan = ledger.begin_checkpoint(log::CheckpointKind::full);
        REQUIRE_FALSE(plan.write(newer(core::encode_full(state, core::CheckpointContent::full))));
        REQUIRE_FALSE(ledger.finish_checkpoint(plan));
    });
}

void check_newer(const fs::path& path, const std::string& culprit) {
    for (const RecoveryMode mode : all_modes) {
        INFO(name_of(mode));
        const Refusal refusal = refused_unchanged(trouble_config(path, mode));
        CHECK(refusal.code == Errc::storage_newer_format);
        CHECK(mentions(refusal.why.message, culprit));
        CHECK(mentions(refusal.why.message, "newer version"));
        CHECK(mentions(refusal.why.remedy, "open it with that version"));
    }
}

} // namespace

TEST_CASE("files of a newer version are named and left as they are, whatever the mode") {
    const TemporaryDirectory directory;
    make_state(directory.path);
    const std::string kind = GENERATE("MANIFEST", "segment-", "checkpoint-");
    const fs::path file = last_file(directory.path, kind);
    const Bytes before = read_file(file);
    make_newer(file);
    check_newer(directory.path, file.filename().string());
    write_file(file, before);
    require_state(directory.path);
}

TEST_CASE("a record of a newer version ends the recovery before anything is changed") {
    const TemporaryDirectory directory;
    make_state(directory.path);
    append_newer_record(directory.path);
    check_newer(directory.path, "record 201");
}

TEST_CASE("a checkpoint of a newer version ends the recovery before anything is changed") {
    const TemporaryDirectory directory;
    make_state(directory.path);
    write_newer_checkpoint(directory.path);
    check_newer(directory.path, "checkpoint of record 200");
}

TEST_CASE("a damaged log that the mode forbids to cut is told, and left as it is") {
    const TemporaryDirectory directory;
    make_state(directory.path);
    const fs::path segment = last_file(directory.path, "segment-");
    Bytes bytes = read_file(segment);
    bytes.at(log::segment_header_bytes + 200) ^= std::byte{1};
    write_file(segment, bytes);
    for (const RecoveryMode mode :
         {RecoveryMode::absolute, RecoveryMode::tolerate_corrupted_tail}) {
        const Refusal refusal = refused_unchanged(trouble_config(directory.path, mode));
        CHECK(refusal.code == Errc::storage_damaged);
        CHECK(mentions(refusal.why.message, segment.filename().string()));
        CHECK(mentions(refusal.why.remedy, "point_in_time"));
    }
    const BrowserStateManager cut(trouble_config(directory.path));
    INFO(cut.recovery().text());
    CHECK(cut.recovery().ending == LogEnding::corruption);
    CHECK(cut.health().committed < 200);
    require_operations(cut, cut.health().committed);
}

TEST_CASE("a manifest that is damaged or missing is told, and everything is left as it is") {
    const TemporaryDirectory directory;
    make_state(directory.path);
    const fs::path manifest = directory.path / "MANIFEST";
    const Bytes before = read_file(manifest);
    const bool is_missing = GENERATE(false, true);
    if (is_missing) {
        fs::remove(manifest);
    } else {
        Bytes bytes = before;
        bytes.at(70) ^= std::byte{1};
        write_file(manifest, bytes);
    }
    for (const RecoveryMode mode : {RecoveryMode::point_in_time, RecoveryMode::absolute,
                                    RecoveryMode::tolerate_corrupted_tail}) {
        const Refusal refusal = refused_unchanged(trouble_config(directory.path, mode));
        CHECK(refusal.code == Errc::storage_damaged);
        CHECK(mentions(refusal.why.message, "MANIFEST"));
        CHECK(mentions(refusal.why.remedy, "salvage"));
    }
    write_file(manifest, before);
    require_state(directory.path);
}
