// Everpool facade: durations and numbers of bytes, as they are written in a configuration.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/time.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace everpool::facade {

/// What duration_from() takes, for a message.
inline constexpr std::string_view duration_form =
    "a duration such as \"250ms\", \"1.5s\" or \"5min\" (units: ns, us, ms, s, min, h)";

/// A decimal number, with a sign if it is negative, and a unit, with a space between them or
/// without: "1.5s", "-20 ms". Exact: empty also for what is no whole number of nanoseconds, or for
/// more than there are in 292 years.
std::optional<Duration> duration_from(std::string_view text) noexcept;

/// What bytes_from() takes, for a message.
inline constexpr std::string_view bytes_form =
    "a number of bytes, or a text such as \"64MiB\" (units: B, KiB, MiB, GiB, TiB)";

/// A whole number and a unit: "64MiB", "1 GiB". Empty also for more than 2^64 - 1.
std::optional<std::uint64_t> bytes_from(std::string_view text) noexcept;

} // namespace everpool::facade
