// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "support/catch.hpp"

#include <array>

using everpool::core::Prng;
using everpool::core::splitmix64;

// The first outputs of the reference implementations, so that seeds mean the same everywhere.
TEST_CASE("splitmix64 gives the reference's numbers") {
    std::uint64_t state = 1234567;
    CHECK(splitmix64(state) == 6457827717110365317ULL);
    CHECK(splitmix64(state) == 3203168211198807973ULL);
    CHECK(splitmix64(state) == 9817491932198370423ULL);
}

TEST_CASE("xoshiro256** gives the reference's numbers") {
    Prng prng(std::array<std::uint64_t, 4>{1, 2, 3, 4});
    CHECK(prng.next() == 11520);
    CHECK(prng.next() == 0);
    CHECK(prng.next() == 1509978240);
    CHECK(prng.next() == 1215971899390074240ULL);
}

TEST_CASE("the same seed gives the same numbers, another seed others") {
    Prng a(7), b(7), c(8);
    const std::uint64_t first = a.next();
    CHECK(b.next() == first);
    CHECK(c.next() != first);
}

TEST_CASE("below gives each value about equally often, and never the bound") {
    Prng prng(1);
    std::array<int, 6> seen{};
    for (int i = 0; i < 60'000; ++i) ++seen.at(prng.below(6));
    for (const int count : seen) {
        CHECK(count > 9'500);
        CHECK(count < 10'500);
    }
    CHECK(prng.below(1) == 0);
}

TEST_CASE("a ratio of 0 is never, of n/n always, of 1/4 a quarter of the time") {
    Prng prng(1);
    int hits = 0;
    for (int i = 0; i < 40'000; ++i) {
        CHECK_FALSE(prng.ratio(0, 5));
        CHECK(prng.ratio(5, 5));
        hits += prng.ratio(1, 4) ? 1 : 0;
    }
    CHECK(hits > 9'600);
    CHECK(hits < 10'400);
}
