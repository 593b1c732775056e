// Everpool core: the same output of several answers, element by element or in blocks.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/vote_kernel.hpp"
#include "everpool/tensor.hpp"
#include "everpool/vote.hpp"

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace everpool::core::vote_detail {

/// The same output of each voter, as elements of type T.
template <class T>
class OutputRows {
public:
    explicit OutputRows(std::span<const Tensor* const> tensors)
        : tensors_(tensors),
          spare_(std::floating_point<T> ? tensors.size() * vote_block_count : 0) {
        is_half_ = tensors.front()->dtype == DataType::float16;
        element_bytes_ = element_bytes(tensors.front()->dtype);
        element_count_ = tensors.front()->data.bytes.size() / element_bytes_;
    }

    [[nodiscard]] std::size_t voter_count() const noexcept { return tensors_.size(); }
    [[nodiscard]] std::size_t element_count() const noexcept { return element_count_; }

    [[nodiscard]] T at(std::size_t voter, std::size_t element) const noexcept {
        const std::byte* bytes = tensors_[voter]->data.bytes.data() + element * element_bytes_;
        if constexpr (std::is_same_v<T, float>) {
            if (is_half_) {
                std::uint16_t half;
                std::memcpy(&half, bytes, sizeof half);
                return float_of_half(half);
            }
        }
        T value;
        std::memcpy(&value, bytes, sizeof value);
        return value;
    }
    /// \param values one for each voter
    void gather(std::size_t element, std::span<T> values) const noexcept {
        for (std::size_t voter = 0; voter < values.size(); ++voter)
            values[voter] = at(voter, element);
    }

    [[nodiscard]] bool is_same_in_all(std::size_t begin, std::size_t count) const noexcept {
        const std::byte* first = tensors_[0]->data.bytes.data() + begin * element_bytes_;
        for (std::size_t voter = 1; voter < tensors_.size(); ++voter)
            if (std::memcmp(first, tensors_[voter]->data.bytes.data() + begin * element_bytes_,
                            count * element_bytes_) != 0)
                return false;
        return true;
    }

    /// A whole block: the tensor's own memory where it can be, else a copy, with zeros after its
    /// end.
    [[nodiscard]] const T* block(std::size_t voter, std::size_t begin, std::size_t count) {
        if (count != vote_block_count || is_half_) return copy_block(voter, begin, count);
        return reinterpret_cast<const T*>(tensors_[voter]->data.bytes.data()) + begin;
    }
    [[nodiscard]] const T* copy_block(std::size_t voter, std::size_t begin, std::size_t count) {
        T* copy = spare_.data() + voter * vote_block_count;
        for (std::size_t i = 0; i < count; ++i) copy[i] = at(voter, begin + i);
        std::fill(copy + count, copy + vote_block_count, T{});
        return copy;
    }
    /// This element of the copied blocks becomes zero.
    void clear_copied(std::size_t i) noexcept {
        for (std::size_t voter = 0; voter < tensors_.size(); ++voter)
            spare_[voter * vote_block_count + i] = 0;
    }

private:
    std::span<const Tensor* const> tensors_;
    std::vector<T> spare_;
    std::size_t element_bytes_{0}, element_count_{0};
    bool is_half_{false};
};

/// What has been found about one voter so far.
struct VoterTally {
    Ballot ballot{};
    double located{-1}; ///< the deviation that the ballot's place is about

    void note(const ElementJudgement& judged) noexcept {
        ballot.deviation = std::max(ballot.deviation, judged.deviation);
        ballot.elements_beyond += judged.is_beyond ? 1 : 0;
    }
    /// Is this element the worst of those beyond? A mask is worse than any value.
    template <class T>
    void locate(const ElementJudgement& judged, const std::string& output, std::size_t element,
                T value, const ElementReference<T>& reference) {
        if (!judged.is_beyond || (ballot.dissent == Dissent::mask && !judged.is_mask)) return;
        const bool is_first_mask = judged.is_mask && ballot.dissent != Dissent::mask;
        if (!is_first_mask && judged.deviation <= located) return;
        located = judged.deviation;
        ballot.dissent = judged.is_mask ? Dissent::mask : Dissent::value;
        ballot.output = output;
        ballot.element = element;
        ballot.value = static_cast<double>(value);
        // Of two middle values the one that it is farther from.
        const auto low = static_cast<double>(reference.low);
        const auto high = static_cast<double>(reference.high);
        ballot.reference =
            std::abs(ballot.value - low) > std::abs(ballot.value - high) ? low : high;
    }
};

} // namespace everpool::core::vote_detail
