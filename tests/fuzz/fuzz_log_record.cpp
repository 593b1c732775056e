// One fragment of a log, anywhere in a block, and the body of a record that it may hold.
// SPDX-License-Identifier: BSL-1.0
//
// Input: what to mend (log_seal.hpp) u8 | place in the block, in eights, u16 | the fragment; the
// file ends with it.
#include "everpool/log/record_body.hpp"
#include "everpool/log/segment_reader.hpp"
#include "everpool/log/segment_writer.hpp"
#include "fuzz.hpp"
#include "log_seal.hpp"
#include "support/run_length_compressor.hpp"

namespace {

using namespace everpool;
using namespace everpool::log;
using fuzz::require;

constexpr std::size_t raw_bytes_max = 100'000;

void check_fragment(std::span<const std::byte> segment, std::uint64_t at, std::uint32_t seed,
                    const FragmentHeader& header, std::span<const std::byte> payload) {
    require(payload.data() == segment.data() + at + fragment_header_bytes,
            "a payload stands behind its header");
    require(payload.size() == header.length, "a payload is as long as its header says");
    require(at + fragment_header_bytes + padded(payload.size()) <= segment.size(),
            "a fragment lies in the file");
    require(fragment_header_bytes + padded(payload.size()) <= left_of_block(at),
            "a fragment lies in its block");
    require(header.synced < header.lsn, "a record was not durable before it was written");
    std::vector<std::byte> again =
        fuzz::copy_of(segment.subspan(at, fragment_header_bytes + padded(payload.size())));
    require(seal_fragment(again.data(), header, seed) == header.crc,
            "a fragment that is taken is one that a writer makes");
}

/// What is taken as a body can be written as a record, and is read back.
void check_body(std::span<const std::byte> body, bool is_compressed) {
    SegmentHeader header{.log = {}, .index = 1, .first = {1}};
    const auto encoded = encode_segment_header(header);
    std::vector<std::byte> segment(encoded.begin(), encoded.end());
    SegmentWriter writer(header.log, 1, Lsn{1}, 0);
    writer.append(Lsn{1}, Lsn{0}, body, is_compressed, segment);
    SegmentReader reader(segment, header);
    LogRecord record;
    require(reader.next(record), "a record that was written is read");
    require(fuzz::is_same(record.body, body), "a record is read as it was written");
    require(record.is_compressed == is_compressed, "a record's flag is read as it was written");
    require(!reader.next(record) && reader.end().is_clean, "there is one record");
}

void check_compressed(std::span<const std::byte> stored) {
    const test::RunLengthCompressor compressor;
    std::vector<std::byte> raw;
    if (!decompress_body(stored, raw_bytes_max, compressor, raw)) {
        require(raw.empty(), "what is refused leaves nothing behind");
        return;
    }
    require(raw.size() <= raw_bytes_max, "a body is bounded");
    std::vector<std::byte> again;
    if (!compress_body(raw, compressor, again)) return;
    std::vector<std::byte> back;
    require(decompress_body(again, raw_bytes_max, compressor, back) && back == raw,
            "a body that was compressed comes back");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto input = fuzz::bytes_of(data, size);
    if (input.size() < 3) return 0;
    const auto mend = load<std::uint8_t>(input.data());
    const auto place = std::size_t{load<std::uint16_t>(input.data() + 1)} * 8 % block_bytes;
    const std::uint64_t at = next_fragment(segment_header_bytes + place);
    std::vector<std::byte> segment(at);
    segment.insert(segment.end(), input.begin() + 3, input.end());
    const std::uint32_t seed = fragment_seed(LogId{}, 1);
    if ((mend & fuzz::mend_fragments) != 0 && segment.size() - at >= fragment_header_bytes)
        fuzz::mend_fragment(segment, at, seed);
    const std::vector<std::byte> exact = fuzz::copy_of(segment);

    FragmentHeader header;
    std::span<const std::byte> payload;
    if (FragmentDecoder(exact, seed).read(at, header, payload) == FragmentFault::none) {
        check_fragment(exact, at, seed, header, payload);
        check_body(payload, (header.flags & flag_compressed) != 0);
        check_compressed(payload);
    }
    check_compressed(input.subspan(3));
    return 0;
}
