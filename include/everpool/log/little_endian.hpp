// Everpool log: fixed-width numbers in bytes, little-endian, at any address.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstring>

namespace everpool::log {

static_assert(std::endian::native == std::endian::little,
              "numbers are little-endian on disk and are not swapped");

template <std::unsigned_integral Integer>
Integer load(const std::byte* from) noexcept {
    Integer value;
    std::memcpy(&value, from, sizeof value);
    return value;
}

template <std::unsigned_integral Integer>
void store(std::byte* to, Integer value) noexcept {
    std::memcpy(to, &value, sizeof value);
}

} // namespace everpool::log
