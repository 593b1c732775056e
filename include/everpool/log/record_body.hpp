// Everpool log: a body that is stored compressed.
// SPDX-License-Identifier: BSL-1.0
//
//      offset  bytes
//           0      4   how many bytes it holds
//           4      n   a frame of the compressor's
//
// The size comes first, so that it can be refused before any memory is taken for it.
#pragma once

#include "everpool/log/compressor.hpp"
#include "everpool/log/little_endian.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace everpool::log {

/// Appends `raw` to `out` as above. False: that would not make it smaller, or the compressor could
/// not; `out` is as it was, and the body is to be stored as it is.
inline bool compress_body(std::span<const std::byte> raw, const Compressor& compressor,
                          std::vector<std::byte>& out) {
    if (raw.size() > UINT32_MAX) return false;
    const std::size_t before = out.size();
    out.resize(before + 4);
    store(out.data() + before, static_cast<std::uint32_t>(raw.size()));
    if (compressor.compress(raw, out) && out.size() - before < raw.size()) return true;
    out.resize(before);
    return false;
}

/// Appends what `stored` holds to `out`. False: it is damaged or holds more than raw_bytes_max;
/// `out` is as it was. Throws std::bad_alloc, as the compressor does.
inline bool decompress_body(std::span<const std::byte> stored, std::size_t raw_bytes_max,
                            const Compressor& compressor, std::vector<std::byte>& out) {
    if (stored.size() < 4) return false;
    const auto raw_bytes = load<std::uint32_t>(stored.data());
    return raw_bytes <= raw_bytes_max && compressor.decompress(stored.subspan(4), raw_bytes, out);
}

} // namespace everpool::log
