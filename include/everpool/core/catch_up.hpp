// Everpool core: the time that a worker has to catch up, after it got no processor.
// SPDX-License-Identifier: BSL-1.0
//
// Who gets processors again still owes all that has piled up meanwhile, and pays one part after the
// other: the page answers while the compute thread has not even been handed its first message. So a
// worker has as long again as it was seen to starve, look after look, but no longer than a pause
// that is granted on any day. What loops waits now and then as well, in one look and not in the
// next, and is granted next to nothing.
#pragma once

#include "everpool/time.hpp"

#include <algorithm>

namespace everpool::core {

class CatchUp {
public:
    explicit CatchUp(Duration most) : most_(most) {}

    /// A look that began at `since` ends now.
    void on_look(bool has_starved, TimePoint since, TimePoint now) noexcept {
        starved_ = has_starved ? std::min(starved_ + (now - since), most_) : Duration::zero();
        if (has_starved) end_ = std::max(end_, later(now, starved_));
    }
    /// The host stood still for `lost`: the worker cannot have been heard to catch up meanwhile.
    void on_host_late(Duration lost) noexcept { end_ = later(end_, lost); }
    /// A new life.
    void reset() noexcept {
        starved_ = Duration::zero();
        end_ = TimePoint::min();
    }
    [[nodiscard]] bool is_under_way(TimePoint now) const noexcept { return now < end_; }

private:
    Duration most_;
    Duration starved_{}; ///< in the last look and those before it, without one in which it did not
    TimePoint end_{TimePoint::min()};
};

} // namespace everpool::core
