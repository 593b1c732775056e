// What each fault tolerance level does: the README says what the code does.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/fault_tolerance.hpp"
#include "support/catch.hpp"

#include <fstream>
#include <iterator>
#include <string>

using namespace everpool;

namespace {

std::string row_of(const FaultToleranceMeasures& one) {
    const auto word = [](bool is_so) { return is_so ? " | yes" : " | no"; };
    return "| " + std::string(name_of(one.level)) + word(one.keeps_state) + " | " +
           std::string(name_of(one.durability)) + word(one.retries) + word(one.hedges) + " | " +
           std::to_string(one.standbys) + " | " + std::to_string(one.copies) + word(one.votes()) +
           " |\n";
}

} // namespace

TEST_CASE("the README's table of levels is the one that the library reads") {
    std::ifstream file(std::string(EVERPOOL_TESTS_DIR) + "/../README.md");
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    std::string table =
        "| level | keeps state | durability | retries | hedges | standbys | copies | votes |\n"
        "|---|---|---|---|---|---|---|---|\n";
    for (const FaultToleranceMeasures& one : level_table) table += row_of(one);
    CHECK(text.find(table) != std::string::npos);
}

TEST_CASE("each level stands at its place, and does no less than the one before it") {
    for (std::size_t i = 0; i < level_table.size(); ++i) {
        CHECK(level_table[i].level == static_cast<FaultToleranceLevel>(i));
        if (i == 0) continue;
        CHECK(level_table[i].durability >= level_table[i - 1].durability);
        CHECK(level_table[i].standbys >= level_table[i - 1].standbys);
        CHECK(level_table[i].copies >= level_table[i - 1].copies);
    }
}
