// Everpool facade: what a host that died has left behind, and what is made of it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_state_manager.hpp"
#include "everpool/state_change.hpp"
#include "everpool/state_snapshot.hpp"

#include <functional>
#include <vector>

namespace everpool::facade {

struct Settling {
    Transaction transaction;                ///< without changes: there was nothing to settle
    std::vector<OrphanedOperation> orphans; ///< as they will be: status, code and worker
};

/// Decides about every operation that is not finished, and every browser that is not gone:
///   * a browser whose process does not exist any more is lost; one whose process exists is taken
///     as disconnected (it was somebody else's child, and does not talk to us); one that was never
///     started stays as it is;
///   * an operation that never was sent, or may be executed twice, waits anew; another one ends as
///     outcome_unknown. With OrphanPolicy::give_up all end: as cancelled if never sent.
/// Deterministic, but for what `process_exists` says.
Settling settle(const StateSnapshot& left, OrphanPolicy policy,
                const std::function<bool(const ProcessIdentity&)>& process_exists);

} // namespace everpool::facade
