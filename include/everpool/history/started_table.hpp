// Everpool history: operations that were started and have not ended.
// SPDX-License-Identifier: BSL-1.0
//
// An operation whose end is never told must not be remembered for ever, nor be taken for one that
// is still running: whoever is too old, or is the oldest when there is no room, is given up.
//
// Places are linked in the order of starting, and those that are free one after the other. An
// operation's number is its place and how many were started before it, so that finding it needs no
// look-up, and a number that was used is never used again.
#pragma once

#include "everpool/performance_history.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace everpool::history {

/// Allocates once.
class StartedTable {
public:
    struct Started {
        StartedOperation id{}; ///< 0: nobody
        SeriesId series;
        TimePoint at;
        std::uint32_t newer{none}, older{none}; ///< of a free place: `older` is the next free one
    };
    static constexpr std::uint32_t none = UINT32_MAX;
    static constexpr std::uint32_t count_max_limit = 1U << 20;

    /// \pre 0 < count_max < count_max_limit
    explicit StartedTable(std::uint32_t count_max) : places_(count_max) {
        assert(count_max > 0 && count_max < count_max_limit);
        for (std::uint32_t place = 0; place + 1 < count_max; ++place)
            places_[place].older = place + 1;
    }

    /// \param given_up counts the oldest, if it has to leave for this one
    StartedOperation add(SeriesId series, TimePoint now, std::uint64_t& given_up) noexcept {
        if (free_ == none) {
            release(oldest_);
            ++given_up;
        }
        const std::uint32_t place = free_;
        Started& started = places_[place];
        free_ = started.older;
        const StartedOperation id{++last_ * count_max_limit + place};
        // In order of time, too: what comes out of order counts as if it came now.
        if (newest_ != none) now = std::max(now, places_[newest_].at);
        started = {id, series, now, none, newest_};
        (newest_ == none ? oldest_ : places_[newest_].newer) = place;
        newest_ = place;
        return id;
    }

    std::optional<Started> take(StartedOperation id) noexcept {
        const std::uint64_t place = id.value % count_max_limit;
        if (id.value == 0 || place >= places_.size() || places_[place].id != id)
            return std::nullopt;
        const Started started = places_[place];
        release(static_cast<std::uint32_t>(place));
        return started;
    }

    /// Gives up what was started before `time`. \return how many that were
    std::uint64_t drop_before(TimePoint time) noexcept {
        std::uint64_t count = 0;
        for (; oldest_ != none && places_[oldest_].at < time; ++count) release(oldest_);
        return count;
    }

    /// Calls visit(started) for each, from the newest to the oldest.
    template <class Visit>
    void visit(Visit visit) const {
        for (std::uint32_t place = newest_; place != none; place = places_[place].older)
            visit(places_[place]);
    }

private:
    void release(std::uint32_t place) noexcept {
        Started& started = places_[place];
        (started.newer == none ? newest_ : places_[started.newer].older) = started.older;
        (started.older == none ? oldest_ : places_[started.older].newer) = started.newer;
        started = {};
        started.older = free_;
        free_ = place;
    }

    std::vector<Started> places_;
    std::uint32_t newest_{none}, oldest_{none}, free_{0};
    std::uint64_t last_{0}; ///< how many were started
};

} // namespace everpool::history
