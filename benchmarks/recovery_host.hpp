// Parts of scenario_recovery: a host that dies with its pool, and comes back.
// SPDX-License-Identifier: BSL-1.0
//
// The host is this program once more, as a child. It writes where its browsers are, works until it is
// killed, and is started again with the same state: what it had under way then must be executed.
#pragma once

#include "recovery_leaks.hpp"
#include "recovery_load.hpp"
#include "recovery_overhead.hpp"
#include "recovery_targets.hpp"
#include "support/host_process.hpp"

#include <everpool/everpool.hpp>

#include <atomic>
#include <cstddef>
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace scenario {

/// As the pool itself says it.
inline std::string version_of(everpool::BrowserType engine) {
    everpool::ResourcePoolConfig config;
    config.browsers.at(0).type = engine;
    everpool::Runtime runtime;
    everpool::ResourcePool pool{runtime.get_executor(), config};
    (void)runtime.start(pool);
    const std::string out = pool.snapshot().workers.at(0).browser_version;
    runtime.stop(pool);
    return out;
}

/// The child. Prints its browsers' directory, then how many operations of the host before it have
/// been executed, and how many have not; then "ready".
inline int be_host(std::string_view engine, const std::filesystem::path& directory) {
    const auto model = everpool::tests::load_model_samples(EVERPOOL_MODELS_DIR, "mlp");
    std::atomic<std::size_t> again{0}, failed{0};
    everpool::ResourcePoolConfig config;
    config.browsers.at(0).type = everpool::browser_type_from(engine).value();
    config.browsers.at(0).count = 2;
    everpool::ModelSpec spec;
    spec.name = model.name;
    spec.file = model.file;
    spec.warm_up = everpool::WarmUp{model.samples.at(0).inputs, model.outputs};
    config.models = {spec};
    config.fault_tolerance.state_directory = directory;
    config.fault_tolerance.on_recovered = [&](const everpool::RecoveredOperation& operation) {
        ++(operation.was_executed_again && !operation.code ? again : failed);
    };
    everpool::Runtime runtime;
    everpool::ResourcePool pool{runtime.get_executor(), config};
    (void)runtime.start(pool);
    RecoveryLoad load(pool, model);
    load.wait_for(200);
    std::printf("%s\n%zu\n%zu\nready\n", nest_of(pool.snapshot().workers.at(0).process_id).c_str(),
                again.load(), failed.load());
    std::fflush(stdout);
    while (load.wait_for(1000)) {} // until it is killed
    return 1;
}

inline FaultFigures measure_host_kill(everpool::BrowserType engine, std::size_t rounds) {
    FaultFigures out;
    out.fault = everpool::Fault::host_kill;
    const StateDirectory directory;
    const std::string command = std::filesystem::read_symlink("/proc/self/exe").string() +
                                " --host " + std::string(name_of(engine)) + ' ' +
                                directory.path().string();
    everpool::TimePoint killed{};
    for (std::size_t i = 0; i <= rounds; ++i) {
        everpool::tests::HostProcess host(command);
        const std::string nest = host.next_line();
        const std::size_t again = std::stoul(host.next_line());
        out.lost += std::stoul(host.next_line());
        host.wait_for("ready");
        if (i > 0) {
            ++out.n;
            out.capacity.push_back(milliseconds(Clock::now() - killed));
            if (again == 0) {
                ++out.not_restored;
                out.trouble = "a host that had operations under way left none to the next";
            }
        }
        killed = Clock::now();
        host.kill();
        out.leaked += count_leaked(nest, std::chrono::seconds{10});
    }
    return out;
}

} // namespace scenario
