// Everpool core: one look at all channels of a worker, of which one has been silent.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/starvation_answer.hpp"
#include "everpool/time.hpp"

#include <cstdint>
#include <optional>

namespace everpool::core {

struct SessionLook {
    TimePoint since; ///< all were asked then
    /// For a compute thread that may loop; nobody is suspect, so nobody else is judged by it.
    bool is_early{false};
    std::optional<TimePoint> control_heard_at{}; ///< first, in this look
    std::uint64_t sequence{0};                   ///< of what is asked once in it
    bool is_page_asked{false}, has_page_answered{false};
    StarvationAnswer starvation{};
};

} // namespace everpool::core
