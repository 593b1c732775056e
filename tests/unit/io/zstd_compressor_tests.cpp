// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/prng.hpp"
#include "io/zstd_compressor.hpp"
#include "support/catch.hpp"
#include "support/failing_allocation.hpp"

#include <zstd.h>

#include <algorithm>
#include <atomic>
#include <iterator>
#include <new>
#include <thread>

namespace everpool::io {
namespace {

using Bytes = std::vector<std::byte>;

/// Bytes that can be made smaller, about as states can.
Bytes some_text(std::size_t bytes, std::uint64_t seed) {
    core::Prng prng(seed);
    Bytes out;
    while (out.size() < bytes) {
        const std::string word = "worker " + std::to_string(prng.below(50)) + ", model bert; ";
        for (const char c : word) out.push_back(static_cast<std::byte>(c));
    }
    out.resize(bytes);
    return out;
}

Bytes compressed(const Bytes& raw) {
    Bytes frame;
    REQUIRE(ZstdCompressor().compress(raw, frame));
    return frame;
}

TEST_CASE("what was compressed comes back, behind what was there before") {
    const ZstdCompressor zstd;
    const std::size_t bytes = GENERATE(std::size_t{0}, std::size_t{1}, std::size_t{300},
                                       std::size_t{70'000}, std::size_t{3'000'000});
    const Bytes raw = some_text(bytes, 1), before(7, std::byte{42});
    Bytes frame = before;
    REQUIRE(zstd.compress(raw, frame));
    CHECK(std::equal(before.begin(), before.end(), frame.begin()));
    if (bytes >= 300) CHECK(frame.size() < bytes / 2);
    Bytes out = before;
    REQUIRE(zstd.decompress(std::span(frame).subspan(7), bytes, out));
    REQUIRE(out.size() == 7 + bytes);
    CHECK(std::equal(before.begin(), before.end(), out.begin()));
    CHECK(std::equal(raw.begin(), raw.end(), out.begin() + 7));
}

TEST_CASE("a frame that holds another number of bytes is refused, and nothing is left of it") {
    const ZstdCompressor zstd;
    const Bytes frame = compressed(some_text(10'000, 2));
    for (const std::size_t bytes : {0, 1, 9'999, 10'001, 1'000'000}) {
        Bytes out(3);
        CHECK_FALSE(zstd.decompress(frame, bytes, out));
        CHECK(out.size() == 3);
    }
}

TEST_CASE("a frame that is cut, or has something behind it, is refused") {
    const ZstdCompressor zstd;
    const Bytes frame = compressed(some_text(2'000, 3));
    for (std::size_t bytes = 0; bytes < frame.size(); ++bytes) {
        Bytes out;
        CHECK_FALSE(zstd.decompress(std::span(frame).first(bytes), 2'000, out));
        CHECK(out.empty());
    }
    Bytes longer = frame, twice = frame, out;
    longer.push_back(std::byte{0});
    twice.insert(twice.end(), frame.begin(), frame.end());
    CHECK_FALSE(zstd.decompress(longer, 2'000, out));
    CHECK_FALSE(zstd.decompress(twice, 2'000, out));
    CHECK_FALSE(zstd.decompress(twice, 4'000, out));
    CHECK(out.empty());
}

TEST_CASE("a frame that does not say how much it holds is refused") {
    const Bytes raw = some_text(1'000, 4);
    Bytes frame(ZSTD_compressBound(raw.size()));
    ZSTD_CCtx* context = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    frame.resize(ZSTD_compress2(context, frame.data(), frame.size(), raw.data(), raw.size()));
    ZSTD_freeCCtx(context);
    Bytes out;
    CHECK_FALSE(ZstdCompressor().decompress(frame, raw.size(), out));
}

TEST_CASE("no memory is an exception: it says nothing of the frame") {
    if (!tests::FailingAllocation::is_possible) return;
    const Bytes raw = some_text(50'000, 6);
    const Bytes frame = compressed(raw);
    const ZstdCompressor zstd;
    Bytes out(3);
    {
        const tests::FailingAllocation failing(1, raw.size());
        CHECK_THROWS_AS(zstd.decompress(frame, raw.size(), out), std::bad_alloc);
    }
    CHECK(out.size() == 3);
    REQUIRE(zstd.decompress(frame, raw.size(), out));
    CHECK(std::equal(raw.begin(), raw.end(), out.begin() + 3));

    // One that says it holds more than there can be: one block of a byte, eight times.
    const Bytes huge = [] {
        Bytes bytes;
        for (const int byte :
             {0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x43, 0, 0, 5})
            bytes.push_back(static_cast<std::byte>(byte));
        return bytes;
    }();
    CHECK_THROWS_AS(zstd.decompress(huge, std::size_t{1} << 63, out), std::bad_alloc);
    CHECK(out.size() == 3 + raw.size());
}

// The log's own checksum finds damage; here it only must not do any.
TEST_CASE("damaged frames never give more than was asked for") {
    const ZstdCompressor zstd;
    const Bytes frame = compressed(some_text(5'000, 5));
    std::size_t refused = 0;
    for (std::uint64_t seed = 0; seed < 3'000; ++seed) {
        core::Prng prng(seed);
        Bytes damaged = frame, out;
        for (std::uint64_t i = 0; i <= prng.below(4); ++i)
            damaged[prng.below(damaged.size())] ^= static_cast<std::byte>(1 + prng.below(255));
        const bool is_accepted = zstd.decompress(damaged, 5'000, out);
        CHECK(out.size() == (is_accepted ? 5'000 : 0));
        refused += is_accepted ? 0 : 1;
    }
    CHECK(refused > 0);
}

TEST_CASE("one compressor serves many threads at the same time") {
    const ZstdCompressor zstd;
    std::atomic<int> good{0};
    std::vector<std::thread> threads;
    for (std::uint64_t seed = 0; seed < 8; ++seed)
        threads.emplace_back([&, seed] {
            for (std::uint64_t i = 0; i < 50; ++i) {
                const Bytes raw = some_text(100 + 700 * i, seed * 100 + i);
                Bytes frame, out;
                if (zstd.compress(raw, frame) && zstd.decompress(frame, raw.size(), out) &&
                    out == raw)
                    ++good;
            }
        });
    for (std::thread& thread : threads) thread.join();
    CHECK(good == 8 * 50);
}

} // namespace
} // namespace everpool::io
