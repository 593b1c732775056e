// Everpool core: from an id that the outside names to the slot where we keep it.
// SPDX-License-Identifier: BSL-1.0
//
// Open addressing with linear probing, at most half full; deletion shifts back, so there are no
// tombstones and no slow decay. It is never iterated: nothing may depend on the order of a hash
// table. It allocates only when the number of live ids passes everything it has seen.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

namespace everpool::core {

/// An index into a table. Slots are reused; an id is not.
using Slot = std::uint32_t;
inline constexpr Slot no_slot = std::numeric_limits<Slot>::max();

class IdIndex {
public:
    explicit IdIndex(std::size_t expected_count = 8) {
        rehash(std::bit_ceil(expected_count * 2 + 2));
    }

    /// \pre id != 0
    [[nodiscard]] Slot find(std::uint64_t id) const noexcept {
        for (std::size_t i = home(id);; i = next(i)) {
            if (entries_[i].id == id) return entries_[i].slot;
            if (entries_[i].id == 0) return no_slot;
        }
    }

    /// \pre id != 0 and not in the index
    void insert(std::uint64_t id, Slot slot) {
        if ((size_ + 1) * 2 > entries_.size()) rehash(entries_.size() * 2);
        place(id, slot);
        ++size_;
    }

    /// \pre the id is in the index
    void erase(std::uint64_t id) noexcept {
        std::size_t hole = home(id);
        while (entries_[hole].id != id) hole = next(hole);
        for (std::size_t i = next(hole); entries_[i].id != 0; i = next(i)) {
            // An entry may move into the hole unless its home lies behind the hole.
            const std::size_t distance = (i - home(entries_[i].id)) & mask();
            if (distance < ((i - hole) & mask())) continue;
            entries_[hole] = entries_[i];
            hole = i;
        }
        entries_[hole] = {};
        --size_;
    }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    struct Entry {
        std::uint64_t id{0};
        Slot slot{no_slot};
    };

    [[nodiscard]] std::size_t mask() const noexcept { return entries_.size() - 1; }
    [[nodiscard]] std::size_t next(std::size_t i) const noexcept { return (i + 1) & mask(); }
    /// Fibonacci hashing: ids in sequence land far apart, so no long runs arise.
    [[nodiscard]] std::size_t home(std::uint64_t id) const noexcept {
        return static_cast<std::size_t>((id * 0x9e37'79b9'7f4a'7c15ULL) >> shift_);
    }

    void place(std::uint64_t id, Slot slot) noexcept {
        std::size_t i = home(id);
        while (entries_[i].id != 0) i = next(i);
        entries_[i] = {id, slot};
    }

    void rehash(std::size_t count) {
        const std::vector<Entry> old = std::exchange(entries_, std::vector<Entry>(count));
        shift_ = 64 - std::countr_zero(count);
        for (const Entry& entry : old)
            if (entry.id != 0) place(entry.id, entry.slot);
    }

    std::vector<Entry> entries_;
    std::size_t size_{0};
    int shift_{0};
};

} // namespace everpool::core
