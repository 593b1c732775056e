// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/run_queue.hpp"
#include "support/catch.hpp"

#include <vector>

using namespace everpool;
using namespace everpool::core;

namespace {

struct Queue {
    RequestTable table{100};
    RunQueue queue{70};

    Slot push(std::uint64_t id, ModelId model = ModelId::none()) {
        const Slot slot =
            table.insert({.id = RequestId{id}, .model = model, .waits_since = TimePoint{}});
        queue.push_back(table, slot);
        return slot;
    }
    std::uint64_t pop(const ModelSet& models) {
        const Slot slot = queue.first_for(table, models, WorkerId{0}, TimePoint{});
        if (slot == no_slot) return 0;
        queue.erase(table, slot);
        return table[slot].meta.id.value;
    }
    static ModelSet models(std::initializer_list<std::uint32_t> ids) {
        ModelSet set(70);
        for (const std::uint32_t id : ids) set.insert(ModelId{id});
        return set;
    }
};

} // namespace

TEST_CASE("a worker is given the oldest request among the models that it serves") {
    Queue q;
    q.push(1, ModelId{69});
    q.push(2, ModelId{0});
    q.push(3);
    q.push(4, ModelId{69});
    CHECK(q.pop(q.models({0})) == 2);
    CHECK(q.pop(q.models({0})) == 3); // without a model: anybody's
    CHECK(q.pop(q.models({0})) == 0);
    CHECK(q.pop(q.models({0, 69})) == 1);
    CHECK(q.pop(q.models({0, 69})) == 4);
    CHECK(q.queue.size() == 0);
}

TEST_CASE("requests that come back stand where their ranks belong") {
    Queue q;
    const Slot third = q.push(3), first = q.push(1);
    q.queue.erase(q.table, third);
    q.queue.erase(q.table, first);
    q.push(5);
    q.queue.push_front(q.table, third);
    q.queue.push_front(q.table, first);
    CHECK(q.pop(q.models({})) == 1);
    CHECK(q.pop(q.models({})) == 3);
    CHECK(q.pop(q.models({})) == 5);
}

TEST_CASE("slots are used again, and nothing is found under an old id") {
    RequestTable table(2);
    const Slot a = table.insert({.id = RequestId{1}});
    (void)table.insert({.id = RequestId{2}});
    CHECK(table.is_full());
    table.erase(a);
    CHECK_FALSE(table.is_full());
    CHECK(table.find(RequestId{1}) == no_slot);
    CHECK(table.insert({.id = RequestId{3}}) == a);
    CHECK(table.slot_count() == 2);
}
