// Everpool log: the bytes of one segment to records, and how it ends.
// SPDX-License-Identifier: BSL-1.0
//
//     SegmentReader reader(segment, header); // header: from decode_segment_header()
//     LogRecord record;
//     while (reader.next(record)) use(record.lsn, record.body);
//     const SegmentEnd& end = reader.end();
//
// Records come whole, in order and without gaps, until the first byte that is not what a writer of
// this segment wrote; nothing after it is given. Why it ended there is told from what is there (L
// is the number of the record that was expected):
//
//  1. Nothing was written after the last record. Only zeroes follow: clean.
//  2. The file was cut short in a record, or the system stopped in the midst of writing it. Sectors
//     of it are missing: zeroes stand there, or the file ends. Whoever waited for it to be durable
//     never got an answer. Torn tail.
//  3. As 2, and the disk had reordered writes that were not made durable yet: sectors of L are
//     missing, and later records are there. None of them says that L had been synced, since each
//     was written before such a sync. Torn tail.
//  4. A bit flipped, or a sector was lost or overwritten, in a record that was durable long ago.
//     Some record was written after it that says so (`synced` >= L): corruption, and durable data
//     is lost; however many sectors are missing.
//  5. A bit flipped in one of the last records, and nothing written later can tell. All its sectors
//     are there, yet they are wrong. A disk writes a sector whole or not at all, so no crash does
//     this: corruption.
//  6. The fragment is whole by its checksum but stands in the wrong place (a record is missing
//     before it, or it is there twice): as 4, or else as 5.
//  7. A bit flipped in the zeroes after the end: where the next header would begin, as 5; later, as
//     2, for it cannot be told from it. No record is lost either way.
//  8. As 5, but the record holds a sector of zeroes by itself: taken for 2. Harmless, except for
//     how it is called: the records that count are the same.
//
// A bit in what is never read (the header's area from byte 64 on, and a block's end too small for a
// fragment) changes nothing.
#pragma once

#include "everpool/log/fragment.hpp"
#include "everpool/log/fragment_scan.hpp"
#include "everpool/log/log_id.hpp"
#include "everpool/log/segment.hpp"
#include "everpool/recovery_report.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::log {

struct LogRecord {
    Lsn lsn;
    Lsn synced;                      ///< the last record known to be durable when it was written
    std::span<const std::byte> body; ///< valid until next() is called, or the segment is gone
    bool is_compressed{false};       ///< see record_body.hpp
    std::uint64_t offset{0};         ///< where in the segment its first fragment begins
};

struct SegmentEnd {
    Lsn expected;            ///< the record that is not there
    std::uint64_t offset{0}; ///< bytes of the segment that count: the records before it are whole
    std::uint64_t bad_offset{0};     ///< of the fragment that ended it: a part of `expected`
    std::uint32_t chain{0};          ///< at `offset`: a segment that goes on from here begins so
    bool is_clean{false};            ///< only zeroes follow
    bool has_missing_sectors{false}; ///< as an unfinished write leaves behind; true if clean
    Lsn synced_later;                ///< the highest `synced` of any valid fragment that follows
    std::uint64_t bytes_after{0};    ///< after `offset`, up to the last byte that is not zero
    std::string_view reason;         ///< "the checksum differs"; lives for ever

    /// "record 12: the checksum differs"
    [[nodiscard]] std::string text() const;
};

class SegmentReader {
public:
    /// `segment`: the file from its first byte, all of it or as far as it shall be read; must
    /// outlive this. Its header has been found to be the right one.
    SegmentReader(std::span<const std::byte> segment, const SegmentHeader& header) noexcept
        : decoder_(segment, fragment_seed(header.log, header.index)),
          expected_(header.first),
          chain_(header.chain) {}

    /// The next record. False: the segment ends here, see end(). Throws nothing but std::bad_alloc,
    /// for the body of a record of several fragments, which has at most record_bytes_max.
    [[nodiscard]] bool next(LogRecord& record);

    /// Once next() said false.
    [[nodiscard]] const SegmentEnd& end() const noexcept { return end_; }

    /// For salvage, once next() said false: goes on at the next record that is whole by itself,
    /// with a number not below the one expected. expected() then tells how many are missing. False:
    /// none.
    [[nodiscard]] bool skip() noexcept;

    [[nodiscard]] Lsn expected() const noexcept { return expected_; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] std::uint32_t chain() const noexcept { return chain_; }

private:
    /// The fragment at `at`, which has to continue the record that began with `first`, or to begin
    /// one if there is none. False: the segment has ended.
    bool read(std::uint64_t at, std::uint32_t chain, const FragmentHeader* first,
              FragmentHeader& header, std::span<const std::byte>& payload) noexcept;
    bool assemble(std::uint64_t& at, std::uint32_t& chain, const FragmentHeader& first);
    void finish(std::uint64_t bad_offset, bool is_begun, std::string_view reason,
                bool has_missing_sectors) noexcept;

    FragmentDecoder decoder_;
    Lsn expected_;
    std::uint32_t chain_;
    std::uint64_t offset_{segment_header_bytes};
    bool has_ended_{false};
    SegmentEnd end_;
    std::vector<std::byte> body_;
};

/// The highest `synced` that a segment behind the end of the log speaks of, be it read or not.
Lsn highest_synced(std::span<const std::byte> segment, const SegmentHeader& header) noexcept;

/// How the log ended, by the scenarios above. `has_later_segments`: there are some, and they do not
/// go on where this one ends; `synced_later`: the highest that they speak of.
LogEnding ending_of(const SegmentEnd& end, bool has_later_segments, Lsn synced_later) noexcept;

/// Whether a record is lost that had been durable.
bool is_durable_data_lost(const SegmentEnd& end, Lsn synced_later) noexcept;

// -------------------------------------------------------------------------------------------------

namespace detail {

constexpr std::string_view reason_of(FragmentFault fault) noexcept {
    switch (fault) {
    case FragmentFault::none: break;
    case FragmentFault::nothing: return "nothing was written there";
    case FragmentFault::cut_off: return "the file ends within it";
    case FragmentFault::impossible: return "its header is impossible";
    case FragmentFault::checksum: return "the checksum differs";
    }
    return {};
}

/// Why a fragment that is whole is not the one that was to come; empty: it is.
constexpr std::string_view misplacement(const FragmentHeader& header, const FragmentHeader* first,
                                        Lsn expected, std::uint32_t chain) noexcept {
    const bool is_continued =
        header.type == FragmentType::middle || header.type == FragmentType::last;
    if (header.lsn != expected) return "another record stands in its place";
    if (is_continued != (first != nullptr)) return "a part of it is missing";
    if (first != nullptr && header.flags != first->flags) return "its parts do not fit together";
    if (header.chain != chain) return "the chain of checksums is broken before it";
    return {};
}

} // namespace detail

inline bool SegmentReader::next(LogRecord& record) {
    if (has_ended_) return false;
    std::uint64_t at = next_fragment(offset_);
    std::uint32_t chain = chain_;
    FragmentHeader header;
    std::span<const std::byte> payload;
    if (!read(at, chain, nullptr, header, payload)) return false;
    record.offset = at;
    at += fragment_header_bytes + padded(payload.size());
    chain = crc32c_extend(chain, header.crc);
    if (header.type == FragmentType::first) {
        body_.assign(payload.begin(), payload.end());
        if (!assemble(at, chain, header)) return false;
        payload = body_;
    }
    record.lsn = header.lsn;
    record.synced = header.synced;
    record.body = payload;
    record.is_compressed = (header.flags & flag_compressed) != 0;
    offset_ = at;
    chain_ = chain;
    ++expected_.value;
    return true;
}

inline bool SegmentReader::assemble(std::uint64_t& at, std::uint32_t& chain,
                                    const FragmentHeader& first) {
    FragmentHeader header;
    std::span<const std::byte> payload;
    do {
        at = next_fragment(at);
        if (!read(at, chain, &first, header, payload)) return false;
        if (payload.size() > record_bytes_max - body_.size()) {
            finish(at, true, "it is longer than a record may be", false);
            return false;
        }
        body_.insert(body_.end(), payload.begin(), payload.end());
        chain = crc32c_extend(chain, header.crc);
        at += fragment_header_bytes + padded(payload.size());
    } while (header.type != FragmentType::last);
    return true;
}

inline bool SegmentReader::read(std::uint64_t at, std::uint32_t chain, const FragmentHeader* first,
                                FragmentHeader& header,
                                std::span<const std::byte>& payload) noexcept {
    const FragmentFault fault = decoder_.read(at, header, payload);
    const bool is_begun = first != nullptr;
    if (fault != FragmentFault::none) {
        // What length to believe? A header that no writer makes has none.
        const std::size_t bytes =
            fragment_header_bytes +
            (fault == FragmentFault::checksum ? padded(header.length) : std::size_t{0});
        finish(at, is_begun, detail::reason_of(fault),
               fault == FragmentFault::cut_off ||
                   has_missing_sector(decoder_.segment(), at, bytes));
        return false;
    }
    const auto reason = detail::misplacement(header, first, expected_, chain);
    if (reason.empty()) return true;
    finish(at, is_begun, reason, false);
    return false;
}

inline void SegmentReader::finish(std::uint64_t bad_offset, bool is_begun, std::string_view reason,
                                  bool has_missing_sectors) noexcept {
    has_ended_ = true;
    const auto segment = decoder_.segment();
    const std::size_t after = offset_ < segment.size() ? used_bytes(segment.subspan(offset_)) : 0;
    end_ = {.expected = expected_,
            .offset = offset_,
            .bad_offset = bad_offset,
            .chain = chain_,
            .is_clean = !is_begun && after == 0,
            .has_missing_sectors = has_missing_sectors,
            .synced_later = {},
            .bytes_after = after,
            .reason = reason};
    if (end_.is_clean) {
        end_.reason = "nothing was written there";
        return;
    }
    FragmentScan scan(decoder_, bad_offset, offset_ + after);
    FragmentHeader header;
    for (std::uint64_t at = 0; scan.next(header, at);)
        end_.synced_later = std::max(end_.synced_later, header.synced);
}

inline bool SegmentReader::skip() noexcept {
    if (!has_ended_) return false;
    FragmentScan scan(decoder_, end_.bad_offset, end_.offset + end_.bytes_after);
    FragmentHeader header;
    for (std::uint64_t at = 0; scan.next(header, at);) {
        const bool is_begin =
            header.type == FragmentType::full || header.type == FragmentType::first;
        if (!is_begin || header.lsn < expected_) continue;
        offset_ = at;
        expected_ = header.lsn;
        chain_ = header.chain;
        has_ended_ = false;
        return true;
    }
    return false;
}

inline std::string SegmentEnd::text() const {
    return "record " + std::to_string(expected.value) + ": " + std::string(reason);
}

inline Lsn highest_synced(std::span<const std::byte> segment,
                          const SegmentHeader& header) noexcept {
    const FragmentDecoder decoder(segment, fragment_seed(header.log, header.index));
    FragmentScan scan(decoder, segment_header_bytes, used_bytes(segment));
    Lsn highest = header.synced;
    FragmentHeader fragment;
    for (std::uint64_t at = 0; scan.next(fragment, at);)
        highest = std::max(highest, fragment.synced);
    return highest;
}

inline bool is_durable_data_lost(const SegmentEnd& end, Lsn synced_later) noexcept {
    return std::max(end.synced_later, synced_later) >= end.expected;
}

inline LogEnding ending_of(const SegmentEnd& end, bool has_later_segments,
                           Lsn synced_later) noexcept {
    if (end.is_clean && !has_later_segments) return LogEnding::clean;
    if (is_durable_data_lost(end, synced_later)) return LogEnding::corruption;
    return end.has_missing_sectors ? LogEnding::torn_tail : LogEnding::corruption;
}

} // namespace everpool::log
