// Everpool wire: every limit of everpool.v1, by name.
// SPDX-License-Identifier: BSL-1.0
//
// A limit protects the side that decodes: what exceeds one is refused before memory is spent on it.
// src/web/protocol.js has the same numbers.
#pragma once

#include <cstddef>
#include <cstdint>

namespace everpool::wire {

/// Magic, version, kind, lengths: fixed.
inline constexpr std::size_t prefix_bytes = 16;

/// Payloads start, and frames end, at multiples of this, so that every element type can be viewed
/// in place.
inline constexpr std::size_t payload_alignment = 8;

constexpr std::uint64_t padded_bytes(std::uint64_t bytes) noexcept {
    return (bytes + payload_alignment - 1) / payload_alignment * payload_alignment;
}

/// The largest integer that is exact in a JavaScript number.
inline constexpr std::uint64_t integer_max = (1ULL << 53) - 1;

/// A dimension that a spec leaves open. Tensors have none.
inline constexpr std::int64_t free_dimension = -1;

/// An id, a count or a dimension.
constexpr bool is_integer(std::int64_t value, std::int64_t min) noexcept {
    return value >= min && value <= static_cast<std::int64_t>(integer_max);
}

/// A time or an amount of memory. (False for NaN.)
constexpr bool is_quantity(double value) noexcept {
    return value >= 0 && value <= static_cast<double>(integer_max);
}

struct Limits {
    /// A whole frame, prefix included. What a host may set.
    std::uint64_t frame_bytes_max{256ULL << 20};

    /// The JSON header. A hello with all WebGPU limits takes 3 KiB; a shader's text is the longest
    /// thing that callers put here.
    std::uint32_t header_bytes_max{1U << 20};

    /// Nesting of the header, `parameters` and `info` included.
    std::size_t json_depth_max{32};

    std::size_t tensor_count_max{1024};
    std::size_t dimension_count_max{16};

    /// Names of tensors, models, operations and engines, and URLs.
    std::size_t name_bytes_max{1024};

    /// Messages of errors and events.
    std::size_t text_bytes_max{16 << 10};

    /// Entries of a list of capabilities: adapter limits, device types, model inputs.
    std::size_t list_count_max{1024};
};

} // namespace everpool::wire
