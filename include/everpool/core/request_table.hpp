// Everpool core: every request that has not ended, and the lists that they stand in.
// SPDX-License-Identifier: BSL-1.0
//
// A slab: records are found by slot, slots are reused, nothing is allocated while the number of
// requests stays below what it once was. Lists are threaded through the records, and a record
// stands in at most one of them: a queue while it waits, its worker's list while it is there.
//
// Copies. A request of which several workers are asked at the same time has a record for each, and
// a CopySet that they share. The first record stands for the request: it alone is in the index, and
// it stays until the last copy has gone. The others are chained to it.
#pragma once

#include "everpool/core/copy_set.hpp"
#include "everpool/core/event.hpp"
#include "everpool/core/id_index.hpp"

#include <cassert>
#include <compare>
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
///   ended      in no list; the first record of several, kept for the others (see CopySet)
enum class RequestState : std::uint8_t { free, waiting, in_flight, abandoned, ended };

/// Where a request stands among those that wait: the lowest rank is served first.
struct Rank {
    TimePoint waits_since{};
    RequestId id{};
    friend auto operator<=>(const Rank&, const Rank&) = default;
};

struct RequestRecord {
    RequestMeta meta{};
    RequestState state{RequestState::free};
    std::uint8_t tries{0};    ///< this record was dispatched so often
    bool is_new{false};       ///< when dispatched, nobody knew how long it takes
    std::uint32_t attempt{0}; ///< which attempt of the request was its last one
    TimePoint submitted_at{};
    TimePoint dispatched_at{};             ///< the last time
    std::uint64_t dispatch_number{0};      ///< then so many had been dispatched, with it
    std::uint64_t batch{0};                ///< which others it went with; 0: alone
    std::uint16_t work{0};                 ///< the kind of work that they were together
    WorkerId worker{WorkerId::none()};     ///< the last one it was dispatched to
    Slot previous{no_slot}, next{no_slot}; ///< in its list; `next` also links free slots
    Slot set{no_slot};                     ///< its CopySet; no_slot: it is the only one
    Slot sibling{no_slot};                 ///< the next record of the same set

    [[nodiscard]] Rank rank() const noexcept { return {meta.waits_since, meta.id}; }
    /// It went behind all others when its patience was over.
    [[nodiscard]] bool is_delayed() const noexcept { return meta.waits_since == never; }
    /// Is it to be run as one with others?
    [[nodiscard]] bool is_joinable() const noexcept {
        return meta.batch != 0 && tries == 0 && set == no_slot;
    }
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
    Slot insert(const RequestMeta& meta, TimePoint now = {}) {
        const Slot slot = take_slot();
        records_[slot] = {.meta = meta, .state = RequestState::waiting, .submitted_at = now};
        index_.insert(meta.id.value, slot);
        return slot;
    }

    /// \pre in no list, and of no set
    void erase(Slot slot) noexcept {
        index_.erase(records_[slot].meta.id.value);
        put_back(slot);
    }

    // --- copies ----------------------------------------------------------------------------------

    [[nodiscard]] bool has_copies(Slot slot) const noexcept {
        return records_[slot].set != no_slot;
    }
    /// \pre has_copies(slot)
    [[nodiscard]] CopySet& set_of(Slot slot) noexcept { return sets_[records_[slot].set]; }
    [[nodiscard]] const CopySet& set_of(Slot slot) const noexcept {
        return sets_[records_[slot].set];
    }
    /// The record that stands for the request.
    [[nodiscard]] Slot first_of(Slot slot) const noexcept {
        return has_copies(slot) ? set_of(slot).first : slot;
    }
    /// All records of a set, the first one first.
    [[nodiscard]] CopySlots copies_of(Slot first) const noexcept {
        CopySlots out;
        for (Slot slot = first; slot != no_slot; slot = records_[slot].sibling) out.push(slot);
        return out;
    }
    /// The record of the request whose last attempt is this; no_slot if there is none.
    [[nodiscard]] Slot find_attempt(Slot first, std::uint32_t attempt) const noexcept {
        Slot slot = first;
        while (slot != no_slot && records_[slot].attempt != attempt) slot = records_[slot].sibling;
        return slot;
    }

    /// One more record for the request, waiting and in no list.
    /// \pre it has fewer than copies_max of them
    Slot add_copy(Slot first) {
        const Slot slot = take_slot();
        if (records_[first].set == no_slot) records_[first].set = take_set(first);
        records_[slot] = {.meta = records_[first].meta,
                          .state = RequestState::waiting,
                          .submitted_at = records_[first].submitted_at,
                          .set = records_[first].set,
                          .sibling = records_[first].sibling};
        records_[first].sibling = slot;
        return slot;
    }

    /// This record has done what it was for. The first one stays for the others, if there are any;
    /// and it goes with the last of them if the request is over.
    /// \pre in no list
    void release(Slot slot) noexcept {
        if (!has_copies(slot)) return erase(slot);
        const Slot first = set_of(slot).first;
        if (slot == first) {
            records_[slot].state = RequestState::ended;
        } else {
            Slot before = first;
            while (records_[before].sibling != slot) before = records_[before].sibling;
            records_[before].sibling = records_[slot].sibling;
            put_back(slot);
        }
        if (records_[first].state != RequestState::ended || !set_of(first).is_over ||
            records_[first].sibling != no_slot)
            return;
        sets_[records_[first].set].first = no_slot;
        free_sets_.push_back(records_[first].set);
        erase(first);
    }

    /// Must this worker not have it, because it has another copy, or has answered one?
    [[nodiscard]] bool is_barred(Slot slot, WorkerId worker) const noexcept {
        if (!has_copies(slot)) return false; // as most of the time
        const CopySet& set = set_of(slot);
        if (set.has_answered(worker)) return true;
        for (Slot one = set.first; one != no_slot; one = records_[one].sibling)
            if (is_at_worker(records_[one].state) && records_[one].worker == worker) return true;
        return false;
    }

private:
    /// Room made at once; more comes when it is needed the first time.
    static constexpr std::uint32_t reserved_count = 4096;

    static constexpr bool is_at_worker(RequestState state) noexcept {
        return state == RequestState::in_flight || state == RequestState::abandoned;
    }

    Slot take_slot() {
        const Slot slot = free_;
        if (slot != no_slot) {
            free_ = records_[slot].next;
            return slot;
        }
        records_.emplace_back();
        return static_cast<Slot>(records_.size() - 1);
    }

    void put_back(Slot slot) noexcept {
        records_[slot].state = RequestState::free;
        records_[slot].set = records_[slot].sibling = no_slot;
        records_[slot].next = free_;
        free_ = slot;
    }

    Slot take_set(Slot first) {
        if (free_sets_.empty()) {
            sets_.emplace_back();
            free_sets_.reserve(sets_.capacity()); // so that giving back never allocates
            free_sets_.push_back(static_cast<Slot>(sets_.size() - 1));
        }
        const Slot slot = free_sets_.back();
        free_sets_.pop_back();
        sets_[slot] = {.first = first, .attempts = records_[first].attempt};
        return slot;
    }

    std::uint32_t count_max_;
    std::vector<RequestRecord> records_;
    IdIndex index_;
    Slot free_{no_slot};
    std::vector<CopySet> sets_;
    std::vector<Slot> free_sets_;
};

/// A doubly linked list of requests, ordered by rank: who asked first stands first, also after
/// coming back from a lost worker.
class RequestList {
public:
    [[nodiscard]] Slot front() const noexcept { return front_; }
    [[nodiscard]] bool is_empty() const noexcept { return front_ == no_slot; }
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    /// Of those that may go with others.
    [[nodiscard]] std::uint64_t rows() const noexcept { return rows_; }

    /// New requests mostly have the highest rank of their list, so this looks from the back.
    void insert_from_back(RequestTable& table, Slot slot) noexcept {
        Slot after = back_;
        while (after != no_slot && table[slot].rank() < table[after].rank())
            after = table[after].previous;
        link(table, slot, after, after == no_slot ? front_ : table[after].next);
    }

    /// Requests that come back mostly have the lowest ranks, so this looks from the front.
    void insert_from_front(RequestTable& table, Slot slot) noexcept {
        Slot before = front_;
        while (before != no_slot && table[before].rank() < table[slot].rank())
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
        if (record.is_joinable()) rows_ -= record.meta.rows;
    }

private:
    void link(RequestTable& table, Slot slot, Slot previous, Slot next) noexcept {
        table[slot].previous = previous;
        table[slot].next = next;
        (previous == no_slot ? front_ : table[previous].next) = slot;
        (next == no_slot ? back_ : table[next].previous) = slot;
        ++size_;
        if (table[slot].is_joinable()) rows_ += table[slot].meta.rows;
    }

    Slot front_{no_slot}, back_{no_slot};
    std::uint32_t size_{0};
    std::uint64_t rows_{0};
};

} // namespace everpool::core
