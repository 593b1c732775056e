// Simulator: what pool a seed has, and what may be expected of it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/core_config.hpp"
#include "everpool/recovery_rung.hpp"
#include "everpool/recovery_strategy.hpp"
#include "host_strategy.hpp"
#include "world.hpp"

#include <cstdint>
#include <memory>
#include <vector>

namespace everpool::simulation {

class DrawnPool {
public:
    /// `may_fail`: few starts in a row are enough to give a worker up.
    DrawnPool(World& world, std::uint32_t model_count, bool may_fail);

    core::CoreConfig config;
    RecoveryStrategy strategy{};
    bool may_fail_for_good{false};

    /// The largest rung that the strategy in force tries with this worker sooner or later.
    [[nodiscard]] RecoveryRung highest_rung(std::uint32_t worker) const;
    /// Nothing smaller than this is to be tried, whatever has failed.
    [[nodiscard]] RecoveryRung smallest_rung() const;
    /// That would make something else of a worker as it is configured.
    [[nodiscard]] RungSet possible_rungs(std::uint32_t worker) const;
    /// Is this the start of a browser on another machine? To be asked once for each start.
    bool is_elsewhere(const core::StartWorker& action);
    /// After the last fault.
    [[nodiscard]] Duration recovery_max() const;

private:
    void draw_batching(World& world);
    void draw_alternatives(World& world);
    void draw_strategy(World& world);

    std::shared_ptr<const HostStrategy> hosts_own_; ///< null: the strategy is none of the host's
    std::vector<std::vector<core::WorkerAlternative>> others_; ///< that each worker may turn to
};

} // namespace everpool::simulation
