// Everpool facade: tensors of several requests laid behind each other, and taken apart again.
// SPDX-License-Identifier: BSL-1.0
//
// Pure. Rows are counted in the first dimension.
#pragma once

#include "everpool/tensor.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace everpool::facade {

/// Rows of such inputs; empty if they have not all as many, if one has no first dimension, or if
/// there are none.
std::optional<std::uint32_t> rows_of(std::span<const Tensor> inputs) noexcept;

/// The same number for inputs that differ in nothing but their first dimension; never 0. Two that
/// differ otherwise have the same number once in 2^64 times: are_alike() is to be asked as well.
std::uint64_t batch_number_of(std::span<const Tensor> inputs);

/// Names, dtypes and dimensions but the first, in order.
bool are_alike(std::span<const Tensor> a, std::span<const Tensor> b) noexcept;

/// \pre parts are not empty, each pair is alike, and each has rows
std::vector<Tensor> join_rows(std::span<const std::vector<Tensor>* const> parts);

/// One list of tensors for each number of rows. Views of the same bytes, copied only where they
/// would not be aligned to 8 bytes. Empty: a tensor has not as many rows as all of them together.
std::optional<std::vector<std::vector<Tensor>>> split_rows(const std::vector<Tensor>& whole,
                                                           std::span<const std::uint32_t> rows);

} // namespace everpool::facade
