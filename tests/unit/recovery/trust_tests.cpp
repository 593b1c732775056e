// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/trust.hpp"
#include "plain_vote.hpp"
#include "support/catch.hpp"
#include "support/start_time.hpp"

#include <array>
#include <chrono>
#include <stdexcept>
#include <vector>

using namespace everpool;
using everpool::tests::start;
using namespace everpool::core;
using namespace std::chrono_literals;

namespace {

std::vector<Tensor> answer(float value) { return {Tensor::of<float>("y", {1}, {value})}; }

/// Agreements between two dissents, until the second one does not bring it into quarantine.
int agreements_forgiven(int agreements_before) {
    for (int between = 0;; ++between) {
        Trust trust;
        for (int i = 0; i < agreements_before; ++i) trust.on_agreement(start);
        trust.on_dissent(start);
        for (int i = 0; i < between; ++i) trust.on_agreement(start);
        trust.on_dissent(start);
        if (!trust.needs_canary()) return between;
    }
}

} // namespace

TEST_CASE("one dissent is no quarantine, two close to each other are") {
    Trust trust;
    CHECK(trust.score() == 0.8);
    trust.on_dissent(start);
    CHECK(trust.is_trusted());
    trust.on_dissent(start);
    CHECK(trust.needs_canary());
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

TEST_CASE("a canary that is right ends the quarantine, but does not forget all") {
    Trust trust;
    trust.on_dissent(start);
    trust.on_dissent(start);
    trust.on_canary(true, start);
    CHECK(trust.is_trusted());
    CHECK(trust.score() < 0.8);
    trust.on_dissent(start); // wrong again: at once
    CHECK(trust.needs_canary());
}

TEST_CASE("a canary that is wrong is the end, until there is a new life") {
    Trust trust;
    for (int i = 0; i < 100; ++i) trust.on_agreement(start);
    trust.on_canary(false, start);
    CHECK(trust.is_proved_wrong());
    CHECK_FALSE(trust.needs_canary()); // there is nothing more to ask
    CHECK_FALSE(trust.is_trusted());
    CHECK(trust.score() == 0);
    for (int i = 0; i < 100; ++i) trust.on_agreement(start + 100h);
    trust.on_canary(true, start + 100h);
    CHECK_FALSE(trust.is_trusted());
    trust.reset();
    CHECK(trust.is_trusted());
    CHECK(trust.score() == 0.8);
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
    CHECK(twice.needs_canary());
    Trust backwards;
    backwards.on_dissent(start);
    backwards.on_agreement(start - 1h);
    CHECK(backwards.score() == Approx(0.43));
}

TEST_CASE("a vote raises those who agree and lowers the one that does not") {
    std::array<Trust, 3> trusts;
    const std::array<Trust*, 3> all{&trusts[0], &trusts[1], &trusts[2]};
    apply_vote(plain_vote::count({answer(1), answer(2), answer(1)}), all, start);
    CHECK(trusts[0].score() > 0.8);
    CHECK(trusts[1].score() == 0.4);
    CHECK(trusts[2].score() > 0.8);
    apply_vote(plain_vote::count({answer(1), answer(1), {}}), all, start);
    CHECK(trusts[2].dissent_count() == 1); // by its form
}

TEST_CASE(
    "where nobody can say who is wrong, all who differ are doubted, and get a canary in time") {
    std::array<Trust, 2> trusts;
    const std::array<Trust*, 2> all{&trusts[0], &trusts[1]};
    const VoteReport differs = plain_vote::count({answer(1), answer(2)});
    for (int i = 0; i < 3; ++i) {
        apply_vote(differs, all, start);
        CHECK(trusts[0].is_trusted());
        CHECK(trusts[1].is_trusted());
    }
    apply_vote(differs, all, start);
    CHECK(trusts[0].needs_canary());
    CHECK(trusts[1].needs_canary());
    CHECK(trusts[0].dissent_count() == 0);
    CHECK(trusts[0].doubt_count() == 4);
}

TEST_CASE("no quorum and a decision too close to call are nobody's fault") {
    Trust trust;
    const std::array<Trust*, 1> one{&trust};
    apply_vote(plain_vote::count({answer(1)}), one, start);
    CHECK(trust.score() == 0.8);

    Trust other;
    const std::array<Trust*, 2> both{&trust, &other};
    const std::vector<Tensor> tie{Tensor::of<float>("y", {2}, {1, 1})};
    const VoteReport report = plain_vote::count({tie, tie}, {.decisions = {"y"}});
    REQUIRE(report.verdict == VoteVerdict::undecided);
    apply_vote(report, both, start);
    CHECK(trust.score() > 0.8);
    CHECK(other.score() > 0.8);
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
