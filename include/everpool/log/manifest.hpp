// Everpool log: the manifest, one small file that says what of the directory counts.
// SPDX-License-Identifier: BSL-1.0
//
//      offset  bytes
//           0      8   magic "EVPMAN\r\n"
//           8      4   format version: 1
//          12      2   number of checkpoints, n
//          14      2   number of cuts, m
//          16     16   log id
//          32      8   number of this manifest: each is one above the one that it replaces
//          40      8   first segment: replay needs none before it
//          48      8   next segment: none of this index or above was ever made
//          56      4   CRC-32C of bytes 0 to 55 and of all from byte 64 on
//          60      4   CRC-32C of bytes 0 to 59
//          64   32 n   checkpoints, by lsn: lsn u64 | parent u64 | bytes of file u64 | digest u32
//                      | kind u8 | reserved 3: 0
//     64+32 n   32 m   cuts, by segment: segment u64 | offset u64 | lsn u64 | next segment u64
//
// It is replaced as a whole: written beside itself, synced, renamed, the directory synced. The file
// ends with its last cut: a byte more or less, and it does not count.
#pragma once

#include "everpool/log/checkpoint_file.hpp"
#include "everpool/log/file_header.hpp"
#include "everpool/log/log_id.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace everpool::log {

inline constexpr std::uint32_t manifest_version = 1;
inline constexpr std::size_t manifest_checkpoints_max = 1024;
inline constexpr std::size_t manifest_cuts_max = 1024;

/// Where recovery ended once: what follows `offset` in that segment, and in those between it and
/// `next_segment`, does not count and never will. The log goes on with record `lsn` in a segment
/// that was made later, and damage to such a one is told from what was cut off by its index.
struct LogCut {
    std::uint64_t segment{0}; ///< 0: before the first that there was
    std::uint64_t offset{0};
    Lsn lsn;
    std::uint64_t next_segment{1}; ///< those of this index and above were made after the cut

    friend bool operator==(const LogCut&, const LogCut&) = default;
};

struct Manifest {
    LogId log;
    std::uint64_t number{0};
    std::uint64_t first_segment{1};
    std::uint64_t next_segment{1};
    std::vector<CheckpointEntry> checkpoints; ///< lsn never falls; at most manifest_checkpoints_max
    std::vector<LogCut> cuts;                 ///< segment grows; at most manifest_cuts_max

    friend bool operator==(const Manifest&, const Manifest&) = default;
};

/// Whether all of this segment was cut off.
bool is_cut_off(std::span<const LogCut> cuts, std::uint64_t segment) noexcept;

std::vector<std::byte> encode_manifest(const Manifest& manifest);

/// Believes nothing. `manifest` means something if the answer is ok. Throws nothing but
/// std::bad_alloc, and takes no more memory than some 150 KiB.
FormatError decode_manifest(std::span<const std::byte> file, Manifest& manifest);

// -------------------------------------------------------------------------------------------------

namespace detail {

inline constexpr Magic manifest_magic = "EVPMAN\r\n";
static_assert(manifest_magic.size() == 8);
inline constexpr std::size_t manifest_checkpoint_bytes = 32;
inline constexpr std::size_t manifest_cut_bytes = 32;
static_assert(manifest_checkpoints_max <= UINT16_MAX && manifest_cuts_max <= UINT16_MAX);

/// Whether a writer could have meant it.
inline bool is_possible(const Manifest& manifest) noexcept {
    const auto is_lower = [](const CheckpointEntry& a, const CheckpointEntry& b) {
        return a.lsn < b.lsn;
    };
    const auto does_not_grow = [](const LogCut& a, const LogCut& b) {
        return a.segment >= b.segment;
    };
    const auto is_unlikely = [&](const LogCut& cut) {
        return cut.next_segment <= cut.segment || cut.next_segment > manifest.next_segment;
    };
    return manifest.checkpoints.size() <= manifest_checkpoints_max &&
           manifest.cuts.size() <= manifest_cuts_max &&
           manifest.first_segment <= manifest.next_segment && manifest.next_segment <= number_max &&
           manifest.number <= number_max &&
           std::is_sorted(manifest.checkpoints.begin(), manifest.checkpoints.end(), is_lower) &&
           std::adjacent_find(manifest.cuts.begin(), manifest.cuts.end(), does_not_grow) ==
               manifest.cuts.end() &&
           std::none_of(manifest.cuts.begin(), manifest.cuts.end(), is_unlikely);
}

inline bool read_checkpoints(const std::byte* at, std::size_t count, Manifest& manifest) {
    for (std::size_t i = 0; i < count; ++i, at += manifest_checkpoint_bytes) {
        const auto kind = load<std::uint32_t>(at + 28); // with the reserved bytes
        const CheckpointEntry entry{.kind = static_cast<CheckpointKind>(kind),
                                    .lsn = {load<std::uint64_t>(at)},
                                    .parent = {load<std::uint64_t>(at + 8)},
                                    .file_bytes = load<std::uint64_t>(at + 16),
                                    .digest = load<std::uint32_t>(at + 24)};
        if (kind > UINT8_MAX ||
            !is_possible_checkpoint(static_cast<std::uint8_t>(kind), entry.lsn, entry.parent))
            return false;
        manifest.checkpoints.push_back(entry);
    }
    return true;
}

} // namespace detail

inline bool is_cut_off(std::span<const LogCut> cuts, std::uint64_t segment) noexcept {
    return std::any_of(cuts.begin(), cuts.end(), [&](const LogCut& cut) {
        return segment > cut.segment && segment < cut.next_segment;
    });
}

inline std::vector<std::byte> encode_manifest(const Manifest& manifest) {
    assert(detail::is_possible(manifest));
    std::vector<std::byte> bytes(file_header_bytes +
                                 manifest.checkpoints.size() * detail::manifest_checkpoint_bytes +
                                 manifest.cuts.size() * detail::manifest_cut_bytes);
    std::byte* const header = bytes.data();
    detail::begin_file_header(header, detail::manifest_magic, manifest_version, manifest.log);
    store(header + 12, static_cast<std::uint16_t>(manifest.checkpoints.size()));
    store(header + 14, static_cast<std::uint16_t>(manifest.cuts.size()));
    store(header + 32, manifest.number);
    store(header + 40, manifest.first_segment);
    store(header + 48, manifest.next_segment);
    std::byte* at = header + file_header_bytes;
    for (const CheckpointEntry& entry : manifest.checkpoints) {
        store(at, entry.lsn.value);
        store(at + 8, entry.parent.value);
        store(at + 16, entry.file_bytes);
        store(at + 24, entry.digest);
        store(at + 28, std::uint32_t{static_cast<std::uint8_t>(entry.kind)});
        at += detail::manifest_checkpoint_bytes;
    }
    for (const LogCut& cut : manifest.cuts) {
        store(at, cut.segment);
        store(at + 8, cut.offset);
        store(at + 16, cut.lsn.value);
        store(at + 24, cut.next_segment);
        at += detail::manifest_cut_bytes;
    }
    store(header + 56, detail::whole_file_crc(header, std::span(bytes).subspan(file_header_bytes)));
    detail::seal_file_header(header);
    return bytes;
}

inline FormatError decode_manifest(std::span<const std::byte> file, Manifest& manifest) {
    const FormatError error =
        detail::check_file_header(file, detail::manifest_magic, manifest_version);
    if (error != FormatError::ok) return error;
    const std::byte* const header = file.data();
    const std::size_t checkpoint_count = load<std::uint16_t>(header + 12);
    const std::size_t cut_count = load<std::uint16_t>(header + 14);
    const auto body = file.subspan(file_header_bytes);
    if (body.size() != checkpoint_count * detail::manifest_checkpoint_bytes +
                           cut_count * detail::manifest_cut_bytes ||
        load<std::uint32_t>(header + 56) != detail::whole_file_crc(header, body) ||
        checkpoint_count > manifest_checkpoints_max || cut_count > manifest_cuts_max)
        return FormatError::damaged;
    manifest = {.log = detail::log_of(header),
                .number = load<std::uint64_t>(header + 32),
                .first_segment = load<std::uint64_t>(header + 40),
                .next_segment = load<std::uint64_t>(header + 48),
                .checkpoints = {},
                .cuts = {}};
    if (!detail::read_checkpoints(body.data(), checkpoint_count, manifest))
        return FormatError::damaged;
    const std::byte* at = body.data() + checkpoint_count * detail::manifest_checkpoint_bytes;
    for (std::size_t i = 0; i < cut_count; ++i, at += detail::manifest_cut_bytes)
        manifest.cuts.push_back({.segment = load<std::uint64_t>(at),
                                 .offset = load<std::uint64_t>(at + 8),
                                 .lsn = {load<std::uint64_t>(at + 16)},
                                 .next_segment = load<std::uint64_t>(at + 24)});
    return detail::is_possible(manifest) ? FormatError::ok : FormatError::damaged;
}

} // namespace everpool::log
