// Everpool: tensors, the payload of requests and results.
// SPDX-License-Identifier: BSL-1.0
//
// A tensor is a name, a data type, a shape and bytes that are shared and never change. Copying one
// copies a pointer; a result's tensors point straight into the message that arrived, and a
// request's bytes are written to the socket from where they are, again on each attempt.
//
//     auto x = Tensor::of<float>("x", {1, 4}, {0.1f, 0.2f, 0.3f, 0.4f});   // row-major
//     std::span<const float> y = result.outputs.at(0).as<float>();
//
// Thread safety: const access from any thread. Byte order: the host's, which must be little-endian.
#pragma once

#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace everpool {

static_assert(std::endian::native == std::endian::little,
              "tensor payloads are little-endian on the wire and are not swapped");

/// Element types, named as onnxruntime-web names them. Values are stable.
enum class DataType : std::uint8_t {
    float32 = 1, float64 = 2, float16 = 3,
    int8 = 4, uint8 = 5, int16 = 6, uint16 = 7, int32 = 8, uint32 = 9, int64 = 10, uint64 = 11,
    boolean = 12, ///< one byte each, 0 or 1; "bool" by name
};

/// Bytes of one element; 0 for a value that is no enumerator.
constexpr std::size_t element_bytes(DataType type) noexcept {
    switch (type) {
    case DataType::int8: case DataType::uint8: case DataType::boolean: return 1;
    case DataType::float16: case DataType::int16: case DataType::uint16: return 2;
    case DataType::float32: case DataType::int32: case DataType::uint32: return 4;
    case DataType::float64: case DataType::int64: case DataType::uint64: return 8;
    }
    return 0;
}

constexpr std::string_view name_of(DataType type) noexcept {
    switch (type) {
    case DataType::float32: return "float32";
    case DataType::float64: return "float64";
    case DataType::float16: return "float16";
    case DataType::int8: return "int8";
    case DataType::uint8: return "uint8";
    case DataType::int16: return "int16";
    case DataType::uint16: return "uint16";
    case DataType::int32: return "int32";
    case DataType::uint32: return "uint32";
    case DataType::int64: return "int64";
    case DataType::uint64: return "uint64";
    case DataType::boolean: return "bool";
    }
    return "unrecognised";
}

constexpr std::optional<DataType> data_type_from(std::string_view name) noexcept {
    for (int value = 1; value <= 12; ++value)
        if (name_of(static_cast<DataType>(value)) == name) return static_cast<DataType>(value);
    return std::nullopt;
}

/// The DataType of a C++ element type; ill-formed for others. (float16 has none: use raw bytes.)
template <class T> inline constexpr DataType data_type_of = [] {
    static_assert(sizeof(T) == 0, "no tensor element of this type");
    return DataType{};
}();
template <> inline constexpr DataType data_type_of<float> = DataType::float32;
template <> inline constexpr DataType data_type_of<double> = DataType::float64;
template <> inline constexpr DataType data_type_of<std::int8_t> = DataType::int8;
template <> inline constexpr DataType data_type_of<std::uint8_t> = DataType::uint8;
template <> inline constexpr DataType data_type_of<std::int16_t> = DataType::int16;
template <> inline constexpr DataType data_type_of<std::uint16_t> = DataType::uint16;
template <> inline constexpr DataType data_type_of<std::int32_t> = DataType::int32;
template <> inline constexpr DataType data_type_of<std::uint32_t> = DataType::uint32;
template <> inline constexpr DataType data_type_of<std::int64_t> = DataType::int64;
template <> inline constexpr DataType data_type_of<std::uint64_t> = DataType::uint64;
template <> inline constexpr DataType data_type_of<bool> = DataType::boolean;

using Shape = std::vector<std::int64_t>;

/// Elements of a shape: 1 for a scalar (no dimensions), 0 if any dimension is 0. Empty if a
/// dimension is negative or the product does not fit.
constexpr std::optional<std::uint64_t> element_count(std::span<const std::int64_t> shape) noexcept {
    bool is_empty = false;
    for (const std::int64_t dimension : shape) {
        if (dimension < 0) return std::nullopt;
        is_empty = is_empty || dimension == 0;
    }
    if (is_empty) return 0; // also where the others alone would not fit
    std::uint64_t count = 1;
    for (const std::int64_t dimension : shape) {
        const auto factor = static_cast<std::uint64_t>(dimension);
        if (count > UINT64_MAX / factor) return std::nullopt;
        count *= factor;
    }
    return count;
}

/// Immutable bytes and what keeps them alive.
struct SharedBytes {
    std::shared_ptr<const void> owner{};
    std::span<const std::byte> bytes{};
};

/// See the head of this file.
struct Tensor {
    std::string name{};
    DataType dtype{DataType::float32};
    Shape shape{};
    /// Exactly element_count(shape) * element_bytes(dtype) bytes, 8-byte aligned.
    SharedBytes data{};

    /// A tensor that owns `elements`; they are not copied (but for bool, which becomes bytes).
    /// \pre elements.size() == element_count(shape)
    template <class T>
    [[nodiscard]] static Tensor of(std::string name, Shape shape, std::vector<T> elements);

    /// The elements, without a copy.
    /// \pre dtype == data_type_of<T>
    template <class T>
    [[nodiscard]] std::span<const T> as() const noexcept;

    /// True if the bytes are as many as dtype and shape ask for.
    [[nodiscard]] bool is_consistent() const noexcept;

    /// "x float32[1,4]"
    [[nodiscard]] std::string describe() const;
};

/// What a model takes or gives in one place. A dimension of -1 is free.
struct TensorSpec {
    std::string name{};
    DataType dtype{DataType::float32};
    Shape shape{};

    /// Has it this name, this dtype and a shape that agrees in every dimension that is not free?
    [[nodiscard]] bool accepts(const Tensor& tensor) const noexcept;
    /// "x float32[1,?]"
    [[nodiscard]] std::string describe() const;

    friend bool operator==(const TensorSpec&, const TensorSpec&) = default;
};

// -------------------------------------------------------------------------------------------------

namespace detail {

inline std::string describe_tensor(std::string_view name, DataType dtype, const Shape& shape) {
    std::string out(name);
    out += ' ';
    out += name_of(dtype);
    out += '[';
    for (std::size_t i = 0; i < shape.size(); ++i) {
        if (i != 0) out += ',';
        out += shape[i] < 0 ? "?" : std::to_string(shape[i]);
    }
    return out += ']';
}

} // namespace detail

template <class T>
Tensor Tensor::of(std::string name, Shape shape, std::vector<T> elements) {
    assert(element_count(shape) == elements.size());
    if constexpr (std::is_same_v<T, bool>) { // std::vector<bool> has no bytes to share
        auto owner = std::make_shared<std::vector<std::uint8_t>>(elements.begin(), elements.end());
        const auto bytes = std::as_bytes(std::span(*owner));
        return {std::move(name), DataType::boolean, std::move(shape), {std::move(owner), bytes}};
    } else {
        auto owner = std::make_shared<const std::vector<T>>(std::move(elements));
        const auto bytes = std::as_bytes(std::span(*owner));
        return {std::move(name), data_type_of<T>, std::move(shape), {std::move(owner), bytes}};
    }
}

template <class T>
std::span<const T> Tensor::as() const noexcept {
    assert(dtype == data_type_of<T>);
    return {reinterpret_cast<const T*>(data.bytes.data()), data.bytes.size() / sizeof(T)};
}

inline bool Tensor::is_consistent() const noexcept {
    const auto count = element_count(shape);
    const std::size_t each = element_bytes(dtype);
    return count && each != 0 && *count <= SIZE_MAX / each && data.bytes.size() == *count * each;
}

inline std::string Tensor::describe() const { return detail::describe_tensor(name, dtype, shape); }

inline std::string TensorSpec::describe() const {
    return detail::describe_tensor(name, dtype, shape);
}

inline bool TensorSpec::accepts(const Tensor& tensor) const noexcept {
    if (tensor.name != name || tensor.dtype != dtype || tensor.shape.size() != shape.size())
        return false;
    for (std::size_t i = 0; i < shape.size(); ++i)
        if (shape[i] >= 0 && shape[i] != tensor.shape[i]) return false;
    return true;
}

} // namespace everpool
