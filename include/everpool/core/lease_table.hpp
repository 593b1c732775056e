// Everpool core: who has borrowed a worker, and who waits for one.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/event.hpp"
#include "everpool/core/id_index.hpp"

#include <cstdint>
#include <map>
#include <vector>

namespace everpool::core {

/// What is a lease doing?
///
///     Acquire --> waiting --> reserved --> held --> releasing --> (gone)
///                    ^            |
///                    +- worker ---+
///                        lost
///
///   waiting    no worker that could serve it is free of leases
///   reserved   a worker takes no other work; granted as soon as what it still has is done
///   held       the worker works for this lease alone
///   releasing  given back; the lease's accepted operations run to their end first
enum class LeaseState : std::uint8_t { free, waiting, reserved, held, releasing };

struct LeaseRecord {
    LeaseId id{};
    LeaseState state{LeaseState::free};
    ModelId model{ModelId::none()};
    std::uint32_t preferred_browsers{0};
    WorkerId worker{WorkerId::none()}; ///< unless waiting
    Slot next_free{no_slot};
};

class LeaseTable {
public:
    explicit LeaseTable(std::uint32_t count_max) : count_max_(count_max) {}

    [[nodiscard]] bool is_full() const noexcept { return index_.size() >= count_max_; }
    [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }
    [[nodiscard]] Slot slot_count() const noexcept { return static_cast<Slot>(records_.size()); }
    [[nodiscard]] Slot find(LeaseId id) const noexcept {
        return id.value == 0 ? no_slot : index_.find(id.value);
    }
    [[nodiscard]] LeaseRecord& operator[](Slot slot) noexcept { return records_[slot]; }
    [[nodiscard]] const LeaseRecord& operator[](Slot slot) const noexcept { return records_[slot]; }

    /// Those in state waiting, first come first. An iterator stays valid while others leave the
    /// line.
    [[nodiscard]] const std::map<LeaseId, Slot>& waiting() const noexcept { return waiting_; }

    /// A new lease, waiting. \pre id is not 0 and not here
    Slot insert(LeaseId id, ModelId model, std::uint32_t preferred_browsers) {
        Slot slot = free_;
        if (slot != no_slot) {
            free_ = records_[slot].next_free;
        } else {
            slot = static_cast<Slot>(records_.size());
            records_.emplace_back();
        }
        records_[slot] = {.id = id, .model = model, .preferred_browsers = preferred_browsers};
        index_.insert(id.value, slot);
        to_waiting(slot);
        return slot;
    }

    /// Into the line, at the place of its id.
    void to_waiting(Slot slot) {
        records_[slot].state = LeaseState::waiting;
        records_[slot].worker = WorkerId::none();
        waiting_.emplace(records_[slot].id, slot);
    }

    /// Out of the line. \pre waiting
    void to_reserved(Slot slot, WorkerId worker) {
        waiting_.erase(records_[slot].id);
        records_[slot].state = LeaseState::reserved;
        records_[slot].worker = worker;
    }

    void erase(Slot slot) {
        if (records_[slot].state == LeaseState::waiting) waiting_.erase(records_[slot].id);
        index_.erase(records_[slot].id.value);
        records_[slot].state = LeaseState::free;
        records_[slot].next_free = free_;
        free_ = slot;
    }

private:
    std::uint32_t count_max_;
    std::vector<LeaseRecord> records_;
    std::map<LeaseId, Slot>
        waiting_; ///< in the order of asking; leases are rare, so it may allocate
    IdIndex index_;
    Slot free_{no_slot};
};

} // namespace everpool::core
