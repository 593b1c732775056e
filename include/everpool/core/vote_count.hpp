// Everpool core: counts the votes. What a vote is, and what it cannot know: everpool/vote.hpp.
// SPDX-License-Identifier: BSL-1.0
//
//     std::array<std::span<const Tensor>, 3> answers{a.outputs, b.outputs, c.outputs};
//     const VoteReport report = count_votes(answers, options);
//     if (report.answer) deliver(*report.answer);   // a, b or c, as it came
//
// One pass over the bytes, in blocks that fit the first cache. A block whose bytes are the same in
// all answers is not looked at any further: workers of the same engine often agree to the bit. Only
// elements that are infinite or no numbers are counted one by one, and the place of the largest
// deviation is looked for only where an answer is beyond the tolerance by more than before. Memory
// is allocated for the report and for a few blocks, never by element.
//
// Marked decisions take a second, plain pass over their outputs.
#pragma once

#include "everpool/core/decision_count.hpp"
#include "everpool/core/vote_kernel.hpp"
#include "everpool/core/vote_rows.hpp"
#include "everpool/tensor.hpp"
#include "everpool/vote.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace everpool::core {

/// \pre check_config(options) passes, answers.size() <= vote_answer_count_max
[[nodiscard]] VoteReport count_votes(std::span<const std::span<const Tensor>> answers,
                                     const VoteOptions& options = {});

// -------------------------------------------------------------------------------------------------

namespace vote_detail {

using Answer = std::span<const Tensor>;

/// The output of that name; most answers have them in the same order.
inline const Tensor* find_output(Answer answer, const std::string& name, std::size_t hint) {
    if (hint < answer.size() && answer[hint].name == name) return &answer[hint];
    for (const Tensor& tensor : answer)
        if (tensor.name == name) return &tensor;
    return nullptr;
}

/// Can it be counted at all?
inline bool is_well_formed(Answer answer) {
    for (std::size_t i = 0; i < answer.size(); ++i) {
        if (!answer[i].is_consistent()) return false;
        for (std::size_t j = 0; j < i; ++j)
            if (answer[j].name == answer[i].name) return false;
    }
    return true;
}

inline bool has_same_form(Answer a, Answer b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        const Tensor* other = find_output(b, a[i].name, i);
        if (other == nullptr || other->dtype != a[i].dtype || other->shape != a[i].shape)
            return false;
    }
    return true;
}

/// The answers that have the form that more than half of all have; empty if none has.
inline std::vector<std::size_t> voters_among(std::span<const Answer> answers) {
    std::vector<std::size_t> fit;
    for (std::size_t i = 0; i < answers.size(); ++i)
        if (is_well_formed(answers[i])) fit.push_back(i);
    for (const std::size_t leader : fit) {
        std::vector<std::size_t> group;
        for (const std::size_t i : fit)
            if (has_same_form(answers[leader], answers[i])) group.push_back(i);
        if (group.size() * 2 > answers.size()) return group;
    }
    return {};
}

/// Counts one output.
template <class T>
class OutputCount {
public:
    OutputCount(std::span<const Tensor* const> tensors, const Tolerance& tolerance,
                std::span<VoterTally> tallies)
        : name_(tensors.front()->name), rows_(tensors), tolerance_(tolerance), tallies_(tallies) {
        if (std::floating_point<T> && tensors.size() != 3)
            scratch_.resize(tensors.size() * vote_block_count);
    }

    void run() {
        for (std::size_t begin = 0; begin < rows_.element_count(); begin += vote_block_count) {
            const std::size_t count = std::min(vote_block_count, rows_.element_count() - begin);
            if (rows_.is_same_in_all(begin, count)) continue;
            if constexpr (std::floating_point<T>) {
                for (std::size_t voter = 0; voter < rows_.voter_count(); ++voter)
                    blocks_[voter] = rows_.block(voter, begin, count);
                if (!count_finite_block(begin, count)) count_mixed_block(begin, count);
            } else {
                for (std::size_t i = begin; i < begin + count; ++i) count_element(i);
            }
        }
    }

private:
    using Values = std::array<T, vote_answer_count_max>;

    void count_element(std::size_t element) {
        Values room;
        const std::span<T> values(room.data(), rows_.voter_count());
        rows_.gather(element, values);
        if (std::ranges::all_of(values, [&](T value) { return value == values[0]; })) return;
        const ElementReference<T> reference = reference_of(std::span<const T>(values));
        for (std::size_t voter = 0; voter < values.size(); ++voter) {
            const ElementJudgement judged = judge_element(values[voter], reference, tolerance_);
            tallies_[voter].note(judged);
            tallies_[voter].locate(judged, name_, element, values[voter], reference);
        }
    }

    /// False, and nothing is counted, if not all are finite numbers.
    bool count_finite_block(std::size_t begin, std::size_t count) {
        const BlockJudgement<T> judged = judge_block<T>(
            std::span<const T* const>(blocks_.data(), rows_.voter_count()), tolerance_, scratch_);
        if (!judged.is_finite) return false;
        for (std::size_t voter = 0; voter < rows_.voter_count(); ++voter) {
            VoterTally& tally = tallies_[voter];
            const auto deviation = static_cast<double>(judged.deviation[voter]);
            tally.ballot.deviation = std::max(tally.ballot.deviation, deviation);
            tally.ballot.elements_beyond += judged.beyond_count[voter];
            if (judged.beyond_count[voter] != 0 && deviation > tally.located)
                locate(voter, begin, count);
        }
        return true;
    }

    /// The elements that are not finite in all answers one by one, and the others as a block in
    /// which those are zeros.
    void count_mixed_block(std::size_t begin, std::size_t count) {
        for (std::size_t voter = 0; voter < rows_.voter_count(); ++voter)
            blocks_[voter] = rows_.copy_block(voter, begin, count);
        for (std::size_t i = 0; i < count; ++i) {
            T none = 0; // no number, if one of them is not finite
            for (std::size_t voter = 0; voter < rows_.voter_count(); ++voter)
                none += blocks_[voter][i] - blocks_[voter][i];
            if (none == 0) continue;
            count_element(begin + i);
            rows_.clear_copied(i);
        }
        const bool is_counted = count_finite_block(begin, count);
        assert(is_counted);
        (void)is_counted;
    }

    void locate(std::size_t voter, std::size_t begin, std::size_t count) {
        Values room;
        const std::span<T> values(room.data(), rows_.voter_count());
        for (std::size_t i = begin; i < begin + count; ++i) {
            rows_.gather(i, values);
            const ElementReference<T> reference = reference_of(std::span<const T>(values));
            tallies_[voter].locate(judge_element(values[voter], reference, tolerance_), name_, i,
                                   values[voter], reference);
        }
    }

    const std::string& name_;
    OutputRows<T> rows_;
    TypedTolerance<T> tolerance_;
    std::span<VoterTally> tallies_;
    std::array<const T*, vote_answer_count_max> blocks_{};
    std::vector<T> scratch_;
};

/// Calls `visit` with a value of the type that elements are counted in.
template <class Visit>
void with_element_type(DataType type, Visit visit) {
    switch (type) {
    case DataType::float32:
    case DataType::float16: return visit(float{});
    case DataType::float64: return visit(double{});
    case DataType::int8: return visit(std::int8_t{});
    case DataType::uint8:
    case DataType::boolean: return visit(std::uint8_t{});
    case DataType::int16: return visit(std::int16_t{});
    case DataType::uint16: return visit(std::uint16_t{});
    case DataType::int32: return visit(std::int32_t{});
    case DataType::uint32: return visit(std::uint32_t{});
    case DataType::int64: return visit(std::int64_t{});
    case DataType::uint64: return visit(std::uint64_t{});
    }
    assert(false && "of no type: such a tensor is not consistent");
}

inline VoteVerdict verdict_of(std::size_t agreeing_count, std::size_t answer_count) noexcept {
    if (agreeing_count == answer_count) return VoteVerdict::agreed;
    return agreeing_count * 2 > answer_count ? VoteVerdict::majority : VoteVerdict::undecided;
}

/// Values and decisions of all outputs, into the tallies and the report.
inline void count_outputs(std::span<const Answer> answers, std::span<const std::size_t> voters,
                          const VoteOptions& options, std::span<VoterTally> tallies,
                          VoteReport& report) {
    const Answer leader = answers[voters.front()];
    std::vector<const Tensor*> tensors(voters.size());
    for (std::size_t output = 0; output < leader.size(); ++output) {
        const Tensor& model = leader[output];
        for (std::size_t i = 0; i < voters.size(); ++i)
            tensors[i] = find_output(answers[voters[i]], model.name, output);
        const Tolerance tolerance = options.tolerance_of(model.dtype);
        const bool is_decision =
            !model.shape.empty() && std::ranges::count(options.decisions, model.name) != 0;
        with_element_type(model.dtype, [&]<class T>(T) {
            OutputCount<T>(tensors, tolerance, tallies).run();
            if constexpr (std::floating_point<T>) {
                if (is_decision)
                    DecisionCount<T>(tensors, tolerance, answers.size(), tallies, report.decisions)
                        .run();
            }
        });
    }
}

/// The verdict over all, and the answer that it allows to hand on.
inline void conclude(VoteReport& report) {
    std::size_t agreeing_count = 0, fit_count = 0;
    std::optional<std::size_t> closest;
    for (std::size_t i = 0; i < report.ballots.size(); ++i) {
        const Ballot& ballot = report.ballots[i];
        if (!ballot.agrees()) continue;
        ++agreeing_count;
        if (ballot.other_decisions != 0) continue;
        ++fit_count;
        if (!closest || ballot.deviation < report.ballots[*closest].deviation) closest = i;
    }
    report.values = verdict_of(agreeing_count, report.ballots.size());
    report.verdict =
        report.decisions.verdict == VoteVerdict::undecided
            ? VoteVerdict::undecided
            : std::max(verdict_of(fit_count, report.ballots.size()), report.decisions.verdict);
    if (report.verdict != VoteVerdict::undecided) report.answer = closest;
}

} // namespace vote_detail

inline VoteReport count_votes(std::span<const std::span<const Tensor>> answers,
                              const VoteOptions& options) {
    using namespace vote_detail;
    assert(answers.size() <= vote_answer_count_max);
    VoteReport report;
    report.ballots.resize(answers.size());
    if (answers.size() < 2) return report;
    const std::vector<std::size_t> voters = voters_among(answers);
    for (Ballot& ballot : report.ballots) ballot.dissent = Dissent::form;
    if (voters.empty()) {
        report.verdict = report.values = report.decisions.verdict = VoteVerdict::undecided;
        return report;
    }
    report.decisions.verdict = VoteVerdict::agreed;
    std::vector<VoterTally> tallies(voters.size());
    count_outputs(answers, voters, options, tallies, report);
    for (std::size_t i = 0; i < voters.size(); ++i)
        report.ballots[voters[i]] = std::move(tallies[i].ballot);
    conclude(report);
    return report;
}

} // namespace everpool::core
