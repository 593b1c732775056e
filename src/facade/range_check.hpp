// Everpool facade: is a member of a configuration within its documented range?
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/time.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string_view>

namespace everpool::facade {

/// Throws std::invalid_argument that names the member, its range and the value that it has.
class RangeCheck {
public:
    /// \pre `config`, the name of the configuration's class, outlives this object
    explicit RangeCheck(std::string_view config) noexcept : config_(config) {}

    void operator()(std::string_view member, std::uint64_t value, std::uint64_t min,
                    std::uint64_t max) const {
        if (value < min || value > max)
            refuse(member, fmt::format("{} to {}", min, max), fmt::to_string(value));
    }

    void operator()(std::string_view member, Duration value, Duration min, Duration max) const {
        using Milliseconds = std::chrono::duration<double, std::milli>;
        if (value < min || value > max)
            refuse(
                member,
                fmt::format("{} ms to {} ms", Milliseconds(min).count(), Milliseconds(max).count()),
                fmt::format("{} ms", Milliseconds(value).count()));
    }

    [[noreturn]] void refuse(std::string_view member, std::string_view must,
                             std::string_view got) const {
        throw std::invalid_argument(
            fmt::format("{}::{} must be {}, but is {}", config_, member, must, got));
    }

private:
    std::string_view config_;
};

} // namespace everpool::facade
