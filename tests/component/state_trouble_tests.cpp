// A state that cannot be written or opened: each time a clear error, and nothing is destroyed.
// SPDX-License-Identifier: BSL-1.0
//
// What a newer version has written, and what was damaged, is in state_format_tests.cpp.
#include "component/killed_writer.hpp"
#include "component/state_trouble_rig.hpp"
#include "support/file_size_limit.hpp"
#include "support/ordinary_user.hpp"
#include "support/small_disk.hpp"
#include "support/temporary_directory.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <functional>
#include <optional>
#include <stdexcept>

namespace fs = std::filesystem;
using namespace everpool;
using namespace everpool::tests;

namespace {

constexpr std::size_t small_disk_bytes = 1 << 20;

/// Null, and a line that says why, where no file system can be mounted.
std::unique_ptr<SmallDisk> small_disk() {
    auto disk = std::make_unique<SmallDisk>(small_disk_bytes);
    if (disk->is_there()) return disk;
    std::printf("skipped: no file system can be mounted here: %s\n", disk->why().c_str());
    return nullptr;
}

/// Commits until the disk takes no more. \return the last that was promised to be durable
std::uint64_t submit_until_full(BrowserStateManager& manager, std::uint64_t id) {
    for (;; ++id) {
        const CommitResult result = manager.commit(submission(id), Durability::sync);
        REQUIRE(result.number == id);
        REQUIRE(id < 10'000);
        if (!result.code) continue;
        CHECK(result.code == Errc::storage_full);
        CHECK(mentions(result.diagnostics.message, "segment-"));
        CHECK(mentions(result.diagnostics.remedy, "free some room"));
        CHECK(result.diagnostics.last_cause);
        return id - 1;
    }
}

struct Room {
    std::function<void()> take;
    std::function<void()> give_back;
};

/// Its process is not there any more, whenever it is looked for.
void add_lost_browser(BrowserStateManager& manager) {
    Transaction arrival;
    arrival.actor = "host";
    BrowserAdded added;
    added.browser.id = WorkerId{0};
    added.browser.connection = ConnectionStatus::ready;
    added.browser.generation = Generation{1};
    added.browser.process = {.pid = 1, .start_time_ticks = 1}; // init has begun another time
    arrival.changes.emplace_back(std::move(added));
    REQUIRE_FALSE(manager.commit(std::move(arrival), Durability::sync).code);
}

void check_full_disk(const fs::path& directory, const Room& room) {
    std::uint64_t committed = 0;
    {
        BrowserStateManager manager(trouble_config(directory));
        submit(manager, 1, 10);
        REQUIRE_FALSE(manager.checkpoint());
        room.take();
        const std::uint64_t promised = submit_until_full(manager, 11);
        committed = promised + 1;
        // What was refused by the disk is in the state all the same, and the host goes on.
        CHECK(manager.snapshot().find_operation(RequestId{committed}) != nullptr);
        CHECK(manager.checkpoint(CheckpointDemand::full) == Errc::storage_full);
        CHECK(manager.flush() == Errc::storage_full);
        StateStorageHealth health = manager.health();
        CHECK(health.trouble == Errc::storage_full);
        CHECK_FALSE(health.is_closed);
        CHECK(health.durable >= promised);
        CHECK(health.durable < health.committed);
        CHECK(health.checkpoint == 10);
        CHECK(health.checkpoint_failures == 1);

        room.give_back();
        submit(manager, committed + 1, committed + 100);
        committed += 100;
        health = manager.health();
        CHECK_FALSE(health.trouble);
        CHECK(health.durable == committed);
        REQUIRE_FALSE(manager.checkpoint());
        require_operations(manager, committed);
    }
    const BrowserStateManager reopened(trouble_config(directory));
    require_operations(reopened, committed);
}

void check_end_on_full_disk(const fs::path& directory, const Room& room) {
    std::uint64_t promised = 0;
    {
        BrowserStateManager manager(trouble_config(directory));
        submit(manager, 1, 10);
        room.take();
        promised = submit_until_full(manager, 11);
        for (std::uint64_t id = promised + 2; id < promised + 200; ++id)
            CHECK(manager.commit(submission(id), Durability::none).number == id);
    } // its destructor can do nothing about it
    room.give_back();
    const BrowserStateManager reopened(trouble_config(directory));
    const std::uint64_t last = reopened.health().committed;
    CHECK(last >= promised);
    CHECK(last < promised + 200);
    require_operations(reopened, last);
}

void check_opening_on_full_disk(const fs::path& directory, const Room& room) {
    make_state(directory);
    room.take();
    CHECK(refused_unchanged(trouble_config(directory)).code == Errc::storage_full);
    room.give_back();
    require_state(directory);
}

/// All of it, on a file system with no room, and on one that takes nothing more from this process.
void on_full_disks(void (*check)(const fs::path&, const Room&)) {
    SECTION("a small disk") {
        const auto disk = small_disk();
        if (disk)
            check(disk->path() / "state", {[&] { disk->fill(); }, [&] { disk->make_room(); }});
    }
    SECTION("a limit of this process") {
        const TemporaryDirectory directory;
        std::optional<FileSizeLimit> limit;
        check(directory.path / "state",
              {[&] { limit.emplace(rlim_t{0}); }, [&] { limit.reset(); }});
    }
}

} // namespace

// --- no room -------------------------------------------------------------------------------------

TEST_CASE("a full disk is told, costs nothing, and what is missing is written when there is room") {
    on_full_disks(check_full_disk);
}

TEST_CASE("a host that ends while its disk is full keeps what it was promised, without a gap") {
    on_full_disks(check_end_on_full_disk);
}

TEST_CASE("a state is not opened while its disk is full, and stays as it is") {
    on_full_disks(check_opening_on_full_disk);
}

TEST_CASE("a new state cannot be made on a full disk, and can be once there is room") {
    const auto disk = small_disk();
    if (!disk) return;
    disk->fill();
    CHECK(refused(trouble_config(disk->path() / "state")).code == Errc::storage_full);
    disk->make_room();
    BrowserStateManager manager(trouble_config(disk->path() / "state"));
    CHECK(manager.recovery().is_new);
    submit(manager, 1, 10);
}

TEST_CASE("what was left unfinished is settled once there is room for it") {
    const TemporaryDirectory directory;
    {
        BrowserStateManager manager(trouble_config(directory.path));
        submit(manager, 1, 10);
        add_lost_browser(manager);
    }
    {
        const FileSizeLimit limit(4096); // for a manifest, and not for a segment
        CHECK(refused(trouble_config(directory.path)).code == Errc::storage_full);
    }
    const BrowserStateManager reopened(trouble_config(directory.path));
    require_operations(reopened, 10);
    CHECK(reopened.snapshot().find_browser(WorkerId{0})->connection == ConnectionStatus::lost);
}

// --- no permission -------------------------------------------------------------------------------

TEST_CASE("a state on a read-only disk is not opened, and stays as it is") {
    const auto disk = small_disk();
    if (!disk) return;
    const fs::path directory = disk->path() / "state";
    make_state(directory);
    REQUIRE(disk->set_read_only(true));
    for (const fs::path& path : {directory, disk->path() / "another"}) {
        const Refusal refusal = refused(trouble_config(path));
        CHECK(refusal.code == Errc::storage_not_writable);
        CHECK(refusal.why.last_cause == boost::system::errc::read_only_file_system);
        CHECK(mentions(refusal.why.remedy, "not read-only"));
    }
    CHECK(refused_unchanged(trouble_config(directory)).code == Errc::storage_not_writable);
    REQUIRE(disk->set_read_only(false));
    require_state(directory);
}

TEST_CASE("a state that belongs to another user is not opened, and stays as it is") {
    const TemporaryDirectory directory;
    make_state(directory.path / "state");
    // The lock may be taken, and everything read; but no file can be made.
    const auto allow = [&](const char* name, mode_t mode) {
        REQUIRE(::chmod((directory.path / name).c_str(), mode) == 0);
    };
    allow("", 0755);
    allow("state/LOCK", 0666);
    for (const auto& [name, contents] : contents_of(directory.path / "state"))
        if (name != "LOCK") allow(("state/" + name).c_str(), 0444);
    const mode_t mode = GENERATE(0000, 0444, 0555);
    allow("state", mode);
    Refusal refusal;
    {
        const OrdinaryUser ordinary;
        refusal = refused(trouble_config(directory.path / "state"));
    }
    allow("state", 0755);
    CHECK(refusal.code == Errc::storage_not_writable);
    CHECK(refusal.why.last_cause == boost::system::errc::permission_denied);
    CHECK(mentions(refusal.why.remedy, "may write to"));
    for (const auto& [name, contents] : contents_of(directory.path / "state"))
        allow(("state/" + name).c_str(), 0600);
    require_state(directory.path / "state");
}

// --- in the way ----------------------------------------------------------------------------------

TEST_CASE("a state in use by a live process is not opened: who has it is told, and not disturbed") {
    const TemporaryDirectory directory;
    const fs::path path = directory.path / "state";
    KillJournal journal;
    KilledWriter writer({EVERPOOL_STATE_WRITER, path.string(), "1", "1", "5", "0", ""});
    REQUIRE(writer.listen({.after = ReportKind::acknowledged, .count = 200}, journal));
    // It stands still, so that whatever changes in the directory is our doing.
    REQUIRE(writer.halt());
    const Refusal refusal = refused_unchanged(writer_config(path, 5));
    writer.go_on();
    CHECK(refusal.code == Errc::storage_in_use);
    CHECK(mentions(refusal.why.message, "in use by process " + std::to_string(writer.pid())));
    CHECK(mentions(refusal.why.remedy, "end that process"));
    const std::size_t count = journal.count(ReportKind::acknowledged);
    REQUIRE(writer.listen({.after = ReportKind::acknowledged, .count = count + 200}, journal));
    CHECK(journal.failure() == "");
    REQUIRE(writer.end());
    const BrowserStateManager reopened(writer_config(path, 5));
    CHECK(reopened.verify() == std::vector<std::string>{});
}

TEST_CASE("a state that this very process has open is not opened twice") {
    const TemporaryDirectory directory;
    BrowserStateManager manager(trouble_config(directory.path));
    submit(manager, 1, 10);
    const Refusal refusal = refused_unchanged(trouble_config(directory.path));
    CHECK(refusal.code == Errc::storage_in_use);
    CHECK(mentions(refusal.why.message, "this very process, " + std::to_string(::getpid())));
    submit(manager, 11, 20);
    require_operations(manager, 20);
}

TEST_CASE("a file where the directory should be, and a parent that is missing, are told apart") {
    const TemporaryDirectory directory;
    std::ofstream(directory.path / "file") << "precious";
    const DirectoryContents before = contents_of(directory.path);
    const Refusal file = refused(trouble_config(directory.path / "file"));
    CHECK(file.code == Errc::storage_not_writable);
    CHECK(mentions(file.why.remedy, "a file is there"));
    const Refusal missing = refused(trouble_config(directory.path / "missing" / "state"));
    CHECK(missing.code == Errc::storage_not_writable);
    CHECK(mentions(missing.why.remedy, "make the directory"));
    CHECK(contents_of(directory.path) == before);
}

TEST_CASE("what others keep in the directory is left alone") {
    const TemporaryDirectory directory, elsewhere;
    std::ofstream(elsewhere.path / "victim") << "precious";
    DirectoryContents foreign;
    // Some of them look much like ours.
    for (const char* name :
         {"notes.txt", ".hidden", "MANIFEST.bak", "manifest", "segment-", "segment-1",
          "segment-00000000000000000001.bak", "checkpoint-", "checkpoint-full-1", "quarantine-",
          "quarantine-notes.txt", "LOCK.old"}) {
        foreign[name] = std::string("the contents of ") + name;
        std::ofstream(directory.path / name) << foreign[name];
    }
    fs::create_directory(directory.path / "lost+found");
    foreign["lost+found"] = "/";
    fs::create_symlink(elsewhere.path / "victim", directory.path / "link");
    foreign["link"] = "-> " + (elsewhere.path / "victim").string();
    // Opened, checkpointed and cleared away often enough for anything to be removed.
    for (std::uint64_t round = 0; round < 5; ++round) {
        BrowserStateManagerConfig config = trouble_config(directory.path);
        config.checkpoint_count_kept = 1;
        config.delta_chain_max = 0;
        BrowserStateManager manager(config);
        for (std::uint64_t step = 0; step < 4; ++step) {
            submit(manager, round * 400 + step * 100 + 1, round * 400 + step * 100 + 100);
            REQUIRE_FALSE(manager.checkpoint());
        }
    }
    const DirectoryContents after = contents_of(directory.path);
    for (const auto& [name, contents] : foreign) {
        INFO(name);
        CHECK((after.contains(name) && after.at(name) == contents));
    }
    CHECK(contents_of(elsewhere.path).at("victim") == "precious");
    require_operations(BrowserStateManager(trouble_config(directory.path)), 2000);
}

TEST_CASE("a host that throws while its state is recovered loses nothing") {
    const TemporaryDirectory directory;
    {
        BrowserStateManager manager(trouble_config(directory.path));
        submit(manager, 1, 10);
        add_lost_browser(manager);
    }
    BrowserStateManagerConfig config = trouble_config(directory.path);
    config.process_exists = [](const ProcessIdentity&) -> bool {
        throw std::runtime_error("not today");
    };
    CHECK_THROWS_AS(BrowserStateManager(config), std::runtime_error);
    const BrowserStateManager reopened(trouble_config(directory.path));
    require_operations(reopened, 10);
    CHECK(reopened.snapshot().find_browser(WorkerId{0})->connection == ConnectionStatus::lost);
}
