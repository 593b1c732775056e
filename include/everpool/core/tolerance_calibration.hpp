// Everpool core: how far apart right answers are, found by asking workers that are right.
// SPDX-License-Identifier: BSL-1.0
//
// The defaults of VoteOptions suit shallow models. A deep one in half precision scatters more, a
// constant one not at all, and the tolerance decides what a vote can find: too small, and right
// answers dissent; too large, and wrong ones pass. So ask: the same inputs several times of the
// same worker (its own scatter: atomics, races of reductions), and once each of the engines that
// are to vote (theirs). Then the tolerance is the largest deviation seen, times a margin.
//
//     ToleranceCalibration calibration;
//     for (input : inputs) calibration.add(answers_to(input));   // two or more to each
//     VoteOptions options = calibration.options();               // 4 times what was seen
//
// One number for each type is measured: e, the largest |a - m| / (|m| + s) of all elements, where m
// is the median as in a vote, and s the mean magnitude of the output. Then with rtol = margin * e
// and atol = rtol * s, all that was seen is within the tolerance, with room. With s alone, as rtol
// alone, elements near zero would decide; they are small because large ones cancel, and scatter
// like those.
//
// Only answers that are right teach anything: ask workers that pass their canary. What is not of
// one form, or has no number where others have one, is refused.
#pragma once

#include "everpool/core/vote_count.hpp"
#include "everpool/core/vote_kernel.hpp"
#include "everpool/core/vote_rows.hpp"
#include "everpool/tensor.hpp"
#include "everpool/vote.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace everpool::core {

class ToleranceCalibration {
public:
    /// Answers to one question.
    /// \return false, and nothing is learnt, if they are fewer than two, of different forms, or
    /// have
    ///         no numbers at different places
    bool add(std::span<const std::span<const Tensor>> answers);

    /// The defaults, with the tolerances of the types that were seen replaced by `margin` times
    /// what was seen; at least four units in the last place, for answers that were the same by
    /// chance.
    /// \pre margin >= 1
    [[nodiscard]] VoteOptions options(double margin = 4) const;

    [[nodiscard]] std::uint64_t question_count() const noexcept { return question_count_; }

private:
    struct Scatter {
        double relative{0}; ///< e
        double absolute{0}; ///< the largest e * s of any output
        double scale{0};    ///< the largest s
        bool is_seen{false};
    };

    template <std::floating_point T>
    static void measure(std::span<const Tensor* const> tensors, Scatter& scatter);
    static std::size_t slot_of(DataType type) noexcept { // \pre a floating-point type
        return type == DataType::float32 ? 0 : type == DataType::float64 ? 1 : 2;
    }

    std::array<Scatter, 3> scatters_{};
    std::uint64_t question_count_{0};
};

// -------------------------------------------------------------------------------------------------

inline bool ToleranceCalibration::add(std::span<const std::span<const Tensor>> answers) {
    using namespace vote_detail;
    if (answers.size() < 2 || answers.size() > vote_answer_count_max) return false;
    // With the widest tolerance only forms and masks can dissent, and integers that differ.
    VoteOptions widest;
    widest.float32 = widest.float64 = widest.float16 = {1e30, 0.999};
    for (const Ballot& ballot : count_votes(answers, widest).ballots)
        if (ballot.dissent == Dissent::form || ballot.dissent == Dissent::mask) return false;
    std::vector<const Tensor*> tensors(answers.size());
    for (std::size_t output = 0; output < answers[0].size(); ++output) {
        const Tensor& model = answers[0][output];
        for (std::size_t i = 0; i < answers.size(); ++i)
            tensors[i] = find_output(answers[i], model.name, output);
        with_element_type(model.dtype, [&]<class T>(T) {
            if constexpr (std::floating_point<T>)
                measure<T>(tensors, scatters_[slot_of(model.dtype)]);
        });
    }
    ++question_count_;
    return true;
}

template <std::floating_point T>
void ToleranceCalibration::measure(std::span<const Tensor* const> tensors, Scatter& scatter) {
    const vote_detail::OutputRows<T> rows(tensors);
    std::array<T, vote_answer_count_max> room;
    const std::span<T> values(room.data(), tensors.size());
    // Calls `visit` with the reference of each element that has one.
    const auto for_each_number = [&](auto visit) {
        for (std::size_t i = 0; i < rows.element_count(); ++i) {
            rows.gather(i, values);
            const ElementReference<T> reference = reference_of(std::span<const T>(values));
            if (reference.is_common && reference.is_finite) visit(reference);
        }
    };
    const auto size_of = [](const ElementReference<T>& reference) {
        return std::min(std::abs(static_cast<double>(reference.low)),
                        std::abs(static_cast<double>(reference.high)));
    };
    double sum = 0;
    std::uint64_t count = 0;
    for_each_number([&](const ElementReference<T>& reference) {
        sum += size_of(reference);
        ++count;
    });
    scatter.is_seen = true;
    const double scale = sum / static_cast<double>(count);
    // Nothing but zeros, or beyond all numbers: there is no scale.
    if (!(scale > 0 && scale <= std::numeric_limits<double>::max())) return;
    double relative = 0;
    for_each_number([&](const ElementReference<T>& reference) {
        for (const T value : values) {
            const auto number = static_cast<double>(value);
            const double distance =
                std::max(std::abs(number - static_cast<double>(reference.low)),
                         std::abs(number - static_cast<double>(reference.high)));
            relative = std::max(relative, distance / (size_of(reference) + scale));
        }
    });
    scatter.relative = std::max(scatter.relative, relative);
    scatter.absolute = std::max(scatter.absolute, relative * scale);
    scatter.scale = std::max(scatter.scale, scale);
}

inline VoteOptions ToleranceCalibration::options(double margin) const {
    assert(margin >= 1);
    VoteOptions out;
    const auto apply = [&](const Scatter& scatter, double epsilon, Tolerance& tolerance) {
        if (!scatter.is_seen) return;
        tolerance.rtol = std::min(margin * std::max(scatter.relative, epsilon), 0.999);
        tolerance.atol =
            std::min(margin * std::max(scatter.absolute, epsilon * scatter.scale), 1e30);
    };
    apply(scatters_[0], std::numeric_limits<float>::epsilon(), out.float32);
    apply(scatters_[1], std::numeric_limits<double>::epsilon(), out.float64);
    apply(scatters_[2], 0x1p-10, out.float16);
    return out;
}

} // namespace everpool::core
