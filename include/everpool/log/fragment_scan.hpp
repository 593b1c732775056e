// Everpool log: what can be said of bytes that are not what was expected.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/fragment.hpp"
#include "everpool/log/little_endian.hpp"
#include "everpool/log/segment.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace everpool::log {

/// How many of the bytes there are up to the last one that is not zero.
std::size_t used_bytes(std::span<const std::byte> bytes) noexcept;

/// Whether some sector's part of `count` bytes at `offset` holds nothing but zeroes, or lies behind
/// the file's end: it was never written, or what was written did not reach the disk. A sector of
/// zeroes in a body looks the same, so this is a sign and no proof.
bool has_missing_sector(std::span<const std::byte> file, std::uint64_t offset,
                        std::size_t count) noexcept;

/// Finds the valid fragments of a segment from a place on, whatever lies between them. It looks at
/// each multiple of 8, since a bad fragment's length cannot be trusted; behind a valid one it goes
/// on at that one's end.
class FragmentScan {
public:
    FragmentScan(const FragmentDecoder& decoder, std::uint64_t from, std::uint64_t to) noexcept
        : decoder_(decoder),
          at_(from),
          to_(std::min<std::uint64_t>(to, decoder.segment().size())) {}

    /// The next one: its header, and where it begins. False: there is none.
    bool next(FragmentHeader& header, std::uint64_t& offset) noexcept;

private:
    /// Checksums that differ, per block, before the rest of it is given up: bytes made for it could
    /// ask for 3000. In a log that a disk damaged there are hardly more than one or two.
    static constexpr int misses_max = 64;

    const FragmentDecoder& decoder_;
    std::uint64_t at_;
    std::uint64_t to_;
    int misses_{0};
};

// -------------------------------------------------------------------------------------------------

inline std::size_t used_bytes(std::span<const std::byte> bytes) noexcept {
    std::size_t used = bytes.size();
    const std::byte* const begin = bytes.data();
    // Most of a segment that was just begun is zeroes: 64 bytes a step.
    for (; used >= 64; used -= 64) {
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < 64; i += 8) seen |= load<std::uint64_t>(begin + used - 64 + i);
        if (seen != 0) break;
    }
    while (used != 0 && begin[used - 1] == std::byte{}) --used;
    return used;
}

inline bool has_missing_sector(std::span<const std::byte> file, std::uint64_t offset,
                               std::size_t count) noexcept {
    if (offset > file.size() || file.size() - offset < count) return true;
    while (count != 0) {
        const std::size_t part = std::min<std::size_t>(count, sector_bytes - offset % sector_bytes);
        if (used_bytes(file.subspan(offset, part)) == 0) return true;
        offset += part;
        count -= part;
    }
    return false;
}

inline bool FragmentScan::next(FragmentHeader& header, std::uint64_t& offset) noexcept {
    while (at_ < to_) {
        const std::size_t left = left_of_block(at_);
        if (left == block_bytes) misses_ = 0;
        if (left < fragment_bytes_min || misses_ >= misses_max) {
            at_ += left;
            continue;
        }
        std::span<const std::byte> payload;
        const FragmentFault fault = decoder_.read(at_, header, payload);
        if (fault == FragmentFault::none) {
            offset = at_;
            at_ += fragment_header_bytes + padded(payload.size());
            return true;
        }
        if (fault == FragmentFault::checksum) ++misses_;
        at_ += 8;
    }
    return false;
}

} // namespace everpool::log
