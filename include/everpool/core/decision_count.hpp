// Everpool core: the vote on the largest element of each row. See DecisionReport.
// SPDX-License-Identifier: BSL-1.0
//
// An answer within the tolerance has x - t(x) to x + t(x) where the reference has x; as rtol is
// below 1, what is smaller reaches less high. So if the largest element less its tolerance is above
// whatever the others can reach, every answer within the tolerance has its largest element there.
#pragma once

#include "everpool/core/vote_kernel.hpp"
#include "everpool/core/vote_rows.hpp"
#include "everpool/tensor.hpp"
#include "everpool/vote.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <limits>
#include <span>
#include <string>

namespace everpool::core::vote_detail {

/// Votes on the largest element of each row of one output.
template <std::floating_point T>
class DecisionCount {
public:
    DecisionCount(std::span<const Tensor* const> tensors, const Tolerance& tolerance,
                  std::size_t answer_count, std::span<VoterTally> tallies, DecisionReport& report)
        : name_(tensors.front()->name),
          rows_(tensors),
          tolerance_(tolerance),
          row_length_(static_cast<std::size_t>(tensors.front()->shape.back())),
          answer_count_(answer_count),
          tallies_(tallies),
          report_(report) {}

    void run() {
        if (rows_.element_count() == 0) return;
        for (std::size_t row = 0; row < rows_.element_count() / row_length_; ++row) count_row(row);
    }

private:
    static constexpr std::size_t nowhere = std::numeric_limits<std::size_t>::max();
    static constexpr double infinity = std::numeric_limits<double>::infinity();

    /// The largest element of the reference, and how near the others come.
    struct Lead {
        std::size_t top{nowhere};
        double top_low{0}, top_room{0};
        double second_high{-infinity}, second_room{0}; ///< the other that reaches highest
        bool has_second{false}, is_known{true};

        void add(std::size_t place, double low, double high, double room) noexcept {
            if (top == nowhere || low > top_low) {
                if (top != nowhere) challenge(top_high, top_room);
                top = place;
                top_low = low, top_high = high, top_room = room;
            } else {
                challenge(high, room);
            }
        }
        [[nodiscard]] bool is_clear() const noexcept {
            return is_known && (!has_second || top_low - top_room > second_high + second_room);
        }

    private:
        void challenge(double high, double room) noexcept {
            has_second = true;
            if (high + room < second_high + second_room) return;
            second_high = high, second_room = room;
        }
        double top_high{0};
    };

    /// Where a voter has its largest element; nowhere if it has an element that is no number.
    struct Choice {
        std::size_t place{nowhere};
        T value{};
        bool is_known{true};

        void add(std::size_t at, T candidate) noexcept {
            if (candidate != candidate) is_known = false;
            if (place != nowhere && !(candidate > value)) return;
            place = at, value = candidate;
        }
    };

    void count_row(std::size_t row) {
        Lead lead;
        std::array<Choice, vote_answer_count_max> choices{};
        std::array<T, vote_answer_count_max> room;
        const std::span<T> values(room.data(), rows_.voter_count());
        for (std::size_t i = 0; i < row_length_; ++i) {
            rows_.gather(row * row_length_ + i, values);
            const ElementReference<T> reference = reference_of(std::span<const T>(values));
            for (std::size_t voter = 0; voter < values.size(); ++voter)
                choices[voter].add(i, values[voter]);
            if (reference.low != reference.low) lead.is_known = false;
            lead.add(i, static_cast<double>(reference.low), static_cast<double>(reference.high),
                     limit(reference));
        }
        ++report_.row_count;
        if (!lead.is_clear()) return leave_undecided(row, lead);
        const auto is_same = [&](std::size_t voter) {
            return choices[voter].is_known && choices[voter].place == lead.top;
        };
        std::size_t same_count = 0;
        for (std::size_t voter = 0; voter < values.size(); ++voter) same_count += is_same(voter);
        if (same_count * 2 <= answer_count_) return leave_undecided(row, lead);
        for (std::size_t voter = 0; voter < values.size(); ++voter)
            tallies_[voter].ballot.other_decisions += is_same(voter) ? 0 : 1;
        if (same_count < answer_count_ && report_.verdict == VoteVerdict::agreed)
            report_.verdict = VoteVerdict::majority;
    }

    [[nodiscard]] double limit(const ElementReference<T>& reference) const noexcept {
        const double size = std::min(std::abs(static_cast<double>(reference.low)),
                                     std::abs(static_cast<double>(reference.high)));
        if (!(size <= std::numeric_limits<double>::max())) return 0; // infinity has no neighbours
        return static_cast<double>(tolerance_.atol) + static_cast<double>(tolerance_.rtol) * size;
    }

    void leave_undecided(std::size_t row, const Lead& lead) {
        report_.verdict = VoteVerdict::undecided;
        if (report_.undecided_count++ != 0) return;
        report_.output = name_;
        report_.row = row;
        // Two infinities of one sign are level, and where there is no reference there is no margin.
        const double margin = lead.top_low - lead.second_high;
        report_.margin = margin > 0 ? margin : 0;
        report_.margin_min = lead.top_room + lead.second_room;
    }

    const std::string& name_;
    OutputRows<T> rows_;
    TypedTolerance<T> tolerance_;
    std::size_t row_length_, answer_count_;
    std::span<VoterTally> tallies_;
    DecisionReport& report_;
};

} // namespace everpool::core::vote_detail
