// What holds for all votes, by exhaustion where there are few cases and by chance where there are
// many. The plain count of plain_vote.hpp is the judge.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "plain_vote.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

using namespace everpool;
using core::Prng;
using plain_vote::Answers;
using plain_vote::count;
using plain_vote::floats;

namespace {

bool is_near(double a, double b) {
    if (std::isinf(a) && b > 3.4e38) return true; // it is counted in the elements' type
    return a == b || (std::isnan(a) && std::isnan(b)) || std::abs(a - b) <= 1e-5 * std::abs(b);
}

// --- chance --------------------------------------------------------------------------------------

/// Values of a coarse grid, so that many lie exactly on the limit, and now and then anything.
template <class T>
T draw(Prng& prng) {
    if constexpr (std::floating_point<T>) {
        if (prng.ratio(1, 400)) return std::numeric_limits<T>::quiet_NaN();
        if (prng.ratio(1, 400)) return std::numeric_limits<T>::infinity();
        if (prng.ratio(1, 400)) return -std::numeric_limits<T>::infinity();
        if (prng.ratio(1, 20))
            return std::bit_cast<T>(
                static_cast<std::conditional_t<sizeof(T) == 4, std::uint32_t, std::uint64_t>>(
                    prng.next()));
        return (static_cast<T>(prng.below(4096)) - T(2048)) / 256;
    } else {
        return static_cast<T>(prng.next());
    }
}

/// The same within the tolerance, at it, or just beyond.
template <class T>
T nudge(Prng& prng, T value) {
    if constexpr (std::floating_point<T>) {
        // Beyond the grid the types round, and who is exactly on the limit depends on how.
        if (!(std::abs(value) <= 16))
            return value * (1 + static_cast<T>(prng.below(5)) * T(0.0043));
        return value + (static_cast<T>(prng.below(7)) - T(3)) / 512;
    } else {
        return value;
    }
}

std::uint16_t half_of_grid(Prng& prng) { // 1 to 2 in steps of 2^-10, or anything
    if (prng.ratio(1, 50)) return static_cast<std::uint16_t>(prng.next());
    return static_cast<std::uint16_t>(0x3c00 + prng.below(1024));
}

template <class T>
Answers draw_output(Prng& prng, std::size_t answer_count, const std::string& name, Shape shape,
                    std::uint64_t harm) {
    const std::size_t count = *element_count(shape);
    std::vector<T> truth(count);
    for (T& value : truth) value = draw<T>(prng);
    Answers out;
    for (std::size_t r = 0; r < answer_count; ++r) {
        std::vector<T> values = truth;
        if (harm >= 1)
            for (T& value : values)
                if (prng.ratio(1, 3)) value = nudge(prng, value);
        if (harm >= 2 && count != 0 && prng.ratio(1, 3)) values[prng.below(count)] = draw<T>(prng);
        if (harm >= 3 && prng.ratio(1, 4))
            for (T& value : values) value = draw<T>(prng);
        out.push_back({Tensor::of<T>(name, shape, std::move(values))});
    }
    return out;
}

Answers draw_halves(Prng& prng, std::size_t answer_count, const std::string& name, Shape shape,
                    std::uint64_t harm) {
    std::vector<std::uint16_t> truth(*element_count(shape));
    for (std::uint16_t& bits : truth) bits = half_of_grid(prng);
    Answers out;
    for (std::size_t r = 0; r < answer_count; ++r) {
        std::vector<std::uint16_t> values = truth;
        for (std::uint16_t& bits : values)
            if (harm != 0 && prng.ratio(1, 10))
                bits = static_cast<std::uint16_t>(bits ^ (1u << prng.below(harm * 5)));
        out.push_back({Tensor::of<std::uint16_t>(name, shape, std::move(values))});
        out.back()[0].dtype = DataType::float16;
    }
    return out;
}

Shape draw_shape(Prng& prng) {
    const std::uint64_t pick = prng.below(100);
    if (pick < 5) return {};
    if (pick < 8) return {0, 3};
    if (pick < 12) return {static_cast<std::int64_t>(250 + prng.below(12))}; // about a block
    if (pick < 14) return {2, static_cast<std::int64_t>(250 + prng.below(100))};
    return {static_cast<std::int64_t>(1 + prng.below(3)),
            static_cast<std::int64_t>(1 + prng.below(8))};
}

Answers draw_answers(Prng& prng) {
    const std::size_t answer_count = 2 + prng.below(5);
    Answers answers(answer_count);
    const std::uint64_t harm = prng.below(4), output_count = prng.below(3) + 1;
    for (std::uint64_t output = 0; output < output_count; ++output) {
        const std::string name(1, static_cast<char>('a' + output));
        const Shape shape = draw_shape(prng);
        Answers drawn;
        switch (prng.below(6)) {
        case 0: drawn = draw_output<double>(prng, answer_count, name, shape, harm); break;
        case 1: drawn = draw_output<std::int32_t>(prng, answer_count, name, shape, harm); break;
        case 2: drawn = draw_halves(prng, answer_count, name, shape, harm); break;
        default: drawn = draw_output<float>(prng, answer_count, name, shape, harm); break;
        }
        for (std::size_t r = 0; r < answer_count; ++r) answers[r].push_back(drawn[r][0]);
    }
    if (prng.ratio(1, 20)) answers[prng.below(answer_count)][0].name = "odd";
    if (prng.ratio(1, 20)) answers[prng.below(answer_count)].pop_back();
    if (prng.ratio(1, 10)) std::ranges::reverse(answers[prng.below(answer_count)]);
    return answers;
}

VoteOptions draw_options(Prng& prng) {
    VoteOptions options;
    const double atol = std::ldexp(1, -static_cast<int>(6 + prng.below(4)));
    const double rtol = prng.ratio(1, 2) ? 0 : std::ldexp(1, -static_cast<int>(6 + prng.below(3)));
    options.float32 = options.float64 = options.float16 = {prng.ratio(1, 5) ? 0 : atol, rtol};
    if (prng.ratio(1, 2)) options.decisions = {"a", "b"};
    return options;
}

/// "" if the report says what the plain count says.
std::string difference(const VoteReport& report, const plain_vote::Outcome& expected,
                       const Answers& answers, const VoteOptions& options) {
    if (report.values != expected.values) return "values";
    if (report.decisions.verdict != expected.decisions) return "decisions";
    if (report.decisions.row_count != expected.row_count) return "rows";
    if (report.decisions.undecided_count != expected.undecided_count) return "undecided rows";
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const Ballot& ballot = report.ballots[i];
        const plain_vote::Finding& finding = expected.findings[i];
        const std::string who = " of answer " + std::to_string(i);
        if (ballot.agrees() != (finding.dissent == Dissent::none)) return "dissent" + who;
        if ((ballot.dissent == Dissent::form) != (finding.dissent == Dissent::form))
            return "form" + who;
        if (finding.dissent == Dissent::form) continue;
        if (ballot.elements_beyond != finding.elements_beyond) return "elements beyond" + who;
        if (!is_near(ballot.deviation, static_cast<double>(finding.deviation)))
            return "deviation" + who;
        if (finding.is_mask_beyond && !finding.is_value_beyond && ballot.dissent != Dissent::mask)
            return "mask" + who;
        if (ballot.agrees()) continue;
        const Tensor* output = plain_vote::named(answers[i], ballot.output);
        if (output == nullptr || !is_near(ballot.value, static_cast<double>(plain_vote::element(
                                                            *output, ballot.element))))
            return "value" + who;
        // The place is that of the largest deviation.
        if (ballot.dissent == Dissent::value && std::isfinite(ballot.deviation)) {
            const Tolerance tolerance = options.tolerance_of(output->dtype);
            const double distance = std::abs(ballot.value - ballot.reference);
            if (distance < ballot.deviation * tolerance.atol * (1 - 1e-5)) return "place" + who;
        }
    }
    return "";
}

} // namespace

TEST_CASE("a flipped bit among three is found at each position, and never handed on") {
    const std::vector<float> truth{0.0F, 1.0F, -2.5F, 1e-40F, 1e10F, -3e38F, 1e-4F, 7e-4F};
    const VoteOptions options;
    std::size_t found = 0, tolerated = 0;
    for (std::size_t replica = 0; replica < 3; ++replica)
        for (std::size_t place = 0; place < truth.size(); ++place)
            for (int bit = 0; bit < 32; ++bit) {
                std::vector<float> wrong = truth;
                wrong[place] = std::bit_cast<float>(std::bit_cast<std::uint32_t>(wrong[place]) ^
                                                    std::uint32_t{1} << bit);
                Answers answers(3, floats(truth));
                answers[replica] = floats(wrong);
                const VoteReport report = count(answers, options);
                const long double distance =
                    std::abs(static_cast<long double>(wrong[place]) - truth[place]);
                const long double limit =
                    1e-4L + 1e-3L * std::abs(static_cast<long double>(truth[place]));
                CAPTURE(replica, place, bit);
                REQUIRE(report.answer);
                if (distance <= limit) {
                    ++tolerated;
                    REQUIRE(report.verdict == VoteVerdict::agreed);
                    // A harmless flip is not handed on either, unless it changed nothing.
                    REQUIRE((*report.answer != replica || wrong[place] == truth[place]));
                } else {
                    ++found;
                    REQUIRE(report.verdict == VoteVerdict::majority);
                    REQUIRE(*report.answer != replica);
                    REQUIRE_FALSE(report.ballots[replica].agrees());
                    REQUIRE(report.ballots[replica].element == place);
                    REQUIRE(report.ballots[replica].elements_beyond == 1);
                    REQUIRE(report.ballots[replica].reference == static_cast<double>(truth[place]));
                }
            }
    CHECK(found + tolerated == 3 * 8 * 32);
    CHECK(found > 3 * 8 * 8); // exponents and signs at least
    CHECK(tolerated > 3 * 8 * 8);
}

TEST_CASE("a wrong element is found wherever it stands in a tensor of several blocks") {
    std::vector<float> truth(3 * core::vote_block_count + 5);
    for (std::size_t i = 0; i < truth.size(); ++i) truth[i] = static_cast<float>(i % 17) - 8;
    for (std::size_t place = 0; place < truth.size(); ++place) {
        std::vector<float> wrong = truth;
        wrong[place] += 1;
        const VoteReport report = count({floats(truth), floats(truth), floats(wrong)});
        REQUIRE(report.verdict == VoteVerdict::majority);
        REQUIRE(report.ballots[2].element == place);
        REQUIRE(report.ballots[2].elements_beyond == 1);
    }
}

TEST_CASE("100,000 votes come out as counted plainly") {
    Prng prng(5);
    std::size_t agreed = 0, majority = 0, undecided = 0, masks = 0;
    for (int i = 0; i < 100'000; ++i) {
        const Answers answers = draw_answers(prng);
        const VoteOptions options = draw_options(prng);
        const VoteReport report = count(answers, options);
        const std::string wrong =
            difference(report, plain_vote::judge(answers, options), answers, options);
        if (!wrong.empty()) FAIL("vote " << i << ": " << wrong << "\n" << report.text());
        agreed += report.verdict == VoteVerdict::agreed;
        majority += report.verdict == VoteVerdict::majority;
        undecided += report.verdict == VoteVerdict::undecided;
        for (const Ballot& ballot : report.ballots) masks += ballot.dissent == Dissent::mask;
        // What is handed on agrees with the reference everywhere, and nobody who agrees is nearer.
        if (report.answer.has_value() == (report.verdict == VoteVerdict::undecided))
            FAIL("vote " << i << ": an answer and no verdict, or the other way round");
        if (!report.answer) continue;
        const Ballot& chosen = report.ballots[*report.answer];
        for (const Ballot& ballot : report.ballots)
            if (!chosen.agrees() || chosen.other_decisions != 0 ||
                (ballot.agrees() && ballot.deviation < chosen.deviation))
                FAIL("vote " << i << ": handed on " << *report.answer << "\n" << report.text());
    }
    // The menu serves everything.
    CHECK(agreed > 10'000);
    CHECK(majority > 10'000);
    CHECK(undecided > 10'000);
    CHECK(masks > 1'000);
}

TEST_CASE("the order of the answers changes neither the verdict nor who dissents") {
    Prng prng(6);
    for (int i = 0; i < 1'000; ++i) {
        const Answers answers = draw_answers(prng);
        const VoteOptions options = draw_options(prng);
        const VoteReport report = count(answers, options);
        std::vector<std::size_t> order(answers.size());
        std::iota(order.begin(), order.end(), 0);
        for (int turn = 0; turn < 120 && std::ranges::next_permutation(order).found; ++turn) {
            Answers other;
            for (const std::size_t from : order) other.push_back(answers[from]);
            const VoteReport turned = count(other, options);
            bool is_same = turned.verdict == report.verdict && turned.values == report.values &&
                           turned.decisions.verdict == report.decisions.verdict;
            for (std::size_t r = 0; r < order.size(); ++r) {
                const Ballot &a = turned.ballots[r], &b = report.ballots[order[r]];
                is_same = is_same && a.dissent == b.dissent && a.deviation == b.deviation &&
                          a.elements_beyond == b.elements_beyond;
            }
            if (report.answer)
                is_same = is_same && turned.ballots[*turned.answer].deviation ==
                                         report.ballots[*report.answer].deviation;
            if (!is_same)
                FAIL("vote " << i << "\n" << report.text() << "\nturned\n" << turned.text());
        }
    }
}
