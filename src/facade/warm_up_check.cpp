// SPDX-License-Identifier: BSL-1.0
#include "facade/warm_up_check.hpp"

#include "everpool/core/vote_count.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <span>
#include <string>

namespace everpool::facade {

namespace {

/// What is wrong with the numbers; empty: nothing. \pre both have the same name, type and shape
std::string difference(const Tensor& known, const Tensor& given, const VoteOptions& options) {
    const std::array<std::span<const Tensor>, 2> answers{std::span(&known, 1),
                                                         std::span(&given, 1)};
    const VoteReport report = core::count_votes(answers, options);
    const Ballot& expected = report.ballots[0];
    const Ballot& got = report.ballots[1];
    if (got.agrees()) return {};
    if (got.dissent == Dissent::form) return "its bytes are not those of its shape";
    return fmt::format("element {} of {}: expected {}, got {}; {} of {} differ", got.element,
                       given.describe(), expected.value, got.value, got.elements_beyond,
                       element_count(given.shape).value_or(0));
}

} // namespace

Errc check_warm_up(std::string_view model, const WarmUp& warm_up,
                   const std::vector<Tensor>& outputs, const VoteOptions& options,
                   Diagnostics& diagnostics) {
    const auto refuse = [&](std::string what, std::string_view remedy) {
        diagnostics.message = fmt::format("model '{}': warm-up: {}", model, what);
        diagnostics.remedy = remedy;
        return Errc::model_rejected;
    };
    std::string why; // there is no such output
    const auto find = [&](const TensorSpec& spec) -> const Tensor* {
        const auto found = std::find_if(outputs.begin(), outputs.end(),
                                        [&](const Tensor& out) { return out.name == spec.name; });
        if (found != outputs.end() && spec.accepts(*found)) return &*found;
        why = fmt::format("expected output {}, got {}", spec.describe(),
                          found == outputs.end() ? "none of that name" : found->describe());
        return nullptr;
    };
    constexpr std::string_view correct_it = "correct ModelSpec::warm_up, or the model";
    for (const TensorSpec& spec : warm_up.outputs)
        if (find(spec) == nullptr) return refuse(why, correct_it);
    for (const Tensor& known : warm_up.answer) {
        const Tensor* given = find({known.name, known.dtype, known.shape});
        if (given == nullptr) return refuse(why, correct_it);
        const std::string wrong = difference(known, *given, options);
        if (!wrong.empty())
            return refuse(wrong, "correct WarmUp::answer, or allow for more in "
                                 "ResourcePoolConfig::vote; if both are right, this browser or its "
                                 "driver computes wrongly");
    }
    return Errc::ok;
}

} // namespace everpool::facade
