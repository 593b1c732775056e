// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "segment_rig.hpp"
#include "support/catch.hpp"

#include <cstdio>
#include <set>
#include <utility>

using namespace everpool;
using namespace everpool::test;

namespace {

/// What the diagrams say of every segment, whatever it holds.
void check_layout(const TestSegment& segment) {
    const FragmentDecoder decoder(segment.bytes,
                                  fragment_seed(segment.header.log, segment.header.index));
    std::uint64_t at = segment_header_bytes;
    FragmentHeader header;
    std::span<const std::byte> payload;
    while (at != segment.writer.offset()) {
        const std::uint64_t begin = next_fragment(at);
        REQUIRE(used_bytes(std::span(segment.bytes).subspan(at, begin - at)) == 0);
        REQUIRE(begin % 8 == 0);
        REQUIRE(decoder.read(begin, header, payload) == FragmentFault::none);
        const std::size_t bytes = fragment_header_bytes + padded(payload.size());
        REQUIRE(bytes <= left_of_block(begin));
        at = begin + bytes;
        REQUIRE(used_bytes(std::span(segment.bytes)
                               .subspan(begin + fragment_header_bytes + payload.size(),
                                        padded(payload.size()) - payload.size())) == 0);
    }
}

void check_round_trip(const TestSegment& segment) {
    const Reading reading = read_all(segment.bytes, segment);
    REQUIRE(reading.header == FormatError::ok);
    REQUIRE(reading.is_a_prefix);
    REQUIRE(reading.count == segment.records.size());
    REQUIRE(reading.end.is_clean);
    REQUIRE(reading.end.offset == segment.writer.offset());
    REQUIRE(reading.end.chain == segment.writer.chain());
    REQUIRE(reading.end.expected == segment.writer.next());
    REQUIRE(reading.ending() == LogEnding::clean);
}

/// A record of more than a record may hold, as no writer makes it: sealed with the right checksums.
std::vector<std::byte> oversized_segment(const SegmentHeader& header, std::size_t body_bytes) {
    const std::uint32_t seed = fragment_seed(header.log, header.index);
    const std::size_t blocks = body_bytes / fragment_payload_max;
    std::vector<std::byte> bytes(segment_header_bytes + (blocks + 1) * block_bytes);
    const auto encoded = encode_segment_header(header);
    std::copy(encoded.begin(), encoded.end(), bytes.begin());
    std::uint32_t chain = header.chain;
    std::byte* at = bytes.data() + segment_header_bytes;
    for (std::size_t i = 0; i < blocks + 1; ++i, at += block_bytes) {
        const bool is_last = i == blocks;
        const std::size_t length =
            is_last ? body_bytes - blocks * fragment_payload_max : fragment_payload_max;
        const FragmentHeader fragment{.length = static_cast<std::uint16_t>(length),
                                      .type = i == 0    ? FragmentType::first
                                              : is_last ? FragmentType::last
                                                        : FragmentType::middle,
                                      .lsn = header.first,
                                      .chain = chain};
        chain = crc32c_extend(chain, seal_fragment(at, fragment, seed));
    }
    return bytes;
}

} // namespace

TEST_CASE("records of every size around a block's edge are read back as they were written") {
    // What is left of the block: nothing, too little for a fragment, just enough, and more.
    const std::set<std::size_t> lefts{
        8,     24,         32, 40,  48,  56,   64,
        72,    80,         96, 104, 512, 1024, block_bytes - fragment_header_bytes,
        32736, block_bytes};
    std::size_t count = 0;
    for (const std::size_t left : lefts) {
        std::set<std::size_t> sizes;
        for (std::size_t size = 0; size <= 96; ++size) sizes.insert(size);
        for (std::size_t blocks = 0; blocks < 4; ++blocks) {
            const std::size_t edge = left + blocks * fragment_payload_max;
            for (std::size_t size = edge - std::min<std::size_t>(edge, 88); size <= edge + 16;
                 ++size)
                sizes.insert(size);
        }
        TestSegment start;
        if (left != block_bytes) start.fill_block(left);
        REQUIRE(left_of_block(start.writer.offset()) == left);
        for (const std::size_t size : sizes) {
            TestSegment segment = start;
            CAPTURE(left, size);
            const std::uint64_t promised = segment.writer.bytes_for(size);
            const std::size_t before = segment.bytes.size();
            segment.append(size, {}, size % 2 == 0);
            REQUIRE(segment.bytes.size() - before == promised);
            REQUIRE(segment.bytes.size() == segment.writer.offset());
            segment.append(0);
            segment.append(200);
            check_layout(segment);
            check_round_trip(segment);
            ++count;
        }
    }
    std::printf("  %zu combinations of a size and a place in the block\n", count);
}

TEST_CASE("many records of sizes at random are read back as they were written") {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        core::Prng chance(seed);
        TestSegment segment({.log = some_log(static_cast<std::uint8_t>(seed)),
                             .index = seed,
                             .first = {seed * 1000},
                             .synced = {seed * 1000 - 1},
                             .chain = static_cast<std::uint32_t>(chance.next())});
        for (int i = 0; i < 300; ++i) {
            const std::uint64_t limit = chance.ratio(1, 20) ? 100'000 : 600;
            const Lsn synced{chance.below(segment.writer.next().value)};
            segment.append(chance.below(limit), synced, chance.ratio(1, 3));
        }
        CAPTURE(seed);
        check_layout(segment);
        check_round_trip(segment);
        segment.add_zeroes(chance.below(100'000)); // a file is made larger than it is full
        check_round_trip(segment);
    }
}

TEST_CASE("bodies without a byte are records like others") {
    TestSegment segment;
    for (int i = 0; i < 3000; ++i) segment.append(0, Lsn{static_cast<std::uint64_t>(i) / 2});
    CHECK(segment.bytes.size() > segment_header_bytes + 2 * block_bytes);
    check_layout(segment);
    check_round_trip(segment);
}

TEST_CASE("the longest record is taken, and one that is longer is not, nor memory for it") {
    TestSegment segment;
    segment.append(100);
    segment.append(record_bytes_max);
    segment.append(100);
    check_round_trip(segment);

    const SegmentHeader header = segment.header;
    const auto bytes = oversized_segment(header, record_bytes_max + 1);
    SegmentReader reader(bytes, header);
    LogRecord record;
    CHECK_FALSE(reader.next(record));
    CHECK(reader.end().text() == "record 1: it is longer than a record may be");
    CHECK(reader.end().offset == segment_header_bytes);
    CHECK(ending_of(reader.end(), false, {}) == LogEnding::corruption);
    CHECK_FALSE(reader.skip());
}

TEST_CASE("a segment without a record is clean, be it made at its full size or not") {
    TestSegment segment;
    check_round_trip(segment);
    segment.add_zeroes(3 * block_bytes + 100);
    check_round_trip(segment);
}

TEST_CASE("records, their numbers and the chain go on from one segment into the next") {
    TestSegment one;
    for (std::size_t i = 0; i < 10; ++i) one.append(i * 100);
    TestSegment two({.log = one.header.log,
                     .index = one.header.index + 1,
                     .first = one.writer.next(),
                     .synced = {10},
                     .chain = one.writer.chain()});
    for (std::size_t i = 0; i < 10; ++i) two.append(i * 100);
    check_round_trip(one);
    check_round_trip(two);
    CHECK(two.records.front().lsn == Lsn{11});
    CHECK(read_all(one.bytes, one).end.chain == two.header.chain);
}

TEST_CASE("a segment that is being written is read as far as it is there") {
    TestSegment segment;
    for (std::size_t i = 0; i < 200; ++i) segment.append(i * 7);
    for (const WrittenRecord& record : segment.records) {
        const auto so_far = std::span(segment.bytes).first(record.end);
        const Reading reading = read_all(so_far, segment);
        REQUIRE(reading.is_a_prefix);
        REQUIRE(Lsn{reading.count} == record.lsn);
        REQUIRE(reading.end.is_clean);
        REQUIRE(reading.end.offset == record.end);
    }
}

TEST_CASE("a body in one fragment is a view of the segment, and costs no copy") {
    TestSegment segment;
    segment.append(300);
    segment.append(100'000);
    SegmentReader reader(segment.bytes, segment.header);
    LogRecord record;
    const auto is_inside = [&](const std::byte* at) {
        return at >= segment.bytes.data() && at < segment.bytes.data() + segment.bytes.size();
    };
    REQUIRE(reader.next(record));
    CHECK(is_inside(record.body.data()));
    REQUIRE(reader.next(record));
    CHECK_FALSE(is_inside(record.body.data()));
}
