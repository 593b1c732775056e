// Everpool core: the time that a worker has to catch up, after it got no processor.
// SPDX-License-Identifier: BSL-1.0
//
// Who gets processors again still owes all that has piled up meanwhile, and pays one part after the
// other: the page answers while the compute thread has not even been handed its first message. So a
// worker that has starved has as long again, but no longer than a pause that is granted on any day.
#pragma once

#include "everpool/time.hpp"

#include <algorithm>

namespace everpool::core {

class CatchUp {
public:
    explicit CatchUp(Duration most) : most_(most) {}

    /// It has starved from `since` until now.
    void on_starved(TimePoint since, TimePoint now) noexcept {
        starved_ = std::min(starved_ + (now - since), most_);
        end_ = later(now, starved_);
    }
    /// The host stood still for `lost`: the worker cannot have been heard to catch up meanwhile.
    void on_host_late(Duration lost) noexcept { end_ = later(end_, lost); }
    /// All is well.
    void reset() noexcept {
        starved_ = Duration::zero();
        end_ = TimePoint::min();
    }
    [[nodiscard]] bool is_under_way(TimePoint now) const noexcept { return now < end_; }

private:
    Duration most_;
    Duration starved_{}; ///< since all was well
    TimePoint end_{TimePoint::min()};
};

} // namespace everpool::core
