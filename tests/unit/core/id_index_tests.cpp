// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/id_index.hpp"
#include "everpool/core/prng.hpp"
#include "support/catch.hpp"

#include <map>

using namespace everpool::core;

TEST_CASE("an id that was not inserted is not found") {
    IdIndex index(0);
    CHECK(index.find(1) == no_slot);
    index.insert(1, 10);
    CHECK(index.find(1) == 10);
    CHECK(index.find(2) == no_slot);
    index.erase(1);
    CHECK(index.find(1) == no_slot);
    CHECK(index.size() == 0);
}

// Deletion moves entries about; a mistake there loses an id that collides with the deleted one.
TEST_CASE("inserting and erasing at random loses and invents nothing") {
    IdIndex index(0);
    std::map<std::uint64_t, Slot> model;
    Prng prng(5);
    for (int i = 0; i < 30'000; ++i) {
        // Few ids, and far apart ones that share low bits, so that they collide.
        const std::uint64_t id = 1 + prng.below(60) + (prng.below(3) << 40);
        if (const auto found = model.find(id); found != model.end()) {
            REQUIRE(index.find(id) == found->second);
            index.erase(id);
            model.erase(found);
        } else {
            REQUIRE(index.find(id) == no_slot);
            index.insert(id, static_cast<Slot>(i));
            model[id] = static_cast<Slot>(i);
        }
        REQUIRE(index.size() == model.size());
    }
    for (const auto& [id, slot] : model) CHECK(index.find(id) == slot);
}
