// Everpool core: does a worker have to be recovered too often?
// SPDX-License-Identifier: BSL-1.0
//
// As in Erlang/OTP's supervisors: more than `count_max` recoveries within `period` mean that what
// is being done does not help, however well each of them ends. A page that crashes every two
// seconds because of its browser comes back each time, and would do so for ever.
#pragma once

#include "everpool/time.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace everpool::core {

class RestartIntensity {
public:
    /// `period` 0: never too often. \pre count_max > 0
    RestartIntensity(std::uint32_t count_max, Duration period)
        : period_(period), begun_(count_max) {}

    /// A recovery begins. \return whether that is one too many; then counting begins anew
    bool note(TimePoint now) noexcept {
        if (count_ == begun_.size() && period_ > Duration{} && now - begun_[next_] <= period_) {
            reset();
            return true;
        }
        begun_[next_] = now;
        next_ = (next_ + 1) % begun_.size();
        if (count_ < begun_.size()) ++count_;
        return false;
    }

    /// After a healthy spell.
    void reset() noexcept { count_ = next_ = 0; }

private:
    Duration period_;
    std::vector<TimePoint> begun_; ///< a ring; the oldest one stands at next_ once it is full
    std::size_t next_{0}, count_{0};
};

} // namespace everpool::core
