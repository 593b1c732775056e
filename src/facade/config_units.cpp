// SPDX-License-Identifier: BSL-1.0
#include "facade/config_units.hpp"

#include <array>
#include <cstddef>
#include <limits>

namespace everpool::facade {

namespace {

struct Unit {
    std::string_view name;
    std::uint64_t size; ///< in nanoseconds, or in bytes
};

constexpr std::array duration_units{Unit{"ns", 1},
                                    Unit{"us", 1'000},
                                    Unit{"ms", 1'000'000},
                                    Unit{"s", 1'000'000'000},
                                    Unit{"min", 60'000'000'000},
                                    Unit{"h", 3'600'000'000'000}};

constexpr std::array byte_units{Unit{"B", 1}, Unit{"KiB", 1ULL << 10}, Unit{"MiB", 1ULL << 20},
                                Unit{"GiB", 1ULL << 30}, Unit{"TiB", 1ULL << 40}};

/// A number in digits, taken apart.
struct Quantity {
    std::string_view whole, fraction, unit;
};

std::string_view take_digits(std::string_view& text) noexcept {
    std::size_t count = 0;
    while (count < text.size() && text[count] >= '0' && text[count] <= '9') ++count;
    const std::string_view digits = text.substr(0, count);
    text.remove_prefix(count);
    return digits;
}

/// Empty unless there are digits before the point, and behind it if there is one.
std::optional<Quantity> quantity_from(std::string_view text) noexcept {
    Quantity out;
    out.whole = take_digits(text);
    if (out.whole.empty()) return std::nullopt;
    if (text.starts_with('.')) {
        text.remove_prefix(1);
        out.fraction = take_digits(text);
        if (out.fraction.empty()) return std::nullopt;
    }
    if (text.starts_with(' ')) text.remove_prefix(1);
    out.unit = text;
    return out;
}

/// total += digit * size; false if that is above the limit.
bool add(std::uint64_t& total, unsigned digit, std::uint64_t size, std::uint64_t limit) noexcept {
    if (digit != 0 && size > (limit - total) / digit) return false;
    total += digit * size;
    return true;
}

/// In the smallest unit; empty if it is no whole number of that, or above the limit.
template <std::size_t count>
std::optional<std::uint64_t> value_of(const Quantity& quantity,
                                      const std::array<Unit, count>& units,
                                      std::uint64_t limit) noexcept {
    std::uint64_t size = 0;
    for (const Unit& unit : units)
        if (unit.name == quantity.unit) size = unit.size;
    if (size == 0) return std::nullopt;
    const auto value = [](char digit) { return static_cast<unsigned>(digit - '0'); };
    std::uint64_t whole = 0;
    for (const char digit : quantity.whole) {
        if (whole > limit / 10) return std::nullopt;
        whole *= 10;
        if (!add(whole, value(digit), 1, limit)) return std::nullopt;
    }
    if (whole > limit / size) return std::nullopt;
    std::uint64_t total = whole * size;
    for (const char digit : quantity.fraction) {
        // Once a tenth is not whole any more, only zeros may follow.
        if (digit != '0' && size % 10 != 0) return std::nullopt;
        size /= 10;
        if (!add(total, value(digit), size, limit)) return std::nullopt;
    }
    return total;
}

} // namespace

std::optional<Duration> duration_from(std::string_view text) noexcept {
    const bool is_negative = text.starts_with('-');
    if (is_negative) text.remove_prefix(1);
    const auto quantity = quantity_from(text);
    if (!quantity) return std::nullopt;
    const auto limit = static_cast<std::uint64_t>(std::numeric_limits<Duration::rep>::max());
    const auto total = value_of(*quantity, duration_units, limit);
    if (!total) return std::nullopt;
    const auto nanoseconds = static_cast<Duration::rep>(*total);
    return Duration{is_negative ? -nanoseconds : nanoseconds};
}

std::optional<std::uint64_t> bytes_from(std::string_view text) noexcept {
    const auto quantity = quantity_from(text);
    if (!quantity || !quantity->fraction.empty()) return std::nullopt;
    return value_of(*quantity, byte_units, std::numeric_limits<std::uint64_t>::max());
}

} // namespace everpool::facade
