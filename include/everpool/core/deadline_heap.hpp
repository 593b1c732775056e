// Everpool core: which of many deadlines comes first.
// SPDX-License-Identifier: BSL-1.0
//
// An indexed binary heap: small dense keys (slots of a table, indices of workers), at most one
// deadline each; set, move and clear in O(log n), the first one in O(1). A timing wheel would be
// O(1) throughout, but rounds, and must be turned; with a thousand deadlines the heap costs ten
// steps. Equal times are ordered by key, so that a run can be repeated.
#pragma once

#include "everpool/time.hpp"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace everpool::core {

class DeadlineHeap {
public:
    /// Keys below `count` may be used from now on. Never shrinks.
    void grow(std::uint32_t count) {
        if (count <= place_.size()) return;
        place_.resize(count, nowhere);
        entries_.reserve(place_.capacity()); // which doubles; `count` alone would grow each time
    }

    /// The key's deadline is `at` from now on; `never` clears it.
    /// \pre key < the largest count given to grow()
    void set(std::uint32_t key, TimePoint at) {
        assert(key < place_.size());
        const std::uint32_t place = place_[key];
        if (at == never) {
            if (place != nowhere) remove(place);
        } else if (place == nowhere) {
            entries_.push_back({at, key});
            rise(static_cast<std::uint32_t>(entries_.size()) - 1);
        } else if (entries_[place].at != at) {
            entries_[place].at = at;
            sink(rise(place));
        }
    }

    void clear(std::uint32_t key) { set(key, never); }

    /// The earliest deadline; `never` if there is none.
    [[nodiscard]] TimePoint next() const noexcept {
        return entries_.empty() ? never : entries_.front().at;
    }
    /// Whose it is. \pre next() != never
    [[nodiscard]] std::uint32_t next_key() const noexcept { return entries_.front().key; }

    [[nodiscard]] TimePoint at(std::uint32_t key) const noexcept {
        const std::uint32_t place = place_[key];
        return place == nowhere ? never : entries_[place].at;
    }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    /// Deadlines that are set without an allocation.
    [[nodiscard]] std::size_t capacity() const noexcept { return entries_.capacity(); }

    /// For check_invariants(): every parent comes before its children, every key knows its place.
    [[nodiscard]] bool is_consistent() const noexcept {
        for (std::uint32_t i = 0; i < entries_.size(); ++i) {
            if (place_[entries_[i].key] != i) return false;
            if (i != 0 && comes_before(entries_[i], entries_[(i - 1) / 2])) return false;
        }
        return true;
    }

private:
    struct Entry {
        TimePoint at;
        std::uint32_t key;
    };
    static constexpr std::uint32_t nowhere = std::numeric_limits<std::uint32_t>::max();

    static bool comes_before(const Entry& a, const Entry& b) noexcept {
        return a.at != b.at ? a.at < b.at : a.key < b.key;
    }

    void put(std::uint32_t place, const Entry& entry) noexcept {
        entries_[place] = entry;
        place_[entry.key] = place;
    }

    std::uint32_t rise(std::uint32_t place) noexcept {
        const Entry entry = entries_[place];
        while (place != 0 && comes_before(entry, entries_[(place - 1) / 2])) {
            put(place, entries_[(place - 1) / 2]);
            place = (place - 1) / 2;
        }
        put(place, entry);
        return place;
    }

    void sink(std::uint32_t place) noexcept {
        const Entry entry = entries_[place];
        const auto count = static_cast<std::uint32_t>(entries_.size());
        for (;;) {
            std::uint32_t child = 2 * place + 1;
            if (child >= count) break;
            if (child + 1 < count && comes_before(entries_[child + 1], entries_[child])) ++child;
            if (!comes_before(entries_[child], entry)) break;
            put(place, entries_[child]);
            place = child;
        }
        put(place, entry);
    }

    void remove(std::uint32_t place) noexcept {
        place_[entries_[place].key] = nowhere;
        const Entry last = entries_.back();
        entries_.pop_back();
        if (place == entries_.size()) return;
        put(place, last);
        sink(rise(place));
    }

    std::vector<Entry> entries_;
    std::vector<std::uint32_t> place_; ///< by key: its index in entries_
};

} // namespace everpool::core
