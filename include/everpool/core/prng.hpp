// Everpool core: chance as an argument.
// SPDX-License-Identifier: BSL-1.0
//
// xoshiro256** (Blackman and Vigna), seeded by splitmix64. Integers only, and nothing of <random>:
// the standard's distributions give different values on different standard libraries, so a seed
// would not repeat a run. Not for secrets.
#pragma once

#include <array>
#include <bit>
#include <cassert>
#include <cstdint>

namespace everpool::core {

/// One step of splitmix64: advances `state` and gives 64 well-mixed bits. Also good as a mixer.
constexpr std::uint64_t splitmix64(std::uint64_t& state) noexcept {
    state += 0x9e37'79b9'7f4a'7c15ULL;
    std::uint64_t z = state;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11ebULL;
    return z ^ (z >> 31);
}

class Prng {
public:
    constexpr explicit Prng(std::uint64_t seed) noexcept {
        for (std::uint64_t& word : state_) word = splitmix64(seed);
    }
    /// From a raw state. \pre not all zero
    constexpr explicit Prng(const std::array<std::uint64_t, 4>& state) noexcept : state_(state) {}

    /// 64 random bits.
    constexpr std::uint64_t next() noexcept {
        const std::uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
        const std::uint64_t shifted = state_[1] << 17;
        state_[2] ^= state_[0];
        state_[3] ^= state_[1];
        state_[1] ^= state_[2];
        state_[0] ^= state_[3];
        state_[2] ^= shifted;
        state_[3] = std::rotl(state_[3], 45);
        return result;
    }

    /// 0 to bound - 1, all equally likely (what would favour small values is drawn again).
    /// \pre bound > 0
    constexpr std::uint64_t below(std::uint64_t bound) noexcept {
        assert(bound > 0);
        const std::uint64_t unfair = (0 - bound) % bound; // 2^64 mod bound
        std::uint64_t bits = next();
        while (bits < unfair) bits = next();
        return bits % bound;
    }

    /// True in `numerator` of `denominator` cases. \pre denominator > 0
    constexpr bool ratio(std::uint64_t numerator, std::uint64_t denominator) noexcept {
        return below(denominator) < numerator;
    }

private:
    std::array<std::uint64_t, 4> state_{};
};

} // namespace everpool::core
