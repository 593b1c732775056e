// Everpool log: the framing. A record is one fragment, or several where it crosses blocks.
// SPDX-License-Identifier: BSL-1.0
//
//      offset  bytes
//           0      4   crc: CRC-32C of log id, segment index, bytes 4 to 31, payload, zeroes after
//           4      2   length of the payload, without the zeroes
//           6      1   type: 1 full, 2 first, 3 middle, 4 last
//           7      1   flags: 1 the record's body is compressed (record_body.hpp)
//           8      8   lsn of the record
//          16      8   synced lsn: the last record known to be durable when this was written
//          24      4   chain: over the crc of every fragment of the log before this one
//          28      4   reserved: 0
//          32      n   payload
//        32+n    0-7   zeroes up to a multiple of 8
//
// So fragments begin at multiples of 8, and every bit of them is in their crc. The log id and the
// index in it keep what was once written for another segment, into the same sectors, from being
// taken for this one's; the chain keeps fragments of this one from being left out or put elsewhere:
//
//     chain after a fragment = crc32c_extend(chain before it, its crc)
//
// A fragment never crosses a block. Where less than fragment_bytes_min is left of a block, nothing
// begins: these bytes are zeroes and are not read. A record's first and middle fragments reach
// to the end of their block; only a full one may be empty. Each record has one form only.
//
// After the last fragment there are zeroes; type 0 means nothing was written.
#pragma once

#include "everpool/log/crc32c.hpp"
#include "everpool/log/little_endian.hpp"
#include "everpool/log/log_id.hpp"
#include "everpool/log/segment.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace everpool::log {

inline constexpr std::size_t fragment_header_bytes = 32;
/// The least that a fragment needs: its header, and room for a payload.
inline constexpr std::size_t fragment_bytes_min = fragment_header_bytes + 8;
inline constexpr std::size_t fragment_payload_max = block_bytes - fragment_header_bytes;
/// The longest body of a record, as it is stored. A reader takes no more memory than this.
inline constexpr std::size_t record_bytes_max = std::size_t{64} << 20;
/// The unit that a disk writes whole or not at all.
inline constexpr std::size_t sector_bytes = 512;

static_assert(fragment_payload_max <= UINT16_MAX, "a length fits into its field");
static_assert(fragment_header_bytes % 8 == 0 && block_bytes % 8 == 0, "fragments stay aligned");

enum class FragmentType : std::uint8_t { nothing = 0, full = 1, first = 2, middle = 3, last = 4 };

inline constexpr std::uint8_t flag_compressed = 1;

struct FragmentHeader {
    std::uint32_t crc{0};
    std::uint16_t length{0};
    FragmentType type{};
    std::uint8_t flags{0};
    Lsn lsn;
    Lsn synced;
    std::uint32_t chain{0};

    friend bool operator==(const FragmentHeader&, const FragmentHeader&) = default;
};

constexpr std::size_t padded(std::size_t bytes) noexcept { return (bytes + 7) & ~std::size_t{7}; }

/// What is left of the block that `offset`, in a segment, lies in: from 1 to block_bytes.
constexpr std::size_t left_of_block(std::uint64_t offset) noexcept {
    return block_bytes - (offset - segment_header_bytes) % block_bytes;
}

/// Where the next fragment begins when those before it end at `offset`.
constexpr std::uint64_t next_fragment(std::uint64_t offset) noexcept {
    const std::size_t left = left_of_block(offset);
    return left < fragment_bytes_min ? offset + left : offset;
}

/// What the checksum of every fragment of a segment begins with.
std::uint32_t fragment_seed(const LogId& log, std::uint64_t segment_index) noexcept;

/// Writes header and crc before a payload that is in place already, zeroes after it included.
/// `header.crc` counts as 0; returns the crc.
std::uint32_t seal_fragment(std::byte* fragment, const FragmentHeader& header,
                            std::uint32_t seed) noexcept;

/// Why bytes are no fragment.
enum class FragmentFault : std::uint8_t {
    none,
    nothing,    ///< the header is all zeroes
    cut_off,    ///< the file ends before the fragment does
    impossible, ///< no writer makes such a header, or none at this place of a block
    checksum,   ///< it differs
};

/// Reads single fragments of one segment; what lies between them is the segment reader's matter.
class FragmentDecoder {
public:
    /// `segment`: the file from its first byte.
    FragmentDecoder(std::span<const std::byte> segment, std::uint32_t seed) noexcept
        : segment_(segment), seed_(seed) {}

    /// The fragment at `offset`, a multiple of 8 with at least fragment_bytes_min left of its
    /// block. `header` is what stands there unless it is cut off; `payload` means something without
    /// fault.
    FragmentFault read(std::uint64_t offset, FragmentHeader& header,
                       std::span<const std::byte>& payload) const noexcept;

    /// Only the header; FragmentFault::none: a writer could have made it.
    FragmentFault read_header(std::uint64_t offset, FragmentHeader& header) const noexcept;

    [[nodiscard]] std::span<const std::byte> segment() const noexcept { return segment_; }

private:
    [[nodiscard]] static bool is_possible(const FragmentHeader& header, std::uint32_t reserved,
                                          std::uint64_t offset) noexcept;

    std::span<const std::byte> segment_;
    std::uint32_t seed_;
};

// -------------------------------------------------------------------------------------------------

inline std::uint32_t fragment_seed(const LogId& log, std::uint64_t segment_index) noexcept {
    std::array<std::byte, 24> bytes;
    std::memcpy(bytes.data(), log.bytes.data(), 16);
    store(bytes.data() + 16, segment_index);
    return crc32c(bytes);
}

inline std::uint32_t seal_fragment(std::byte* fragment, const FragmentHeader& header,
                                   std::uint32_t seed) noexcept {
    store(fragment + 4, header.length);
    store(fragment + 6, static_cast<std::uint8_t>(header.type));
    store(fragment + 7, header.flags);
    store(fragment + 8, header.lsn.value);
    store(fragment + 16, header.synced.value);
    store(fragment + 24, header.chain);
    store(fragment + 28, std::uint32_t{0});
    const std::size_t bytes = fragment_header_bytes + padded(header.length);
    const std::uint32_t crc = crc32c_extend(seed, std::span(fragment + 4, bytes - 4));
    store(fragment, crc);
    return crc;
}

inline bool FragmentDecoder::is_possible(const FragmentHeader& header, std::uint32_t reserved,
                                         std::uint64_t offset) noexcept {
    const std::size_t room = left_of_block(offset) - fragment_header_bytes;
    if (header.length > room || header.lsn <= header.synced || header.lsn.value > number_max ||
        header.flags > flag_compressed || reserved != 0)
        return false;
    switch (header.type) {
    case FragmentType::full: return true;
    case FragmentType::first:
    case FragmentType::middle: return header.length == room;
    case FragmentType::last: return header.length != 0;
    case FragmentType::nothing: break;
    }
    return false;
}

inline FragmentFault FragmentDecoder::read_header(std::uint64_t offset,
                                                  FragmentHeader& header) const noexcept {
    if (offset > segment_.size() || segment_.size() - offset < fragment_header_bytes)
        return FragmentFault::cut_off;
    const std::byte* at = segment_.data() + offset;
    const auto words = load<std::uint64_t>(at);
    header.crc = static_cast<std::uint32_t>(words);
    header.length = static_cast<std::uint16_t>(words >> 32);
    header.type = static_cast<FragmentType>(words >> 48 & 0xff);
    header.flags = static_cast<std::uint8_t>(words >> 56);
    header.lsn.value = load<std::uint64_t>(at + 8);
    header.synced.value = load<std::uint64_t>(at + 16);
    header.chain = load<std::uint32_t>(at + 24);
    const auto reserved = load<std::uint32_t>(at + 28);
    if (is_possible(header, reserved, offset)) return FragmentFault::none;
    const bool is_zero = words == 0 && header.lsn.value == 0 && header.synced.value == 0 &&
                         header.chain == 0 && reserved == 0;
    return is_zero ? FragmentFault::nothing : FragmentFault::impossible;
}

inline FragmentFault FragmentDecoder::read(std::uint64_t offset, FragmentHeader& header,
                                           std::span<const std::byte>& payload) const noexcept {
    const FragmentFault fault = read_header(offset, header);
    if (fault != FragmentFault::none) return fault;
    const std::size_t bytes = fragment_header_bytes + padded(header.length);
    if (segment_.size() - offset < bytes) return FragmentFault::cut_off;
    const auto fragment = segment_.subspan(offset, bytes);
    if (crc32c_extend(seed_, fragment.subspan(4)) != header.crc) return FragmentFault::checksum;
    payload = fragment.subspan(fragment_header_bytes, header.length);
    return FragmentFault::none;
}

} // namespace everpool::log
