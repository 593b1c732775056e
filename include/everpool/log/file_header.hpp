// Everpool log: what every file of a log begins with, whatever its kind and its version.
// SPDX-License-Identifier: BSL-1.0
//
//      offset  bytes
//           0      8   magic: which kind of file
//           8      4   format version, from 1
//          12      4   (of the kind)
//          16     16   log id
//          32     28   (of the kind)
//          60      4   CRC-32C of bytes 0 to 59
//
// This much holds for all versions that will ever be, so that a file of a newer version is told
// from a damaged one, and is left alone. The header lies in the file's first 512-byte sector, which
// a disk writes whole or not at all: after a crash it is there, or it is not.
#pragma once

#include "everpool/log/crc32c.hpp"
#include "everpool/log/little_endian.hpp"
#include "everpool/log/log_id.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace everpool::log {

inline constexpr std::size_t file_header_bytes = 64;
/// No record or segment on disk has a higher number, so that one more is always a number.
inline constexpr std::uint64_t number_max = UINT64_MAX / 2;

/// What is wrong with a file, as far as its beginning tells, or with a body in it.
enum class FormatError : std::uint8_t {
    ok,
    absent,        ///< nothing was written yet: the header is missing, or nothing but zeroes
    not_ours,      ///< another kind of file
    damaged,       ///< a checksum differs, or the file is too short for what it says
    newer_version, ///< written by a newer version of this library
    foreign,       ///< whole, but of another log, or another file of this one
};

constexpr std::string_view name_of(FormatError error) noexcept {
    switch (error) {
    case FormatError::ok: return "ok";
    case FormatError::absent: return "nothing was written";
    case FormatError::not_ours: return "another kind of file";
    case FormatError::damaged: return "damaged";
    case FormatError::newer_version: return "written by a newer version";
    case FormatError::foreign: return "of another log";
    }
    return "unrecognised";
}

namespace detail {

using Magic = std::string_view; ///< 8 characters

/// Writes magic, version and log id; seal_file_header() comes after the kind's own fields.
inline void begin_file_header(std::byte* header, Magic magic, std::uint32_t version,
                              const LogId& log) noexcept {
    std::memset(header, 0, file_header_bytes);
    std::memcpy(header, magic.data(), 8);
    store(header + 8, version);
    std::memcpy(header + 16, log.bytes.data(), log.bytes.size());
}

inline void seal_file_header(std::byte* header) noexcept {
    store(header + 60, crc32c({header, 60}));
}

inline LogId log_of(const std::byte* header) noexcept {
    LogId log;
    std::memcpy(log.bytes.data(), header + 16, log.bytes.size());
    return log;
}

/// Everything that can be said before the kind's own fields are read.
inline FormatError check_file_header(std::span<const std::byte> file, Magic magic,
                                     std::uint32_t newest_version) noexcept {
    const auto begin = file.first(std::min(file.size(), file_header_bytes));
    if (std::all_of(begin.begin(), begin.end(), [](std::byte b) { return b == std::byte{}; }))
        return FormatError::absent;
    if (begin.size() < file_header_bytes) return FormatError::damaged;
    const std::byte* header = begin.data();
    const bool is_whole = load<std::uint32_t>(header + 60) == crc32c({header, 60});
    if (std::memcmp(header, magic.data(), 8) != 0)
        return is_whole ? FormatError::not_ours : FormatError::damaged;
    if (!is_whole) return FormatError::damaged;
    const auto version = load<std::uint32_t>(header + 8);
    if (version > newest_version) return FormatError::newer_version;
    return version == 0 ? FormatError::damaged : FormatError::ok;
}

} // namespace detail

} // namespace everpool::log
