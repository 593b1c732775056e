// The ledger on a disk that loses its power: at every single change of it, with several patterns of
// what is left, and again while that is being recovered.
// SPDX-License-Identifier: BSL-1.0
//
//     ledger_crash_tests             the exhaustive script, and some long ones by chance
//     ledger_crash_tests "[.long]"   more patterns, more seeds
#include "ledger_script.hpp"
#include "power_cuts.hpp"
#include "support/catch.hpp"
#include "support/simulated_disk.hpp"

#include <cstdint>
#include <cstdio>

using namespace everpool;
using namespace everpool::simulation;

namespace {

void print(const char* what, const PowerCutFindings& findings) {
    std::printf("%s: %llu points, %llu power cuts, %llu of them during recovery; %llu endings cut "
                "off, %llu records compared\n",
                what, static_cast<unsigned long long>(findings.points),
                static_cast<unsigned long long>(findings.cuts + findings.nested_cuts),
                static_cast<unsigned long long>(findings.nested_cuts),
                static_cast<unsigned long long>(findings.torn_endings),
                static_cast<unsigned long long>(findings.records));
}

PowerCutFindings play(const LedgerScript::Options& script, const PowerCuts::Options& options) {
    SimulatedDisk disk(script.seed);
    return play_with_power_cuts(disk, disk, script, options);
}

void check_long_scripts(std::uint64_t seeds, std::uint32_t transactions, std::uint32_t every) {
    PowerCutFindings all;
    for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
        const PowerCutFindings one =
            play({.seed = seed, .transactions = transactions},
                 {.seed = seed, .chance_patterns = 2, .is_nested = true, .every = every});
        INFO("seed " << seed << ": " << one.first);
        CHECK(one.violations == 0);
        all.points += one.points;
        all.cuts += one.cuts;
        all.nested_cuts += one.nested_cuts;
        all.torn_endings += one.torn_endings;
        all.records += one.records;
    }
    std::printf("%llu seeds, %u transactions each: ", static_cast<unsigned long long>(seeds),
                transactions);
    print("in all", all);
}

} // namespace

TEST_CASE("a power cut at any change of the disk loses nothing that was promised") {
    const PowerCutFindings findings =
        play({.seed = 1, .transactions = 200}, {.seed = 1, .chance_patterns = 2});
    print("200 transactions", findings);
    INFO(findings.first);
    CHECK(findings.violations == 0);
    CHECK(findings.points > 400);
    CHECK(findings.torn_endings > 100); // there was something to cut off
}

TEST_CASE("nor does one by chance in long scripts") { check_long_scripts(4, 1000, 100); }

TEST_CASE("a power cut at any change loses nothing: many patterns and scripts", "[.long]") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const PowerCutFindings findings =
            play({.seed = seed, .transactions = 200}, {.seed = seed, .chance_patterns = 12});
        print("200 transactions", findings);
        INFO("seed " << seed << ": " << findings.first);
        CHECK(findings.violations == 0);
    }
}

TEST_CASE("nor does one by chance in many long scripts", "[.long]") {
    check_long_scripts(200, 3000, 200);
}
