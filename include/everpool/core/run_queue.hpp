// Everpool core: the requests that wait for any worker that can serve them.
// SPDX-License-Identifier: BSL-1.0
//
// One list per model and one for requests without a model, so that a request which nobody can take
// does not stand in the way of another model's. A worker is given the oldest request among the
// lists that it serves: first come, first served within what is possible.
//
// Copies of one request go to different workers, so there may be some in front that this worker
// must not have; they are walked over. They are as many as requests of which other copies are under
// way or answered.
#pragma once

#include "everpool/core/model_set.hpp"
#include "everpool/core/request_table.hpp"

#include <cstdint>
#include <vector>

namespace everpool::core {

class RunQueue {
public:
    explicit RunQueue(std::uint32_t model_count)
        : lists_(std::size_t{model_count} + 1), waiting_models_(model_count) {}

    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    [[nodiscard]] const RequestList& list_of(ModelId model) const noexcept {
        return lists_[place_of(model)];
    }

    /// A new request: behind those that wait.
    void push_back(RequestTable& table, Slot slot) noexcept {
        const ModelId model = table[slot].meta.model;
        lists_[place_of(model)].insert_from_back(table, slot);
        note_insertion(model);
    }

    /// A request that had its turn already: in front, where its id belongs.
    void push_front(RequestTable& table, Slot slot) noexcept {
        const ModelId model = table[slot].meta.model;
        lists_[place_of(model)].insert_from_front(table, slot);
        note_insertion(model);
    }

    /// \pre waits here
    void erase(RequestTable& table, Slot slot) noexcept {
        const ModelId model = table[slot].meta.model;
        RequestList& list = lists_[place_of(model)];
        list.erase(table, slot);
        --size_;
        if (list.is_empty() && !model.is_none()) waiting_models_.erase(model);
    }

    /// The oldest request that this worker, with these models, can serve; no_slot if there is none.
    /// A copy is passed over if the worker has, or has answered, another copy of the same request.
    [[nodiscard]] Slot oldest_for(const RequestTable& table, const ModelSet& models,
                                  WorkerId worker) const noexcept {
        return oldest_where(table, models,
                            [&](Slot slot) { return !table.is_barred(slot, worker); });
    }
    /// The oldest one, without a model or with one of these, that is_fine(slot) says yes to.
    template <class Choice>
    [[nodiscard]] Slot oldest_where(const RequestTable& table, const ModelSet& models,
                                    Choice is_fine) const noexcept {
        if (size_ == 0) return no_slot;
        Slot oldest = first_of(table, lists_.back(), is_fine);
        waiting_models_.for_each_common(models, [&](ModelId model) {
            const Slot head = first_of(table, lists_[model.value], is_fine);
            if (head == no_slot) return;
            if (oldest == no_slot || table[head].meta.id < table[oldest].meta.id) oldest = head;
        });
        return oldest;
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

    void note_insertion(ModelId model) noexcept {
        ++size_;
        if (!model.is_none()) waiting_models_.insert(model);
    }

    std::vector<RequestList> lists_; ///< by model; the last one: without a model
    ModelSet waiting_models_;        ///< whose list is not empty
    std::uint32_t size_{0};
};

} // namespace everpool::core
