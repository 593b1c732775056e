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

    /// Undoes what was done since begin(). Calls on_undo(record now or null, record then or null)
    /// for each step, the last one first. \pre it was noted
    template <class Visitor>
    void roll_back(Visitor&& on_undo) {
        for (; !before_.empty(); before_.pop_back()) {
            auto& [key, then] = before_.back();
            on_undo(table_.find(key), then ? &*then : nullptr);
            if (!then) table_.erase(key);
            else if (table_.find(key) == nullptr) table_.insert(key, std::move(*then));
            else table_.edit(key) = std::move(*then);
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
