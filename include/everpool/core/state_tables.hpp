// Everpool core: the tables that the state is made of, and how records are filed in them.
// SPDX-License-Identifier: BSL-1.0
//
// Browsers, operations and resources are filed by their id. Models and metrics are filed by a
// 64-bit digest of their name: two different names with the same digest are not expected before
// some 10^9 names. find_record() compares the names; the second model is refused by the change that
// registers it, and a second metric is ignored and counted, so that the worst is an error message.
#pragma once

#include "everpool/browser_state.hpp"
#include "everpool/core/cow_table.hpp"
#include "everpool/core/prng.hpp"

#include <cstdint>
#include <string_view>
#include <tuple>

namespace everpool::core {

// --- keys ----------------------------------------------------------------------------------------

/// Part of the checkpoints' format: never changes.
constexpr std::uint64_t name_digest(std::string_view name, std::uint64_t seed = 0) noexcept {
    std::uint64_t digest = 0xcbf2'9ce4'8422'2325ULL ^ seed; // FNV-1a
    for (const char c : name)
        digest = (digest ^ static_cast<unsigned char>(c)) * 0x0000'0100'0000'01b3ULL;
    return splitmix64(digest); // FNV's upper bits are weak for short names
}

constexpr std::uint64_t record_key(WorkerId id) noexcept { return id.value; }
constexpr std::uint64_t record_key(RequestId id) noexcept { return id.value; }
constexpr std::uint64_t record_key(ResourceId id) noexcept { return id.value; }
constexpr std::uint64_t record_key(std::string_view name) noexcept { return name_digest(name); }
inline std::uint64_t record_key(const MetricKey& key) noexcept {
    const auto kind =
        static_cast<std::uint64_t>(key.browser) << 8 | static_cast<std::uint64_t>(key.provider);
    return name_digest(key.operation, name_digest(key.model, kind));
}

constexpr const auto& name_in(const BrowserState& record) noexcept { return record.id; }
constexpr const auto& name_in(const ModelState& record) noexcept { return record.name; }
constexpr const auto& name_in(const OperationState& record) noexcept { return record.id; }
constexpr const auto& name_in(const ResourceState& record) noexcept { return record.id; }
constexpr const auto& name_in(const MetricState& record) noexcept { return record.key; }

/// The order of records for people, where it is not that of keys.
inline bool is_before(const ModelState& a, const ModelState& b) noexcept { return a.name < b.name; }
inline bool is_before(const MetricState& a, const MetricState& b) noexcept {
    const auto parts = [](const MetricKey& key) {
        return std::tie(key.model, key.operation, key.browser, key.provider);
    };
    return parts(a.key) < parts(b.key);
}

// --- tables --------------------------------------------------------------------------------------

/// Neighbouring ids share a leaf; digests have no neighbours.
inline constexpr unsigned id_leaf_bits = 3, digest_leaf_bits = 0;

/// Beyond any count of transactions: a number, clock or count of this size was not counted by this
/// library, and is refused, so that none ever overflows. (The clock of a view that is merged in is
/// refused from the half of it, so that the state that results can be restored for ever.)
inline constexpr std::uint64_t state_count_max = 1ULL << 63;

struct StateHeader {
    std::uint64_t version{0}; ///< number of the last transaction
    std::uint64_t clock{0};   ///< no record's version is above it
    WallTime at{};
    std::uint64_t metrics_ignored{0};
    friend bool operator==(const StateHeader&, const StateHeader&) = default;
};

/// The five tables, to be written (CowTable) or to be read (CowView).
template <template <class, unsigned> class Table>
struct StateParts {
    StateHeader header{};
    Table<BrowserState, id_leaf_bits> browsers{};
    Table<ModelState, digest_leaf_bits> models{};
    Table<OperationState, id_leaf_bits> operations{};
    Table<ResourceState, id_leaf_bits> resources{};
    Table<MetricState, digest_leaf_bits> metrics{};
};
using StateViews = StateParts<CowView>;
using StateTables = StateParts<CowTable>;

/// Calls visit(table...) with the tables of the same kind of each state.
template <class Visitor, class... State>
void visit_tables(Visitor&& visit, State&... states) {
    visit(states.browsers...);
    visit(states.models...);
    visit(states.operations...);
    visit(states.resources...);
    visit(states.metrics...);
}

/// The record of that id or name; null if there is none.
template <class Table, class Name>
[[nodiscard]] auto find_record(const Table& table, const Name& name) noexcept {
    const auto* record = table.find(record_key(name));
    return record != nullptr && name_in(*record) == name ? record : nullptr;
}

inline bool is_same_state(const StateViews& a, const StateViews& b) {
    bool is_same = a.header == b.header;
    visit_tables(
        [&is_same]<class View>(const View& in_a, const View& in_b) {
            if (is_same)
                View::visit_differences(in_a, in_b, [&](auto, auto, auto) { is_same = false; });
        },
        a, b);
    return is_same;
}

} // namespace everpool::core
