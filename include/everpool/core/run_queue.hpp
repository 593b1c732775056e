// Everpool core: the requests that wait for any worker that can serve them.
// SPDX-License-Identifier: BSL-1.0
//
// One list per model and one for requests without a model, so that a request which nobody can take
// does not stand in the way of another model's. A worker is given the oldest request among the
// lists that it serves: first come, first served within what is possible.
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

    /// The oldest request that a worker with these models can serve; no_slot if there is none.
    [[nodiscard]] Slot oldest_for(const RequestTable& table,
                                  const ModelSet& models) const noexcept {
        if (size_ == 0) return no_slot;
        Slot oldest = lists_.back().front();
        waiting_models_.for_each_common(models, [&](ModelId model) {
            const Slot head = lists_[model.value].front();
            if (oldest == no_slot || table[head].meta.id < table[oldest].meta.id) oldest = head;
        });
        return oldest;
    }

private:
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
