// Everpool core: the knobs of PoolCore.
// SPDX-License-Identifier: BSL-1.0
//
// The facade translates its public configuration into this one. Members out of their range make
// PoolCore's constructor throw std::invalid_argument with the member's name and its range.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/core/batch_rule.hpp"
#include "everpool/core/event.hpp"
#include "everpool/core/hedge_delay.hpp"
#include "everpool/core/trust.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/priority.hpp"
#include "everpool/recovery_rung.hpp"
#include "everpool/recovery_strategy.hpp"
#include "everpool/retry_budget.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace everpool::core {

/// Another browser that a worker may turn to.
struct WorkerAlternative {
    BrowserType type{};
    /// Where it runs: 0 with the worker's own browser; those with the same number, together.
    std::uint8_t machine{0};
    friend bool operator==(const WorkerAlternative&, const WorkerAlternative&) = default;
};

struct CoreConfig {
    /// One entry per worker: which browser lives in that slot. 1 to 1024 entries.
    std::vector<BrowserType> worker_browsers{BrowserType::chromium};

    /// The last so many of them are standbys: they take callers' work only while an active worker
    /// is missing. Less than there are entries.
    std::uint32_t standby_count{0};

    /// So many further slots, which stand after all others, are dormant until an active worker
    /// fails. Then two of them try to be ready before it: one with its browser started anew, one
    /// with the next browser that it may turn to. At most 64.
    std::uint32_t rival_count{0};

    /// What a worker may be instead when its own browser does not come back, in this order. One
    /// list per worker, or no list at all. At most 250 each.
    std::vector<std::vector<WorkerAlternative>> worker_alternatives{};

    /// Registered models; their ids are 0 to model_count - 1. At most 65536.
    std::uint32_t model_count{0};

    /// Those of them of which it is not known what they should answer, so that no canary asks for
    /// it. Each < model_count.
    std::vector<ModelId> models_without_answer{};

    /// By model; empty: each request goes alone.
    std::vector<BatchRule> batching{};
    [[nodiscard]] const BatchRule& batch_rule(ModelId model) const noexcept {
        static const BatchRule alone;
        return model.value < batching.size() ? batching[model.value] : alone;
    }

    /// The kind of work that a request is, with so many rows if it has others beside it.
    [[nodiscard]] std::uint16_t work_of(const RequestMeta& meta,
                                        std::uint32_t rows) const noexcept {
        return batch_rule(meta.model).work_of(rows, meta.work);
    }

    /// Kinds of work that differ in their run times, see RequestMeta::work and
    /// BatchRule::first_work. 1 to 65536.
    std::uint32_t work_count{1};

    // --- limits ----------------------------------------------------------------------------------

    /// Operations sent to one worker and not yet answered, at most; a batch is one. More than 1
    /// hides the latency of the socket behind the computation. 1 to 1024.
    std::uint32_t max_in_flight_per_worker{4};
    /// Who may go with others waits for company while a worker has two operations: one that is
    /// computed, and one that is there when it is done.
    [[nodiscard]] std::uint32_t in_flight_limit(const RequestMeta& meta) const noexcept {
        return meta.batch == 0 ? max_in_flight_per_worker : std::min(max_in_flight_per_worker, 2U);
    }

    /// Payload bytes sent to one worker and not yet answered, at most. One larger request alone is
    /// allowed, because otherwise it could never run. 0: one request at a time, unless it is empty.
    std::uint64_t in_flight_bytes_max{64ULL << 20};

    /// Requests of one priority that wait, at most; one more completes with queue_full. Requests
    /// that come back from a lost worker are not refused, so more may wait for a moment. 1 to
    /// 1000000.
    std::uint32_t queue_count_max{1000};
    /// The same for each priority; 0: queue_count_max. At most 1000000 each.
    std::array<std::uint32_t, priority_count> queue_count_max_of{};
    [[nodiscard]] std::uint32_t queue_limit(Priority priority) const noexcept {
        const std::uint32_t own = queue_count_max_of[index_of(priority)];
        return own != 0 ? own : queue_count_max;
    }

    /// A request is served before those of the next higher priority that come so much later. 0 to
    /// 24 h; 0: priorities make no difference.
    Duration priority_aging{std::chrono::seconds{5}};

    /// Leases waiting or held, at most; one more Acquire ends with queue_full. 1 to 1000000.
    std::uint32_t lease_count_max{1000};

    /// For requests whose RequestMeta::max_attempts is 0. 1 to 255.
    std::uint8_t max_attempts{3};

    // --- when a worker counts as failed ----------------------------------------------------------

    /// From StartWorker to the last warm-up. The default allows for a cold Firefox (2.4 s measured)
    /// and shader compilation on a software adapter. Positive.
    Duration start_timeout{std::chrono::seconds{30}};

    /// Each channel is asked for a sign of life this often. A wakeup that comes later than a
    /// quarter of it tells that the host stood still, which is no worker's fault. 1 ms to 30 s.
    Duration ping_interval{std::chrono::milliseconds{100}};

    /// A channel may be silent for so much longer than it usually is before it is looked at
    /// closely: a page collects garbage, a machine schedules somebody else. 0 to 1 h.
    Duration acceptable_pause{std::chrono::milliseconds{750}};

    /// Half of it for a compute thread of which the operating system says that it has used its
    /// processor time for longer than its work takes: it loops.
    [[nodiscard]] Duration loop_pause() const noexcept { return acceptable_pause / 2; }

    /// Silence of this length is looked at closely whatever was usual, and judged though threads of
    /// the worker wait for a processor. A compute thread that loops is judged before. ping_interval
    /// to 1 h.
    Duration ping_timeout{std::chrono::seconds{3}};

    /// The compute thread cannot answer while one WASM inference runs. How long that takes is
    /// learnt for each kind of work; until enough is known, it is granted this: longer than the
    /// longest single inference. Positive.
    Duration compute_ping_timeout{std::chrono::seconds{30}};

    /// A worker that holds operations which nobody waits for any more, cancelled or past their
    /// deadlines, has as long for its next result as such work takes at most, and at least this.
    /// Then it hangs: an endless shader lets pings through, so its slot would be lost for ever.
    /// Positive.
    Duration hung_operation_grace{std::chrono::seconds{1}};

    /// A ready worker is asked for a known answer this often, see canary.hpp. 0: never; else 10 ms
    /// to 24 h.
    Duration canary_interval{std::chrono::seconds{60}};

    /// Whether browsers can be asked beside their connections (AskControl).
    bool asks_control{true};

    // --- restarts --------------------------------------------------------------------------------

    /// The first restart is immediate; the n-th after it waits a random time of at most
    /// restart_delay_min * 2^(n-1), at most restart_delay_max. Positive, min <= max.
    Duration restart_delay_min{std::chrono::milliseconds{100}};
    Duration restart_delay_max{std::chrono::seconds{10}};

    /// A worker's browser is started this long after the one before it was lost at the soonest: the
    /// end of the one and the start of the other take processors from those who answer meanwhile.
    /// If nobody is ready any more, it does not wait for that. Not negative.
    Duration launch_pause{};

    /// A worker that was ready for this long before it failed starts over without a delay. 0: every
    /// time. Not negative.
    Duration restart_healthy_after{std::chrono::seconds{60}};

    /// From the begin of a rung that keeps the browser to the last warm-up. It is worth less time
    /// than a start: if a page does not come back soon, a new browser is the better bet. Positive.
    Duration page_start_timeout{std::chrono::seconds{15}};

    /// Starts in a row that may fail before a worker is given up for good. 1 to 1000.
    std::uint32_t restart_count_max{10};

    /// More recoveries of one worker than this within restart_period: they do not help, and the
    /// next one begins a level higher. Until a healthy spell (restart_healthy_after). 1 to 1000.
    std::uint32_t restart_intensity{5};

    /// See restart_intensity. 0: it never happens too often. 0 to 24 h.
    Duration restart_period{std::chrono::seconds{60}};

    /// If the starts of all workers fail alike within this time, one of them goes on trying, and
    /// the others wait for it (fleet.hpp). Longer than a start takes to fail. Positive.
    Duration fleet_window{std::chrono::minutes{5}};

    // --- recovery --------------------------------------------------------------------------------

    /// Decides the rungs. Null: ProgressiveRecoveryManager with its defaults.
    std::shared_ptr<const BrowserRecoveryStrategy> strategy{};

    /// What all models have in common, if anything; for the strategy.
    std::optional<ModelFamily> family{};

    /// The largest number of providers that a model has; 1: there is no other to turn to. 1 to 8.
    std::uint8_t provider_count_max{1};

    /// Rungs that the driver can carry out at all. Those that the rest of this configuration leaves
    /// no room for (other browsers, providers, machines) need not be taken out.
    RungSet rungs{RungSet::between(RecoveryRung::recreate_device, RecoveryRung::other_machine)};

    // --- several workers for one request ---------------------------------------------------------

    /// When a second worker is asked; see hedge_delay.hpp. For requests that say may_hedge.
    HedgeConfig hedge{};

    /// What hedges may cost; each success of a request that may be hedged pays into it.
    RetryBudgetConfig hedge_budget{};

    /// When a worker whose answers dissent gets no more work and is started anew; see trust.hpp.
    TrustConfig trust{};

    /// After this, Stop kills the workers that have not stopped and finishes without them. Longer
    /// than the grace that the driver itself gives to a browser. Positive.
    Duration stop_timeout{std::chrono::seconds{15}};
};

/// Waiting, and in flight; and what was in flight once more for each priority, as requests that come
/// back from lost workers are over their queue's limit, while others have their places.
inline std::uint32_t request_count_max(const CoreConfig& config) {
    std::uint32_t waiting = 0, together = 0;
    for (const Priority one : priorities) waiting += config.queue_limit(one);
    for (const BatchRule& rule : config.batching)
        if (rule.joins()) together = std::max(together, 2 * rule.rows_max);
    const auto workers =
        static_cast<std::uint32_t>(config.worker_browsers.size()) + config.rival_count;
    const std::uint32_t places = workers * (config.max_in_flight_per_worker + together);
    return waiting + (static_cast<std::uint32_t>(priority_count) + 1) * places;
}

/// \throws std::invalid_argument naming the member that is out of range.
inline void check_core_config(const CoreConfig& config) {
    const auto check = [](bool is_fine, const char* what) {
        if (!is_fine) throw std::invalid_argument(std::string("CoreConfig::") + what);
    };
    const auto is_in = [](std::uint64_t value, std::uint64_t low, std::uint64_t high) {
        return value >= low && value <= high;
    };
    check(is_in(config.worker_browsers.size(), 1, 1024),
          "worker_browsers must have 1 to 1024 entries");
    check(config.standby_count < config.worker_browsers.size(),
          "standby_count must be less than worker_browsers has entries");
    check(config.rival_count <= 64, "rival_count must be at most 64");
    check(config.model_count <= 65536, "model_count must be at most 65536");
    for (const ModelId model : config.models_without_answer)
        check(model.value < config.model_count,
              "models_without_answer must be below model_count each");
    check(config.batching.empty() || config.batching.size() == config.model_count,
          "batching must be empty or have an entry for each model");
    for (const BatchRule& rule : config.batching) {
        check(is_in(rule.rows_max, 1, 65536), "batching must have 1 to 65536 rows each");
        check(rule.delay_max >= Duration{}, "batching must have no negative delay");
        check(rule.first_work + rule.work_count() <= config.work_count,
              "batching must have kinds of work below work_count");
        for (std::size_t i = 0; i < rule.preferred.size(); ++i)
            check(is_in(rule.preferred[i], i == 0 ? 1 : rule.preferred[i - 1] + 1, rule.rows_max),
                  "batching must prefer ascending numbers of rows, up to the most there may be");
    }
    check(is_in(config.max_in_flight_per_worker, 1, 1024),
          "max_in_flight_per_worker must be 1 to 1024");
    check(is_in(config.queue_count_max, 1, 1'000'000), "queue_count_max must be 1 to 1000000");
    for (const std::uint32_t limit : config.queue_count_max_of)
        check(limit <= 1'000'000, "queue_count_max_of must be at most 1000000 each");
    check(config.priority_aging >= Duration{} && config.priority_aging <= std::chrono::hours{24},
          "priority_aging must be 0 to 24 h");
    check(is_in(config.lease_count_max, 1, 1'000'000), "lease_count_max must be 1 to 1000000");
    check(config.max_attempts >= 1, "max_attempts must be 1 to 255");
    check(config.start_timeout > Duration{}, "start_timeout must be positive");
    check(config.ping_interval >= std::chrono::milliseconds{1} &&
              config.ping_interval <= std::chrono::seconds{30},
          "ping_interval must be 1 ms to 30 s");
    check(config.acceptable_pause >= Duration{} && config.acceptable_pause <= std::chrono::hours{1},
          "acceptable_pause must be 0 to 1 h");
    check(config.ping_timeout >= config.ping_interval &&
              config.ping_timeout <= std::chrono::hours{1},
          "ping_timeout must be ping_interval to 1 h");
    check(config.hung_operation_grace > Duration{}, "hung_operation_grace must be positive");
    check(is_in(config.work_count, 1, 65536), "work_count must be 1 to 65536");
    check(config.compute_ping_timeout > Duration{}, "compute_ping_timeout must be positive");
    check(config.canary_interval == Duration{} ||
              (config.canary_interval >= std::chrono::milliseconds{10} &&
               config.canary_interval <= std::chrono::hours{24}),
          "canary_interval must be 0, or 10 ms to 24 h");
    check(config.restart_delay_min > Duration{}, "restart_delay_min must be positive");
    check(config.launch_pause >= Duration{}, "launch_pause must not be negative");
    check(config.restart_delay_max >= config.restart_delay_min,
          "restart_delay_max must be at least restart_delay_min");
    check(config.restart_healthy_after >= Duration{}, "restart_healthy_after must not be negative");
    check(is_in(config.restart_count_max, 1, 1000), "restart_count_max must be 1 to 1000");
    check(is_in(config.restart_intensity, 1, 1000), "restart_intensity must be 1 to 1000");
    check(config.restart_period >= Duration{} && config.restart_period <= std::chrono::hours{24},
          "restart_period must be 0 to 24 h");
    check(config.fleet_window > Duration{}, "fleet_window must be positive");
    check(config.page_start_timeout > Duration{}, "page_start_timeout must be positive");
    check(is_in(config.provider_count_max, 1, 8), "provider_count_max must be 1 to 8");
    check(config.worker_alternatives.empty() ||
              config.worker_alternatives.size() == config.worker_browsers.size(),
          "worker_alternatives must be empty or have an entry for each worker");
    for (const auto& alternatives : config.worker_alternatives)
        check(alternatives.size() <= 250, "worker_alternatives must have at most 250 entries each");
    check(config.rungs.contains(RecoveryRung::restart_browser),
          "rungs must contain restart_browser");
    check(config.stop_timeout > Duration{}, "stop_timeout must be positive");
    check_config(config.hedge);
    check_config(config.hedge_budget);
    check_config(config.trust);
}

} // namespace everpool::core
