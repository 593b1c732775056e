// Everpool history: numbers to bytes and back, little-endian, with a checksum.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::history {

/// CRC-32C (Castagnoli): finds every error of up to 32 bits in a row.
inline std::uint32_t crc32c(std::span<const std::byte> bytes) noexcept {
    static constexpr auto table = [] {
        std::array<std::uint32_t, 256> made{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            std::uint32_t value = i;
            for (int bit = 0; bit < 8; ++bit)
                value = (value >> 1) ^ (value % 2 != 0 ? 0x82f6'3b78u : 0);
            made[i] = value;
        }
        return made;
    }();
    std::uint32_t crc = 0xffff'ffff;
    for (const std::byte byte : bytes)
        crc = (crc >> 8) ^ table[(crc ^ std::to_integer<std::uint32_t>(byte)) & 0xff];
    return ~crc;
}

class ByteWriter {
public:
    template <std::integral Integer>
    void fixed(Integer value) {
        auto bits = static_cast<std::uint64_t>(value);
        for (std::size_t i = 0; i < sizeof value; ++i, bits >>= 8)
            bytes.push_back(static_cast<std::byte>(bits & 0xff));
    }
    void real(double value) { fixed(std::bit_cast<std::uint64_t>(value)); }
    /// Seven bits per byte: most counts are small, and most are zero.
    void count(std::uint64_t value) {
        for (; value >= 0x80; value >>= 7)
            bytes.push_back(static_cast<std::byte>((value & 0x7f) | 0x80));
        bytes.push_back(static_cast<std::byte>(value));
    }
    void text(std::string_view value) {
        count(value.size());
        for (const char character : value) bytes.push_back(static_cast<std::byte>(character));
    }

    std::vector<std::byte> bytes;
};

/// Believes nothing: past the end, and for anything impossible, it has failed and gives zeros.
class ByteReader {
public:
    explicit ByteReader(std::span<const std::byte> bytes) noexcept : rest_(bytes) {}

    template <std::integral Integer>
    Integer fixed() noexcept {
        if (rest_.size() < sizeof(Integer)) {
            fail();
            return 0;
        }
        std::uint64_t bits = 0;
        for (std::size_t i = sizeof(Integer); i-- > 0;)
            bits = bits << 8 | std::to_integer<std::uint64_t>(rest_[i]);
        rest_ = rest_.subspan(sizeof(Integer));
        return static_cast<Integer>(bits);
    }
    /// Finite and in the range, else it has failed.
    double real(double min, double max) noexcept {
        const auto value = std::bit_cast<double>(fixed<std::uint64_t>());
        if (value >= min && value <= max) return value;
        fail();
        return 0;
    }
    std::uint64_t count(std::uint64_t max = UINT64_MAX) noexcept {
        std::uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = fixed<std::uint8_t>();
            const std::uint64_t bits = byte & 0x7f;
            if (shift == 63 && bits > 1) break;
            value |= bits << shift;
            if (byte < 0x80) {
                if (value <= max) return value;
                break;
            }
        }
        fail();
        return 0;
    }
    std::string text(std::size_t bytes_max) {
        const auto size = static_cast<std::size_t>(count(bytes_max));
        if (size > rest_.size()) {
            fail();
            return {};
        }
        std::string value(size, '\0');
        for (std::size_t i = 0; i < size; ++i) value[i] = static_cast<char>(rest_[i]);
        rest_ = rest_.subspan(size);
        return value;
    }

    void fail() noexcept { has_failed_ = true; }
    [[nodiscard]] bool has_failed() const noexcept { return has_failed_; }
    [[nodiscard]] bool is_at_end() const noexcept { return rest_.empty(); }

private:
    std::span<const std::byte> rest_;
    bool has_failed_{false};
};

} // namespace everpool::history
