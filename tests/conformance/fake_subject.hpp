// Conformance: the simulator's worker, in a world without faults but for those that are asked for.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "simulation/fake_worker.hpp"
#include "worker_subject.hpp"

#include <cstdint>

namespace everpool::tests {

class FakeSubject final : public WorkerSubject {
public:
    explicit FakeSubject(std::uint64_t seed) : world_(seed) {}

    void perform(const core::Action& action) override {
        if (const auto* dispatch = std::get_if<core::Dispatch>(&action)) {
            // The ledger counts executions of what was submitted alone.
            core::RequestMeta meta;
            meta.id = dispatch->request;
            ledger_.note(core::Event(core::Submit{meta}), world_.now());
        }
        const bool is_start = std::holds_alternative<core::StartWorker>(action);
        if (is_start) { // what befell an earlier life is over
            surroundings_.faults = next_start_;
            next_start_ = {};
        }
        ledger_.note(action, world_.now());
        std::visit(
            [this](const auto& one) {
                if constexpr (requires { worker_.perform(one); }) worker_.perform(one);
            },
            action);
        if (is_start) surroundings_.faults = {};
        if (std::holds_alternative<core::Dispatch>(action)) begin_work();
    }
    void set_work(Work work) override { work_ = work; }
    void strike(Trouble trouble) override { worker_.strike(trouble); }
    void prepare(Mishap mishap) override {
        using simulation::FaultMenu;
        constexpr simulation::Ratio always{1, 1};
        FaultMenu& faults = surroundings_.faults;
        switch (mishap) {
        case Mishap::device_lost: faults.device_lost = always; break;
        case Mishap::wrong_answers: faults.wrong = faults.wrong_canary = always; break;
        case Mishap::no_browser: next_start_.permanent_start = always; break;
        case Mishap::failed_start: next_start_.failed_start = always; break;
        case Mishap::hung_start: next_start_.hung_start = always; break;
        }
    }
    [[nodiscard]] bool has_webgpu() const override { return true; }
    [[nodiscard]] bool has_network_process() const override { return true; }
    bool wait_until(const std::function<bool()>& is_so, Duration limit) override {
        const TimePoint end = world_.now() + limit;
        while (!is_so()) {
            if (world_.next() > end) {
                world_.advance_to(end);
                return is_so();
            }
            world_.run_next();
        }
        return true;
    }

private:
    static core::CoreConfig with_models() {
        core::CoreConfig config;
        config.model_count = 4;
        return config;
    }

    /// Of the operation that was dispatched just now.
    void begin_work() {
        if (work_ == Work::never_ends) surroundings_.faults.stuck = {1, 1};
        if (work_ == Work::loops) worker_.strike(Trouble::compute_hangs);
    }

    simulation::World world_;
    simulation::Ledger ledger_{with_models(), {}};
    simulation::Surroundings surroundings_{
        .world = world_,
        .ledger = ledger_,
        .faults = {},
        .start_timeout = 30s,
        .operation_max = 300ms,
        .long_operation = {1, 1},
        .feed = [this](const core::Event& event) { events_.push_back(event); }};
    simulation::FakeWorker worker_{WorkerId{0},
                                   surroundings_,
                                   {broken_model.value},
                                   RecoveryRung::restart_browser,
                                   {misjudged_model.value}};
    simulation::FaultMenu next_start_{};
    Work work_{Work::computes};
};

} // namespace everpool::tests
