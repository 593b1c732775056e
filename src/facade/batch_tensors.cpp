// SPDX-License-Identifier: BSL-1.0
#include "facade/batch_tensors.hpp"

#include "everpool/xxhash64.hpp"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <utility>

namespace everpool::facade {

namespace {

constexpr std::size_t alignment = 8; // of Tensor::data

bool has_rows(const Tensor& tensor) noexcept {
    return !tensor.shape.empty() && tensor.shape.front() > 0 &&
           tensor.shape.front() <= std::numeric_limits<std::uint32_t>::max();
}

std::span<const std::int64_t> row_shape(const Tensor& tensor) noexcept {
    return std::span(tensor.shape).subspan(1);
}

/// Aligned, and not initialised.
struct NewBytes {
    explicit NewBytes(std::size_t count)
        : owner(
              std::make_shared_for_overwrite<std::uint64_t[]>((count + alignment - 1) / alignment)),
          bytes(std::as_writable_bytes(std::span(owner.get(), (count + alignment - 1) / alignment))
                    .first(count)) {}

    std::shared_ptr<std::uint64_t[]> owner;
    std::span<std::byte> bytes;

    [[nodiscard]] SharedBytes shared() const { return {owner, bytes}; }
};

SharedBytes copy_of(std::span<const std::byte> bytes) {
    const NewBytes out(bytes.size());
    std::ranges::copy(bytes, out.bytes.begin());
    return out.shared();
}

bool is_aligned(std::span<const std::byte> bytes) noexcept {
    return reinterpret_cast<std::uintptr_t>(bytes.data()) % alignment == 0;
}

} // namespace

std::optional<std::uint32_t> rows_of(std::span<const Tensor> inputs) noexcept {
    if (inputs.empty() || !std::ranges::all_of(inputs, has_rows)) return std::nullopt;
    const std::int64_t rows = inputs.front().shape.front();
    const bool is_common = std::ranges::all_of(
        inputs, [rows](const Tensor& input) { return input.shape.front() == rows; });
    return is_common ? std::optional(static_cast<std::uint32_t>(rows)) : std::nullopt;
}

std::uint64_t batch_number_of(std::span<const Tensor> inputs) {
    std::string text;
    for (const Tensor& input : inputs) {
        text += detail::describe_tensor(input.name, input.dtype,
                                        Shape(input.shape.begin() + 1, input.shape.end()));
        text += '\n';
    }
    return std::max<std::uint64_t>(xxhash64(std::as_bytes(std::span(text))), 1);
}

bool are_alike(std::span<const Tensor> a, std::span<const Tensor> b) noexcept {
    return std::ranges::equal(a, b, [](const Tensor& one, const Tensor& other) {
        return one.name == other.name && one.dtype == other.dtype && has_rows(one) &&
               has_rows(other) && std::ranges::equal(row_shape(one), row_shape(other));
    });
}

std::vector<Tensor> join_rows(std::span<const std::vector<Tensor>* const> parts) {
    std::vector<Tensor> out = *parts.front();
    for (std::size_t i = 0; i < out.size(); ++i) {
        std::size_t bytes = 0;
        out[i].shape.front() = 0;
        for (const std::vector<Tensor>* part : parts) {
            bytes += (*part)[i].data.bytes.size();
            out[i].shape.front() += (*part)[i].shape.front();
        }
        const NewBytes joined(bytes);
        auto end = joined.bytes.begin();
        for (const std::vector<Tensor>* part : parts)
            end = std::ranges::copy((*part)[i].data.bytes, end).out;
        out[i].data = joined.shared();
    }
    return out;
}

std::optional<std::vector<std::vector<Tensor>>> split_rows(const std::vector<Tensor>& whole,
                                                           std::span<const std::uint32_t> rows) {
    const auto all = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
    std::vector<std::vector<Tensor>> out(rows.size());
    for (const Tensor& tensor : whole) {
        if (!has_rows(tensor) || tensor.shape.front() != all || !tensor.is_consistent())
            return std::nullopt;
        const std::size_t row_bytes = tensor.data.bytes.size() / static_cast<std::size_t>(all);
        std::size_t at = 0;
        for (std::size_t i = 0; i < rows.size(); ++i) {
            Tensor part{tensor.name, tensor.dtype, tensor.shape, tensor.data};
            part.shape.front() = rows[i];
            part.data.bytes = tensor.data.bytes.subspan(at, rows[i] * row_bytes);
            if (!is_aligned(part.data.bytes)) part.data = copy_of(part.data.bytes);
            at += rows[i] * row_bytes;
            out[i].push_back(std::move(part));
        }
    }
    return out;
}

} // namespace everpool::facade
