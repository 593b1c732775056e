// Everpool core: a CowTable that can take back what was done to it.
// SPDX-License-Identifier: BSL-1.0
//
// A transaction makes its changes in place and takes them back if one of them is refused. Taking a
// snapshot to go back to would be simpler, but then each transaction would copy every node that it
// touches; a copy of the record alone is a tenth of that.
#pragma once

#include "everpool/core/cow_table.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace everpool::core {

template <class T, unsigned leaf_bits>
class JournalTable {
public:
    using Key = std::uint64_t;
    using View = CowView<T, leaf_bits>;

    JournalTable() = default;
    explicit JournalTable(const View& view) : table_(view) {}

    [[nodiscard]] const T* find(Key key) const noexcept { return table_.find(key); }
    [[nodiscard]] std::size_t size() const noexcept { return table_.size(); }
    template <class Visitor>
    void visit(Visitor&& visitor) const {
        table_.visit(visitor);
    }
    [[nodiscard]] View freeze() noexcept { return table_.freeze(); }

    /// From now on everything is noted, or nothing.
    void begin(bool is_noting) { is_noting_ = is_noting; }
    /// What was done stays.
    void commit() noexcept { before_.clear(); }
    /// Gets the memory that erase(key) will need if nothing is noted. \pre the key is there
    void prepare_erase(Key key) { (void)table_.edit(key); }

    /// Undoes what was done since begin(). Calls on_undo(record now or null, record then or null)
    /// for each step, the last one first. \pre it was noted
    ///
    /// That a record was not changed after it was noted, for want of memory, is no trouble. If
    /// there is none here, it throws, and goes on where it was when it is called again.
    template <class Visitor>
    void roll_back(Visitor&& on_undo) {
        for (; !before_.empty(); before_.pop_back()) {
            auto& [key, then] = before_.back();
            const T* const now = table_.find(key);
            on_undo(now, then ? &*then : nullptr);
            if (!then) {
                if (now != nullptr) table_.erase(key);
                continue;
            }
            if (now == nullptr) table_.insert(key, T{}); // it moves only where nothing can fail
            table_.edit(key) = std::move(*then);
        }
    }

    /// As those of CowTable.
    [[nodiscard]] T& edit(Key key) {
        T& record = table_.edit(key);
        if (is_noting_) before_.emplace_back(key, record);
        return record;
    }
    T& insert(Key key, T record) {
        if (is_noting_) before_.emplace_back(key, std::nullopt);
        return table_.insert(key, std::move(record));
    }
    void erase(Key key) {
        if (is_noting_) before_.emplace_back(key, *table_.find(key));
        table_.erase(key);
    }

private:
    CowTable<T, leaf_bits> table_{};
    std::vector<std::pair<Key, std::optional<T>>> before_{};
    bool is_noting_{false};
};

} // namespace everpool::core
