// Everpool: a vote over the answers that several workers gave to one question.
// SPDX-License-Identifier: BSL-1.0
//
// A worker that has lost its graphics memory, or whose driver rounds wrongly, does not fail: it
// answers, and the answer is wrong. With three answers from workers that share no cause of error,
// one wrong one can be told.
//
// How it is counted. Each element of each output is compared with a reference, the median of what
// the workers answered for that element:
//
//     |a - m| <= atol + rtol * |m|        with the tolerance of the element's type
//
// Not with each other: "close" is not transitive, the middle of three may be close to both of two
// that are far apart. Of an even number of answers there are two middle values; then the distance
// is that to the farther of them, and |m| the smaller magnitude, so that two answers agree if they
// are within the tolerance of each other, and nothing is averaged. Integers and booleans must be
// equal. Where most answers have no number, +infinity or -infinity, so must the others, and where
// most have a number, the others must have one as well. Names, types and shapes must be those that
// most answers have; the order of the outputs does not matter.
//
// An answer that keeps all this agrees, any other dissents. What is handed on is one of the answers
// that agree, as it came: the one whose largest deviation is smallest. Never a mixture of several,
// which no worker would have given.
//
// Limits, by arithmetic and not by choice: of 2f + 1 answers, f may be wrong. Two that differ prove
// that one is wrong and not which one: undecided. Workers that run the same browser with the same
// driver share its errors, and agree on them. Answers that differ may both be right (different
// engines round differently); hence tolerances, and core/tolerance_calibration.hpp to find them.
#pragma once

#include "everpool/tensor.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace everpool {

/// More answers than this are not counted.
inline constexpr std::size_t vote_answer_count_max = 16;

/// How far an element may be from the reference: |a - m| <= atol + rtol * |m|.
struct Tolerance {
    double atol{0}; ///< 0 to 10^30
    double rtol{0}; ///< 0 to below 1

    friend bool operator==(const Tolerance&, const Tolerance&) = default;
};

struct VoteOptions {
    /// By type of element; other types must be equal. The defaults let different engines differ as
    /// their kernels do (order of summation, fused operations), and are far below what a flipped
    /// exponent, a lost buffer or a wrong weight does. A deep model may need more: calibrate.
    Tolerance float32{1e-4, 1e-3};
    Tolerance float64{1e-9, 1e-6};
    Tolerance float16{1e-2, 1e-2};

    /// Outputs of which only the place of the largest element along the last axis matters: logits,
    /// of which a label or the next token is taken. Each row of them is voted on as a decision as
    /// well. Default none, for in an embedding the largest element means nothing, and zeros side by
    /// side would be undecided for ever. Names that an answer does not have, and outputs that are
    /// no floating-point numbers of at least one dimension, are not looked at.
    std::vector<std::string> decisions{};

    [[nodiscard]] constexpr Tolerance tolerance_of(DataType type) const noexcept {
        switch (type) {
        case DataType::float32: return float32;
        case DataType::float64: return float64;
        case DataType::float16: return float16;
        default: return {};
        }
    }
};

/// Throws std::invalid_argument that names the first member out of its range.
inline void check_config(const VoteOptions& options) {
    const auto is_fine = [](const Tolerance& tolerance) {
        return tolerance.atol >= 0 && tolerance.atol <= 1e30 && tolerance.rtol >= 0 &&
               tolerance.rtol < 1;
    };
    const auto demand = [](bool is_met, const char* text) {
        if (!is_met) throw std::invalid_argument(text);
    };
    demand(is_fine(options.float32),
           "VoteOptions::float32 must have 0 <= atol <= 1e30, 0 <= rtol < 1");
    demand(is_fine(options.float64),
           "VoteOptions::float64 must have 0 <= atol <= 1e30, 0 <= rtol < 1");
    demand(is_fine(options.float16),
           "VoteOptions::float16 must have 0 <= atol <= 1e30, 0 <= rtol < 1");
}

enum class VoteVerdict : std::uint8_t {
    agreed,    ///< all answers agree
    majority,  ///< more than half of them agree, the others dissent
    undecided, ///< nobody can say which answer is right
    no_quorum, ///< fewer than two answers: there is nothing to compare
};

/// Why an answer dissents.
enum class Dissent : std::uint8_t {
    none,  ///< it agrees
    form,  ///< it has not the outputs, types or shapes that most have, or its bytes are too few
    mask,  ///< a number where most have none, or the other way round
    value, ///< a number beyond the tolerance; said if no mask differs
};

constexpr std::string_view name_of(VoteVerdict verdict) noexcept {
    switch (verdict) {
    case VoteVerdict::agreed: return "agreed";
    case VoteVerdict::majority: return "majority";
    case VoteVerdict::undecided: return "undecided";
    case VoteVerdict::no_quorum: return "no_quorum";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(Dissent dissent) noexcept {
    switch (dissent) {
    case Dissent::none: return "none";
    case Dissent::form: return "form";
    case Dissent::mask: return "mask";
    case Dissent::value: return "value";
    }
    return "unrecognised";
}

/// What was found about one answer.
struct Ballot {
    Dissent dissent{Dissent::none};
    /// Rows of the marked outputs in which it decides otherwise than was decided.
    std::uint64_t other_decisions{0};
    /// The largest deviation in units of the tolerance: above 1 it dissents (at 1, rounding
    /// decides). Vast or infinite where the tolerance is zero, infinite for a mask or an integer
    /// that differs.
    double deviation{0};

    // Only if it dissents by mask or value:
    std::uint64_t elements_beyond{0}; ///< so many dissent: one is a flipped bit, all another model
    std::string output{};     ///< where it deviates most (a mask most of all): in which output ...
    std::uint64_t element{0}; ///< ... at which element, counted row by row
    double value{0};          ///< what it has there (integers beyond 2^53 are rounded)
    double reference{0};      ///< and what the others have; no number if they differ, too

    [[nodiscard]] bool agrees() const noexcept { return dissent == Dissent::none; }

    friend bool operator==(const Ballot&, const Ballot&) = default;
};

/// What the vote on the largest element of each row says.
///
/// A row is decided if in the reference its largest element is ahead of the second by more than the
/// tolerances of both together: then all answers within the tolerance decide alike. Otherwise the
/// row is undecided, even if all answers name the same element: what they have in common may be how
/// they round.
struct DecisionReport {
    /// Agreed if all answers decide alike in each row, or nothing is marked; majority if in each
    /// row more than half decide as the reference does.
    VoteVerdict verdict{VoteVerdict::no_quorum};
    std::uint64_t row_count{0};
    std::uint64_t undecided_count{0};

    // The first undecided row:
    std::string output{};
    std::uint64_t row{0};
    double margin{0};     ///< of the largest element over the second
    double margin_min{0}; ///< more would have been needed

    friend bool operator==(const DecisionReport&, const DecisionReport&) = default;
};

struct VoteReport {
    /// Undecided if values or decisions are; else majority if one of them is; else agreed.
    VoteVerdict verdict{VoteVerdict::no_quorum};
    VoteVerdict values{VoteVerdict::no_quorum};
    DecisionReport decisions{};

    /// The answer to hand on, by its place among those given. Only if agreed or majority.
    std::optional<std::size_t> answer{};
    std::vector<Ballot> ballots{}; ///< one for each answer, in their order

    /// All of it in a few lines, for a person.
    [[nodiscard]] std::string text() const;

    friend bool operator==(const VoteReport&, const VoteReport&) = default;
};

// -------------------------------------------------------------------------------------------------

inline std::string VoteReport::text() const {
    std::string out(name_of(verdict));
    const auto say = [&out](std::string_view what, const auto& value) {
        out += what;
        if constexpr (std::is_arithmetic_v<std::remove_cvref_t<decltype(value)>>)
            out += std::to_string(value);
        else out += value;
    };
    if (answer) say(": answer ", *answer);
    for (std::size_t i = 0; i < ballots.size(); ++i) {
        const Ballot& ballot = ballots[i];
        if (ballot.agrees()) continue;
        say("\nanswer ", i);
        say(" dissents by ", name_of(ballot.dissent));
        if (ballot.dissent == Dissent::form) continue;
        say(": ", ballot.output);
        say("[", ballot.element);
        say("] is ", ballot.value);
        say(", reference ", ballot.reference);
        say(", tolerances apart: ", ballot.deviation);
        say(", elements beyond: ", ballot.elements_beyond);
    }
    if (decisions.undecided_count != 0) {
        say("\nundecided decisions: ", decisions.undecided_count);
        say(" of ", decisions.row_count);
        say(", first in ", decisions.output);
        say(" row ", decisions.row);
        say(": margin ", decisions.margin);
        say(", more than this is needed: ", decisions.margin_min);
    }
    return out;
}

} // namespace everpool
