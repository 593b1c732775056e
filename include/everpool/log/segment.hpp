// Everpool log: a segment, one file of the log: its header, its blocks, its name.
// SPDX-License-Identifier: BSL-1.0
//
//      offset  bytes
//           0      8   magic "EVPLOG\r\n"; the line end shows a copy made as text
//           8      4   format version: 1
//          12      4   reserved: 0
//          16     16   log id
//          32      8   segment index: from 1; each is used once in a log's life
//          40      8   first lsn: of the first record that begins here
//          48      8   synced lsn: the last record known to be durable when this was written
//          56      4   chain at the start
//          60      4   CRC-32C of bytes 0 to 59
//          64   4032   zeroes; not read
//        4096  32768   block 0: fragments (fragment.hpp)
//       36864  32768   block 1
//           …
//
// A segment is made at its full size, which is zeroes then, and may end anywhere: in a block, too.
#pragma once

#include "everpool/log/file_header.hpp"
#include "everpool/log/log_id.hpp"

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace everpool::log {

inline constexpr std::size_t segment_header_bytes = 4096; ///< where block 0 begins
inline constexpr std::size_t block_bytes = 32768;
inline constexpr std::uint32_t segment_version = 1;

static_assert(segment_header_bytes % 512 == 0 && block_bytes % 512 == 0,
              "no sector holds parts of two blocks");

struct SegmentHeader {
    LogId log;
    std::uint64_t index{0};
    Lsn first;
    Lsn synced;
    std::uint32_t chain{0};

    friend bool operator==(const SegmentHeader&, const SegmentHeader&) = default;
};

/// The file's first segment_header_bytes.
std::array<std::byte, segment_header_bytes> encode_segment_header(const SegmentHeader&) noexcept;

/// Believes nothing. `header` means something if the answer is ok.
FormatError decode_segment_header(std::span<const std::byte> file, SegmentHeader& header) noexcept;
/// As above; and foreign, unless it is that segment of that log.
FormatError decode_segment_header(std::span<const std::byte> file, const LogId& log,
                                  std::uint64_t index, SegmentHeader& header) noexcept;

/// "segment-00000000000000a7.log"
std::string segment_name(std::uint64_t index);
/// The index, if the name is one that segment_name() gives.
std::optional<std::uint64_t> segment_index_of(std::string_view name) noexcept;

namespace detail {

inline constexpr Magic segment_magic = "EVPLOG\r\n";
static_assert(segment_magic.size() == 8);

/// 16 digits, small letters: names sort as numbers do.
inline std::string hex_of(std::uint64_t value) {
    std::string digits(16, '0');
    for (std::size_t i = 16; i-- > 0; value >>= 4) digits[i] = "0123456789abcdef"[value & 15];
    return digits;
}

/// The number in "<prefix><16 digits><suffix>", up to number_max.
inline std::optional<std::uint64_t> number_in(std::string_view name, std::string_view prefix,
                                              std::string_view suffix) noexcept {
    if (name.size() != prefix.size() + 16 + suffix.size() || !name.starts_with(prefix) ||
        !name.ends_with(suffix))
        return std::nullopt;
    const std::string_view digits = name.substr(prefix.size(), 16);
    if (digits.find_first_not_of("0123456789abcdef") != digits.npos) return std::nullopt;
    std::uint64_t value = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    if (value > number_max) return std::nullopt;
    return value;
}

} // namespace detail

// -------------------------------------------------------------------------------------------------

inline std::array<std::byte, segment_header_bytes>
encode_segment_header(const SegmentHeader& header) noexcept {
    std::array<std::byte, segment_header_bytes> bytes{};
    detail::begin_file_header(bytes.data(), detail::segment_magic, segment_version, header.log);
    store(bytes.data() + 32, header.index);
    store(bytes.data() + 40, header.first.value);
    store(bytes.data() + 48, header.synced.value);
    store(bytes.data() + 56, header.chain);
    detail::seal_file_header(bytes.data());
    return bytes;
}

inline FormatError decode_segment_header(std::span<const std::byte> file,
                                         SegmentHeader& header) noexcept {
    const FormatError error =
        detail::check_file_header(file, detail::segment_magic, segment_version);
    if (error != FormatError::ok) return error;
    header.log = detail::log_of(file.data());
    header.index = load<std::uint64_t>(file.data() + 32);
    header.first.value = load<std::uint64_t>(file.data() + 40);
    header.synced.value = load<std::uint64_t>(file.data() + 48);
    header.chain = load<std::uint32_t>(file.data() + 56);
    const bool is_possible = load<std::uint32_t>(file.data() + 12) == 0 && header.index != 0 &&
                             header.index <= number_max && header.first.value <= number_max &&
                             header.synced < header.first;
    return is_possible ? FormatError::ok : FormatError::damaged;
}

inline FormatError decode_segment_header(std::span<const std::byte> file, const LogId& log,
                                         std::uint64_t index, SegmentHeader& header) noexcept {
    const FormatError error = decode_segment_header(file, header);
    if (error != FormatError::ok) return error;
    return header.log == log && header.index == index ? FormatError::ok : FormatError::foreign;
}

inline std::string segment_name(std::uint64_t index) {
    return "segment-" + detail::hex_of(index) + ".log";
}

inline std::optional<std::uint64_t> segment_index_of(std::string_view name) noexcept {
    const auto index = detail::number_in(name, "segment-", ".log");
    return index && *index == 0 ? std::nullopt : index;
}

} // namespace everpool::log
