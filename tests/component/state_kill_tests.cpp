// A host that writes its state is killed at random moments, and started again on what it left.
// SPDX-License-Identifier: BSL-1.0
//
// Each kill is followed by a check of everything that the killed one had said over a pipe: what it
// acknowledged is there, nothing is there that it had not announced, contents and order are the
// same, and the state is the one that follows from them. Half of the time a copy of the directory
// is checked, so that the next life recovers from the very files that the kill left.
//
//     EVERPOOL_KILLS=200 EVERPOOL_TEST_SEED=7 state_kill_tests     # other numbers than 50 and 1
//     state_kill_tests "[.long]"                              # 1,000 kills
#include "component/kill_check.hpp"
#include "component/killed_writer.hpp"
#include "support/catch.hpp"
#include "support/temporary_directory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace fs = std::filesystem;
using namespace everpool;
using namespace everpool::tests;

namespace {

struct KillTotals {
    KillFindings found;
    std::uint64_t kills{0}, announced{0};
    std::uint64_t in_recovery{0}, in_checkpoint{0}, in_manifest{0}, in_collection{0},
        in_rotation{0}, torn_tails{0};
};

std::uint64_t setting(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text != nullptr ? std::strtoull(text, nullptr, 10) : otherwise;
}

void note_remains(const KilledRemains& remains, const KillJournal& journal, KillTotals& totals) {
    const auto count = [&](ReportKind kind) { return journal.count(kind); };
    ++totals.kills;
    totals.in_recovery += count(ReportKind::opened) == 0;
    totals.in_checkpoint +=
        count(ReportKind::checkpoint_begun) != count(ReportKind::checkpoint_ended);
    totals.in_manifest += remains.has_manifest_draft || remains.has_unpublished_checkpoint;
    totals.in_collection += remains.has_superfluous_segment;
    totals.in_rotation += remains.has_empty_segment;
    for (const auto& thread : journal.threads()) totals.announced += thread.size();
}

/// What goes wrong on purpose, to be found.
struct Sabotage {
    const char* bug{""}; ///< of the writer
    void (*remains)(const fs::path& directory){[](const fs::path&) {}};
    void (*recovery)(BrowserStateManagerConfig& config){[](BrowserStateManagerConfig&) {}};
};

/// Kills until the number is reached or something was found.
KillTotals kill_often(std::uint64_t kills, std::uint64_t seed, const Sabotage& sabotage = {}) {
    const TemporaryDirectory directory;
    const fs::path state = directory.path / "state", copy = directory.path / "copy";
    core::Prng prng(seed);
    KillModel model(writer_config(state, 1).limits);
    KillTotals totals;
    for (std::uint32_t life = 1; life <= kills && totals.found.complaints.empty(); ++life) {
        const KilledLife killed = live_and_kill(state, life, sabotage.bug, prng);
        KillJournal& journal = *killed.journal;
        INFO("seed " << seed << ", life " << life << ": " << killed.command);
        REQUIRE(journal.failure() == "");
        REQUIRE(killed.was_killed);
        const KilledRemains remains = look_at(state);
        note_remains(remains, journal, totals);
        sabotage.remains(state);
        const bool is_copy = prng.ratio(1, 2);
        fs::remove_all(copy);
        if (is_copy && fs::exists(state)) fs::copy(state, copy);
        BrowserStateManagerConfig config =
            writer_config(is_copy ? copy : state, killed.checkpoints_kept);
        sabotage.recovery(config);
        BrowserStateManager reopened(config);
        totals.torn_tails += reopened.recovery().ending == LogEnding::torn_tail;
        if (reopened.recovery().ending == LogEnding::corruption ||
            reopened.recovery().is_durable_data_lost ||
            !reopened.recovery().checkpoints_rejected.empty())
            totals.found.complain("recovery: " + reopened.recovery().text());
        KillFindings found;
        model.check(reopened, life, journal, is_copy, found);
        totals.found.add(found, "life " + std::to_string(life) + ": ");
    }
    return totals;
}

void print(const KillTotals& totals, std::uint64_t seed) {
    const KillFindings& found = totals.found;
    const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
    std::printf("seed %llu: %llu kills; %llu transactions announced, %llu acknowledged, %llu "
                "recovered; lost %llu, invented %llu; %llu orphans decided\n",
                number(seed), number(totals.kills), number(totals.announced),
                number(found.acknowledged), number(found.recovered), number(found.lost),
                number(found.invented), number(found.orphans));
    std::printf("kills during recovery %llu, a checkpoint %llu (its manifest %llu, collection "
                "%llu), rotation %llu; torn tails %llu\n",
                number(totals.in_recovery), number(totals.in_checkpoint),
                number(totals.in_manifest), number(totals.in_collection),
                number(totals.in_rotation), number(totals.torn_tails));
    std::fflush(stdout);
}

void require_nothing_lost(std::uint64_t kills) {
    const std::uint64_t seed = setting("EVERPOOL_TEST_SEED", 1);
    const KillTotals totals = kill_often(kills, seed);
    print(totals, seed);
    for (const std::string& complaint : totals.found.complaints) UNSCOPED_INFO(complaint);
    REQUIRE(totals.found.complaints.empty());
    CHECK(totals.kills == kills);
    CHECK(totals.found.lost == 0);
    CHECK(totals.found.invented == 0);
    CHECK(totals.found.acknowledged > kills);
    CHECK(totals.in_recovery > 0);
    CHECK(totals.in_checkpoint > 0);
}

// The test of the test: each of these must be found, and for what it is.

KillTotals find_out(const Sabotage& sabotage) {
    const KillTotals totals = kill_often(40, 1, sabotage);
    print(totals, 1);
    for (const std::string& complaint : totals.found.complaints) UNSCOPED_INFO(complaint);
    REQUIRE_FALSE(totals.found.complaints.empty());
    return totals;
}

/// The last half of what the newest segment holds was never written.
void forget_the_end(const fs::path& directory) {
    if (!fs::exists(directory)) return; // killed before it was made
    fs::path newest;
    for (const auto& file : fs::directory_iterator(directory))
        if (log::segment_index_of(file.path().filename().string()))
            newest = std::max(newest, file.path());
    if (newest.empty()) return;
    const std::vector<std::byte> bytes = read_bytes(newest, fs::file_size(newest));
    const auto end =
        std::find_if(bytes.rbegin(), bytes.rend(), [](std::byte b) { return b != std::byte{}; });
    const auto used = static_cast<std::uintmax_t>(bytes.rend() - end);
    const std::uintmax_t half = (log::segment_header_bytes + used) / 2;
    if (used <= log::segment_header_bytes) return;
    fs::resize_file(newest, half);
    fs::resize_file(newest, bytes.size());
}

} // namespace

TEST_CASE("what a killed host had acknowledged is there, and nothing that it had not announced") {
    require_nothing_lost(setting("EVERPOOL_KILLS", 50));
}

TEST_CASE("the same for a thousand kills", "[.long]") { require_nothing_lost(1000); }

TEST_CASE("a host that acknowledges before it commits is found out") {
    CHECK(find_out({.bug = "hasty"}).found.lost > 0);
}

TEST_CASE("a host that acknowledges what it keeps in memory is found out") {
    CHECK(find_out({.bug = "forgetful"}).found.lost > 0);
}

TEST_CASE("a host that commits what it has not announced is found out") {
    CHECK(find_out({.bug = "secretive"}).found.invented > 0);
}

TEST_CASE("a log that has lost its end is found out") {
    const KillFindings found = find_out({.remains = forget_the_end}).found;
    // Where the cut goes through a record and what follows was not acknowledged yet, nothing is
    // lost, and the recovery is the one who tells.
    CHECK((found.lost > 0 || found.complaints.front().starts_with("recovery: ")));
}

TEST_CASE("a recovery that decides otherwise about orphans is found out") {
    const KillTotals totals = find_out({.recovery = [](BrowserStateManagerConfig& config) {
        config.orphans = OrphanPolicy::give_up;
    }});
    CHECK(totals.found.complaints.front().find("orphan") != std::string::npos);
}

TEST_CASE("a recovery that takes dead browsers for living ones is found out") {
    const KillTotals totals = find_out({.recovery = [](BrowserStateManagerConfig& config) {
        config.process_exists = [](const ProcessIdentity&) { return true; };
    }});
    CHECK(totals.found.complaints.front().find("is not lost") != std::string::npos);
}
