// When the tests' own clocks begin: late enough that a window may reach back from it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/time.hpp"

#include <chrono>

namespace everpool::tests {

inline constexpr TimePoint start{std::chrono::hours{100}};

} // namespace everpool::tests
