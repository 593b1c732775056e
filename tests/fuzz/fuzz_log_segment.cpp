// A whole segment of a log: what a reader takes is what a writer makes, and it comes to an end.
// SPDX-License-Identifier: BSL-1.0
//
// Input: what to mend (log_seal.hpp) u8 | the header's 64 bytes | block 0 and what follows.
#include "everpool/log/segment_reader.hpp"
#include "everpool/log/segment_writer.hpp"
#include "fuzz.hpp"
#include "log_seal.hpp"

namespace {

using namespace everpool;
using namespace everpool::log;
using fuzz::require;

std::vector<std::byte> segment_of(std::span<const std::byte> input, std::uint8_t mend) {
    const std::size_t header_bytes = std::min(input.size(), file_header_bytes);
    std::vector<std::byte> segment = fuzz::copy_of(input.first(header_bytes));
    if ((mend & fuzz::mend_header) != 0) fuzz::mend_file_header(segment, false);
    if (input.size() <= file_header_bytes) return segment;
    segment.resize(segment_header_bytes);
    segment.insert(segment.end(), input.begin() + file_header_bytes, input.end());
    SegmentHeader header;
    if (decode_segment_header(segment, header) == FormatError::ok &&
        (mend & fuzz::mend_fragments) != 0)
        fuzz::mend_all_fragments(segment, fragment_seed(header.log, header.index), header.chain,
                                 (mend & fuzz::mend_chain) != 0);
    return fuzz::copy_of(segment);
}

void check_end(const SegmentEnd& end, std::span<const std::byte> segment) {
    const auto after = segment.subspan(std::min<std::size_t>(end.offset, segment.size()));
    require(end.bytes_after == used_bytes(after), "what follows the end is counted");
    require(end.bad_offset >= end.offset, "what is bad follows what is good");
    require(!end.reason.empty(), "an end has a reason");
    require(!end.is_clean || end.bytes_after == 0, "nothing follows a clean end");
    require(!end.is_clean || end.synced_later == Lsn{}, "nothing speaks after a clean end");
    const LogEnding ending = ending_of(end, false, {});
    require(end.is_clean == (ending == LogEnding::clean), "a clean end is called so");
    require(!is_durable_data_lost(end, {}) || ending == LogEnding::corruption,
            "what was durable is lost by corruption only");
}

/// Reads from the start; what was read, written again, ends in the same place.
void check_prefix(std::span<const std::byte> segment, const SegmentHeader& header, bool is_mended) {
    SegmentReader reader(segment, header);
    SegmentWriter writer(header.log, header.index, header.first, header.chain);
    std::vector<std::byte> again;
    LogRecord record;
    std::uint64_t end = segment_header_bytes;
    while (reader.next(record)) {
        require(record.lsn == writer.next(), "records come in order and without gaps");
        require(record.offset >= end && reader.offset() > record.offset, "records do not overlap");
        require(reader.offset() <= segment.size(), "a record lies in the file");
        require(record.body.size() <= segment.size(), "a body is a part of the file");
        end = reader.offset();
        writer.append(record.lsn, record.synced, record.body, record.is_compressed, again);
        require(writer.offset() == end, "each record has one form only");
    }
    require(!is_mended || writer.chain() == reader.chain(), "each record has one form only");
    require(reader.end().expected == writer.next(), "an end names the record that is not there");
    require(reader.end().offset == end, "an end is where the last record ended");
    check_end(reader.end(), segment);
}

void check_salvage(std::span<const std::byte> segment, const SegmentHeader& header) {
    SegmentReader reader(segment, header);
    LogRecord record;
    Lsn last{};
    std::uint64_t end = segment_header_bytes;
    std::size_t turns = 0;
    do {
        while (reader.next(record)) {
            require(last < record.lsn, "salvaged records come in order");
            require(record.offset >= end, "salvaged records do not overlap");
            last = record.lsn;
            end = reader.offset();
        }
        check_end(reader.end(), segment);
        require(++turns <= segment.size() / fragment_header_bytes + 1, "salvage comes to an end");
    } while (reader.skip());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = fuzz::bytes_of(data, size);
    if (input.empty()) return 0;
    const auto mend = load<std::uint8_t>(input.data());
    const std::vector<std::byte> segment = segment_of(input.subspan(1), mend);
    SegmentHeader header;
    if (decode_segment_header(segment, header) != FormatError::ok) return 0;
    const auto encoded = encode_segment_header(header);
    require(fuzz::is_same(std::span(encoded).first(file_header_bytes),
                          std::span(segment).first(file_header_bytes)),
            "a header that is taken is one that a writer makes");
    check_prefix(segment, header, (mend & fuzz::mend_fragments) != 0);
    check_salvage(segment, header);
    require(highest_synced(segment, header) >= header.synced, "the header speaks as well");
    return 0;
}
