// Everpool facade: how a pool goes on from the state that a previous host left.
// SPDX-License-Identifier: BSL-1.0
//
// A plan, made of values: what to register, what to write down first, what to execute again. It
// opens no file and starts nothing.
//
// Below level critical the newest records of a host that died may be missing. An operation that is
// on record as waiting may then have been sent, so it is executed (again) only if it is idempotent.
// For that the level is written down with each browser, before anything is started under it.
#pragma once

#include "everpool/browser_state_manager.hpp"
#include "everpool/error.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/request.hpp"
#include "everpool/resource_pool_config.hpp"
#include "everpool/state_change.hpp"
#include "facade/state_scribe.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace everpool::facade {

/// Provider by name of the model.
using ProvidersUsed = std::map<std::string, Provider, std::less<>>;

struct ResumePlan {
    /// Ids of new requests are above it.
    std::uint64_t request_base{0};

    /// Models that the state knows and the configuration does not name.
    std::vector<ModelSpec> models{};

    /// One for each worker of the configuration, in order.
    std::vector<ScribeSlot> slots{};

    /// Likewise: which providers to try first in a worker's first life. Of a slot whose previous
    /// host died under it, those that it had last; of one that was stopped in order, none, so that
    /// a provider that was missing once is tried again.
    std::vector<ProvidersUsed> providers{};

    /// Make the state fit the configuration; to be durable before anything is started. May be more
    /// than one transaction holds; can be cut anywhere.
    std::vector<Change> changes{};

    struct Again {
        OperationState operation;
        Request request;
    };
    std::vector<Again> again{};                ///< to execute once more
    std::vector<RecoveredOperation> settled{}; ///< the others: to tell of

    /// What an operator should know: models that are not registered again, and why.
    std::vector<Diagnostics> warnings{};
};

/// \param browsers one entry a worker
/// Errors: storage_damaged (the state's ids leave no room for new ones).
Errc plan_resume(const StateSnapshot& state, const std::vector<OrphanedOperation>& orphans,
                 const ResourcePoolConfig& config, const std::vector<BrowserSpec>& browsers,
                 ResumePlan& plan, Diagnostics& diagnostics);

} // namespace everpool::facade
