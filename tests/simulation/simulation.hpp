// Simulator: one seed's run, from the first start to the last stop.
// SPDX-License-Identifier: BSL-1.0
//
//   start -> faults on, for as long as asked -> faults off -> everything whole again within a bound
//         -> drain -> stop
// One seed in sixteen stops in the middle of the faults instead. After every event the core's
// invariants and the ledger's judgements are checked.
#pragma once

#include "everpool/core/pool_core.hpp"
#include "fake_worker.hpp"
#include "fault_menu.hpp"
#include "ledger.hpp"
#include "planted_bug.hpp"
#include "world.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace everpool::simulation {

struct RunOptions {
    std::uint64_t seed{1};
    Duration faults_for{72s};
    PlantedBug bug{PlantedBug::none};
    bool is_traced{false}; ///< print every event and action
};

struct RunReport {
    std::string violation; ///< empty: none
    Duration simulated{};
    std::uint64_t trace_hash{0};
    std::uint64_t events{0}, requests{0};
    core::CoreStats stats;
    std::map<Errc, std::uint64_t> outcomes;
};

class Simulation {
public:
    explicit Simulation(const RunOptions& options);

    RunReport run();

private:
    /// What the host is like, drawn once per seed.
    struct Habits {
        std::uint32_t burst_max{1};
        Duration pause_max{1s};
        std::uint32_t model_count{0};
        std::uint64_t bytes_max{0};
        bool stops_in_faults{false};
        bool may_fail_for_good{false};
        /// An operation that never ends while its worker lives is noticed by its deadline only.
        bool always_has_deadlines{false};
    };

    void prepare();
    core::CoreConfig draw_config();

    // The engine: one event, its actions, the checks.
    void feed(const core::Event& event);
    void wake();
    void perform_all();
    void check();
    bool run_until(TimePoint end, const std::function<bool()>& is_done);
    void trace(const std::string& line);
    [[nodiscard]] bool has_failed() const { return !ledger_->violation().empty(); }

    // The host.
    void be_busy();
    void submit(LeaseId lease);
    void use_leases();
    void cancel_one();
    void disturb();
    core::Event stray_event();
    [[nodiscard]] std::uint32_t draw_preferences();

    // The phases.
    void demand(bool is_fine, const char* what);
    bool is_whole();
    void quiet_phase();
    void last_phase();

    RunOptions options_;
    World world_;
    Habits habits_;
    core::CoreConfig config_;
    std::unique_ptr<CoreUnderTest> core_;
    std::unique_ptr<Ledger> ledger_;
    std::unique_ptr<Surroundings> surroundings_;
    std::vector<std::unique_ptr<FakeWorker>> workers_;
    core::Actions actions_;
    bool is_host_active_{true};
    std::vector<LeaseId> leases_; ///< asked for or held by the host
    RunReport report_;
};

} // namespace everpool::simulation
