// Everpool history: the last so many operations, oldest first.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/performance_history.hpp"
#include "everpool/time.hpp"

#include <cassert>
#include <cstddef>
#include <vector>

namespace everpool::history {

/// Allocates once. Times never decrease from one entry to the next.
class EntryRing {
public:
    explicit EntryRing(std::size_t count_max) : entries_(count_max) { assert(count_max > 0); }

    /// The oldest leaves if it is full. An entry from before the newest counts as of that time.
    void push(HistoryEntry entry) noexcept {
        if (size_ != 0 && entry.completed_at < back().completed_at)
            entry.completed_at = back().completed_at;
        entries_[place(size_)] = entry;
        if (size_ < entries_.size()) ++size_;
        else first_ = place(1);
    }
    void drop_before(TimePoint time) noexcept {
        while (size_ != 0 && entries_[first_].completed_at < time) {
            first_ = place(1);
            --size_;
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t capacity() const noexcept { return entries_.size(); }
    /// \pre i < size()
    [[nodiscard]] const HistoryEntry& operator[](std::size_t i) const noexcept {
        assert(i < size_);
        return entries_[place(i)];
    }
    [[nodiscard]] const HistoryEntry& back() const noexcept { return (*this)[size_ - 1]; }

    /// The index of the first entry not before `time`; size() if there is none.
    [[nodiscard]] std::size_t find(TimePoint time) const noexcept {
        std::size_t low = 0, high = size_;
        while (low < high) {
            const std::size_t middle = (low + high) / 2;
            if ((*this)[middle].completed_at < time) low = middle + 1;
            else high = middle;
        }
        return low;
    }

private:
    [[nodiscard]] std::size_t place(std::size_t i) const noexcept {
        const std::size_t place = first_ + i;
        return place < entries_.size() ? place : place - entries_.size();
    }

    std::vector<HistoryEntry> entries_;
    std::size_t first_{0}, size_{0};
};

} // namespace everpool::history
