// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/trust.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <chrono>
#include <stdexcept>

using namespace everpool;
using everpool::tests::start;
using namespace everpool::core;
using namespace std::chrono_literals;

namespace {

/// Agreements between two dissents, until the second one does not bring it into quarantine.
int agreements_forgiven(int agreements_before) {
    for (int between = 0;; ++between) {
        Trust trust;
        for (int i = 0; i < agreements_before; ++i) trust.on_agreement(start);
        trust.on_dissent(start);
        for (int i = 0; i < between; ++i) trust.on_agreement(start);
        trust.on_dissent(start);
        if (trust.is_trusted()) return between;
    }
}

} // namespace

TEST_CASE("one dissent is no quarantine, two close to each other are") {
    Trust trust;
    CHECK(trust.score() == 0.8);
    trust.on_dissent(start);
    CHECK(trust.is_trusted());
    trust.on_dissent(start);
    CHECK_FALSE(trust.is_trusted());
    CHECK(trust.dissent_count() == 2);
    CHECK(agreements_forgiven(0) == 14);
    CHECK(agreements_forgiven(1000) == 10);
}

TEST_CASE("agreement raises trust, never above 1") {
    Trust trust;
    double before = trust.score();
    for (int i = 0; i < 1000; ++i) {
        trust.on_agreement(start);
        CHECK(trust.score() >= before);
        before = trust.score();
    }
    CHECK(before <= 1);
    CHECK(before > 0.99);
}

TEST_CASE("what was long ago is forgotten, a quarantine is not") {
    Trust once, twice;
    once.on_dissent(start);
    twice.on_dissent(start);
    twice.on_dissent(start);
    once.on_dissent(start + 10h);
    CHECK(once.is_trusted());
    CHECK(once.score() == Approx(0.4).epsilon(0.01));
    twice.on_agreement(start + 10h);
    CHECK_FALSE(twice.is_trusted());
    Trust backwards;
    backwards.on_dissent(start);
    backwards.on_agreement(start - 1h);
    CHECK(backwards.score() == Approx(0.43));
}

TEST_CASE("doubt weighs less than dissent, and adds up") {
    Trust trust;
    for (int i = 0; i < 3; ++i) {
        trust.on_doubt(start);
        CHECK(trust.is_trusted());
    }
    trust.on_doubt(start);
    CHECK_FALSE(trust.is_trusted());
    CHECK(trust.dissent_count() == 0);
    CHECK(trust.doubt_count() == 4);
}

TEST_CASE("a new life is believed like a new worker") {
    Trust trust;
    for (int i = 0; i < 9; ++i) trust.on_dissent(start);
    CHECK_FALSE(trust.is_trusted());
    trust.reset();
    CHECK(trust.is_trusted());
    CHECK(trust.score() == 0.8);
    CHECK(trust.dissent_count() == 9); // over all its lives
}

TEST_CASE("a trust's configuration out of its range is refused by name") {
    TrustConfig config;
    config.quarantine_below = 0.9;
    CHECK_THROWS_WITH(Trust(config),
                      "TrustConfig::quarantine_below must be above 0 and below initial");
    config = {};
    config.gain = 2;
    CHECK_THROWS_AS(Trust(config), std::invalid_argument);
}
