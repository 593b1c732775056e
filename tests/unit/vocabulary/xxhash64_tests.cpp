// SPDX-License-Identifier: BSL-1.0
#include "everpool/xxhash64.hpp"

#include "support/catch.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

using everpool::xxhash64;

namespace {

std::uint64_t hash(std::string_view text, std::uint64_t seed = 0) {
    return xxhash64(std::as_bytes(std::span(text)), seed);
}

} // namespace

TEST_CASE("texts have the digests that other implementations of XXH64 give them") {
    CHECK(hash("") == 0xef46'db37'51d8'e999ULL);
    CHECK(hash("a") == 0xd24e'c4f1'a98c'6e5bULL);
    CHECK(hash("abc") == 0x44bc'2cf5'ad77'0999ULL);
    CHECK(hash("Nobody inspects the spammish repetition") == 0xfbce'a83c'8a37'8bf1ULL);
}

// The byte sequence and the values of xxHash's own sanity check.
TEST_CASE("bytes of every length class have the published digests, with and without a seed") {
    constexpr std::uint32_t prime_32 = 2654435761U;
    constexpr std::uint64_t prime_64 = 11400714785074694797ULL;
    std::vector<std::byte> bytes;
    std::uint64_t generator = prime_32;
    for (int i = 0; i < 222; ++i) {
        bytes.push_back(static_cast<std::byte>(generator >> 56));
        generator *= prime_64;
    }
    const std::span<const std::byte> all(bytes);
    CHECK(xxhash64(all.first(0)) == 0xef46'db37'51d8'e999ULL);
    CHECK(xxhash64(all.first(0), prime_32) == 0xac75'fda2'929b'17efULL);
    CHECK(xxhash64(all.first(1)) == 0xe934'a84a'db05'2768ULL);
    CHECK(xxhash64(all.first(1), prime_32) == 0x5014'6076'43a9'b4c3ULL);
    CHECK(xxhash64(all.first(14)) == 0x8282'dcc4'994e'35c8ULL);
    CHECK(xxhash64(all.first(14), prime_32) == 0xc3bd'6bf6'3deb'6df0ULL);
    CHECK(xxhash64(all) == 0xb641'ae8c'b691'c174ULL);
    CHECK(xxhash64(all, prime_32) == 0x20cb'8ab7'ae10'c14aULL);
}
