// Tests: pools that keep a state, and what to ask it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_state_manager.hpp"
#include "everpool/resource_pool_config.hpp"
#include "facade/kept_request.hpp"
#include "support/temporary_directory.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

namespace everpool::tests {

inline ResourcePoolConfig
config_with_state(const TemporaryDirectory& directory,
                  FaultToleranceLevel level = FaultToleranceLevel::medium) {
    ResourcePoolConfig config;
    config.max_in_flight_per_worker = 3;
    config.fault_tolerance.level = level;
    config.fault_tolerance.state_directory = directory.path;
    return config;
}

inline std::vector<Transaction> transactions(const BrowserStateManager& state,
                                             const TransactionFilter& filter) {
    std::vector<Transaction> out;
    const error_code ec = state.transactions(filter, [&](const Transaction& one) {
        out.push_back(one);
        return true;
    });
    if (ec) throw std::runtime_error("the transactions cannot be read: " + ec.message());
    return out;
}

/// Every process that the pools of this state have launched so far, the first one first.
inline std::vector<ProcessIdentity> processes_in(const BrowserStateManager& state) {
    std::vector<ProcessIdentity> out;
    for (const Transaction& step : transactions(state, {.action = ChangeKind::browser_changed}))
        for (const Change& change : step.changes)
            if (const auto* changed = std::get_if<BrowserChanged>(&change))
                if (changed->process && changed->process->pid != 0)
                    out.push_back(*changed->process);
    return out;
}

inline std::map<OperationStatus, std::size_t> count_by_status(const StateSnapshot& state) {
    std::map<OperationStatus, std::size_t> out;
    state.visit_operations([&](const OperationState& one) { ++out[one.status]; });
    return out;
}

inline std::uint64_t highest_id(const StateSnapshot& state) {
    std::uint64_t id = 0;
    state.visit_operations([&](const OperationState& one) { id = std::max(id, one.id.value); });
    return id;
}

/// What the state has of a request whose only input is the number `index`.
inline std::uint64_t digest_of_index(std::uint64_t index) {
    return facade::digest_of({Tensor::of<std::uint64_t>("index", {1}, {index})});
}

} // namespace everpool::tests
