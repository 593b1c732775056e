// A compressor for tests of what is around one: so plain that it needs no library.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/compressor.hpp"

#include <algorithm>

namespace everpool::test {

/// A frame is pairs of a count, 1 to 255, and the byte that stands so many times.
class RunLengthCompressor final : public log::Compressor {
public:
    [[nodiscard]] bool compress(std::span<const std::byte> raw,
                                std::vector<std::byte>& out) const override {
        for (std::size_t at = 0; at < raw.size();) {
            std::size_t run = 1;
            while (run < 255 && at + run < raw.size() && raw[at + run] == raw[at]) ++run;
            out.push_back(static_cast<std::byte>(run));
            out.push_back(raw[at]);
            at += run;
        }
        return true;
    }

    [[nodiscard]] bool decompress(std::span<const std::byte> frame, std::size_t raw_bytes,
                                  std::vector<std::byte>& out) const override {
        std::size_t total = 0;
        for (std::size_t at = 0; at < frame.size(); at += 2) {
            if (at + 1 == frame.size() || frame[at] == std::byte{}) return false;
            total += std::to_integer<std::size_t>(frame[at]);
        }
        if (total != raw_bytes) return false;
        for (std::size_t at = 0; at < frame.size(); at += 2)
            out.insert(out.end(), std::to_integer<std::size_t>(frame[at]), frame[at + 1]);
        return true;
    }
};

} // namespace everpool::test
