// SPDX-License-Identifier: BSL-1.0
#include "everpool/log/crc32c.hpp"
#include "segment_rig.hpp"
#include "support/catch.hpp"

#include <cstdio>
#include <string_view>

using namespace everpool::log;
using everpool::test::body_of;

namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

/// The definition: one bit after the other.
std::uint32_t by_definition(std::span<const std::byte> bytes) {
    std::uint32_t crc = 0xffff'ffff;
    for (const std::byte byte : bytes) {
        crc ^= std::to_integer<std::uint32_t>(byte);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ (crc % 2 != 0 ? 0x82f6'3b78u : 0);
    }
    return ~crc;
}

} // namespace

TEST_CASE("CRC-32C gives the values of RFC 3720, appendix B.4") {
    CHECK(crc32c({}) == 0);
    CHECK(crc32c(bytes_of("123456789")) == 0xe306'9283); // the check value of the catalogue
    std::vector<std::byte> block(32);
    CHECK(crc32c(block) == 0x8a91'36aa);
    std::fill(block.begin(), block.end(), std::byte{0xff});
    CHECK(crc32c(block) == 0x62a8'ab43);
    for (std::size_t i = 0; i < 32; ++i) block[i] = static_cast<std::byte>(i);
    CHECK(crc32c(block) == 0x46dd'794e);
    for (std::size_t i = 0; i < 32; ++i) block[i] = static_cast<std::byte>(31 - i);
    CHECK(crc32c(block) == 0x113f'db5c);
    std::vector<std::byte> command(48); // an iSCSI read command
    for (const auto& [at, value] : {std::pair{0, 0x01},
                                    {1, 0xc0},
                                    {16, 0x14},
                                    {22, 0x04},
                                    {27, 0x14},
                                    {31, 0x18},
                                    {32, 0x28},
                                    {40, 0x02}})
        command[static_cast<std::size_t>(at)] = static_cast<std::byte>(value);
    CHECK(crc32c(command) == 0xd996'3a56);
}

TEST_CASE(
    "the processor's CRC-32C, the tables' and the definition agree at every length and place") {
    if (!detail::has_crc32c_instruction())
        std::printf(
            "  this processor has no instruction for CRC-32C: only the tables are tested\n");
    const auto bytes = body_of(7, 700);
    for (std::size_t from = 0; from < 9; ++from) {
        for (std::size_t count = 0; count <= 600; ++count) {
            const auto part = std::span(bytes).subspan(from, count);
            const std::uint32_t expected = by_definition(part);
            REQUIRE(detail::crc32c_by_tables(0, part) == expected);
            REQUIRE(crc32c(part) == expected);
        }
    }
}

TEST_CASE("a checksum can be taken in parts, cut anywhere") {
    const auto bytes = body_of(9, 100);
    const std::uint32_t whole = crc32c(bytes);
    for (std::size_t cut = 0; cut <= bytes.size(); ++cut) {
        const auto head = std::span(bytes).first(cut);
        const auto tail = std::span(bytes).subspan(cut);
        REQUIRE(crc32c_extend(crc32c(head), tail) == whole);
        REQUIRE(detail::crc32c_by_tables(detail::crc32c_by_tables(0, head), tail) == whole);
    }
    CHECK(crc32c_extend(crc32c(bytes_of("12345")), std::uint32_t{0x3938'3736}) ==
          crc32c(bytes_of("123456789")));
}
