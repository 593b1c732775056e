// Everpool core: the arithmetic of a vote, element by element and block by block.
// SPDX-License-Identifier: BSL-1.0
//
// judge_element() says what a vote is, in the plainest way, for any values; judge_block() gives the
// same for a block of finite numbers, many times faster: medians by minimum and maximum, no
// branches, loops of constant length over lanes that a compiler turns into vector instructions
// without being allowed to reorder anything.
//
// Both use additions, multiplications, divisions and comparisons of the element's own type, so they
// agree to the bit, and the same answers give the same verdict on every machine that does not fuse
// operations (not with -ffast-math, which knows no NaN).
#pragma once

#include "everpool/vote.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <type_traits>

namespace everpool::core {

/// The float of the same value; exact. \param bits IEEE binary16
constexpr float float_of_half(std::uint16_t bits) noexcept {
    const std::uint32_t sign = std::uint32_t{bits & 0x8000u} << 16;
    const std::uint32_t rest = bits & 0x7fffu;
    if (rest >= 0x7c00u) return std::bit_cast<float>(sign | 0x7f80'0000u | (rest & 0x3ffu) << 13);
    // The exponent's bias is 112 less, which a multiplication by 2^112 also mends for denormals.
    const float magnitude = std::bit_cast<float>(rest << 13) * 0x1p112f;
    return std::bit_cast<float>(sign | std::bit_cast<std::uint32_t>(magnitude));
}

/// A tolerance in the type that it is applied in.
template <class T>
struct TypedTolerance {
    T atol, rtol;

    explicit constexpr TypedTolerance(const Tolerance& tolerance) noexcept
        : atol(static_cast<T>(tolerance.atol)), rtol(static_cast<T>(tolerance.rtol)) {}
};

/// What turns a distance into tolerances. Never infinite, so that no distance is none. (An addition
/// that usually changes nothing, because a comparison here costs a third of the vote's speed.)
template <std::floating_point T>
constexpr T scale_of(T limit) noexcept {
    return 1 / (limit + std::numeric_limits<T>::min());
}

/// What the answers have in common at one element.
template <class T>
struct ElementReference {
    T low{}, high{};      ///< the middle values; equal if their number is odd
    bool is_common{true}; ///< false: no kind (number, NaN, +inf, -inf) has a majority
    bool is_finite{true}; ///< the majority has numbers
};

/// The middle one. \pre no NaN
template <class T>
constexpr T median_of_three(T x, T y, T z) noexcept {
    const T low = x < y ? x : y, high = x < y ? y : x;
    const T rest = high < z ? high : z;
    return low < rest ? rest : low;
}

/// \pre 1 <= values.size() <= vote_answer_count_max
template <class T>
ElementReference<T> reference_of(std::span<const T> values) noexcept {
    if constexpr (std::floating_point<T>) {
        if (values.size() == 3) { // the usual number, and mostly all are finite
            const T x = values[0], y = values[1], z = values[2];
            if ((x - x) + (y - y) + (z - z) == 0) {
                const T median = median_of_three(x, y, z);
                return {median, median, true, true};
            }
        }
    }
    std::array<T, vote_answer_count_max> sorted{};
    std::size_t count = 0;
    const auto insert = [&](T value) {
        std::size_t place = count++;
        for (; place > 0 && sorted[place - 1] > value; --place) sorted[place] = sorted[place - 1];
        sorted[place] = value;
    };
    if constexpr (std::floating_point<T>) {
        constexpr T infinity = std::numeric_limits<T>::infinity();
        std::size_t nan_count = 0, up_count = 0, down_count = 0;
        for (const T value : values) {
            if (value != value) ++nan_count;
            else if (value == infinity) ++up_count;
            else if (value == -infinity) ++down_count;
            else insert(value);
        }
        const std::size_t majority = values.size() / 2 + 1;
        constexpr T nan = std::numeric_limits<T>::quiet_NaN();
        if (up_count >= majority) return {infinity, infinity, true, false};
        if (down_count >= majority) return {-infinity, -infinity, true, false};
        if (nan_count >= majority) return {nan, nan, true, false};
        if (count < majority) return {nan, nan, false, false};
    } else {
        for (const T value : values) insert(value);
    }
    return {sorted[(count - 1) / 2], sorted[count / 2], true, true};
}

/// How an answer stands to the reference at one element.
struct ElementJudgement {
    bool is_beyond{false}, is_mask{false};
    double deviation{0}; ///< in tolerances
};

template <std::floating_point T>
ElementJudgement judge_element(T value, const ElementReference<T>& reference,
                               const TypedTolerance<T>& tolerance) noexcept {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (!reference.is_common) return {true, true, infinity};
    if (!reference.is_finite) {
        const bool is_same =
            reference.low != reference.low ? value != value : value == reference.low;
        return is_same ? ElementJudgement{} : ElementJudgement{true, true, infinity};
    }
    if (!(std::abs(value) <= std::numeric_limits<T>::max())) return {true, true, infinity};
    const T distance = std::max(std::abs(value - reference.low), std::abs(value - reference.high));
    const T limit = tolerance.atol +
                    tolerance.rtol * std::min(std::abs(reference.low), std::abs(reference.high));
    return {distance > limit, false, static_cast<double>(distance * scale_of(limit))};
}

/// Integers and booleans are equal or not.
template <std::integral T>
ElementJudgement judge_element(T value, const ElementReference<T>& reference,
                               const TypedTolerance<T>&) noexcept {
    if (value == reference.low && value == reference.high) return {};
    return {true, false, std::numeric_limits<double>::infinity()};
}

// --- blocks --------------------------------------------------------------------------------------

inline constexpr std::size_t vote_block_count = 256; ///< elements
inline constexpr std::size_t vote_lane_count = 8;

/// What came of one block. Of the answers: as many as there are.
template <class T>
struct BlockJudgement {
    bool is_finite{true}; ///< else the rest means nothing
    std::array<std::uint32_t, vote_answer_count_max> beyond_count{};
    std::array<T, vote_answer_count_max> deviation{}; ///< the largest, in tolerances
};

namespace vote_detail {

template <class T>
using Lanes = std::array<T, vote_lane_count>;
/// As wide as the element, so that a vector of comparisons is a vector of these.
template <class T>
using LaneCount = std::conditional_t<sizeof(T) == 8, std::uint64_t, std::uint32_t>;

/// All blocks have vote_block_count elements. `low` and `high` point to the sorted middle values.
template <class T>
void judge_row(const T* values, const T* low, const T* high, const TypedTolerance<T>& tolerance,
               std::uint32_t& beyond_count, T& deviation) noexcept {
    Lanes<T> largest{};
    Lanes<LaneCount<T>> beyond{};
    for (std::size_t i = 0; i < vote_block_count; i += vote_lane_count) {
        for (std::size_t lane = 0; lane < vote_lane_count; ++lane) {
            const T a = values[i + lane], l = low[i + lane], h = high[i + lane];
            const T to_low = std::abs(a - l), to_high = std::abs(a - h);
            const T distance = to_low < to_high ? to_high : to_low;
            const T low_size = std::abs(l), high_size = std::abs(h);
            const T limit =
                tolerance.atol + tolerance.rtol * (low_size < high_size ? low_size : high_size);
            const T share = distance * scale_of(limit);
            largest[lane] = share > largest[lane] ? share : largest[lane];
            beyond[lane] += distance > limit ? 1 : 0;
        }
    }
    for (std::size_t lane = 0; lane < vote_lane_count; ++lane) {
        beyond_count += static_cast<std::uint32_t>(beyond[lane]);
        deviation = std::max(deviation, largest[lane]);
    }
}

template <class T>
bool is_finite_row(const T* values) noexcept {
    Lanes<LaneCount<T>> odd{};
    for (std::size_t i = 0; i < vote_block_count; i += vote_lane_count)
        for (std::size_t lane = 0; lane < vote_lane_count; ++lane)
            odd[lane] += std::abs(values[i + lane]) <= std::numeric_limits<T>::max() ? 0 : 1;
    LaneCount<T> sum = 0;
    for (const LaneCount<T> count : odd) sum += count;
    return sum == 0;
}

/// The smaller of each pair goes to `a`. \pre no NaN
template <class T>
void order_rows(T* a, T* b) noexcept {
    for (std::size_t i = 0; i < vote_block_count; i += vote_lane_count) {
        Lanes<T> low, high;
        for (std::size_t lane = 0; lane < vote_lane_count; ++lane) {
            const T x = a[i + lane], y = b[i + lane];
            low[lane] = x < y ? x : y;
            high[lane] = x < y ? y : x;
        }
        std::copy(low.begin(), low.end(), a + i);
        std::copy(high.begin(), high.end(), b + i);
    }
}

} // namespace vote_detail

/// Three answers, the usual number.
template <std::floating_point T>
void judge_block_of_three(const std::array<const T*, 3>& rows, const TypedTolerance<T>& tolerance,
                          BlockJudgement<T>& out) noexcept {
    using namespace vote_detail;
    std::array<Lanes<T>, 3> largest{};
    std::array<Lanes<LaneCount<T>>, 3> beyond{};
    Lanes<LaneCount<T>> odd{};
    const T *const a = rows[0], *const b = rows[1], *const c = rows[2];
    const T atol = tolerance.atol, rtol = tolerance.rtol;
    for (std::size_t i = 0; i < vote_block_count; i += vote_lane_count) {
        for (std::size_t lane = 0; lane < vote_lane_count; ++lane) {
            const T x = a[i + lane], y = b[i + lane], z = c[i + lane];
            const T median = median_of_three(x, y, z);
            const T limit = atol + rtol * std::abs(median);
            const T scale = scale_of(limit);
            const T dx = std::abs(x - median), dy = std::abs(y - median), dz = std::abs(z - median);
            const T sx = dx * scale, sy = dy * scale, sz = dz * scale;
            largest[0][lane] = sx > largest[0][lane] ? sx : largest[0][lane];
            largest[1][lane] = sy > largest[1][lane] ? sy : largest[1][lane];
            largest[2][lane] = sz > largest[2][lane] ? sz : largest[2][lane];
            beyond[0][lane] += dx > limit ? 1 : 0;
            beyond[1][lane] += dy > limit ? 1 : 0;
            beyond[2][lane] += dz > limit ? 1 : 0;
            // What is no number or infinite makes one of these no number.
            const T none = (x - x) + (y - y) + (z - z);
            odd[lane] += none == 0 ? 0 : 1;
        }
    }
    LaneCount<T> odd_count = 0;
    for (std::size_t lane = 0; lane < vote_lane_count; ++lane) {
        odd_count += odd[lane];
        for (std::size_t r = 0; r < 3; ++r) {
            out.beyond_count[r] += static_cast<std::uint32_t>(beyond[r][lane]);
            out.deviation[r] = std::max(out.deviation[r], largest[r][lane]);
        }
    }
    out.is_finite = odd_count == 0;
}

/// Any number of answers.
/// \param scratch rows.size() * vote_block_count elements
template <std::floating_point T>
BlockJudgement<T> judge_block(std::span<const T* const> rows, const TypedTolerance<T>& tolerance,
                              std::span<T> scratch) noexcept {
    BlockJudgement<T> out;
    if (rows.size() == 3) {
        judge_block_of_three<T>({rows[0], rows[1], rows[2]}, tolerance, out);
        return out;
    }
    const auto sorted = [&](std::size_t r) { return scratch.data() + r * vote_block_count; };
    for (std::size_t r = 0; r < rows.size(); ++r) {
        out.is_finite = out.is_finite && vote_detail::is_finite_row(rows[r]);
        std::copy(rows[r], rows[r] + vote_block_count, sorted(r));
    }
    if (!out.is_finite) return out;
    // Odd-even transposition: as many rounds as rows sort any input.
    for (std::size_t round = 0; round < rows.size(); ++round)
        for (std::size_t r = round % 2; r + 1 < rows.size(); r += 2)
            vote_detail::order_rows(sorted(r), sorted(r + 1));
    const T *const low = sorted((rows.size() - 1) / 2), *const high = sorted(rows.size() / 2);
    for (std::size_t r = 0; r < rows.size(); ++r)
        vote_detail::judge_row(rows[r], low, high, tolerance, out.beyond_count[r],
                               out.deviation[r]);
    return out;
}

} // namespace everpool::core
