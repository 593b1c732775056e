// Everpool log: records to the bytes of one segment.
// SPDX-License-Identifier: BSL-1.0
//
//     SegmentWriter writer(log, index, Lsn{1}, 0);
//     std::vector<std::byte> out;
//     writer.append(Lsn{1}, Lsn{0}, body, false, out);
//     file.write(segment_header_bytes, out); // out: what comes after what was there before
#pragma once

#include "everpool/log/fragment.hpp"
#include "everpool/log/log_id.hpp"
#include "everpool/log/segment.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace everpool::log {

class SegmentWriter {
public:
    /// For a segment whose first record is `first` and whose header says `chain`.
    SegmentWriter(const LogId& log, std::uint64_t segment_index, Lsn first,
                  std::uint32_t chain) noexcept
        : seed_(fragment_seed(log, segment_index)), next_(first), chain_(chain) {}

    /// Appends to `out` the bytes that stand at offset(): a block's unused end, and the record.
    /// `lsn` is next(); `synced` is a record before it; `body` has at most record_bytes_max. If
    /// `out` cannot grow (std::bad_alloc), nothing has happened.
    void append(Lsn lsn, Lsn synced, std::span<const std::byte> body, bool is_compressed,
                std::vector<std::byte>& out);

    /// How much append() would add for a body of so many bytes: to see whether it fits.
    [[nodiscard]] std::uint64_t bytes_for(std::size_t body_bytes) const noexcept;

    /// Where the segment ends, with all that was appended; from segment_header_bytes.
    [[nodiscard]] std::uint64_t offset() const noexcept { return offset_; }
    [[nodiscard]] std::uint32_t chain() const noexcept { return chain_; }
    [[nodiscard]] Lsn next() const noexcept { return next_; }

private:
    std::uint32_t seed_;
    Lsn next_;
    std::uint32_t chain_;
    std::uint64_t offset_{segment_header_bytes};
};

// -------------------------------------------------------------------------------------------------

inline std::uint64_t SegmentWriter::bytes_for(std::size_t body_bytes) const noexcept {
    const std::uint64_t begin = next_fragment(offset_);
    const std::size_t room = left_of_block(begin) - fragment_header_bytes;
    std::uint64_t end = begin + fragment_header_bytes + padded(std::min(body_bytes, room));
    if (body_bytes > room) {
        const std::size_t rest = body_bytes - room;
        end += rest / fragment_payload_max * block_bytes;
        if (const std::size_t last = rest % fragment_payload_max; last != 0)
            end += fragment_header_bytes + padded(last);
    }
    return end - offset_;
}

inline void SegmentWriter::append(Lsn lsn, Lsn synced, std::span<const std::byte> body,
                                  bool is_compressed, std::vector<std::byte>& out) {
    assert(lsn == next_ && synced < lsn && body.size() <= record_bytes_max);
    const std::size_t before = out.size();
    out.resize(before + bytes_for(body.size())); // zeroes, which is what lies between
    std::byte* const base = out.data() + before;
    const std::uint64_t start = offset_;
    FragmentHeader header{.type = FragmentType::full,
                          .flags = is_compressed ? flag_compressed : std::uint8_t{0},
                          .lsn = lsn,
                          .synced = synced};
    for (bool is_first = true;; is_first = false) {
        offset_ = next_fragment(offset_);
        const std::size_t room = left_of_block(offset_) - fragment_header_bytes;
        const std::size_t length = std::min(body.size(), room);
        const bool is_last = length == body.size();
        header.length = static_cast<std::uint16_t>(length);
        header.chain = chain_;
        if (!is_first) header.type = is_last ? FragmentType::last : FragmentType::middle;
        else if (!is_last) header.type = FragmentType::first;
        std::byte* const fragment = base + (offset_ - start);
        if (length != 0) std::memcpy(fragment + fragment_header_bytes, body.data(), length);
        chain_ = crc32c_extend(chain_, seal_fragment(fragment, header, seed_));
        offset_ += fragment_header_bytes + padded(length);
        if (is_last) break;
        body = body.subspan(length);
    }
    ++next_.value;
}

} // namespace everpool::log
