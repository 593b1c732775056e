// SPDX-License-Identifier: BSL-1.0
#include "everpool/request.hpp"
#include "support/catch.hpp"

using namespace everpool;

TEST_CASE("a vote of fewer answers than were asked for is not complete, whatever its verdict") {
    Votes votes{.asked = 3, .verdict = VoteVerdict::agreed};
    votes.answers.resize(2, Vote{.agrees = true});
    CHECK(votes.agreeing() == 2);
    CHECK_FALSE(votes.is_complete());
    votes.answers.emplace_back();
    CHECK(votes.agreeing() == 2);
    CHECK(votes.is_complete());
}
