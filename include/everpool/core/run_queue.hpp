// Everpool core: the requests that wait for any worker that can serve them.
// SPDX-License-Identifier: BSL-1.0
//
// For each model, and for requests without one, a list per priority and one of what has been
// delayed; so a request which nobody can take does not stand in the way of another model's, and
// each new one goes to the end of its list, however many wait. (Those that a dead host has left, and
// those that are delayed, are walked to their places.) A worker is given the request of the
// lowest rank among the lists that it serves. A rank is a point in time: of the submission, and so
// much later for each step of priority. Ranks do not change while a request waits, but new ones come
// with later times: so it rises.
//
// Copies of one request go to different workers, so there may be some in front that this worker
// must not have; they are walked over. They are as many as requests of which other copies are under
// way or answered.
#pragma once

#include "everpool/core/model_set.hpp"
#include "everpool/core/request_table.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace everpool::core {

class RunQueue {
public:
    /// Of one model: by priority, and at the end those that have been delayed.
    using Lists = std::array<RequestList, priority_count + 1>;

    explicit RunQueue(std::uint32_t model_count)
        : lists_(std::size_t{model_count} + 1), waiting_models_(model_count) {}

    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    [[nodiscard]] const Lists& lists_of(ModelId model) const noexcept {
        return lists_[place_of(model)];
    }
    /// One that waits for this model; no_slot if there is none.
    [[nodiscard]] Slot any_of(ModelId model) const noexcept {
        for (const RequestList& list : lists_of(model))
            if (!list.is_empty()) return list.front();
        return no_slot;
    }

    /// A new request: behind those of its priority that wait.
    void push_back(RequestTable& table, Slot slot) noexcept {
        list_of(table[slot]).insert_from_back(table, slot);
        note_insertion(table[slot].meta.model);
    }

    /// A request that comes back: in front, where its rank belongs.
    void push_front(RequestTable& table, Slot slot) noexcept {
        list_of(table[slot]).insert_from_front(table, slot);
        note_insertion(table[slot].meta.model);
    }

    /// \pre waits here
    void erase(RequestTable& table, Slot slot) noexcept {
        const ModelId model = table[slot].meta.model;
        list_of(table[slot]).erase(table, slot);
        --size_;
        if (!model.is_none() && any_of(model) == no_slot) waiting_models_.erase(model);
    }

    /// The request of the lowest rank that this worker, with these models, can serve; no_slot if
    /// there is none. A copy is passed over if the worker has, or has answered, another copy of the
    /// same request.
    [[nodiscard]] Slot first_for(const RequestTable& table, const ModelSet& models,
                                 WorkerId worker) const noexcept {
        return first_where(table, models,
                           [&](Slot slot) { return !table.is_barred(slot, worker); });
    }
    /// The first one, without a model or with one of these, that is_fine(slot) says yes to.
    template <class Choice>
    [[nodiscard]] Slot first_where(const RequestTable& table, const ModelSet& models,
                                   Choice is_fine) const noexcept {
        if (size_ == 0) return no_slot;
        Slot first = no_slot;
        const auto look = [&](const Lists& lists) {
            for (const RequestList& list : lists) {
                const Slot head = first_of(table, list, is_fine);
                if (head == no_slot) continue;
                if (first == no_slot || table[head].rank() < table[first].rank()) first = head;
            }
        };
        look(lists_.back());
        waiting_models_.for_each_common(models, [&](ModelId model) { look(lists_[model.value]); });
        return first;
    }

private:
    template <class Choice>
    [[nodiscard]] static Slot first_of(const RequestTable& table, const RequestList& list,
                                       Choice is_fine) noexcept {
        Slot slot = list.front();
        while (slot != no_slot && !is_fine(slot)) slot = table[slot].next;
        return slot;
    }

    [[nodiscard]] std::size_t place_of(ModelId model) const noexcept {
        return model.is_none() ? lists_.size() - 1 : model.value;
    }
    [[nodiscard]] RequestList& list_of(const RequestRecord& record) noexcept {
        const auto level = static_cast<std::size_t>(record.meta.priority);
        return lists_[place_of(record.meta.model)][record.is_delayed() ? priority_count : level];
    }

    void note_insertion(ModelId model) noexcept {
        ++size_;
        if (!model.is_none()) waiting_models_.insert(model);
    }

    std::vector<Lists> lists_; ///< by model; the last one: without a model
    ModelSet waiting_models_;  ///< of which one waits
    std::uint32_t size_{0};
};

} // namespace everpool::core
