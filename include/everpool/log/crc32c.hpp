// Everpool log: CRC-32C (Castagnoli), by the processor's own instruction where it has one.
// SPDX-License-Identifier: BSL-1.0
//
// It finds every error of up to 32 bits in a row, every one of an odd number of bits, and every one
// of up to three single bits at any length that occurs here; of up to five in up to 650 bytes. One
// instruction a word, in a single row: some 8 GB/s, which is more than a disk reads; three rows at
// a time would be faster and four times the code.
#pragma once

#include "everpool/log/little_endian.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace everpool::log {

/// The checksum of what `crc` is the checksum of, followed by `bytes`. That of nothing is 0.
std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> bytes) noexcept;

inline std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept {
    return crc32c_extend(0, bytes);
}

/// As above, four bytes: the checksum of a checksum.
std::uint32_t crc32c_extend(std::uint32_t crc, std::uint32_t word) noexcept;

namespace detail {

/// Eight tables of Intel's slicing-by-8: table[k][b] is what byte b does, k bytes before the end.
inline constexpr auto crc32c_tables = [] {
    std::array<std::array<std::uint32_t, 256>, 8> tables{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t value = i;
        for (int bit = 0; bit < 8; ++bit)
            value = (value >> 1) ^ (value % 2 != 0 ? 0x82f6'3b78u : 0);
        tables[0][i] = value;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t i = 0; i < 256; ++i)
            tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xff];
    return tables;
}();

/// On any processor: about 1.5 GB/s.
inline std::uint32_t crc32c_by_tables(std::uint32_t crc,
                                      std::span<const std::byte> bytes) noexcept {
    const auto& table = crc32c_tables;
    crc = ~crc;
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8) {
        const std::uint64_t word = load<std::uint64_t>(at) ^ crc;
        crc = table[7][word & 0xff] ^ table[6][(word >> 8) & 0xff] ^ table[5][(word >> 16) & 0xff] ^
              table[4][(word >> 24) & 0xff] ^ table[3][(word >> 32) & 0xff] ^
              table[2][(word >> 40) & 0xff] ^ table[1][(word >> 48) & 0xff] ^ table[0][word >> 56];
    }
    for (; left != 0; ++at, --left)
        crc = (crc >> 8) ^ table[0][(crc ^ std::to_integer<std::uint32_t>(*at)) & 0xff];
    return ~crc;
}

// Builtins instead of <nmmintrin.h> and <arm_acle.h>: those are the system's headers, and this room
// includes none.
#if defined(__x86_64__) && defined(__GNUC__)
#define EVERPOOL_CRC32C_TARGET __attribute__((target("sse4.2")))
#define EVERPOOL_CRC32C_STEP_64(crc, word) __builtin_ia32_crc32di(crc, word)
#define EVERPOOL_CRC32C_STEP_32(crc, word) __builtin_ia32_crc32si(crc, word)
#define EVERPOOL_CRC32C_STEP_8(crc, byte) __builtin_ia32_crc32qi(crc, byte)
inline bool has_crc32c_instruction() noexcept { return __builtin_cpu_supports("sse4.2"); }
#elif defined(__ARM_FEATURE_CRC32) && defined(__clang__)
#define EVERPOOL_CRC32C_TARGET
#define EVERPOOL_CRC32C_STEP_64(crc, word) __builtin_arm_crc32cd(crc, word)
#define EVERPOOL_CRC32C_STEP_32(crc, word) __builtin_arm_crc32cw(crc, word)
#define EVERPOOL_CRC32C_STEP_8(crc, byte) __builtin_arm_crc32cb(crc, byte)
constexpr bool has_crc32c_instruction() noexcept { return true; }
#elif defined(__ARM_FEATURE_CRC32) && defined(__GNUC__)
#define EVERPOOL_CRC32C_TARGET
#define EVERPOOL_CRC32C_STEP_64(crc, word) __builtin_aarch64_crc32cx(crc, word)
#define EVERPOOL_CRC32C_STEP_32(crc, word) __builtin_aarch64_crc32cw(crc, word)
#define EVERPOOL_CRC32C_STEP_8(crc, byte) __builtin_aarch64_crc32cb(crc, byte)
constexpr bool has_crc32c_instruction() noexcept { return true; }
#else
constexpr bool has_crc32c_instruction() noexcept { return false; }
#endif

#ifdef EVERPOOL_CRC32C_TARGET
/// Only if has_crc32c_instruction().
EVERPOOL_CRC32C_TARGET inline std::uint32_t
crc32c_by_instruction(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
    std::uint64_t sum = static_cast<std::uint32_t>(~crc);
    const std::byte* at = bytes.data();
    std::size_t left = bytes.size();
    for (; left >= 8; at += 8, left -= 8)
        sum = EVERPOOL_CRC32C_STEP_64(sum, load<std::uint64_t>(at));
    auto rest = static_cast<std::uint32_t>(sum);
    if (left >= 4) {
        rest = EVERPOOL_CRC32C_STEP_32(rest, load<std::uint32_t>(at));
        at += 4, left -= 4;
    }
    for (; left != 0; ++at, --left)
        rest = EVERPOOL_CRC32C_STEP_8(rest, std::to_integer<std::uint8_t>(*at));
    return ~rest;
}
#undef EVERPOOL_CRC32C_TARGET
#undef EVERPOOL_CRC32C_STEP_64
#undef EVERPOOL_CRC32C_STEP_32
#undef EVERPOOL_CRC32C_STEP_8
#else
inline std::uint32_t crc32c_by_instruction(std::uint32_t crc,
                                           std::span<const std::byte> bytes) noexcept {
    return crc32c_by_tables(crc, bytes);
}
#endif

} // namespace detail

// -------------------------------------------------------------------------------------------------

inline std::uint32_t crc32c_extend(std::uint32_t crc, std::span<const std::byte> bytes) noexcept {
    return detail::has_crc32c_instruction() ? detail::crc32c_by_instruction(crc, bytes)
                                            : detail::crc32c_by_tables(crc, bytes);
}

inline std::uint32_t crc32c_extend(std::uint32_t crc, std::uint32_t word) noexcept {
    std::array<std::byte, sizeof word> bytes;
    store(bytes.data(), word);
    return crc32c_extend(crc, std::span<const std::byte>(bytes));
}

} // namespace everpool::log
