// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/vote_count.hpp"
#include "plain_vote.hpp"
#include "support/catch.hpp"

#include <cmath>
#include <cstdint>
#include <limits>
#include <stdexcept>
#include <vector>

using namespace everpool;
using namespace everpool::core;
using plain_vote::Answers;
using plain_vote::count;
using plain_vote::floats;

namespace {

constexpr float none = std::numeric_limits<float>::quiet_NaN();
constexpr float infinity = std::numeric_limits<float>::infinity();

Tensor halves(std::vector<std::uint16_t> bits) {
    const auto size = static_cast<std::int64_t>(bits.size());
    Tensor tensor = Tensor::of<std::uint16_t>("y", {size}, std::move(bits));
    tensor.dtype = DataType::float16;
    return tensor;
}

template <class T>
Answers exact_answers(T a, T b, T c) {
    const auto one = [](T value) {
        return std::vector{Tensor::of<T>("y", {1}, std::vector<T>{value})};
    };
    return {one(a), one(b), one(c)};
}

} // namespace

TEST_CASE("answers within the tolerance agree, and the one nearest to the median is handed on") {
    const VoteReport report =
        count({floats({1.0000F, 2}), floats({1.0002F, 2}), floats({1.0001F, 2})});
    CHECK(report.verdict == VoteVerdict::agreed);
    CHECK(report.values == VoteVerdict::agreed);
    CHECK(report.decisions.verdict == VoteVerdict::agreed);
    REQUIRE(report.answer);
    CHECK(*report.answer == 2);
    CHECK(report.ballots[2].deviation == 0);
    CHECK(report.ballots[0].deviation == Approx(1e-4 / (1e-4 + 1.0001e-3)).epsilon(1e-2));
    CHECK(report.text() == "agreed: answer 2");
}

TEST_CASE("one of three that is wrong is named, with the place where it is farthest off") {
    const VoteReport report =
        count({floats({1, 2, 3, 4}), floats({1, 2.5F, 3, 9}), floats({1, 2, 3, 4})});
    CHECK(report.verdict == VoteVerdict::majority);
    CHECK(report.answer == std::optional<std::size_t>(0));
    const Ballot& wrong = report.ballots[1];
    CHECK(wrong.dissent == Dissent::value);
    CHECK(wrong.output == "y");
    CHECK(wrong.element == 3);
    CHECK(wrong.value == 9);
    CHECK(wrong.reference == 4);
    CHECK(wrong.deviation == Approx(5 / (1e-4 + 4e-3)));
    CHECK(wrong.elements_beyond == 2);
    CHECK(report.ballots[0].agrees());
    CHECK(report.text().find("answer 1 dissents by value: y[3]") != std::string::npos);
}

TEST_CASE("two that differ are undecided, for nobody can say which one is right") {
    const VoteReport report = count({floats({1}), floats({2})});
    CHECK(report.verdict == VoteVerdict::undecided);
    CHECK_FALSE(report.answer);
    CHECK_FALSE(report.ballots[0].agrees());
    CHECK_FALSE(report.ballots[1].agrees());
}

TEST_CASE("two agree if they are within the tolerance of each other, not of their middle") {
    VoteOptions options;
    options.float32 = {1, 0};
    CHECK(count({floats({1}), floats({2})}, options).verdict == VoteVerdict::agreed);
    CHECK(count({floats({1}), floats({2.5F})}, options).verdict == VoteVerdict::undecided);
}

TEST_CASE("fewer than two answers are no vote") {
    CHECK(count({}).verdict == VoteVerdict::no_quorum);
    const VoteReport one = count({floats({1})});
    CHECK(one.verdict == VoteVerdict::no_quorum);
    CHECK_FALSE(one.answer);
}

TEST_CASE("three that differ from each other are undecided, though one of them is the median") {
    const VoteReport report = count({floats({1}), floats({2}), floats({3})});
    CHECK(report.verdict == VoteVerdict::undecided);
    CHECK_FALSE(report.answer);
    CHECK(report.ballots[1].agrees());
}

TEST_CASE("three that are each wrong at a place of their own are undecided") {
    // At each place two agree, but no answer is right in all: a mixture would be an invention.
    const VoteReport report = count({floats({9, 2, 3}), floats({1, 9, 3}), floats({1, 2, 9})});
    CHECK(report.verdict == VoteVerdict::undecided);
    CHECK_FALSE(report.answer);
}

TEST_CASE("half of four is no majority, three of four are") {
    const auto a = floats({1}), b = floats({2});
    CHECK(count({a, a, b, b}).verdict == VoteVerdict::undecided);
    CHECK(count({a, b, a, a}).verdict == VoteVerdict::majority);
    CHECK(count({a, b, a, a}).ballots[1].dissent == Dissent::value);
}

TEST_CASE("where most have no number the others must have none, and the other way round") {
    const auto report = count({floats({none, 1}), floats({none, 1}), floats({0, 1})});
    CHECK(report.verdict == VoteVerdict::majority);
    CHECK(report.ballots[2].dissent == Dissent::mask);
    CHECK(report.ballots[2].element == 0);
    CHECK(std::isnan(report.ballots[2].reference));
    CHECK(report.ballots[2].deviation == infinity);

    const auto other = count({floats({7, none}), floats({7, 1}), floats({7, 1})});
    CHECK(other.ballots[0].dissent == Dissent::mask);
    CHECK(other.ballots[0].element == 1);
    CHECK(other.ballots[0].reference == 1);

    CHECK(count({floats({none}), floats({-none}), floats({none})}).verdict == VoteVerdict::agreed);
    CHECK(count({floats({infinity}), floats({infinity}), floats({-infinity})}).ballots[2].dissent ==
          Dissent::mask);
    CHECK(count({floats({infinity}), floats({infinity}), floats({3e38F})}).verdict ==
          VoteVerdict::majority);
    CHECK(count({floats({none}), floats({infinity}), floats({1})}).verdict ==
          VoteVerdict::undecided);
    CHECK(count({floats({none}), floats({1})}).verdict == VoteVerdict::undecided);
}

TEST_CASE("the largest numbers of either sign are far apart, not infinitely close") {
    const float most = std::numeric_limits<float>::max();
    CHECK(count({floats({most}), floats({-most}), floats({most})}).ballots[1].dissent ==
          Dissent::value);
}

TEST_CASE("integers and booleans must be equal") {
    const auto check = [](const Answers& answers) {
        const VoteReport report = count(answers);
        CHECK(report.verdict == VoteVerdict::majority);
        CHECK(report.ballots[1].dissent == Dissent::value);
        CHECK(report.ballots[1].elements_beyond == 1);
    };
    check(exact_answers<std::int8_t>(-1, 1, -1));
    check(exact_answers<std::uint8_t>(255, 254, 255));
    check(exact_answers<std::int16_t>(-300, 300, -300));
    check(exact_answers<std::uint16_t>(0, 65535, 0));
    check(exact_answers<std::int32_t>(INT32_MIN, INT32_MAX, INT32_MIN));
    check(exact_answers<std::uint32_t>(0, UINT32_MAX, 0));
    check(
        exact_answers<std::int64_t>(INT64_MAX, INT64_MAX - 1, INT64_MAX)); // one double, two values
    check(exact_answers<std::uint64_t>(UINT64_MAX, UINT64_MAX - 1, UINT64_MAX));
    check(exact_answers<bool>(true, false, true));
    CHECK(count(exact_answers<std::int32_t>(1, 2, 3)).verdict == VoteVerdict::undecided);
}

TEST_CASE("an answer of another form than most dissents, whatever it holds") {
    const auto good = floats({1, 2});
    const auto check = [&](std::vector<Tensor> odd) {
        const VoteReport report = count({good, std::move(odd), good});
        CHECK(report.verdict == VoteVerdict::majority);
        CHECK(report.ballots[1].dissent == Dissent::form);
        CHECK(report.answer == std::optional<std::size_t>(0));
    };
    check({});
    check(floats({1, 2, 3}));
    check({Tensor::of<float>("z", {2}, {1, 2})});
    check({Tensor::of<float>("y", {2, 1}, {1, 2})});
    check({Tensor::of<double>("y", {2}, {1, 2})});
    check({good[0], Tensor::of<float>("z", {1}, {1})});
    check({good[0], good[0]}); // which of the two?
    Tensor torn = good[0];
    torn.data.bytes = torn.data.bytes.first(7);
    check({torn});
}

TEST_CASE("answers of which no form has a majority are undecided") {
    const auto report = count({floats({1}), floats({1, 2}), floats({1, 2, 3})});
    CHECK(report.verdict == VoteVerdict::undecided);
    CHECK(report.ballots[0].dissent == Dissent::form);
    Tensor torn = floats({1})[0];
    torn.data.bytes = {};
    CHECK(count({{torn}, {torn}}).verdict == VoteVerdict::undecided); // alike, and both broken
}

TEST_CASE("two of three that have the same form are compared with each other, and are a majority") {
    CHECK(count({floats({1}), floats({1, 2}), floats({1})}).verdict == VoteVerdict::majority);
    CHECK(count({floats({1}), floats({1, 2}), floats({5})}).verdict == VoteVerdict::undecided);
}

TEST_CASE("the order of the outputs does not matter") {
    const Tensor a = Tensor::of<float>("a", {1}, {1}), b = Tensor::of<float>("b", {1}, {2});
    CHECK(count({{a, b}, {b, a}, {a, b}}).verdict == VoteVerdict::agreed);
}

TEST_CASE("answers without elements or without outputs agree") {
    CHECK(count({floats({}), floats({}), floats({})}).verdict == VoteVerdict::agreed);
    CHECK(count({{}, {}}).verdict == VoteVerdict::agreed);
    VoteOptions options{.decisions = {"y"}};
    CHECK(count({floats({}), floats({})}, options).verdict == VoteVerdict::agreed);
}

TEST_CASE("every half is read as what it is") {
    for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
        const auto half = static_cast<std::uint16_t>(bits);
        const auto expected = static_cast<double>(plain_vote::half_value(half));
        const auto value = static_cast<double>(float_of_half(half));
        if (std::isnan(expected)
                ? std::isnan(value)
                : value == expected && std::signbit(value) == std::signbit(expected))
            continue;
        FAIL("bits " << bits << ": " << value << ", not " << expected);
    }
}

TEST_CASE("halves have a tolerance of their own") {
    // 1.0, its neighbour 1.0009765625, 1.0625
    const VoteReport report = count({{halves({0x3c00})}, {halves({0x3c01})}, {halves({0x3c40})}});
    CHECK(report.verdict == VoteVerdict::majority);
    CHECK(report.ballots[2].value == 1.0625);
    CHECK(report.ballots[2].reference == 1.0009765625);
}

// --- decisions -----------------------------------------------------------------------------------

TEST_CASE("a decision that hangs on the tolerance is undecided, though all values agree") {
    VoteOptions options{.decisions = {"y"}};
    options.float32 = {0.5, 0};
    const auto clear = floats({1, 5, 3}), close = floats({1, 5, 4.25F});
    CHECK(count({clear, clear, clear}, options).verdict == VoteVerdict::agreed);
    const VoteReport report = count({close, close, close}, options);
    CHECK(report.values == VoteVerdict::agreed);
    CHECK(report.verdict == VoteVerdict::undecided);
    CHECK_FALSE(report.answer);
    CHECK(report.decisions.undecided_count == 1);
    CHECK(report.decisions.margin == 0.75);
    CHECK(report.decisions.margin_min == 1);
    options.decisions = {"another"};
    CHECK(count({close, close, close}, options).verdict == VoteVerdict::agreed);
}

TEST_CASE("each row along the last axis is a decision of its own") {
    VoteOptions options{.decisions = {"y"}};
    const std::vector<Tensor> answer{Tensor::of<float>("y", {2, 2, 2}, {0, 9, 9, 0, 1, 1, 0, 9})};
    const VoteReport report = count({answer, answer}, options);
    CHECK(report.decisions.row_count == 4);
    CHECK(report.decisions.undecided_count == 1);
    CHECK(report.decisions.output == "y");
    CHECK(report.decisions.row == 2);
}

TEST_CASE("decisions are voted on apart from values") {
    VoteOptions options{.decisions = {"y"}};
    // All three differ in their values, and decide alike.
    const VoteReport report = count({floats({1, 90}), floats({2, 80}), floats({3, 70})}, options);
    CHECK(report.verdict == VoteVerdict::undecided);
    CHECK(report.values == VoteVerdict::undecided);
    CHECK(report.decisions.verdict == VoteVerdict::agreed);

    const VoteReport other = count({floats({1, 9}), floats({9, 1}), floats({1, 9})}, options);
    CHECK(other.verdict == VoteVerdict::majority);
    CHECK(other.decisions.verdict == VoteVerdict::majority);
    CHECK(other.ballots[1].other_decisions == 1);
}

TEST_CASE("infinities decide, where they are alone at the top or mask the rest") {
    VoteOptions options{.decisions = {"y"}};
    const auto verdict = [&](std::vector<float> values) {
        const auto answer = floats(std::move(values));
        return count({answer, answer, answer}, options).decisions.verdict;
    };
    CHECK(verdict({-infinity, 3, -infinity}) == VoteVerdict::agreed);
    CHECK(verdict({infinity, 3, 1}) == VoteVerdict::agreed);
    CHECK(verdict({infinity, infinity, 1}) == VoteVerdict::undecided);
    CHECK(verdict({-infinity, -infinity}) == VoteVerdict::undecided);
    CHECK(verdict({none, 3, 1}) == VoteVerdict::undecided);
    CHECK(verdict({5}) == VoteVerdict::agreed); // there is nothing else
}

TEST_CASE("options out of their range are refused by name") {
    VoteOptions options;
    CHECK_NOTHROW(check_config(options));
    options.float16.rtol = 1;
    CHECK_THROWS_AS(check_config(options), std::invalid_argument);
    options.float16 = {-1, 0};
    CHECK_THROWS_WITH(check_config(options),
                      "VoteOptions::float16 must have 0 <= atol <= 1e30, 0 <= rtol < 1");
}
