// A log that was damaged: every bit of it flipped in turn, cut off at every byte, every sector of
// it lost. Whatever is done to it, what is read are records that were written, from the first on.
// SPDX-License-Identifier: BSL-1.0
//
// A flipped bit is either found, or it lies in bytes that are never read (from byte 64 of the
// header's area on, and at a block's end where no fragment fits); then nothing at all changes. The
// tests know which of the two it must be, and at which record reading must end.
#include "everpool/core/prng.hpp"
#include "segment_rig.hpp"
#include "support/catch.hpp"

#include <cstdio>
#include <map>
#include <string>

using namespace everpool;
using namespace everpool::test;

namespace {

/// Some 100 KiB: mostly short records, one over three blocks, an unused block's end, zeroes after
/// the end. Records are synced by the eight.
TestSegment damage_log(std::uint64_t seed) {
    core::Prng chance(seed);
    TestSegment segment(
        {.log = some_log(static_cast<std::uint8_t>(seed)), .index = seed, .first = {1}});
    const auto append = [&](std::size_t bytes) {
        const std::uint64_t lsn = segment.writer.next().value;
        segment.append(bytes, Lsn{(lsn - 1) / 8 * 8}, chance.ratio(1, 4));
    };
    while (segment.bytes.size() < 30'000) append(256);
    segment.fill_block(24);
    append(0);
    while (segment.bytes.size() < 45'000) append(chance.below(700));
    append(40'000);
    while (segment.bytes.size() < 98'000) append(chance.below(700));
    segment.add_zeroes(4000);
    return segment;
}

/// What a byte of a segment belongs to.
struct Owner {
    enum class Part { header, record, unread, after } part;
    std::size_t record; ///< its index
};

std::vector<Owner> owners_of(const TestSegment& segment) {
    std::vector<Owner> owners(segment.bytes.size(), {Owner::Part::unread, 0});
    std::fill_n(owners.begin(), file_header_bytes, Owner{Owner::Part::header, 0});
    const FragmentDecoder decoder(segment.bytes, 0);
    FragmentHeader fragment;
    for (std::size_t i = 0; i < segment.records.size(); ++i) {
        for (std::uint64_t at = segment.records[i].begin; at < segment.records[i].end;) {
            at = next_fragment(at);
            REQUIRE(decoder.read_header(at, fragment) == FragmentFault::none);
            const std::size_t bytes = fragment_header_bytes + padded(fragment.length);
            std::fill_n(owners.begin() + static_cast<std::ptrdiff_t>(at), bytes,
                        Owner{Owner::Part::record, i});
            at += bytes;
        }
    }
    std::fill(owners.begin() + static_cast<std::ptrdiff_t>(segment.writer.offset()), owners.end(),
              Owner{Owner::Part::after, segment.records.size()});
    return owners;
}

struct Tally {
    std::uint64_t bits{0};
    std::uint64_t found{0};
    std::uint64_t irrelevant{0};
    std::uint64_t wrong{0};
    std::map<LogEnding, std::uint64_t> endings;

    void print(const char* what) const {
        const auto count = [&](LogEnding ending) {
            const auto at = endings.find(ending);
            return static_cast<unsigned long long>(at == endings.end() ? 0 : at->second);
        };
        std::printf("  %s: %llu tried, %llu found (%llu torn tail, %llu corruption), "
                    "%llu irrelevant, %llu wrong\n",
                    what, static_cast<unsigned long long>(bits),
                    static_cast<unsigned long long>(found), count(LogEnding::torn_tail),
                    count(LogEnding::corruption), static_cast<unsigned long long>(irrelevant),
                    static_cast<unsigned long long>(wrong));
    }
};

/// Whether the flip was dealt with as it must be.
bool is_right(const Reading& reading, const Owner& owner, const TestSegment& segment) {
    if (owner.part == Owner::Part::header)
        return reading.header == FormatError::damaged && reading.count == 0;
    if (reading.header != FormatError::ok || !reading.is_a_prefix) return false;
    const std::size_t all = segment.records.size();
    switch (owner.part) {
    case Owner::Part::header: break;
    case Owner::Part::unread: return reading.count == all && reading.end.is_clean;
    case Owner::Part::after:
        return reading.count == all && !reading.end.is_clean && !reading.is_durable_data_lost();
    case Owner::Part::record: {
        const WrittenRecord& hit = segment.records[owner.record];
        const bool is_lost = segment.records.back().synced >= hit.lsn;
        return reading.count == owner.record && !reading.end.is_clean &&
               reading.end.expected == hit.lsn && reading.end.offset <= hit.begin &&
               reading.is_durable_data_lost() == is_lost &&
               (!is_lost || reading.ending() == LogEnding::corruption);
    }
    }
    return false;
}

/// Where reading stood before each record: what comes before a flipped bit is the same each time,
/// so the short form reads on from there.
std::vector<SegmentReader> readers_of(const TestSegment& segment) {
    SegmentReader reader(segment.bytes, segment.header);
    std::vector<SegmentReader> readers;
    LogRecord record;
    do readers.push_back(reader);
    while (reader.next(record));
    return readers;
}

Tally flip_every_bit(TestSegment segment, bool is_read_from_the_start) {
    const std::vector<Owner> owners = owners_of(segment);
    const std::vector<SegmentReader> readers = readers_of(segment);
    Tally tally;
    for (std::size_t bit = 0; bit < segment.bytes.size() * 8; ++bit) {
        const Owner& owner = owners[bit / 8];
        segment.bytes[bit / 8] ^= std::byte{1} << bit % 8;
        Reading reading;
        if (is_read_from_the_start || owner.part == Owner::Part::header ||
            owner.part == Owner::Part::unread) {
            reading = read_all(segment.bytes, segment);
        } else {
            SegmentReader reader = readers[owner.record];
            reading = read_on(reader, owner.record, segment.records);
        }
        segment.bytes[bit / 8] ^= std::byte{1} << bit % 8;
        ++tally.bits;
        ++(owner.part == Owner::Part::unread ? tally.irrelevant : tally.found);
        if (reading.header == FormatError::ok) ++tally.endings[reading.ending()];
        if (!is_right(reading, owner, segment)) {
            ++tally.wrong;
            INFO("bit " << bit % 8 << " of byte " << bit / 8 << ", " << reading.end.text());
            CHECK(tally.wrong > 10); // says where, ten times at most
        }
    }
    return tally;
}

} // namespace

TEST_CASE("every single bit of a log flipped in turn is found, or is one that is never read") {
    const TestSegment segment = damage_log(1);
    REQUIRE(segment.bytes.size() > 100 * 1000);
    const Tally tally = flip_every_bit(segment, false);
    tally.print("bits flipped");
    CHECK(tally.wrong == 0);
    CHECK(tally.bits == segment.bytes.size() * 8);
    CHECK(tally.irrelevant > 0);
    // Bodies hold no zeroes here, so hardly any flip looks like a sector that is missing.
    CHECK(tally.endings.at(LogEnding::torn_tail) < tally.found / 20);
}

TEST_CASE("every single bit of several logs flipped in turn, each read from its start", "[.long]") {
    for (std::uint64_t seed = 1; seed <= 10; ++seed) {
        const Tally tally = flip_every_bit(damage_log(seed), true);
        tally.print(("seed " + std::to_string(seed) + ", bits flipped").c_str());
        CHECK(tally.wrong == 0);
    }
}

TEST_CASE("a log cut off at every byte gives the records before the cut") {
    const TestSegment segment = damage_log(1);
    std::map<LogEnding, std::uint64_t> endings;
    std::size_t whole = 0; // records
    for (std::size_t count = 0; count <= segment.bytes.size(); ++count) {
        // In memory of exactly that size, so that a sanitizer sees a byte too much being read.
        const std::vector<std::byte> cut(
            segment.bytes.begin(), segment.bytes.begin() + static_cast<std::ptrdiff_t>(count));
        const Reading reading = read_all(cut, segment);
        CAPTURE(count, reading.end.text());
        REQUIRE(reading.is_a_prefix);
        if (count < file_header_bytes) {
            REQUIRE(reading.header == (count == 0 ? FormatError::absent : FormatError::damaged));
            continue;
        }
        while (whole < segment.records.size() && segment.records[whole].end <= count) ++whole;
        REQUIRE(reading.count == whole);
        const std::uint64_t end =
            whole == 0 ? segment_header_bytes : segment.records[whole - 1].end;
        const bool is_clean = end >= count || used_bytes(std::span(cut).subspan(end)) == 0;
        REQUIRE(reading.ending() == (is_clean ? LogEnding::clean : LogEnding::torn_tail));
        REQUIRE_FALSE(reading.is_durable_data_lost());
        ++endings[reading.ending()];
    }
    std::printf("  cuts: %zu tried, %llu clean, %llu torn tail, 0 wrong\n",
                segment.bytes.size() + 1,
                static_cast<unsigned long long>(endings[LogEnding::clean]),
                static_cast<unsigned long long>(endings[LogEnding::torn_tail]));
    CHECK(endings[LogEnding::torn_tail] > endings[LogEnding::clean]);
    CHECK(whole == segment.records.size());
}

TEST_CASE("every sector of a log lost, replaced by noise, or by another sector of it, is found") {
    const TestSegment segment = damage_log(2);
    const std::vector<Owner> owners = owners_of(segment);
    std::size_t tried = 0;
    const auto check = [&](std::size_t sector, const std::vector<std::byte>& with) {
        std::vector<std::byte> bytes = segment.bytes;
        const std::size_t at = sector * sector_bytes;
        std::copy(with.begin(), with.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
        if (bytes == segment.bytes) return;
        const Reading reading = read_all(bytes, segment);
        std::size_t hit = segment.records.size(); // the first record in the sector, if any
        for (std::size_t i = at; i < at + sector_bytes; ++i)
            if (owners[i].part == Owner::Part::record) hit = std::min(hit, owners[i].record);
        CAPTURE(sector, hit, reading.end.text());
        REQUIRE(reading.is_a_prefix);
        REQUIRE(reading.count >= hit);
        // A record that only begins with zeroes there, or ends with them, may still be whole.
        REQUIRE(reading.count <= hit + 1);
        if (hit + 20 < segment.records.size()) REQUIRE(reading.is_durable_data_lost());
        ++tried;
    };
    const std::size_t sectors = segment.writer.offset() / sector_bytes;
    for (std::size_t sector = segment_header_bytes / sector_bytes; sector < sectors; ++sector) {
        check(sector, std::vector<std::byte>(sector_bytes));
        check(sector, body_of(sector, sector_bytes));
        const std::size_t other = (sector * 7 + 11) % (sectors - 8) + 8;
        const auto from = segment.bytes.begin() + static_cast<std::ptrdiff_t>(other * sector_bytes);
        check(sector, std::vector<std::byte>(from, from + sector_bytes));
    }
    std::printf("  sectors lost or overwritten: %zu tried, 0 wrong\n", tried);
    CHECK(tried > 3 * sectors - 40);
}
