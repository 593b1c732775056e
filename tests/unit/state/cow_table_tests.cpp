// The table that is copied in O(1): against std::map, and views that must not change.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/cow_table.hpp"
#include "everpool/core/prng.hpp"
#include "support/catch.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

using namespace everpool::core;

namespace {

using Plain = std::map<std::uint64_t, std::string>;

template <class Table>
Plain content_of(const Table& table) {
    Plain content;
    std::uint64_t previous = 0;
    table.visit([&](std::uint64_t key, const std::string& record) {
        REQUIRE((content.empty() || key > previous)); // in order
        previous = key;
        content.emplace(key, record);
    });
    REQUIRE(content.size() == table.size());
    return content;
}

/// Keys that are neighbours, far apart, at both ends, and random.
std::uint64_t some_key(Prng& prng) {
    switch (prng.below(5)) {
    case 0: return prng.below(50);
    case 1: return UINT64_MAX - prng.below(20);
    case 2: return (1ULL << prng.below(64)) + prng.below(3);
    case 3: return 1'800'000'000'000'000'000ULL + prng.below(100);
    default: return prng.below(10) * 0x1111'1111'1111'1111ULL;
    }
}

template <unsigned leaf_bits>
void play(std::uint64_t seed) {
    Prng prng(seed);
    CowTable<std::string, leaf_bits> table;
    Plain plain;
    std::vector<std::pair<CowView<std::string, leaf_bits>, Plain>> views;
    for (int i = 0; i < 4000; ++i) {
        const std::uint64_t key = some_key(prng);
        const std::string record = std::to_string(prng.next());
        REQUIRE((table.find(key) != nullptr) == plain.contains(key));
        if (table.find(key) == nullptr) {
            table.insert(key, record);
            plain[key] = record;
        } else if (prng.ratio(1, 2)) {
            table.edit(key) = record;
            plain[key] = record;
        } else {
            table.erase(key);
            plain.erase(key);
        }
        if (prng.ratio(1, 40)) views.emplace_back(table.freeze(), plain);
        if (!views.empty() && prng.ratio(1, 200)) { // another table takes over, from some view
            auto& [view, then] = views[prng.below(views.size())];
            table = CowTable<std::string, leaf_bits>(view);
            plain = then;
        }
    }
    REQUIRE(content_of(table) == plain);
    for (const auto& [view, then] : views) REQUIRE(content_of(view) == then);

    using View = CowView<std::string, leaf_bits>;
    for (std::size_t i = 0; i + 1 < views.size(); i += 5) {
        const auto& [a, in_a] = views[i];
        const auto& [b, in_b] = views[(i * 7 + 3) % views.size()];
        Plain patched = in_a;
        std::uint64_t previous = 0;
        View::visit_differences(a, b, [&](std::uint64_t key, const auto* old, const auto* now) {
            REQUIRE(key >= previous);
            previous = key;
            REQUIRE((old != nullptr) == in_a.contains(key));
            REQUIRE((now != nullptr) == in_b.contains(key));
            if (old != nullptr && now != nullptr) REQUIRE(*old != *now);
            if (now == nullptr) patched.erase(key);
            else patched[key] = *now;
        });
        REQUIRE(patched == in_b);
    }
}

} // namespace

TEST_CASE("A copy-on-write table holds what a map would, and its views stay as they are") {
    for (std::uint64_t seed = 1; seed <= 15; ++seed) {
        play<0>(seed);
        play<3>(seed);
    }
}

TEST_CASE("Two tables with the same keys have the same shape, whatever came before") {
    // Differences between them are found by walking both in step, which a canonical shape makes
    // right; here all that differs is how they came about.
    Prng prng(5);
    CowTable<std::string, 3> direct, roundabout;
    Plain keys;
    for (int i = 0; i < 500; ++i) {
        const std::uint64_t key = some_key(prng);
        if (roundabout.find(key) == nullptr) roundabout.insert(key, "x");
        if (i % 2 == 0) keys[key] = "x";
    }
    for (const auto& [key, record] : content_of(roundabout))
        if (!keys.contains(key)) roundabout.erase(key);
    for (const auto& [key, record] : keys) direct.insert(key, record);
    bool is_different = false;
    CowView<std::string, 3>::visit_differences(direct.freeze(), roundabout.freeze(),
                                               [&](auto, auto, auto) { is_different = true; });
    CHECK(!is_different);
}

TEST_CASE("A difference is found without looking at what is shared") {
    struct Counted {
        int value{0};
        bool operator==(const Counted& other) const {
            ++comparisons();
            return value == other.value;
        }
        static int& comparisons() {
            static int count = 0;
            return count;
        }
    };
    CowTable<Counted, 3> table;
    for (std::uint64_t key = 1; key <= 100'000; ++key) table.insert(key, {});
    const auto before = table.freeze();
    table.edit(777).value = 1;
    table.insert(200'000, {});
    int found = 0;
    Counted::comparisons() = 0;
    CowView<Counted, 3>::visit_differences(before, table.freeze(),
                                           [&](auto, auto, auto) { ++found; });
    CHECK(found == 2);
    CHECK(Counted::comparisons() <= 16); // the leaf of key 777
}

TEST_CASE("What only a view still holds is freed with it") {
    const auto token = std::make_shared<int>(1);
    CowTable<std::shared_ptr<int>, 3> table;
    for (std::uint64_t key = 0; key < 100; ++key) table.insert(key, token);
    {
        const auto view = table.freeze();
        for (std::uint64_t key = 0; key < 100; ++key) table.erase(key);
        CHECK(table.is_empty());
        CHECK(token.use_count() == 101);
    }
    CHECK(token.use_count() == 1);
}
