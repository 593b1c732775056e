// Everpool: how a recovery climbs: which rung is tried next.
// SPDX-License-Identifier: BSL-1.0
//
// A strategy is a decision, not an action: it is told what has failed and what has been tried, and
// names the next rung. The pool carries the rung out, within its time, verifies the worker (which
// loads its models again, and passes the warm-ups of those that have one), and asks again if that
// failed. So a strategy of the host's own is a few lines, needs no browser to be tested, and cannot
// leave a browser behind:
//
//     struct PagesOnly : everpool::BrowserRecoveryStrategy {
//         std::string_view name() const noexcept override { return "pages_only"; }
//         std::optional<RecoveryRung> next(const RecoverySituation& now) const override {
//             if (now.tries(RecoveryRung::new_page) < 3) return RecoveryRung::new_page;
//             return std::nullopt; // nothing more to offer
//         }
//     };
//
// A rung that is smaller than RecoverySituation::smallest cannot cure what has failed, and one that
// is not available cannot be carried out: a strategy that names one is answered with the next
// larger one that is. A strategy that has nothing more to offer is begun anew, after a growing
// delay, until the worker's starts in a row are used up.
//
// Pure: deterministic, no clock, no thread. The pool calls strategies from its strand.
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/recovery_level.hpp"
#include "everpool/recovery_rung.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool {

/// A rung that was tried in this recovery, and what came of it.
struct RecoveryStep {
    RecoveryRung rung{};
    Errc code{};     ///< why it failed; ok: the worker passed its verification
    Duration took{}; ///< from its begin to that
    /// Of the strategy parallel: who tried it, if not the worker itself. Its steps overlap others.
    WorkerId rival{WorkerId::none()};
    friend bool operator==(const RecoveryStep&, const RecoveryStep&) = default;
};

/// What a strategy decides upon.
struct RecoverySituation {
    BrowserFailureCategory category{BrowserFailureCategory::unknown};
    BrowserType browser{};
    /// What the worker's models have in common; empty: nothing, or it has none.
    std::optional<ModelFamily> family{};
    /// The smallest rung that can cure what has been seen.
    RecoveryRung smallest{RecoveryRung::restart_browser};
    /// Where to begin by the evidence of earlier recoveries (RungStatistics); at least `smallest`.
    RecoveryRung start{RecoveryRung::restart_browser};
    /// Rungs whose preconditions hold in this pool, for this worker, now, after such a failure:
    /// restart_adjusted as long as there are settings that it has not had, other_... as long as
    /// there is another one. Asked for anew before each step.
    RungSet available{};
    /// Since the worker was last ready, oldest first; of one round of the strategy.
    std::span<const RecoveryStep> tried{};

    [[nodiscard]] std::size_t tries(RecoveryRung rung) const noexcept {
        return static_cast<std::size_t>(std::ranges::count(tried, rung, &RecoveryStep::rung));
    }
    /// The smallest available rung from `first` to `last` that can cure this and that has been
    /// tried less than `tries_max` times; without that, less often than its budget says.
    [[nodiscard]] std::optional<RecoveryRung>
    untried(RecoveryRung first, RecoveryRung last,
            std::optional<std::size_t> tries_max = {}) const noexcept {
        for (auto rung = available.at_least(std::max(first, smallest)); rung && *rung <= last;
             rung = available.at_least(next_above(*rung))) {
            if (tries(*rung) < tries_max.value_or(budget_of(*rung).tries)) return rung;
            if (*rung == recovery_rungs.back()) break;
        }
        return std::nullopt;
    }

private:
    static constexpr RecoveryRung next_above(RecoveryRung rung) noexcept {
        return rung == recovery_rungs.back()
                   ? rung
                   : static_cast<RecoveryRung>(static_cast<std::uint8_t>(rung) + 1);
    }
};

/// The base of all strategies.
class BrowserRecoveryStrategy {
public:
    virtual ~BrowserRecoveryStrategy() = default;
    /// For statistics and people; valid as long as the strategy lives.
    [[nodiscard]] virtual std::string_view name() const noexcept = 0;
    /// The rung to try next; empty: it has nothing more to offer. One that throws had nothing to
    /// offer.
    [[nodiscard]] virtual std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const = 0;
};

// --- building blocks -----------------------------------------------------------------------------

/// Level minimal: the browser goes on; its page, or less, is made anew. Each rung as often as its
/// budget says.
class SimpleRetryStrategy : public BrowserRecoveryStrategy {
public:
    [[nodiscard]] std::string_view name() const noexcept override { return "simple_retry"; }
    [[nodiscard]] std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const override {
        return situation.untried(RecoveryRung::ping, RecoveryRung::new_page);
    }
};

/// Level moderate: the browser is restarted with the same arguments.
class BrowserRestartStrategy : public BrowserRecoveryStrategy {
public:
    explicit BrowserRestartStrategy(
        std::size_t tries_max = budget_of(RecoveryRung::restart_browser).tries) noexcept
        : tries_max_(tries_max) {}
    [[nodiscard]] std::string_view name() const noexcept override { return "browser_restart"; }
    [[nodiscard]] std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const override {
        return situation.untried(RecoveryRung::restart_browser, RecoveryRung::restart_browser,
                                 tries_max_);
    }

private:
    std::size_t tries_max_;
};

/// Level aggressive: the browser is restarted with settings adjusted to the failure, milder ones
/// first (browser/profile.hpp). If there are none that it has not had, it has nothing to offer.
class SettingsAdjustmentStrategy : public BrowserRecoveryStrategy {
public:
    explicit SettingsAdjustmentStrategy(
        std::size_t tries_max = budget_of(RecoveryRung::restart_adjusted).tries) noexcept
        : tries_max_(tries_max) {}
    [[nodiscard]] std::string_view name() const noexcept override { return "settings_adjustment"; }
    [[nodiscard]] std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const override {
        return situation.untried(RecoveryRung::restart_adjusted, RecoveryRung::restart_adjusted,
                                 tries_max_);
    }

private:
    std::size_t tries_max_;
};

/// What helps a model's family first: vision and multimodal models gain most by another provider on
/// the same browser (a software adapter is slower than WASM), text and audio models by another
/// browser, as their best provider differs most between engines.
class ModelSpecificRecoveryStrategy : public BrowserRecoveryStrategy {
public:
    [[nodiscard]] std::string_view name() const noexcept override { return "model_specific"; }
    [[nodiscard]] std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const override {
        if (!situation.family) return std::nullopt;
        const bool is_provider_first = *situation.family == ModelFamily::vision ||
                                       *situation.family == ModelFamily::multimodal;
        const RecoveryRung first =
            is_provider_first ? RecoveryRung::other_provider : RecoveryRung::other_type;
        return situation.untried(first, first);
    }
};

/// Level fallback: another browser, type, provider or machine does the work.
class BrowserFallbackStrategy : public BrowserRecoveryStrategy {
public:
    [[nodiscard]] std::string_view name() const noexcept override { return "browser_fallback"; }
    [[nodiscard]] std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const override {
        return situation.untried(RecoveryRung::other_browser, RecoveryRung::other_machine);
    }
};

/// Level simulation: labelled answers without a computation. No worker has that rung, so this adds
/// nothing to a worker's ladder; FaultToleranceOptions::simulate is what answers.
class SimulationFallbackStrategy : public BrowserRecoveryStrategy {
public:
    [[nodiscard]] std::string_view name() const noexcept override { return "simulation_fallback"; }
    [[nodiscard]] std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const override {
        return situation.untried(RecoveryRung::simulation, RecoveryRung::simulation);
    }
};

// --- the specification's strategies --------------------------------------------------------------

/// One strategy after the other; the next one when the one before has nothing more to offer.
class RecoverySequence : public BrowserRecoveryStrategy {
public:
    /// \pre no strategy is null
    RecoverySequence(std::string_view name,
                     std::vector<std::shared_ptr<const BrowserRecoveryStrategy>> strategies)
        : name_(name), strategies_(std::move(strategies)) {}

    [[nodiscard]] std::string_view name() const noexcept override { return name_; }
    [[nodiscard]] std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const override {
        for (const auto& strategy : strategies_)
            if (const auto rung = strategy->next(situation)) return rung;
        return std::nullopt;
    }

private:
    std::string name_;
    std::vector<std::shared_ptr<const BrowserRecoveryStrategy>> strategies_;
};

/// Orchestrates a strategy for each RecoveryLevel, from the smallest that can help upwards. Once
/// there is evidence it begins where the evidence says.
class ProgressiveRecoveryManager : public BrowserRecoveryStrategy {
public:
    ProgressiveRecoveryManager() {
        at(RecoveryLevel::minimal) = std::make_shared<SimpleRetryStrategy>();
        at(RecoveryLevel::moderate) = std::make_shared<BrowserRestartStrategy>();
        at(RecoveryLevel::aggressive) = std::make_shared<SettingsAdjustmentStrategy>();
        at(RecoveryLevel::fallback) = std::make_shared<RecoverySequence>(
            "fallback", std::vector<std::shared_ptr<const BrowserRecoveryStrategy>>{
                            std::make_shared<ModelSpecificRecoveryStrategy>(),
                            std::make_shared<BrowserFallbackStrategy>()});
        at(RecoveryLevel::simulation) = std::make_shared<SimulationFallbackStrategy>();
    }

    /// Another strategy for one level; null: none, the level is passed over.
    void set(RecoveryLevel level, std::shared_ptr<const BrowserRecoveryStrategy> strategy) {
        at(level) = std::move(strategy);
    }
    /// Levels below are passed over. Default minimal.
    void start_at(RecoveryLevel level) noexcept { start_ = level; }

    [[nodiscard]] std::string_view name() const noexcept override { return "progressive"; }
    [[nodiscard]] std::optional<RecoveryRung>
    next(const RecoverySituation& situation) const override {
        RecoverySituation lifted = situation;
        lifted.smallest = std::max(situation.smallest, situation.start);
        for (std::size_t i = static_cast<std::size_t>(start_); i < levels_.size(); ++i) {
            if (!levels_[i]) continue;
            if (const auto rung = levels_[i]->next(lifted)) return rung;
        }
        return std::nullopt;
    }

private:
    std::shared_ptr<const BrowserRecoveryStrategy>& at(RecoveryLevel level) {
        return levels_[static_cast<std::size_t>(level)];
    }
    std::array<std::shared_ptr<const BrowserRecoveryStrategy>, recovery_levels.size()> levels_;
    RecoveryLevel start_{RecoveryLevel::minimal};
};

/// The specification's strategies by name.
///
///   reconnect    the page is asked, reloaded or opened anew; a browser that is gone is started
///                again, as nothing is left to connect to
///   restart      the browser is restarted at once, with adjusted settings if that does not help
///   failover     another browser, type, provider or machine at once, whichever is available
///   progressive  the rungs in order
///   parallel     reconnect, restart and failover at once: the first verified success wins
///                (for two recoveries at a time, or one with both rivals; others reconnect). The
///                winner may be another slot: the ids of the active workers may change.
///   custom       a strategy of the host's
enum class RecoveryStrategy : std::uint8_t {
    reconnect,
    restart,
    failover,
    progressive,
    parallel,
    custom,
};

inline constexpr std::array recovery_strategies{
    RecoveryStrategy::reconnect,   RecoveryStrategy::restart,  RecoveryStrategy::failover,
    RecoveryStrategy::progressive, RecoveryStrategy::parallel, RecoveryStrategy::custom};

constexpr std::string_view name_of(RecoveryStrategy strategy) noexcept {
    switch (strategy) {
    case RecoveryStrategy::reconnect: return "reconnect";
    case RecoveryStrategy::restart: return "restart";
    case RecoveryStrategy::failover: return "failover";
    case RecoveryStrategy::progressive: return "progressive";
    case RecoveryStrategy::parallel: return "parallel";
    case RecoveryStrategy::custom: return "custom";
    }
    return "unrecognised";
}

constexpr std::optional<RecoveryStrategy> recovery_strategy_from(std::string_view name) noexcept {
    for (const RecoveryStrategy strategy : recovery_strategies)
        if (name_of(strategy) == name) return strategy;
    return std::nullopt;
}

/// What one worker slot does under that strategy; null for custom. (Under parallel the slot itself
/// reconnects; the restart and the failover are other slots'.)
[[nodiscard]] inline std::shared_ptr<const BrowserRecoveryStrategy>
make_recovery_strategy(RecoveryStrategy strategy) {
    using List = std::vector<std::shared_ptr<const BrowserRecoveryStrategy>>;
    switch (strategy) {
    case RecoveryStrategy::reconnect:
    case RecoveryStrategy::parallel:
        return std::make_shared<RecoverySequence>(
            name_of(strategy), List{std::make_shared<SimpleRetryStrategy>(),
                                    std::make_shared<BrowserRestartStrategy>(1)});
    case RecoveryStrategy::restart:
        return std::make_shared<RecoverySequence>(
            name_of(strategy), List{std::make_shared<BrowserRestartStrategy>(),
                                    std::make_shared<SettingsAdjustmentStrategy>()});
    case RecoveryStrategy::failover:
        return std::make_shared<RecoverySequence>(name_of(strategy),
                                                  List{std::make_shared<BrowserFallbackStrategy>(),
                                                       std::make_shared<BrowserRestartStrategy>()});
    case RecoveryStrategy::progressive: return std::make_shared<ProgressiveRecoveryManager>();
    case RecoveryStrategy::custom: break;
    }
    return nullptr;
}

} // namespace everpool
