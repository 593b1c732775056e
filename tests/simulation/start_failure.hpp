// Simulator: where a worker's start may fail, and how.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/recovery_rung.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace everpool::simulation {

/// The steps of a start, in order.
enum class StartStep : std::uint8_t {
    launch,       ///< of the browser, or of what the rung makes anew
    connection,   ///< of the page
    loading,      ///< of a model
    verification, ///< by the known answer to a model's warm-up
};

inline constexpr std::array<std::string_view, 4> start_step_names{"launch", "connection", "loading",
                                                                  "verification"};

struct StartFailure {
    StartStep step{};
    bool does_hang{false}; ///< nothing is heard of it any more; otherwise it is told
    friend bool operator==(const StartFailure&, const StartFailure&) = default;
};

/// Each start of a worker fails until one by a larger rung than `last`, or until `last` itself has
/// been tried so often. Only what fails at `last` is `how`; below it the launch does, at once.
struct FailingStarts {
    RecoveryRung last{};
    StartFailure how{};
    std::uint32_t times{1};
};

} // namespace everpool::simulation
