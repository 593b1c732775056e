// The tests of the ledger's promises, tested: whatever a ledger might forget is found, and by the
// very same search.
// SPDX-License-Identifier: BSL-1.0
#include "ledger_script.hpp"
#include "power_cuts.hpp"
#include "sabotaged_directory.hpp"
#include "support/catch.hpp"
#include "support/simulated_disk.hpp"

#include <cstdint>
#include <cstdio>
#include <string>

using namespace everpool;
using namespace everpool::simulation;

namespace {

PowerCutFindings play(Sabotage sabotage, bool promises_early) {
    SimulatedDisk disk(1);
    SabotagedDirectory directory(disk, sabotage);
    return play_with_power_cuts(disk, directory,
                                {.seed = 1, .transactions = 100, .promises_early = promises_early},
                                {.seed = 1, .chance_patterns = 1, .is_nested = false});
}

void check_found(const char* bug, const PowerCutFindings& findings, const std::string& as) {
    std::printf("planted bug '%s': found at %llu of %llu power cuts\n", bug,
                static_cast<unsigned long long>(findings.violations),
                static_cast<unsigned long long>(findings.cuts));
    INFO(bug << ": " << findings.first);
    CHECK(findings.violations > 0);
    CHECK(findings.first.find(as) != std::string::npos);
}

} // namespace

TEST_CASE("without a planted bug nothing is found") {
    CHECK(play(Sabotage::none, false).violations == 0);
}

TEST_CASE("a ledger that promises before the sync is found out") {
    check_found("promises what is only written", play(Sabotage::none, true),
                "lost what was durable");
}

TEST_CASE("a ledger that forgets a sync is found out") {
    struct Bug {
        Sabotage sabotage;
        const char* as;
    };
    for (const Bug& bug :
         {Bug{Sabotage::no_directory_sync, ""}, Bug{Sabotage::no_segment_sync, ""},
          Bug{Sabotage::no_seal, "lost what was durable"}, Bug{Sabotage::no_checkpoint_sync, ""},
          Bug{Sabotage::no_manifest_sync, "MANIFEST"}})
        check_found(std::string(name_of(bug.sabotage)).c_str(), play(bug.sabotage, false), bug.as);
}

TEST_CASE("a ledger that writes its manifest in place is found out") {
    check_found("manifest in place", play(Sabotage::manifest_in_place, false), "MANIFEST");
}

TEST_CASE("a ledger that removes what it still needs is found out") {
    check_found("removes too early", play(Sabotage::removes_too_early, false), "");
}
