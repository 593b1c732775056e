// A vote counted as plainly as can be, for comparison with the fast one. No blocks, no shortcuts;
// long double, rounded where the elements' own type would round.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/vote_count.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace plain_vote {

using namespace everpool;
using Answers = std::vector<std::vector<Tensor>>;
using Number = long double;

inline VoteReport count(const Answers& answers, const VoteOptions& options = {}) {
    std::vector<std::span<const Tensor>> spans(answers.begin(), answers.end());
    return core::count_votes(spans, options);
}

/// An answer of one tensor.
inline std::vector<Tensor> floats(std::vector<float> values) {
    const auto size = static_cast<std::int64_t>(values.size());
    return {Tensor::of<float>("y", {size}, std::move(values))};
}

/// The value of a binary16, from its definition.
inline Number half_value(std::uint16_t bits) {
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    Number value = exponent == 31  ? (fraction != 0 ? std::numeric_limits<Number>::quiet_NaN()
                                                    : std::numeric_limits<Number>::infinity())
                   : exponent == 0 ? std::ldexp(Number(fraction), -24)
                                   : std::ldexp(Number(1024 + fraction), exponent - 25);
    return (bits & 0x8000) != 0 ? -value : value;
}

template <class T>
Number element_as(const Tensor& tensor, std::size_t i) {
    T value;
    std::memcpy(&value, tensor.data.bytes.data() + i * sizeof(T), sizeof(T));
    return static_cast<Number>(value);
}

inline Number element(const Tensor& tensor, std::size_t i) {
    switch (tensor.dtype) {
    case DataType::float32: return element_as<float>(tensor, i);
    case DataType::float64: return element_as<double>(tensor, i);
    case DataType::float16: {
        std::uint16_t bits;
        std::memcpy(&bits, tensor.data.bytes.data() + i * 2, 2);
        return half_value(bits);
    }
    case DataType::int8: return element_as<std::int8_t>(tensor, i);
    case DataType::uint8:
    case DataType::boolean: return element_as<std::uint8_t>(tensor, i);
    case DataType::int16: return element_as<std::int16_t>(tensor, i);
    case DataType::uint16: return element_as<std::uint16_t>(tensor, i);
    case DataType::int32: return element_as<std::int32_t>(tensor, i);
    case DataType::uint32: return element_as<std::uint32_t>(tensor, i);
    case DataType::int64: return element_as<std::int64_t>(tensor, i);
    case DataType::uint64: return element_as<std::uint64_t>(tensor, i);
    }
    return 0;
}

/// n: a number, N: none, +, -: infinite.
inline char kind_of(Number value) {
    if (std::isnan(value)) return 'N';
    if (std::isinf(value)) return value > 0 ? '+' : '-';
    return 'n';
}

struct Middle {
    char kind{'?'}; ///< '?': no kind has a majority
    Number low{0}, high{0};
};

inline Middle middle_of(const std::vector<Number>& values) {
    for (const char kind : {'n', 'N', '+', '-'}) {
        const auto is_kind = [&](Number value) { return kind_of(value) == kind; };
        const auto count = std::ranges::count_if(values, is_kind);
        if (static_cast<std::size_t>(count) * 2 <= values.size()) continue;
        if (kind != 'n') return {kind, values[0], values[0]};
        std::vector<Number> numbers;
        std::ranges::copy_if(values, std::back_inserter(numbers), is_kind);
        std::ranges::sort(numbers);
        return {kind, numbers[(numbers.size() - 1) / 2], numbers[numbers.size() / 2]};
    }
    return {};
}

/// As the arithmetic of the elements' type rounds it.
inline Number rounded(DataType type, Number value) {
    if (type == DataType::float64) return static_cast<Number>(static_cast<double>(value));
    if (type == DataType::float32 || type == DataType::float16)
        return static_cast<Number>(static_cast<float>(value));
    return value;
}

/// Added to the tolerance where deviations are measured in tolerances, so that it is never zero.
inline Number least(DataType type) {
    if (type == DataType::float64) return std::numeric_limits<double>::min();
    if (type == DataType::float32 || type == DataType::float16)
        return std::numeric_limits<float>::min();
    return 0;
}

inline Number limit_at(const Middle& middle, const Tolerance& tolerance, DataType type) {
    const Number size = std::min(std::abs(middle.low), std::abs(middle.high));
    return rounded(type, rounded(type, tolerance.atol) + rounded(type, tolerance.rtol * size));
}

struct Finding {
    Dissent dissent{Dissent::none};
    bool is_mask_beyond{false}, is_value_beyond{false};
    std::uint64_t elements_beyond{0};
    Number deviation{0};
};

struct Outcome {
    VoteVerdict values{VoteVerdict::no_quorum}, decisions{VoteVerdict::no_quorum};
    std::uint64_t row_count{0}, undecided_count{0};
    std::vector<Finding> findings;
};

inline const Tensor* named(const std::vector<Tensor>& answer, const std::string& name) {
    for (const Tensor& tensor : answer)
        if (tensor.name == name) return &tensor;
    return nullptr;
}

/// The outputs' forms, whatever their order; empty if it has none that could be compared.
inline std::optional<std::set<std::string>> form_of(const std::vector<Tensor>& answer) {
    std::set<std::string> form, names;
    for (const Tensor& tensor : answer) {
        if (!tensor.is_consistent() || !names.insert(tensor.name).second) return {};
        form.insert(tensor.describe());
    }
    return form;
}

inline void judge_output(const std::vector<const Tensor*>& tensors, const Tolerance& tolerance,
                         const std::vector<Finding*>& findings) {
    const std::size_t count = *element_count(tensors[0]->shape);
    std::vector<Number> values(tensors.size());
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t r = 0; r < tensors.size(); ++r) values[r] = element(*tensors[r], i);
        const Middle middle = middle_of(values);
        for (std::size_t r = 0; r < tensors.size(); ++r) {
            Finding& finding = *findings[r];
            if (kind_of(values[r]) != middle.kind) {
                finding.is_mask_beyond = true;
                ++finding.elements_beyond;
                finding.deviation = std::numeric_limits<Number>::infinity();
            } else if (middle.kind == 'n') {
                const DataType type = tensors[0]->dtype;
                const Number distance = rounded(type, std::max(std::abs(values[r] - middle.low),
                                                               std::abs(values[r] - middle.high)));
                const Number limit = limit_at(middle, tolerance, type);
                if (distance > limit) {
                    finding.is_value_beyond = true;
                    ++finding.elements_beyond;
                }
                if (distance != 0)
                    finding.deviation =
                        std::max(finding.deviation, distance / (limit + least(type)));
            }
        }
    }
}

/// The place of the largest, if each is comparable.
inline std::optional<std::size_t> largest_of(const Tensor& tensor, std::size_t begin,
                                             std::size_t length) {
    std::size_t best = 0;
    for (std::size_t i = 0; i < length; ++i) {
        if (std::isnan(element(tensor, begin + i))) return {};
        if (element(tensor, begin + i) > element(tensor, begin + best)) best = i;
    }
    return best;
}

inline VoteVerdict judge_row(const std::vector<const Tensor*>& tensors, std::size_t begin,
                             std::size_t length, const Tolerance& tolerance,
                             std::size_t answer_count) {
    std::vector<Middle> middles;
    std::vector<Number> values(tensors.size());
    for (std::size_t i = 0; i < length; ++i) {
        for (std::size_t r = 0; r < tensors.size(); ++r)
            values[r] = element(*tensors[r], begin + i);
        middles.push_back(middle_of(values));
        if (middles.back().kind == '?' || middles.back().kind == 'N') return VoteVerdict::undecided;
        if (middles.back().kind == '+') middles.back().low = middles.back().high = INFINITY;
        if (middles.back().kind == '-') middles.back().low = middles.back().high = -INFINITY;
    }
    const auto room = [&](const Middle& middle) {
        return middle.kind == 'n' ? limit_at(middle, tolerance, DataType::int8) : Number(0);
    };
    std::optional<std::size_t> winner;
    for (std::size_t i = 0; i < length; ++i) {
        bool is_ahead_of_all = true;
        for (std::size_t j = 0; j < length; ++j)
            if (j != i && !(middles[i].low - room(middles[i]) > middles[j].high + room(middles[j])))
                is_ahead_of_all = false;
        if (is_ahead_of_all) winner = i;
    }
    if (!winner) return VoteVerdict::undecided;
    std::size_t same = 0;
    for (const Tensor* tensor : tensors) same += largest_of(*tensor, begin, length) == winner;
    if (same == answer_count) return VoteVerdict::agreed;
    return same * 2 > answer_count ? VoteVerdict::majority : VoteVerdict::undecided;
}

inline Outcome judge(const Answers& answers, const VoteOptions& options) {
    Outcome out;
    out.findings.resize(answers.size());
    if (answers.size() < 2) return out;
    const auto worse = [](VoteVerdict a, VoteVerdict b) { return std::max(a, b); };
    std::vector<std::size_t> voters;
    for (std::size_t i = 0; i < answers.size() && voters.empty(); ++i) {
        for (std::size_t j = 0; j < answers.size(); ++j)
            if (form_of(answers[i]) && form_of(answers[i]) == form_of(answers[j]))
                voters.push_back(j);
        if (voters.size() * 2 <= answers.size()) voters.clear();
    }
    for (Finding& finding : out.findings) finding.dissent = Dissent::form;
    if (voters.empty()) {
        out.values = out.decisions = VoteVerdict::undecided;
        return out;
    }
    out.decisions = VoteVerdict::agreed;
    std::vector<Finding*> findings;
    for (const std::size_t voter : voters) findings.push_back(&out.findings[voter]);
    for (const Tensor& model : answers[voters[0]]) {
        std::vector<const Tensor*> tensors;
        for (const std::size_t voter : voters) tensors.push_back(named(answers[voter], model.name));
        judge_output(tensors, options.tolerance_of(model.dtype), findings);
        const bool is_float = model.dtype == DataType::float32 ||
                              model.dtype == DataType::float64 || model.dtype == DataType::float16;
        if (!is_float || model.shape.empty() || *element_count(model.shape) == 0 ||
            std::ranges::count(options.decisions, model.name) == 0)
            continue;
        const auto length = static_cast<std::size_t>(model.shape.back());
        for (std::size_t begin = 0; begin < *element_count(model.shape); begin += length) {
            const VoteVerdict row = judge_row(tensors, begin, length,
                                              options.tolerance_of(model.dtype), answers.size());
            ++out.row_count;
            out.undecided_count += row == VoteVerdict::undecided;
            out.decisions = worse(out.decisions, row);
        }
    }
    std::size_t agreeing = 0;
    for (Finding* finding : findings) {
        finding->dissent = Dissent::none;
        if (finding->is_value_beyond) finding->dissent = Dissent::value;
        if (finding->is_mask_beyond) finding->dissent = Dissent::mask;
        agreeing += finding->dissent == Dissent::none;
    }
    out.values = agreeing == answers.size()      ? VoteVerdict::agreed
                 : agreeing * 2 > answers.size() ? VoteVerdict::majority
                                                 : VoteVerdict::undecided;
    return out;
}

} // namespace plain_vote
