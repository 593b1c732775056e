// SPDX-License-Identifier: BSL-1.0
#include "everpool/log/record_body.hpp"
#include "segment_rig.hpp"
#include "support/catch.hpp"
#include "support/run_length_compressor.hpp"

using namespace everpool::log;
using everpool::test::body_of;
using everpool::test::RunLengthCompressor;

namespace {

const RunLengthCompressor compressor;
const std::vector<std::byte> dull(5000, std::byte{'a'});

} // namespace

TEST_CASE("a body that shrinks is stored compressed, and comes back the same") {
    std::vector<std::byte> stored(3, std::byte{1}); // what was there stays
    REQUIRE(compress_body(dull, compressor, stored));
    CHECK(stored.size() < 100);
    CHECK(load<std::uint32_t>(stored.data() + 3) == 5000);
    std::vector<std::byte> raw(2, std::byte{2});
    REQUIRE(decompress_body(std::span(stored).subspan(3), 5000, compressor, raw));
    REQUIRE(raw.size() == 5002);
    CHECK(std::equal(dull.begin(), dull.end(), raw.begin() + 2));
    CHECK(raw[0] == std::byte{2});
}

TEST_CASE("a body that would not shrink is left to be stored as it is") {
    std::vector<std::byte> stored(3, std::byte{1});
    CHECK_FALSE(compress_body(body_of(1, 1000), compressor, stored));
    CHECK_FALSE(compress_body({}, compressor, stored));
    CHECK(stored.size() == 3);
}

TEST_CASE("a body that says it holds too much is refused before memory is taken for it") {
    std::vector<std::byte> stored;
    REQUIRE(compress_body(dull, compressor, stored));
    std::vector<std::byte> raw;
    CHECK_FALSE(decompress_body(stored, 4999, compressor, raw));
    store(stored.data(), std::uint32_t{0xffff'ffff});
    CHECK_FALSE(decompress_body(stored, record_bytes_max, compressor, raw));
    CHECK(raw.capacity() == 0);
}

TEST_CASE("a compressed body that is damaged is refused, and nothing is left behind") {
    std::vector<std::byte> stored;
    REQUIRE(compress_body(dull, compressor, stored));
    std::vector<std::byte> raw(1);
    for (std::size_t count = 0; count < stored.size(); ++count)
        REQUIRE_FALSE(
            decompress_body(std::span(stored).first(count), record_bytes_max, compressor, raw));
    store(stored.data(), std::uint32_t{4999});
    CHECK_FALSE(decompress_body(stored, record_bytes_max, compressor, raw));
    CHECK(raw.size() == 1);
}
