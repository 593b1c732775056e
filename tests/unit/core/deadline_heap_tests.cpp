// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/deadline_heap.hpp"
#include "everpool/core/prng.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <chrono>
#include <map>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::core;

TEST_CASE("an empty heap's next deadline is never") {
    DeadlineHeap heap;
    CHECK(heap.next() == never);
    heap.grow(4);
    CHECK(heap.next() == never);
    heap.clear(3); // harmless
    CHECK(heap.next() == never);
}

// A table that grows by one slot at a time grows its deadlines with it.
TEST_CASE("growing by one key at a time allocates now and then, not each time") {
    DeadlineHeap heap;
    std::size_t growths = 0;
    for (std::uint32_t count = 1, capacity = 0; count <= 10'000; ++count) {
        heap.grow(count);
        if (heap.capacity() != capacity) ++growths;
        capacity = static_cast<std::uint32_t>(heap.capacity());
    }
    CHECK(growths < 30);
}

TEST_CASE("equal deadlines come in the order of their keys") {
    DeadlineHeap heap;
    heap.grow(8);
    for (const std::uint32_t key : {5U, 2U, 7U, 1U}) heap.set(key, TimePoint(1s));
    for (const std::uint32_t key : {1U, 2U, 5U, 7U}) {
        CHECK(heap.next_key() == key);
        heap.clear(key);
    }
    CHECK(heap.size() == 0);
}

// Against a model that is too simple to be wrong.
TEST_CASE("setting, moving and clearing at random keeps the heap's order") {
    DeadlineHeap heap;
    std::map<std::uint32_t, TimePoint> model;
    Prng prng(3);
    heap.grow(64);
    for (int i = 0; i < 20'000; ++i) {
        const auto key = static_cast<std::uint32_t>(prng.below(64));
        if (prng.ratio(1, 3)) {
            heap.clear(key);
            model.erase(key);
        } else {
            const TimePoint at{Duration(static_cast<Duration::rep>(prng.below(1000)))};
            heap.set(key, at);
            model[key] = at;
        }
        REQUIRE(heap.is_consistent());
        REQUIRE(heap.size() == model.size());
        if (model.empty()) continue;
        const auto first =
            std::min_element(model.begin(), model.end(), [](const auto& a, const auto& b) {
                return a.second != b.second ? a.second < b.second : a.first < b.first;
            });
        REQUIRE(heap.next() == first->second);
        REQUIRE(heap.next_key() == first->first);
    }
}
