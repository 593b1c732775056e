// What a transaction costs who commits it to a BrowserStateManager: it is checked, applied,
// encoded, and kept as the durability says.
// SPDX-License-Identifier: BSL-1.0
#include "log_cases.hpp"
#include "log_latencies.hpp"
#include "log_paths.hpp"
#include "log_states.hpp"

namespace bench {
namespace {

using everpool::Durability;

void commits(benchmark::State& state, Durability durability) {
    const BenchDirectory directory;
    everpool::BrowserStateManager manager(state_config(directory.path));
    OperationLives lives;
    commit(manager, lives.browser(), durability);
    std::uint64_t count = 0;
    measure(state, [&] {
        // Not in the time, but in max_us: no disk bears a million of them a second for long.
        if (++count % 4096 == 0 && durability != Durability::os) {
            state.PauseTiming();
            check(!manager.flush(), "flush");
            state.ResumeTiming();
        }
        commit(manager, lives.next(), durability);
    });
}

} // namespace

void register_state(const LogCases&) {
    const auto add = [](const char* name, Durability durability) {
        add_case(name, [=](benchmark::State& state) { commits(state, durability); })->UseRealTime();
    };
    add("everpool/state/none", Durability::none);
    add("everpool/state/os", Durability::os);
    add("everpool/state/group", Durability::group);
}

} // namespace bench
