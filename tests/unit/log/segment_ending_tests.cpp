// How a log ends, by the scenarios that segment_reader.hpp names; what does not belong to it; and
// what salvage brings back.
// SPDX-License-Identifier: BSL-1.0
#include "segment_rig.hpp"
#include "support/catch.hpp"

#include <cstdio>
#include <set>

using namespace everpool;
using namespace everpool::test;

namespace {

/// `count` records of 700 bytes, the first `synced` of which were made durable before the rest was
/// written, one sync each.
TestSegment log_of(std::size_t count, std::size_t synced = 0) {
    TestSegment segment;
    for (std::size_t i = 0; i < count; ++i) segment.append(700, Lsn{std::min(i, synced)});
    segment.add_zeroes(5000);
    return segment;
}

void flip(TestSegment& segment, std::uint64_t at) { segment.bytes[at] ^= std::byte{16}; }

void lose_sector_of(TestSegment& segment, std::uint64_t at) {
    const auto begin = static_cast<std::ptrdiff_t>(at / sector_bytes * sector_bytes);
    std::fill_n(segment.bytes.begin() + begin, sector_bytes, std::byte{});
}

Reading read(const TestSegment& segment) { return read_all(segment.bytes, segment); }

/// The fragment at `offset` with other fields, and a checksum that fits them.
template <class Change>
void forge(TestSegment& segment, std::uint64_t offset, Change change) {
    const std::uint32_t seed = fragment_seed(segment.header.log, segment.header.index);
    FragmentHeader header;
    std::span<const std::byte> payload;
    REQUIRE(FragmentDecoder(segment.bytes, seed).read(offset, header, payload) ==
            FragmentFault::none);
    change(header);
    seal_fragment(segment.bytes.data() + offset, header, seed);
}

} // namespace

TEST_CASE("scenario 1: zeroes after the last record are a clean end") {
    const TestSegment segment = log_of(10);
    const Reading reading = read(segment);
    CHECK(reading.ending() == LogEnding::clean);
    CHECK(reading.end.expected == Lsn{11});
    CHECK(reading.end.bytes_after == 0);
    CHECK(reading.end.text() == "record 11: nothing was written there");
}

TEST_CASE("scenario 1: a clean segment is no clean end of the log if others follow elsewhere") {
    const SegmentEnd end = read(log_of(10)).end;
    CHECK(ending_of(end, false, {}) == LogEnding::clean);
    CHECK(ending_of(end, true, Lsn{10}) == LogEnding::torn_tail);
    CHECK(ending_of(end, true, Lsn{11}) == LogEnding::corruption);
    CHECK_FALSE(is_durable_data_lost(end, Lsn{10}));
    CHECK(is_durable_data_lost(end, Lsn{11}));
}

TEST_CASE("scenario 2: a missing sector of the last record is a torn tail") {
    TestSegment segment = log_of(10);
    lose_sector_of(segment, segment.records[9].begin + 600);
    const Reading reading = read(segment);
    CHECK(reading.count == 9);
    CHECK(reading.ending() == LogEnding::torn_tail);
    CHECK_FALSE(reading.is_durable_data_lost());
    CHECK(reading.end.offset == segment.records[8].end);
    CHECK(reading.end.bytes_after > 100);
    CHECK(reading.end.text() == "record 10: the checksum differs");
}

TEST_CASE("scenarios 2 and 3: whichever sectors of a write are there, it is a torn tail") {
    // One record that is durable, then an unfinished write of several, in every place relative to
    // the sectors, so that headers are cut in the middle too. Each subset of its sectors is tried.
    std::size_t tried = 0;
    std::size_t torn = 0;
    for (std::size_t shift = 0; shift < 520; shift += 8) {
        for (const bool is_at_edge : {false, true}) {
            TestSegment segment;
            if (is_at_edge) segment.fill_block(300 + shift); // records in two fragments
            segment.append(shift);
            const Lsn durable{segment.records.size()};
            const std::vector<std::byte> before = segment.bytes;
            for (const std::size_t bytes : {300u, 0u, 900u, 40u, 1100u})
                segment.append(bytes, durable);
            const std::size_t first = before.size() / sector_bytes;
            const std::size_t count = segment.bytes.size() / sector_bytes + 1 - first;
            REQUIRE(count <= 8);
            segment.add_zeroes(2 * sector_bytes);
            const std::vector<std::byte> after = segment.bytes;
            for (unsigned subset = 0; subset < 1u << count; ++subset) {
                segment.bytes = after;
                for (std::size_t i = 0; i < count; ++i) {
                    if ((subset >> i & 1) != 0) continue;
                    lose_sector_of(segment, (first + i) * sector_bytes);
                }
                std::copy(before.begin(), before.end(), segment.bytes.begin());
                const Reading reading = read(segment);
                CAPTURE(shift, is_at_edge, subset, reading.end.text());
                REQUIRE(reading.is_a_prefix);
                REQUIRE(reading.count >= durable.value);
                REQUIRE_FALSE(reading.is_durable_data_lost());
                if (used_bytes(std::span(segment.bytes).subspan(reading.end.offset)) == 0)
                    REQUIRE(reading.ending() == LogEnding::clean);
                else REQUIRE(reading.ending() == LogEnding::torn_tail);
                torn += reading.ending() == LogEnding::torn_tail ? 1 : 0;
                ++tried;
            }
        }
    }
    std::printf("  unfinished writes: %zu tried, %zu torn tail, 0 corruption\n", tried, torn);
    CHECK(torn > tried / 2);
}

TEST_CASE("scenario 2: a record whose last block was never written is a torn tail, and not clean") {
    TestSegment segment;
    segment.append(100);
    segment.append(100'000);
    const std::uint64_t second_block = segment_header_bytes + block_bytes;
    SECTION("zeroes stand there") {
        std::fill(segment.bytes.begin() + static_cast<std::ptrdiff_t>(second_block),
                  segment.bytes.end(), std::byte{});
    }
    SECTION("the file ends there") { segment.bytes.resize(second_block); }
    const Reading reading = read(segment);
    CHECK(reading.count == 1);
    CHECK(reading.ending() == LogEnding::torn_tail);
    CHECK(reading.end.offset == segment.records[0].end);
    CHECK(reading.end.bad_offset == second_block);
    CHECK(reading.end.expected == Lsn{2});
}

TEST_CASE("scenario 4: what a later record calls durable is corruption, whichever way it is lost") {
    TestSegment segment = log_of(20, 10);
    SECTION("a bit flipped") { flip(segment, segment.records[9].begin + 300); }
    SECTION("a sector is missing") { lose_sector_of(segment, segment.records[9].begin + 300); }
    SECTION("all of it is missing") {
        std::fill(segment.bytes.begin() + static_cast<std::ptrdiff_t>(segment.records[9].begin),
                  segment.bytes.begin() + static_cast<std::ptrdiff_t>(segment.records[9].end),
                  std::byte{});
    }
    const Reading reading = read(segment);
    CHECK(reading.count == 9);
    CHECK(reading.end.synced_later == Lsn{10});
    CHECK(reading.ending() == LogEnding::corruption);
    CHECK(reading.is_durable_data_lost());
}

TEST_CASE("scenario 4: one record after it is enough to tell, in another block and segment too") {
    TestSegment segment;
    segment.append(700);
    segment.append(50'000); // its last fragment lies in the next block
    segment.append(100, Lsn{2});
    flip(segment, segment.records[1].begin + 10'000);
    CHECK(read(segment).is_durable_data_lost());

    TestSegment last = log_of(10);
    flip(last, last.records[9].begin + 300);
    const SegmentEnd end = read(last).end;
    CHECK_FALSE(is_durable_data_lost(end, {}));
    TestSegment next({.log = last.header.log, .index = 4, .first = {11}, .synced = {10}});
    CHECK(highest_synced(next.bytes, next.header) == Lsn{10});
    CHECK(is_durable_data_lost(end, highest_synced(next.bytes, next.header)));
    for (std::uint64_t i = 0; i < 30; ++i) next.append(2000, Lsn{10 + i});
    flip(next, next.records[20].begin + 5);
    CHECK(highest_synced(next.bytes, next.header) == Lsn{39});
}

TEST_CASE("scenario 5: wrong bytes where no sector is missing are corruption, not a torn tail") {
    TestSegment segment = log_of(10, 9);
    SECTION("in the body") { flip(segment, segment.records[9].begin + 300); }
    SECTION("in the checksum") { flip(segment, segment.records[9].begin); }
    SECTION("in the length") { flip(segment, segment.records[9].begin + 4); }
    SECTION("in the length, beyond the block") {
        segment.bytes[segment.records[9].begin + 5] ^= std::byte{0xff};
    }
    SECTION("in the type") { flip(segment, segment.records[9].begin + 6); }
    SECTION("in the number") { flip(segment, segment.records[9].begin + 8); }
    const Reading reading = read(segment);
    CHECK(reading.count == 9);
    CHECK(reading.ending() == LogEnding::corruption);
    CHECK_FALSE(reading.is_durable_data_lost()); // nobody can tell
}

TEST_CASE("scenario 6: a whole fragment in the wrong place is corruption") {
    TestSegment segment = log_of(10);
    const std::size_t bytes = 32 + padded(700);
    const auto at = [&](std::size_t record) {
        return segment.bytes.begin() + static_cast<std::ptrdiff_t>(segment.records[record].begin);
    };
    std::string_view reason;
    SECTION("a record is there twice") {
        std::copy_n(at(4), bytes, at(5));
        reason = "record 6: another record stands in its place";
    }
    SECTION("a record is missing") {
        std::copy(at(6), segment.bytes.end(), at(5));
        reason = "record 6: another record stands in its place";
    }
    SECTION("a record was replaced by another of the same number") {
        forge(segment, segment.records[4].begin, [](FragmentHeader& header) { header.chain ^= 1; });
        reason = "record 5: the chain of checksums is broken before it";
    }
    SECTION("a record was changed together with its checksum") {
        segment.bytes[segment.records[4].begin + 100] ^= std::byte{1};
        const std::uint32_t seed = fragment_seed(segment.header.log, segment.header.index);
        FragmentHeader header;
        REQUIRE(
            FragmentDecoder(segment.bytes, seed).read_header(segment.records[4].begin, header) ==
            FragmentFault::none);
        seal_fragment(segment.bytes.data() + segment.records[4].begin, header, seed);
        // It is taken itself; the next one tells, and an end must not be called clean.
        reason = "record 6: the chain of checksums is broken before it";
    }
    const Reading reading = read(segment);
    CHECK(reading.end.text() == reason);
    CHECK(reading.ending() == LogEnding::corruption);
}

TEST_CASE("scenario 6: parts of different records do not make one") {
    TestSegment segment;
    segment.append(40'000);
    const std::uint64_t last = segment_header_bytes + block_bytes;
    SECTION("the last part begins a record") {
        forge(segment, last, [](FragmentHeader& header) { header.type = FragmentType::full; });
        CHECK(read(segment).end.text() == "record 1: a part of it is missing");
    }
    SECTION("the last part is another record's") {
        forge(segment, last, [](FragmentHeader& header) { header.lsn = Lsn{2}; });
        CHECK(read(segment).end.text() == "record 1: another record stands in its place");
    }
    SECTION("one part says it is compressed") {
        forge(segment, last, [](FragmentHeader& header) { header.flags ^= flag_compressed; });
        CHECK(read(segment).end.text() == "record 1: its parts do not fit together");
    }
    SECTION("the first part is missing") {
        forge(segment, segment_header_bytes,
              [](FragmentHeader& header) { header.type = FragmentType::middle; });
        CHECK(read(segment).end.text() == "record 1: a part of it is missing");
    }
    CHECK(read(segment).count == 0);
    CHECK(read(segment).ending() == LogEnding::corruption);
}

TEST_CASE("scenario 7: a bit flipped in the zeroes after the end loses no record") {
    TestSegment segment = log_of(10, 9);
    const std::uint64_t end = segment.writer.offset();
    SECTION("where the next header would begin") {
        flip(segment, end + 4);
        CHECK(read(segment).ending() == LogEnding::corruption);
    }
    SECTION("later") {
        flip(segment, end + 2000);
        CHECK(read(segment).ending() == LogEnding::torn_tail);
    }
    CHECK(read(segment).count == 10);
    CHECK_FALSE(read(segment).is_durable_data_lost());
}

TEST_CASE(
    "scenario 8: a damaged record that holds a sector of zeroes is called torn, and cut too") {
    TestSegment segment = log_of(3, 2);
    segment.bytes.resize(segment.writer.offset());
    std::vector<std::byte> body(2000);
    segment.writer.append(Lsn{4}, Lsn{3}, body, false, segment.bytes);
    segment.bytes[segment.records.back().end + 40] ^= std::byte{1};
    CHECK(read(segment).count == 3);
    CHECK(read(segment).ending() == LogEnding::torn_tail);
}

TEST_CASE("what another log or another segment wrote into the same sectors never comes back") {
    // The file was the other's once, and is full of its records; then it was made this log's, whose
    // records lie at the same places and have the same numbers.
    for (const bool is_other_log : {false, true}) {
        const SegmentHeader mine{.log = some_log(), .index = 3, .first = {1}};
        SegmentHeader old = mine;
        if (is_other_log) old.log = some_log(2);
        else old.index = 2;
        TestSegment recycled(old);
        for (std::size_t i = 0; i < 200; ++i) recycled.append(700, Lsn{i});
        for (std::size_t count = 0; count <= 150; ++count) {
            TestSegment segment(mine);
            for (std::size_t i = 0; i < count; ++i) segment.append(700, Lsn{i});
            segment.bytes.insert(segment.bytes.end(),
                                 recycled.bytes.begin() +
                                     static_cast<std::ptrdiff_t>(segment.writer.offset()),
                                 recycled.bytes.end());
            const Reading reading = read(segment);
            CAPTURE(is_other_log, count);
            REQUIRE(reading.is_a_prefix);
            REQUIRE(reading.count == count);
            REQUIRE(reading.end.synced_later == Lsn{0});
            REQUIRE_FALSE(reading.end.is_clean);
        }
        // All of it, under a new header alone.
        const auto header = encode_segment_header(mine);
        std::copy(header.begin(), header.end(), recycled.bytes.begin());
        SegmentReader reader(recycled.bytes, mine);
        LogRecord record;
        CHECK_FALSE(reader.next(record));
        CHECK_FALSE(reader.skip());
    }
}

TEST_CASE("salvage goes on behind what is damaged, and tells how many records are missing") {
    TestSegment segment;
    for (std::size_t i = 0; i < 300; ++i) segment.append(i % 50 == 7 ? 40'000 : 500);
    const std::set<std::size_t> damaged{0, 1, 57, 100, 101, 102, 207, 299};
    for (const std::size_t record : damaged) {
        // In the middle: of a long record the first part is whole.
        flip(segment, (segment.records[record].begin + segment.records[record].end) / 2 / 8 * 8);
    }
    SegmentReader reader(segment.bytes, segment.header);
    LogRecord record;
    std::size_t expected = 0;
    do {
        for (; reader.next(record); ++expected) {
            while (damaged.contains(expected)) ++expected;
            REQUIRE(expected < segment.records.size());
            REQUIRE(is_same(record, segment.records[expected]));
        }
    } while (reader.skip());
    CHECK(expected == 299);
    CHECK(reader.end().expected == Lsn{300});
    CHECK_FALSE(reader.next(record));
}

TEST_CASE("salvage takes a record in the wrong place, but never one that was there before") {
    TestSegment segment = log_of(10);
    const auto at = [&](std::size_t record) {
        return segment.bytes.begin() + static_cast<std::ptrdiff_t>(segment.records[record].begin);
    };
    std::copy_n(at(2), 32 + padded(700), at(4)); // an old one: left out
    std::copy_n(at(9), 32 + padded(700), at(6)); // a new one: taken, and then none before it
    SegmentReader reader(segment.bytes, segment.header);
    std::vector<std::uint64_t> numbers;
    LogRecord record;
    do
        while (reader.next(record)) numbers.push_back(record.lsn.value);
    while (reader.skip());
    CHECK(numbers == std::vector<std::uint64_t>{1, 2, 3, 4, 6, 10});
}

TEST_CASE("a record's number is bounded, so that the next one never comes round to 0") {
    // Found by fuzz_log_segment: salvage took the highest number there is, and went on with 0.
    for (const std::uint64_t number : {number_max, number_max + 1, UINT64_MAX}) {
        TestSegment segment = log_of(4);
        forge(segment, segment.records[2].begin,
              [&](FragmentHeader& header) { header.lsn.value = number; });
        SegmentReader reader(segment.bytes, segment.header);
        std::vector<std::uint64_t> numbers;
        LogRecord record;
        do
            while (reader.next(record)) numbers.push_back(record.lsn.value);
        while (reader.skip());
        CHECK(numbers == (number == number_max ? std::vector<std::uint64_t>{1, 2, number_max}
                                               : std::vector<std::uint64_t>{1, 2, 4}));
    }
}

TEST_CASE("looking for what follows is bounded, even in bytes made to be looked at") {
    // Every place that can look like a header does, and asks for a checksum over its whole block.
    TestSegment segment;
    segment.add_zeroes(64 * block_bytes);
    for (std::size_t at = segment_header_bytes; at + 32 <= segment.bytes.size(); at += 32) {
        const auto room = left_of_block(at) - 32;
        store(&segment.bytes[at + 4], static_cast<std::uint16_t>(room));
        store(&segment.bytes[at + 6], std::uint8_t{1});
        store(&segment.bytes[at + 8], std::uint64_t{5});
    }
    // 1024 places a block, 64 of which are tried: a few milliseconds instead of a second.
    const Reading reading = read(segment);
    CHECK(reading.count == 0);
    CHECK(reading.end.text() == "record 1: the checksum differs");
    CHECK(reading.end.synced_later == Lsn{0});
}
