// Everpool core: a set of models, as bits.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/ids.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace everpool::core {

class ModelSet {
public:
    explicit ModelSet(std::uint32_t model_count) : words_((model_count + 63) / 64) {}

    /// \pre model < model_count
    void insert(ModelId model) noexcept { words_[model.value / 64] |= bit(model); }
    void erase(ModelId model) noexcept { words_[model.value / 64] &= ~bit(model); }
    void clear() noexcept {
        for (std::uint64_t& word : words_) word = 0;
    }
    [[nodiscard]] bool contains(ModelId model) const noexcept {
        return (words_[model.value / 64] & bit(model)) != 0;
    }

    /// Calls visit(ModelId) for what is in both sets, in order. \pre made for the same model_count
    template <class Visit>
    void for_each_common(const ModelSet& other, Visit visit) const {
        for (std::size_t i = 0; i < words_.size(); ++i)
            for (std::uint64_t bits = words_[i] & other.words_[i]; bits != 0; bits &= bits - 1)
                visit(ModelId{static_cast<std::uint32_t>(i * 64) +
                              static_cast<std::uint32_t>(std::countr_zero(bits))});
    }

private:
    static constexpr std::uint64_t bit(ModelId model) noexcept {
        return std::uint64_t{1} << (model.value % 64);
    }

    std::vector<std::uint64_t> words_;
};

} // namespace everpool::core
