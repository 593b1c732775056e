// The ledger on a disk that reports errors: one at every single call, once or from then on.
// SPDX-License-Identifier: BSL-1.0
//
//     ledger_fault_tests             a script of 80 transactions
//     ledger_fault_tests "[.long]"   one of 200
#include "everpool/log/ledger.hpp"
#include "ledger_script.hpp"
#include "power_cuts.hpp"
#include "support/catch.hpp"
#include "support/simulated_disk.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <map>
#include <optional>
#include <string>

using namespace everpool;
using namespace everpool::simulation;

namespace {

std::uint64_t calls_of(std::uint32_t transactions) {
    SimulatedDisk disk(1);
    LedgerScript script(disk, {.seed = 1, .transactions = transactions});
    REQUIRE(script.run());
    return disk.calls();
}

/// One error, or errors for ever, from that call on; then the power is cut, or the host is killed.
bool play(std::uint32_t transactions, std::uint64_t call, int value, bool is_for_ever,
          PowerCutFindings& findings) {
    SimulatedDisk disk(call);
    disk.fail_at(call, value, is_for_ever ? SimulatedDisk::for_ever : 1);
    LedgerScript script(
        disk, {.seed = 1, .transactions = transactions, .goes_on_after_errors = !is_for_ever});
    const bool is_done = script.run();
    if (script.is_wrong()) findings.note(script.what());
    disk.heal();
    PowerCuts cuts(findings, {.seed = call, .chance_patterns = 1, .is_nested = true});
    cuts.cut(disk, script.journal());
    return is_done;
}

void check_all_calls(std::uint32_t transactions) {
    const std::uint64_t calls = calls_of(transactions);
    PowerCutFindings findings;
    std::uint64_t survived = 0;
    for (std::uint64_t call = 1; call <= calls; ++call)
        for (const int value : {EIO, ENOSPC}) {
            const std::uint64_t before = findings.violations;
            survived += play(transactions, call, value, false, findings) ? 1 : 0;
            CHECK_FALSE(play(transactions, call, value, true, findings));
            INFO("call " << call << ", errno " << value << ": " << findings.first);
            REQUIRE(findings.violations == before);
        }
    std::printf(
        "%u transactions, an error at each of %llu calls, once and for ever, EIO and ENOSPC: "
        "%llu scripts, %llu power cuts; %llu of %llu single errors survived\n",
        transactions, static_cast<unsigned long long>(calls),
        static_cast<unsigned long long>(4 * calls),
        static_cast<unsigned long long>(findings.cuts + findings.nested_cuts),
        static_cast<unsigned long long>(survived), static_cast<unsigned long long>(2 * calls));
    CHECK(survived == 2 * calls);
}

/// What is on the disk, but for the manifest, which the last step of a recovery replaces.
std::map<std::string, tests::Bytes> files_of(const SimulatedDisk& disk) {
    std::map<std::string, tests::Bytes> files;
    for (const std::string& name : disk.names())
        if (!name.starts_with(log::detail::manifest_name)) files[name] = *disk.contents(name);
    return files;
}

struct Opened {
    explicit Opened(const LedgerJournal& journal) : visitor(journal) {}

    error_code open(SimulatedDisk& disk) {
        visitor.on_reset();
        return log::Ledger::open(disk, LedgerScript::config(), LedgerScript::id(), visitor, report,
                                 diagnostics, ledger);
    }

    tests::JournalVisitor visitor;
    RecoveryReport report;
    Diagnostics diagnostics;
    std::optional<log::Ledger> ledger;
};

} // namespace

TEST_CASE("an error at any call loses nothing that was promised, and is survived") {
    check_all_calls(80);
}

TEST_CASE("an error at any call of a long script is survived", "[.long]") { check_all_calls(200); }

TEST_CASE("an error while a ledger is opened changes nothing, and the next attempt finds all") {
    // Cut off in the midst, so that there is something to do.
    SimulatedDisk disk(1);
    disk.power_cut_at(400);
    LedgerScript script(disk, {.seed = 1, .transactions = 200});
    REQUIRE_FALSE(script.run());
    Opened undisturbed(script.journal());
    REQUIRE_FALSE(undisturbed.open(*disk.after_power_cut(Loss::by_chance, 7)));
    CHECK(undisturbed.report.ending != LogEnding::clean);
    std::uint64_t refused = 0;
    for (const int value : {EIO, ENOSPC}) {
        for (std::uint64_t call = 1;; ++call) {
            const auto left = disk.after_power_cut(Loss::by_chance, 7);
            const auto before = files_of(*left);
            left->fail_at(call, value);
            Opened opened(script.journal());
            if (error_code ec = opened.open(*left)) {
                ++refused;
                CHECK(ec == (value == EIO ? Errc::storage_failed : Errc::storage_full));
                CHECK(opened.diagnostics.last_cause.value() == value);
                CHECK_FALSE(opened.ledger);
                const bool is_unchanged = files_of(*left) == before;
                CHECK(is_unchanged);
                REQUIRE_FALSE(opened.open(*left));
            }
            CHECK(opened.visitor.complaint().empty());
            CHECK(opened.visitor.last() == undisturbed.visitor.last());
            if (left->calls() < call) break; // nothing failed any more
        }
    }
    std::printf("opened with an error at each call: %llu refused\n",
                static_cast<unsigned long long>(refused));
    CHECK(refused > 20);
}
