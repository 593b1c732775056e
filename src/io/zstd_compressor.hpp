// Everpool doors: bodies made smaller by zstd.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/compressor.hpp"

#include <memory>

namespace everpool::io {

/// Level 1: five times smaller for what states look like, at 500 MB/s; higher levels cost more than
/// they save on any disk. Contexts are kept for the next call, because making one costs more than a
/// record of a kilobyte (16 us instead of 5; 13 instead of 2 to decompress): a few of them, of half
/// a megabyte at most each. More threads at the same time make their own.
class ZstdCompressor final : public log::Compressor {
public:
    ZstdCompressor();
    ~ZstdCompressor() override;

    [[nodiscard]] bool compress(std::span<const std::byte> raw,
                                std::vector<std::byte>& out) const override;
    [[nodiscard]] bool decompress(std::span<const std::byte> frame, std::size_t raw_bytes,
                                  std::vector<std::byte>& out) const override;

private:
    struct Contexts;
    const std::unique_ptr<Contexts> contexts_;
};

} // namespace everpool::io
