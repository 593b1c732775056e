// Everpool history: operations that were started and have not ended.
// SPDX-License-Identifier: BSL-1.0
//
// An operation whose end is never told must not be remembered for ever, nor be taken for one that
// is still running. So the table is a ring over the numbers of operations: number n stands in slot
// n modulo the size, and whoever is still there when its slot is wanted, or is too old, is given
// up.
#pragma once

#include "everpool/performance_history.hpp"
#include "everpool/time.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace everpool::history {

class StartedTable {
public:
    struct Started {
        StartedOperation id{}; ///< 0: nobody
        SeriesId series;
        TimePoint at;
    };

    explicit StartedTable(std::size_t count_max) : slots_(count_max) {}

    StartedOperation add(SeriesId series, TimePoint now) noexcept {
        const StartedOperation id{++last_};
        Started& slot = slots_[id.value % slots_.size()];
        if (slot.id.value != 0) ++abandoned_;
        slot = {id, series, now};
        return id;
    }

    std::optional<Started> take(StartedOperation id) noexcept {
        Started& slot = slots_[id.value % slots_.size()];
        if (id.value == 0 || slot.id != id) return std::nullopt;
        const Started started = slot;
        slot.id = {};
        return started;
    }

    /// Gives up what was started before `time`.
    void drop_before(TimePoint time) noexcept {
        if (last_ - oldest_ > slots_.size()) oldest_ = last_ - slots_.size();
        for (; oldest_ < last_; ++oldest_) {
            Started& slot = slots_[(oldest_ + 1) % slots_.size()];
            if (slot.id.value != oldest_ + 1) continue; // it has ended
            if (slot.at >= time) return;
            slot.id = {};
            ++abandoned_;
        }
    }

    [[nodiscard]] const std::vector<Started>& slots() const noexcept { return slots_; }
    [[nodiscard]] std::uint64_t abandoned() const noexcept { return abandoned_; }

private:
    std::vector<Started> slots_;
    std::uint64_t last_{0};
    std::uint64_t oldest_{0}; ///< all up to this one have ended or were given up
    std::uint64_t abandoned_{0};
};

} // namespace everpool::history
