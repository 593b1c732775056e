// Simulator: a recovery strategy that a host might have written, not always a sensible one.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/recovery_rung.hpp"
#include "everpool/recovery_strategy.hpp"
#include "world.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::simulation {

/// Its rungs one after the other, whatever has failed: some of them twice, not in order, too small
/// for the failure, or not there in this pool. Where one is missing it throws.
class HostStrategy final : public BrowserRecoveryStrategy {
public:
    explicit HostStrategy(std::vector<std::optional<RecoveryRung>> rungs)
        : rungs_(std::move(rungs)) {}

    static HostStrategy random(World& world) {
        // The first one is there in every pool, so that nothing smaller than all of them is tried.
        std::vector<std::optional<RecoveryRung>> rungs{
            rung_between(world, RecoveryRung::recreate_device, RecoveryRung::restart_browser)};
        const std::uint64_t others = world.between(0, 5);
        for (std::uint64_t i = 0; i < others; ++i) {
            rungs.emplace_back(rung_between(world, RecoveryRung::ping, RecoveryRung::simulation));
            if (world.chance(1, 8)) rungs.back().reset();
        }
        return HostStrategy(std::move(rungs));
    }

    [[nodiscard]] std::string_view name() const noexcept override { return "host"; }
    [[nodiscard]] std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const override {
        if (situation.tried.size() >= rungs_.size()) return std::nullopt;
        const auto rung = rungs_[situation.tried.size()];
        if (!rung) throw std::runtime_error("a host's mistake");
        return rung;
    }

    /// Nothing smaller is ever to be tried.
    [[nodiscard]] RecoveryRung smallest() const {
        RecoveryRung found = RecoveryRung::restart_browser; // when it has nothing more to offer
        for (const auto& rung : rungs_)
            if (rung) found = std::min(found, *rung);
        return found;
    }
    /// The largest one that is tried sooner or later, whatever the worker has turned into by then,
    /// if these are available to it as configured.
    [[nodiscard]] RecoveryRung largest(RungSet available) const {
        RecoveryRung found = RecoveryRung::restart_browser;
        for (const auto& rung : rungs_) {
            if (!rung) break; // a round ends here, and what comes behind is never asked for
            const bool is_adjustment = *rung == RecoveryRung::restart_adjusted;
            // Whether there is something to adjust goes by the failure; if not, it is the next one.
            if (!available.at_least(is_adjustment ? RecoveryRung::other_browser : *rung)) break;
            if (!is_adjustment && available.contains(*rung)) found = std::max(found, *rung);
        }
        return found;
    }

private:
    static RecoveryRung rung_between(World& world, RecoveryRung first, RecoveryRung last) {
        return static_cast<RecoveryRung>(
            world.between(static_cast<std::uint64_t>(first), static_cast<std::uint64_t>(last)));
    }

    std::vector<std::optional<RecoveryRung>> rungs_;
};

} // namespace everpool::simulation
