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
//
// Requests that may be run as one are passed over as long as their list has to wait for more of
// them (batch_rule.hpp).
#pragma once

#include "everpool/core/batch_rule.hpp"
#include "everpool/core/model_set.hpp"
#include "everpool/core/request_table.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace everpool::core {

class RunQueue {
public:
    /// Of one model: by priority, and at the end those that have been delayed.
    using Lists = std::array<RequestList, priority_count + 1>;

    /// `rules`: by model; empty: nothing waits for company.
    explicit RunQueue(std::uint32_t model_count, std::vector<BatchRule> rules = {})
        : lists_(std::size_t{model_count} + 1),
          waiting_models_(model_count),
          rules_(std::move(rules)) {}

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
    [[nodiscard]] Slot first_for(const RequestTable& table, const ModelSet& models, WorkerId worker,
                                 TimePoint now) const noexcept {
        return first_where(table, models, now,
                           [&](Slot slot) { return !table.is_barred(slot, worker); });
    }
    /// The first one, without a model or with one of these, that is_fine(slot) says yes to.
    template <class Choice>
    [[nodiscard]] Slot first_where(const RequestTable& table, const ModelSet& models, TimePoint now,
                                   Choice is_fine) const noexcept {
        if (size_ == 0) return no_slot;
        Slot first = no_slot;
        const auto look = [&](const Lists& lists, ModelId model) {
            for (const RequestList& list : lists) {
                const bool is_ripe = ripe_at(table, list, model) <= now;
                const Slot head = first_of(table, list, [&](Slot slot) {
                    return is_fine(slot) && (is_ripe || !table[slot].is_joinable());
                });
                if (head == no_slot) continue;
                if (first == no_slot || table[head].rank() < table[first].rank()) first = head;
            }
        };
        look(lists_.back(), ModelId::none());
        waiting_models_.for_each_common(models,
                                        [&](ModelId model) { look(lists_[model.value], model); });
        return first;
    }

    /// Nothing new will come, so nobody waits for company any more.
    void end_delays() noexcept {
        for (BatchRule& rule : rules_) rule.delay_max = {};
    }

    /// When the first of this model's lists that waits for company does so no longer; `never`: none
    /// does.
    [[nodiscard]] TimePoint next_ripe_at(const RequestTable& table, ModelId model,
                                         TimePoint now) const noexcept {
        TimePoint first = never;
        for (const RequestList& list : lists_of(model))
            if (const TimePoint at = ripe_at(table, list, model); at > now)
                first = std::min(first, at);
        return first;
    }

    /// What goes to a worker with the one at the front of its list, itself included, in order.
    /// `may_join(slot)` is asked of each further one; after the first no there is no more.
    template <class Choice>
    void collect_batch(const RequestTable& table, Slot front, std::vector<Slot>& out,
                       Choice may_join) const {
        out.assign(1, front);
        const RequestRecord& record = table[front];
        if (!record.is_joinable() || record.meta.model.value >= rules_.size()) return;
        const std::uint64_t waiting = lists_of(record.meta.model)[level_of(record)].rows();
        const std::uint32_t most = rules_[record.meta.model.value].most_of(waiting);
        std::uint64_t rows = record.meta.rows;
        for (Slot slot = record.next; slot != no_slot; slot = table[slot].next) {
            const RequestRecord& other = table[slot];
            rows += other.meta.rows;
            if (!other.is_joinable() || other.meta.batch != record.meta.batch || rows > most ||
                !may_join(slot))
                return;
            out.push_back(slot);
        }
    }

private:
    /// From then on none of them waits for more: TimePoint::min() if none does now.
    [[nodiscard]] TimePoint ripe_at(const RequestTable& table, const RequestList& list,
                                    ModelId model) const noexcept {
        if (model.value >= rules_.size() || list.rows() == 0) return TimePoint::min();
        const BatchRule& rule = rules_[model.value];
        if (rule.is_enough(list.rows())) return TimePoint::min();
        const Slot first =
            first_of(table, list, [&](Slot slot) { return table[slot].is_joinable(); });
        return later(table[first].submitted_at, rule.delay_max);
    }

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
    /// Which of its model's lists it stands in.
    [[nodiscard]] static std::size_t level_of(const RequestRecord& record) noexcept {
        return record.is_delayed() ? priority_count : index_of(record.meta.priority);
    }
    [[nodiscard]] RequestList& list_of(const RequestRecord& record) noexcept {
        return lists_[place_of(record.meta.model)][level_of(record)];
    }

    void note_insertion(ModelId model) noexcept {
        ++size_;
        if (!model.is_none()) waiting_models_.insert(model);
    }

    std::vector<Lists> lists_; ///< by model; the last one: without a model
    ModelSet waiting_models_;  ///< of which one waits
    std::vector<BatchRule> rules_;
    std::uint32_t size_{0};
};

} // namespace everpool::core
