// Everpool log: how large bodies are made smaller. The format knows that a body is compressed, not
// how: a driver brings zstd, so that everpool::core links no library.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace everpool::log {

/// Thread-safe: one object serves writers and readers at the same time.
class Compressor {
public:
    virtual ~Compressor() = default;
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;

    /// Appends one frame that holds `raw` to `out`. False: could not (out of memory); `out` is as
    /// it was.
    [[nodiscard]] virtual bool compress(std::span<const std::byte> raw,
                                        std::vector<std::byte>& out) const = 0;

    /// Appends what `frame` holds to `out`: exactly `raw_bytes` of it. False: the frame is damaged
    /// or holds another number of bytes; `out` is as it was. Never reads or writes further,
    /// whatever the frame says of itself. Throws std::bad_alloc if there is no memory for it, which
    /// says nothing of the frame; `out` is as it was then, too.
    [[nodiscard]] virtual bool decompress(std::span<const std::byte> frame, std::size_t raw_bytes,
                                          std::vector<std::byte>& out) const = 0;

protected:
    Compressor() = default;
};

} // namespace everpool::log
