// Simulator: what everything in the simulated world shares.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/event.hpp"
#include "fault_menu.hpp"
#include "ledger.hpp"
#include "tally.hpp"
#include "world.hpp"

#include <functional>

namespace everpool::simulation {

struct Surroundings {
    World& world;
    Ledger& ledger;
    FaultMenu faults;       ///< set to none when the faults stop
    Duration start_timeout; ///< slow starts are about as long as this
    Duration operation_max; ///< the longest operation; several of them may be beyond a timeout
    Ratio long_operation;   ///< how many are much longer than the others
    /// Gives the core an event, now. Never from within an action: see World::after.
    std::function<void(const core::Event&)> feed;
    TimePoint broken_until{}; ///< this machine starts no browser before that
    /// Whether that start is one on another machine; asked once for each. Empty: there is no other.
    std::function<bool(const core::StartWorker&)> is_elsewhere{};
    Tally tally{};
};

} // namespace everpool::simulation
