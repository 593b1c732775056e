// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "everpool/core/tolerance_calibration.hpp"
#include "everpool/core/variates.hpp"
#include "plain_vote.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

using namespace everpool;
using namespace everpool::core;
using plain_vote::Answers;

namespace {

bool learn(ToleranceCalibration& calibration, const Answers& answers) {
    const std::vector<std::span<const Tensor>> spans(answers.begin(), answers.end());
    return calibration.add(spans);
}

/// Right answers of a model whose values scatter by so much, relative to the output's size.
Answers right_answers(Prng& prng, std::size_t count, double scatter, double size = 3) {
    std::vector<float> truth(400);
    for (float& value : truth) value = static_cast<float>(size * normal_variate(prng));
    Answers out;
    for (std::size_t i = 0; i < count; ++i) {
        std::vector<float> values = truth;
        for (float& value : values)
            value += static_cast<float>(size * scatter * (2 * uniform_variate(prng) - 1));
        out.push_back({Tensor::of<float>("y", {400}, std::move(values))});
    }
    return out;
}

} // namespace

TEST_CASE("what was seen agrees, and so do answers that scatter alike") {
    for (const double scatter : {1e-6, 1e-4, 1e-2}) {
        Prng prng(1);
        ToleranceCalibration calibration;
        std::vector<Answers> seen;
        for (int i = 0; i < 10; ++i) {
            seen.push_back(right_answers(prng, 3, scatter));
            REQUIRE(learn(calibration, seen.back()));
        }
        CHECK(calibration.question_count() == 10);
        for (const double margin : {1.01, 4.0})
            for (const Answers& answers : seen)
                CHECK(plain_vote::count(answers, calibration.options(margin)).verdict ==
                      VoteVerdict::agreed);
        for (int i = 0; i < 200; ++i)
            CHECK(
                plain_vote::count(right_answers(prng, 3, scatter), calibration.options()).verdict ==
                VoteVerdict::agreed);
        // Twenty times as much is not tolerated.
        Answers wrong = right_answers(prng, 2, 0);
        std::vector<float> values(wrong[0][0].as<float>().begin(), wrong[0][0].as<float>().end());
        values[7] += static_cast<float>(3 * scatter * 20 + 20 * scatter * std::abs(values[7]));
        wrong.push_back({Tensor::of<float>("y", {400}, std::move(values))});
        CHECK(plain_vote::count(wrong, calibration.options()).ballots[2].dissent == Dissent::value);
    }
}

TEST_CASE("answers that are the same to the bit still leave room for the last places") {
    Prng prng(2);
    ToleranceCalibration calibration;
    REQUIRE(learn(calibration, right_answers(prng, 3, 0)));
    const VoteOptions options = calibration.options();
    CHECK(options.float32.rtol == 4.0 * std::numeric_limits<float>::epsilon());
    CHECK(options.float32.atol > options.float32.rtol);
    CHECK(options.float32.atol < 10 * options.float32.rtol);
    CHECK(options.float64 == VoteOptions{}.float64); // not seen: as it was
    CHECK_NOTHROW(check_config(options));
}

TEST_CASE("the largest scatter of all questions and outputs counts") {
    Prng prng(3);
    ToleranceCalibration small, both;
    const Answers calm = right_answers(prng, 2, 1e-5), rough = right_answers(prng, 2, 1e-3);
    REQUIRE(learn(small, calm));
    REQUIRE(learn(both, calm));
    REQUIRE(learn(both, rough));
    CHECK(both.options().float32.rtol > 20 * small.options().float32.rtol);
}

TEST_CASE("answers of which one is of another kind teach nothing") {
    ToleranceCalibration calibration;
    const auto one = [](float value) {
        return std::vector<Tensor>{Tensor::of<float>("y", {1}, {value})};
    };
    CHECK_FALSE(learn(calibration, {}));
    CHECK_FALSE(learn(calibration, {one(1)}));
    CHECK_FALSE(learn(calibration, {one(1), one(1), {}}));
    CHECK_FALSE(learn(calibration, {one(1), one(1), one(std::numeric_limits<float>::infinity())}));
    CHECK(calibration.question_count() == 0);
    CHECK(calibration.options().float32 == VoteOptions{}.float32);
    CHECK(learn(calibration, {one(0), one(0)})); // nothing but zeros: no scale, no harm
    CHECK_NOTHROW(check_config(calibration.options()));
}

TEST_CASE("whatever the answers are, the options are in their range") {
    ToleranceCalibration calibration;
    const auto one = [](double value) {
        return std::vector<Tensor>{Tensor::of<double>("y", {1}, {value})};
    };
    const double most = std::numeric_limits<double>::max();
    CHECK(learn(calibration, {one(most), one(-most)}));
    CHECK_NOTHROW(check_config(calibration.options(1000)));
    CHECK(learn(calibration, {one(5), one(-7)}));
    CHECK_NOTHROW(check_config(calibration.options(1000)));
    CHECK(calibration.options().float64.rtol <= 0.999);
}
