// SPDX-License-Identifier: BSL-1.0
#include "everpool/log/segment.hpp"
#include "segment_rig.hpp"
#include "support/catch.hpp"

using namespace everpool::log;
using everpool::test::some_log;

namespace {

const SegmentHeader sample_header{.log = some_log(),
                                  .index = 0x0102'0304'0506'0708,
                                  .first = {77},
                                  .synced = {70},
                                  .chain = 0xdead'beef};

/// After a field was changed on purpose: what a writer would have made.
void seal(std::span<std::byte> header) { detail::seal_file_header(header.data()); }

} // namespace

TEST_CASE("a segment's header is read back as it was written") {
    const auto bytes = encode_segment_header(sample_header);
    SegmentHeader header;
    REQUIRE(decode_segment_header(bytes, header) == FormatError::ok);
    CHECK(header == sample_header);
    CHECK(decode_segment_header(bytes, sample_header.log, sample_header.index, header) ==
          FormatError::ok);
}

TEST_CASE("a segment's header stands where the diagram says, and nothing stands behind it") {
    const auto bytes = encode_segment_header(sample_header);
    const std::string_view magic(reinterpret_cast<const char*>(bytes.data()), 8);
    CHECK(magic == "EVPLOG\r\n");
    CHECK(load<std::uint32_t>(&bytes[8]) == 1);
    CHECK(load<std::uint32_t>(&bytes[12]) == 0);
    CHECK(std::equal(sample_header.log.bytes.begin(), sample_header.log.bytes.end(),
                     reinterpret_cast<const std::uint8_t*>(&bytes[16])));
    CHECK(load<std::uint64_t>(&bytes[32]) == sample_header.index);
    CHECK(load<std::uint64_t>(&bytes[40]) == 77);
    CHECK(load<std::uint64_t>(&bytes[48]) == 70);
    CHECK(load<std::uint32_t>(&bytes[56]) == 0xdead'beef);
    CHECK(load<std::uint32_t>(&bytes[60]) == crc32c(std::span(bytes).first(60)));
    CHECK(used_bytes(std::span(bytes).subspan(64)) == 0);
}

TEST_CASE("every bit flipped in a segment's header is found") {
    auto bytes = encode_segment_header(sample_header);
    SegmentHeader header;
    for (std::size_t bit = 0; bit < file_header_bytes * 8; ++bit) {
        bytes[bit / 8] ^= std::byte{1} << bit % 8;
        CAPTURE(bit);
        REQUIRE(decode_segment_header(bytes, header) == FormatError::damaged);
        bytes[bit / 8] ^= std::byte{1} << bit % 8;
    }
}

TEST_CASE("a header cut off is damaged, and one that was never written is absent") {
    const auto bytes = encode_segment_header(sample_header);
    SegmentHeader header;
    CHECK(decode_segment_header({}, header) == FormatError::absent);
    for (std::size_t count = 1; count < file_header_bytes; ++count)
        REQUIRE(decode_segment_header(std::span(bytes).first(count), header) ==
                FormatError::damaged);
    const std::vector<std::byte> zeroes(segment_header_bytes);
    CHECK(decode_segment_header(zeroes, header) == FormatError::absent);
    CHECK(decode_segment_header(std::span(zeroes).first(10), header) == FormatError::absent);
}

TEST_CASE("a segment of a newer version says so, whatever else it holds") {
    auto bytes = encode_segment_header(sample_header);
    store(&bytes[8], segment_version + 1);
    store(&bytes[12], std::uint32_t{99}); // its own business
    seal(bytes);
    SegmentHeader header;
    CHECK(decode_segment_header(bytes, header) == FormatError::newer_version);
    store(&bytes[8], std::uint32_t{0});
    seal(bytes);
    CHECK(decode_segment_header(bytes, header) == FormatError::damaged);
}

TEST_CASE("another kind of file, another log's segment and another segment are not taken for it") {
    auto bytes = encode_segment_header(sample_header);
    SegmentHeader header;
    CHECK(decode_segment_header(bytes, some_log(2), sample_header.index, header) ==
          FormatError::foreign);
    CHECK(decode_segment_header(bytes, sample_header.log, sample_header.index + 1, header) ==
          FormatError::foreign);
    bytes[3] = std::byte{'X'};
    seal(bytes);
    CHECK(decode_segment_header(bytes, header) == FormatError::not_ours);
}

TEST_CASE("a header that contradicts itself is damaged, even with the right checksum") {
    const auto with = [](std::size_t at, std::uint64_t value) {
        auto bytes = encode_segment_header(sample_header);
        store(&bytes[at], value);
        seal(bytes);
        SegmentHeader header;
        return decode_segment_header(bytes, header);
    };
    CHECK(with(32, 0) == FormatError::damaged);  // index 0
    CHECK(with(40, 0) == FormatError::damaged);  // first record 0
    CHECK(with(48, 77) == FormatError::damaged); // synced before it was written
    CHECK(with(48, 76) == FormatError::ok);
    CHECK(with(32, number_max) == FormatError::ok);
    CHECK(with(32, number_max + 1) == FormatError::damaged);
    CHECK(with(40, number_max) == FormatError::ok);
    CHECK(with(40, number_max + 1) == FormatError::damaged);
}

TEST_CASE("a segment's name holds its index, and sorts by it") {
    CHECK(segment_name(0xa7) == "segment-00000000000000a7.log");
    CHECK(segment_name(9) < segment_name(10));
    CHECK(segment_index_of(segment_name(0xa7)) == 0xa7u);
    CHECK(segment_index_of(segment_name(number_max)) == number_max);
    CHECK_FALSE(segment_index_of(segment_name(number_max + 1)));
    CHECK_FALSE(segment_index_of(segment_name(0)));
    for (const char* name :
         {"", "segment-.log", "segment-00000000000000A7.log", "segment-0000000000000a7.log",
          "segment-00000000000000a7.log~", "quarantine-segment-00000000000000a7.log",
          "segment-+0000000000000a7.log", "segment-000000000000 0a7.log"})
        CHECK_FALSE(segment_index_of(name));
}
