// Everpool: XXH64, the 64-bit hash of https://xxhash.com (algorithm description 0.2.0).
// SPDX-License-Identifier: BSL-1.0
//
// Why this one: it is a published algorithm with public test values, so that a digest in a log can
// be computed again by any program in any language; and at several bytes a cycle it costs less than
// the copy of a tensor into a socket does. It is no protection against somebody who looks for two
// inputs with the same digest.
//
// Why our own and not libxxhash: it is sixty lines that never change, in a room that needs no
// package; a host of everpool::core alone would have to install one for it.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace everpool {

namespace detail {

inline constexpr std::uint64_t xxh_prime_1 = 0x9e37'79b1'85eb'ca87ULL;
inline constexpr std::uint64_t xxh_prime_2 = 0xc2b2'ae3d'27d4'eb4fULL;
inline constexpr std::uint64_t xxh_prime_3 = 0x1656'67b1'9e37'79f9ULL;
inline constexpr std::uint64_t xxh_prime_4 = 0x85eb'ca77'c2b2'ae63ULL;
inline constexpr std::uint64_t xxh_prime_5 = 0x27d4'eb2f'1656'67c5ULL;

/// Little-endian, as the algorithm has it and the host is (see tensor.hpp).
template <class Integer>
Integer xxh_read(const std::byte* from) noexcept {
    Integer value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

constexpr std::uint64_t xxh_round(std::uint64_t lane, std::uint64_t input) noexcept {
    return std::rotl(lane + input * xxh_prime_2, 31) * xxh_prime_1;
}

constexpr std::uint64_t xxh_merge(std::uint64_t sum, std::uint64_t lane) noexcept {
    return (sum ^ xxh_round(0, lane)) * xxh_prime_1 + xxh_prime_4;
}

/// The bytes that are left after the last full stripe, and the avalanche.
inline std::uint64_t xxh_finish(std::uint64_t sum, std::span<const std::byte> rest) noexcept {
    for (; rest.size() >= 8; rest = rest.subspan(8)) {
        sum ^= xxh_round(0, xxh_read<std::uint64_t>(rest.data()));
        sum = std::rotl(sum, 27) * xxh_prime_1 + xxh_prime_4;
    }
    if (rest.size() >= 4) {
        sum ^= xxh_read<std::uint32_t>(rest.data()) * xxh_prime_1;
        sum = std::rotl(sum, 23) * xxh_prime_2 + xxh_prime_3;
        rest = rest.subspan(4);
    }
    for (const std::byte one : rest) {
        sum ^= std::to_integer<std::uint64_t>(one) * xxh_prime_5;
        sum = std::rotl(sum, 11) * xxh_prime_1;
    }
    sum = (sum ^ (sum >> 33)) * xxh_prime_2;
    sum = (sum ^ (sum >> 29)) * xxh_prime_3;
    return sum ^ (sum >> 32);
}

} // namespace detail

inline std::uint64_t xxhash64(std::span<const std::byte> bytes, std::uint64_t seed = 0) noexcept {
    using namespace detail;
    std::span<const std::byte> rest = bytes;
    std::uint64_t sum = seed + xxh_prime_5;
    if (rest.size() >= 32) {
        std::uint64_t lanes[] = {seed + xxh_prime_1 + xxh_prime_2, seed + xxh_prime_2, seed,
                                 seed - xxh_prime_1};
        for (; rest.size() >= 32; rest = rest.subspan(32))
            for (std::size_t i = 0; i < 4; ++i)
                lanes[i] = xxh_round(lanes[i], xxh_read<std::uint64_t>(rest.data() + 8 * i));
        sum = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) +
              std::rotl(lanes[3], 18);
        for (const std::uint64_t lane : lanes) sum = xxh_merge(sum, lane);
    }
    return xxh_finish(sum + bytes.size(), rest);
}

} // namespace everpool
