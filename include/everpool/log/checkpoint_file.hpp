// Everpool log: the envelope of a checkpoint, a file that holds the state after some record, or
// what changed since another checkpoint.
// SPDX-License-Identifier: BSL-1.0
//
//      offset  bytes
//           0      8   magic "EVPCKP\r\n"
//           8      4   format version: 1
//          12      1   kind: 1 full, 2 delta
//          13      1   flags: 1 the body is compressed (record_body.hpp)
//          14      2   reserved: 0
//          16     16   log id
//          32      8   lsn: the last record that is in it
//          40      8   parent: the lsn of the checkpoint that a delta builds on; full: 0
//          48      8   bytes of the body
//          56      4   CRC-32C of bytes 0 to 55 and the body
//          60      4   CRC-32C of bytes 0 to 59: the digest, by which the manifest knows it
//          64      n   body
//
// The file ends with its body: a byte more or less, and it does not count.
#pragma once

#include "everpool/log/crc32c.hpp"
#include "everpool/log/file_header.hpp"
#include "everpool/log/log_id.hpp"
#include "everpool/log/segment.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace everpool::log {

inline constexpr std::uint32_t checkpoint_version = 1;
/// The longest body, both as stored and in full.
inline constexpr std::size_t checkpoint_bytes_max = std::size_t{1} << 30;

enum class CheckpointKind : std::uint8_t { full = 1, delta = 2 };

constexpr std::string_view name_of(CheckpointKind kind) noexcept {
    return kind == CheckpointKind::full ? "full" : "delta";
}

struct CheckpointHeader {
    LogId log;
    CheckpointKind kind{CheckpointKind::full};
    bool is_compressed{false};
    Lsn lsn;    ///< may be 0: the state before the first record
    Lsn parent; ///< below lsn or the same; 0 in a full one

    friend bool operator==(const CheckpointHeader&, const CheckpointHeader&) = default;
};

/// How the manifest knows a checkpoint.
struct CheckpointEntry {
    CheckpointKind kind{CheckpointKind::full};
    Lsn lsn;
    Lsn parent;
    std::uint64_t file_bytes{0};
    std::uint32_t digest{0};

    friend bool operator==(const CheckpointEntry&, const CheckpointEntry&) = default;
};

/// What stands before `body`, which has at most checkpoint_bytes_max.
std::array<std::byte, file_header_bytes>
encode_checkpoint_header(const CheckpointHeader& header, std::span<const std::byte> body) noexcept;

/// The entry for a file that begins with what encode_checkpoint_header() gave.
CheckpointEntry
checkpoint_entry(std::span<const std::byte, file_header_bytes> encoded_header) noexcept;

/// Believes nothing. `header` and `body`, a part of `file`, mean something if the answer is ok.
FormatError decode_checkpoint(std::span<const std::byte> file, CheckpointHeader& header,
                              std::span<const std::byte>& body) noexcept;
/// As above; and foreign, unless it is the very file that the manifest of that log speaks of.
FormatError decode_checkpoint(std::span<const std::byte> file, const LogId& log,
                              const CheckpointEntry& entry, CheckpointHeader& header,
                              std::span<const std::byte>& body) noexcept;

struct CheckpointName {
    CheckpointKind kind{CheckpointKind::full};
    Lsn lsn;
    friend bool operator==(const CheckpointName&, const CheckpointName&) = default;
};

/// "checkpoint-00000000000000a7.full"
std::string checkpoint_name(CheckpointKind kind, Lsn lsn);
std::optional<CheckpointName> parse_checkpoint_name(std::string_view name) noexcept;

// -------------------------------------------------------------------------------------------------

namespace detail {

inline constexpr Magic checkpoint_magic = "EVPCKP\r\n";
static_assert(checkpoint_magic.size() == 8);

/// Over what stands before the checksum's own place, and over what follows the header.
inline std::uint32_t whole_file_crc(const std::byte* header,
                                    std::span<const std::byte> body) noexcept {
    return crc32c_extend(crc32c({header, 56}), body);
}

constexpr bool is_possible_checkpoint(std::uint8_t kind, Lsn lsn, Lsn parent) noexcept {
    if (lsn.value > number_max) return false;
    if (kind == static_cast<std::uint8_t>(CheckpointKind::full)) return parent == Lsn{};
    return kind == static_cast<std::uint8_t>(CheckpointKind::delta) && parent <= lsn;
}

} // namespace detail

inline std::array<std::byte, file_header_bytes>
encode_checkpoint_header(const CheckpointHeader& header, std::span<const std::byte> body) noexcept {
    std::array<std::byte, file_header_bytes> bytes;
    std::byte* const at = bytes.data();
    detail::begin_file_header(at, detail::checkpoint_magic, checkpoint_version, header.log);
    store(at + 12, static_cast<std::uint8_t>(header.kind));
    store(at + 13, static_cast<std::uint8_t>(header.is_compressed ? 1 : 0));
    store(at + 32, header.lsn.value);
    store(at + 40, header.parent.value);
    store(at + 48, std::uint64_t{body.size()});
    store(at + 56, detail::whole_file_crc(at, body));
    detail::seal_file_header(at);
    return bytes;
}

inline CheckpointEntry
checkpoint_entry(std::span<const std::byte, file_header_bytes> encoded_header) noexcept {
    const std::byte* const at = encoded_header.data();
    return {.kind = static_cast<CheckpointKind>(load<std::uint8_t>(at + 12)),
            .lsn = {load<std::uint64_t>(at + 32)},
            .parent = {load<std::uint64_t>(at + 40)},
            .file_bytes = file_header_bytes + load<std::uint64_t>(at + 48),
            .digest = load<std::uint32_t>(at + 60)};
}

inline FormatError decode_checkpoint(std::span<const std::byte> file, CheckpointHeader& header,
                                     std::span<const std::byte>& body) noexcept {
    const FormatError error =
        detail::check_file_header(file, detail::checkpoint_magic, checkpoint_version);
    if (error != FormatError::ok) return error;
    const std::byte* const at = file.data();
    const auto kind = load<std::uint8_t>(at + 12);
    const auto flags = load<std::uint8_t>(at + 13);
    header.log = detail::log_of(at);
    header.kind = static_cast<CheckpointKind>(kind);
    header.is_compressed = flags != 0;
    header.lsn.value = load<std::uint64_t>(at + 32);
    header.parent.value = load<std::uint64_t>(at + 40);
    body = file.subspan(file_header_bytes);
    const bool is_whole = flags <= 1 && load<std::uint16_t>(at + 14) == 0 &&
                          detail::is_possible_checkpoint(kind, header.lsn, header.parent) &&
                          load<std::uint64_t>(at + 48) == body.size() &&
                          body.size() <= checkpoint_bytes_max &&
                          load<std::uint32_t>(at + 56) == detail::whole_file_crc(at, body);
    return is_whole ? FormatError::ok : FormatError::damaged;
}

inline FormatError decode_checkpoint(std::span<const std::byte> file, const LogId& log,
                                     const CheckpointEntry& entry, CheckpointHeader& header,
                                     std::span<const std::byte>& body) noexcept {
    const FormatError error = decode_checkpoint(file, header, body);
    if (error != FormatError::ok) return error;
    const bool is_that_one =
        header.log == log && checkpoint_entry(file.first<file_header_bytes>()) == entry;
    return is_that_one ? FormatError::ok : FormatError::foreign;
}

inline std::string checkpoint_name(CheckpointKind kind, Lsn lsn) {
    return "checkpoint-" + detail::hex_of(lsn.value) + '.' + std::string(name_of(kind));
}

inline std::optional<CheckpointName> parse_checkpoint_name(std::string_view name) noexcept {
    for (const CheckpointKind kind : {CheckpointKind::full, CheckpointKind::delta}) {
        const std::string_view suffix = kind == CheckpointKind::full ? ".full" : ".delta";
        if (const auto lsn = detail::number_in(name, "checkpoint-", suffix))
            return CheckpointName{kind, Lsn{*lsn}};
    }
    return std::nullopt;
}

} // namespace everpool::log
