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
            ledger_.note(core::Event(core::Submit{meta}));
        }
        ledger_.note(action, world_.now());
        std::visit(
            [this](const auto& one) {
                if constexpr (requires { worker_.perform(one); }) worker_.perform(one);
            },
            action);
    }
    bool strike(Trouble trouble) override {
        worker_.strike(trouble);
        return true;
    }
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
    static core::CoreConfig one_model() {
        core::CoreConfig config;
        config.model_count = 1;
        return config;
    }

    simulation::World world_;
    simulation::Ledger ledger_{one_model(), {}};
    simulation::Surroundings surroundings_{
        .world = world_,
        .ledger = ledger_,
        .faults = {},
        .start_timeout = 30s,
        .operation_max = 300ms,
        .long_operation = {1, 1},
        .feed = [this](const core::Event& event) { events_.push_back(event); }};
    simulation::FakeWorker worker_{WorkerId{0}, surroundings_, {}, RecoveryRung::restart_browser};
};

} // namespace everpool::tests
