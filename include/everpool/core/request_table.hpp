// Everpool core: every request that has not ended, and the lists that they stand in.
// SPDX-License-Identifier: BSL-1.0
//
// A slab: records are found by slot, slots are reused, nothing is allocated while the number of
// requests stays below what it once was. Lists are threaded through the records, and a record
// stands in at most one of them: a queue while it waits, its worker's list while it is there.
#pragma once

#include "everpool/core/event.hpp"
#include "everpool/core/id_index.hpp"

#include <cassert>
#include <cstdint>
#include <vector>

namespace everpool::core {

/// What is a request doing?
///
///     Submit --> waiting --> in_flight --> (gone: Complete)
///                  ^  |          |  |
///                  |  +-> gone   |  +----> abandoned --> (gone: late answer, or worker lost)
///                  +-------------+
///
///   waiting    in one queue; the caller waits; has no worker
///   in_flight  in its worker's list; the caller waits; counts against the worker's limits
///   abandoned  in its worker's list; the caller has been answered (cancelled, deadline); still
///              counts against the worker's limits, because the worker may still be busy with it
enum class RequestState : std::uint8_t { free, waiting, in_flight, abandoned };

struct RequestRecord {
    RequestMeta meta{};
    RequestState state{RequestState::free};
    std::uint32_t attempts{0};             ///< dispatched so often
    WorkerId worker{WorkerId::none()};     ///< the last one it was dispatched to
    Slot previous{no_slot}, next{no_slot}; ///< in its list; `next` also links free slots
};

class RequestTable {
public:
    explicit RequestTable(std::uint32_t count_max)
        : count_max_(count_max), index_(count_max < reserved_count ? count_max : reserved_count) {
        records_.reserve(count_max < reserved_count ? count_max : reserved_count);
    }

    [[nodiscard]] bool is_full() const noexcept { return index_.size() >= count_max_; }
    [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }
    /// Slots that were ever in use; each is free or has a record.
    [[nodiscard]] Slot slot_count() const noexcept { return static_cast<Slot>(records_.size()); }

    /// no_slot if it is not here (any more).
    [[nodiscard]] Slot find(RequestId id) const noexcept {
        return id.value == 0 ? no_slot : index_.find(id.value);
    }

    [[nodiscard]] RequestRecord& operator[](Slot slot) noexcept { return records_[slot]; }
    [[nodiscard]] const RequestRecord& operator[](Slot slot) const noexcept {
        return records_[slot];
    }

    /// \pre meta.id is not 0 and not here
    Slot insert(const RequestMeta& meta) {
        Slot slot = free_;
        if (slot != no_slot) {
            free_ = records_[slot].next;
        } else {
            slot = static_cast<Slot>(records_.size());
            records_.emplace_back();
        }
        records_[slot] = {.meta = meta, .state = RequestState::waiting};
        index_.insert(meta.id.value, slot);
        return slot;
    }

    /// \pre in no list
    void erase(Slot slot) noexcept {
        index_.erase(records_[slot].meta.id.value);
        records_[slot].state = RequestState::free;
        records_[slot].next = free_;
        free_ = slot;
    }

private:
    /// Room made at once; more comes when it is needed the first time.
    static constexpr std::uint32_t reserved_count = 4096;

    std::uint32_t count_max_;
    std::vector<RequestRecord> records_;
    IdIndex index_;
    Slot free_{no_slot};
};

/// A doubly linked list of requests, ordered by id: who asked first stands first, also after coming
/// back from a lost worker.
class RequestList {
public:
    [[nodiscard]] Slot front() const noexcept { return front_; }
    [[nodiscard]] bool is_empty() const noexcept { return front_ == no_slot; }
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }

    /// New requests have the highest id, so this looks from the back.
    void insert_from_back(RequestTable& table, Slot slot) noexcept {
        Slot after = back_;
        while (after != no_slot && table[slot].meta.id < table[after].meta.id)
            after = table[after].previous;
        link(table, slot, after, after == no_slot ? front_ : table[after].next);
    }

    /// Requests that come back have the lowest ids, so this looks from the front.
    void insert_from_front(RequestTable& table, Slot slot) noexcept {
        Slot before = front_;
        while (before != no_slot && table[before].meta.id < table[slot].meta.id)
            before = table[before].next;
        link(table, slot, before == no_slot ? back_ : table[before].previous, before);
    }

    /// \pre stands in this list
    void erase(RequestTable& table, Slot slot) noexcept {
        RequestRecord& record = table[slot];
        (record.previous == no_slot ? front_ : table[record.previous].next) = record.next;
        (record.next == no_slot ? back_ : table[record.next].previous) = record.previous;
        record.previous = record.next = no_slot;
        --size_;
    }

private:
    void link(RequestTable& table, Slot slot, Slot previous, Slot next) noexcept {
        table[slot].previous = previous;
        table[slot].next = next;
        (previous == no_slot ? front_ : table[previous].next) = slot;
        (next == no_slot ? back_ : table[next].previous) = slot;
        ++size_;
    }

    Slot front_{no_slot}, back_{no_slot};
    std::uint32_t size_{0};
};

} // namespace everpool::core
