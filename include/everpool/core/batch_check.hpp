// Everpool core: the facts that hold of batches at a worker; a part of check_invariants().
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/core_config.hpp"
#include "everpool/core/request_table.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string_view>

namespace everpool::core {

/// What is alone counts as a batch.
inline std::size_t count_batches(const RequestTable& table, const RequestList& at_worker) {
    std::size_t alone = 0;
    std::map<std::uint64_t, std::size_t> batches;
    for (Slot slot = at_worker.front(); slot != no_slot; slot = table[slot].next)
        if (table[slot].batch == 0) ++alone;
        else ++batches[table[slot].batch];
    return batches.size() + alone;
}

/// The first fact that does not hold, in words; empty if all do.
inline std::optional<std::string_view>
check_batches(const RequestTable& table, const RequestList& at_worker, const CoreConfig& config) {
    struct Batch {
        const RequestRecord* first;
        std::uint64_t rows;
    };
    std::map<std::uint64_t, Batch> batches;
    for (Slot slot = at_worker.front(); slot != no_slot; slot = table[slot].next) {
        const RequestRecord& record = table[slot];
        if (record.batch == 0) continue;
        Batch& one = batches.try_emplace(record.batch, Batch{&record, 0}).first->second;
        one.rows += record.meta.rows;
        if (record.meta.model != one.first->meta.model ||
            record.meta.batch != one.first->meta.batch || record.meta.batch == 0)
            return "a batch is of requests that may be run as one";
        if (one.rows > config.batch_rule(record.meta.model).rows_max)
            return "no batch is larger than its model allows";
    }
    if (count_batches(table, at_worker) > config.max_in_flight_per_worker)
        return "no worker has more in flight than allowed";
    return std::nullopt;
}

} // namespace everpool::core
