// Segments for tests, together with what was written into them.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/segment_reader.hpp"
#include "everpool/log/segment_writer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace everpool::test {

using namespace everpool::log;

/// Bytes without a zero among them, so that a missing sector is never taken for a body's own.
inline std::vector<std::byte> body_of(std::uint64_t seed, std::size_t bytes) {
    std::vector<std::byte> body(bytes);
    std::uint64_t state = seed * 0x9e37'79b9'7f4a'7c15ULL + 1;
    for (std::byte& byte : body) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        byte = static_cast<std::byte>(1 + (state >> 33) % 255);
    }
    return body;
}

struct WrittenRecord {
    Lsn lsn;
    Lsn synced;
    std::vector<std::byte> body;
    bool is_compressed{false};
    std::uint64_t begin{0}; ///< where its first fragment begins
    std::uint64_t end{0};   ///< where its last one ends
};

inline LogId some_log(std::uint8_t number = 1) {
    LogId log;
    for (std::size_t i = 0; i < log.bytes.size(); ++i)
        log.bytes[i] = static_cast<std::uint8_t>(number + 17 * i);
    return log;
}

/// A segment as it stands on disk, and the truth about it.
class TestSegment {
public:
    explicit TestSegment(SegmentHeader with = {.log = some_log(), .index = 3, .first = {1}})
        : header(with), writer(with.log, with.index, with.first, with.chain) {
        const auto encoded = encode_segment_header(with);
        bytes.assign(encoded.begin(), encoded.end());
    }

    void append(std::size_t body_bytes, Lsn synced = {}, bool is_compressed = false) {
        const Lsn lsn = writer.next();
        const std::uint64_t begin = next_fragment(writer.offset());
        records.push_back({lsn, synced, body_of(lsn.value, body_bytes), is_compressed, begin, 0});
        writer.append(lsn, synced, records.back().body, is_compressed, bytes);
        records.back().end = writer.offset();
    }

    /// Records until only `left` bytes are left of the block.
    void fill_block(std::size_t left) {
        while (left_of_block(writer.offset()) > left + 4096) append(2000);
        const std::size_t now = left_of_block(writer.offset());
        if (now > left) append(now - left - fragment_header_bytes);
    }

    void add_zeroes(std::size_t count) { bytes.resize(bytes.size() + count); }

    SegmentHeader header;
    SegmentWriter writer;
    std::vector<std::byte> bytes;
    std::vector<WrittenRecord> records;
};

/// What a reader made of it.
struct Reading {
    FormatError header{};
    std::size_t count{0};   ///< records
    bool is_a_prefix{true}; ///< of what was written, each in every detail
    SegmentEnd end;

    [[nodiscard]] LogEnding ending() const { return ending_of(end, false, {}); }
    [[nodiscard]] bool is_durable_data_lost() const { return log::is_durable_data_lost(end, {}); }
};

inline bool is_same(const LogRecord& read, const WrittenRecord& written) {
    return read.lsn == written.lsn && read.synced == written.synced &&
           read.is_compressed == written.is_compressed && read.offset == written.begin &&
           read.body.size() == written.body.size() &&
           (read.body.empty() ||
            std::memcmp(read.body.data(), written.body.data(), read.body.size()) == 0);
}

/// Goes on reading; `reader` stands after the first `count` records.
inline Reading read_on(SegmentReader& reader, std::size_t count,
                       const std::vector<WrittenRecord>& truth) {
    Reading result{.header = FormatError::ok, .count = count, .is_a_prefix = true, .end = {}};
    for (LogRecord record; reader.next(record); ++result.count)
        if (result.count >= truth.size() || !is_same(record, truth[result.count]))
            result.is_a_prefix = false;
    result.end = reader.end();
    return result;
}

inline Reading read_all(std::span<const std::byte> bytes, const TestSegment& segment) {
    SegmentHeader header;
    const FormatError error =
        decode_segment_header(bytes, segment.header.log, segment.header.index, header);
    if (error != FormatError::ok)
        return {.header = error, .count = 0, .is_a_prefix = true, .end = {}};
    SegmentReader reader(bytes, header);
    return read_on(reader, 0, segment.records);
}

} // namespace everpool::test
