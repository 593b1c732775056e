// Simulator: one seed's run, from the first start to the last stop.
// SPDX-License-Identifier: BSL-1.0
//
//   start -> faults on, for as long as asked -> faults off -> everything whole again within a bound
//         -> in half of the seeds a drill -> drain -> stop
// One seed in sixteen is stopped in the middle of the faults instead, and one drained. After every
// event the core's invariants and the ledger's judgements are checked.
#pragma once

#include "drawn_pool.hpp"
#include "everpool/core/pool_core.hpp"
#include "fake_host.hpp"
#include "fake_worker.hpp"
#include "planted_bug.hpp"
#include "surroundings.hpp"
#include "tally.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <variant>
#include <vector>

namespace everpool::simulation {

struct RunOptions {
    std::uint64_t seed{1};
    Duration faults_for{72s};
    PlantedBug bug{PlantedBug::none};
    std::uint64_t run{1};  ///< of this seed; nothing but a planted bug may depend on it
    bool is_traced{false}; ///< print every event and action
};

struct RunReport {
    std::string violation; ///< empty: none
    Duration simulated{};
    Duration recovery{}, recovery_max{}; ///< after the faults had stopped; 0: it was not waited for
    std::uint64_t trace_hash{0};
    std::uint64_t events{0}, requests{0};
    core::CoreStats stats;
    std::array<std::uint64_t, std::variant_size_v<core::Action>> actions{}; ///< by index
    std::map<Errc, std::uint64_t> outcomes;
    Tally tally;

    template <class Action>
    [[nodiscard]] std::uint64_t count_of() const {
        return actions[core::Action(Action{}).index()];
    }
};

class Simulation {
public:
    explicit Simulation(const RunOptions& options);
    Simulation(const Simulation&) = delete; // what happens later points back here
    Simulation& operator=(const Simulation&) = delete;

    /// \pre called once
    RunReport run();

private:
    /// How the faults end.
    enum class Ending : std::uint8_t { recovery, drain, stop };

    // The engine: one event, its actions, the checks.
    [[nodiscard]] TimePoint stamp();
    void feed(const core::Event& event);
    void wake();
    void perform_all();
    void judge_suspicion(const core::Notice&);
    bool run_until(TimePoint end, const std::function<bool()>& is_done);
    void run_for(Duration duration);
    void demand(bool is_fine, const char* what);
    void trace(const std::string& line);
    [[nodiscard]] bool has_failed() const { return !ledger_->violation().empty(); }

    // simulation_phases.cpp: what strikes the host as a whole
    void disturb();
    void stand_still(Duration duration);
    void report_failure();
    void storm(Trouble trouble);
    core::Event stray_event();

    // The phases.
    [[nodiscard]] bool is_whole() const;
    void recover();
    void serve_once();
    void drain();
    void stop();

    // simulation_drills.cpp
    void drill();
    void drill_storm();
    void drill_failing_starts();
    [[nodiscard]] RecoveryRung draw_rung(std::uint32_t worker);
    void drill_slowness();
    void keep_busy();
    void demand_recovery(const char* what);
    [[nodiscard]] std::vector<std::uint32_t> ready_workers() const;

    /// A wakeup comes to the core at most this late, stalls aside.
    static constexpr Duration wakeup_lateness_max = 2ms;
    /// A vote that is due at a deadline is counted after it.
    static constexpr Duration vote_count_max = 1ms;

    RunOptions options_;
    World world_;
    Ending ending_{Ending::recovery};
    bool are_faults_on_{true};
    bool is_loaded_{false};            ///< see keep_busy()
    TimePoint told_{TimePoint::min()}; ///< the latest time that the core has been told
    std::unique_ptr<DrawnPool> pool_;
    std::unique_ptr<CoreUnderTest> core_;
    std::unique_ptr<Ledger> ledger_;
    std::unique_ptr<Surroundings> surroundings_;
    std::vector<std::unique_ptr<FakeWorker>> workers_;
    std::unique_ptr<FakeHost> host_;
    core::Actions actions_;
    RunReport report_;
};

} // namespace everpool::simulation
