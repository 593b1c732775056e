// Parts of scenario_recovery: nothing fails, on a machine that has no processor to spare.
// SPDX-License-Identifier: BSL-1.0
//
// As many threads as the machine has processors do nothing but look whether they are to stop,
// beside two browsers under the usual load. Whatever the pool takes for a loss is a false alarm.
#pragma once

#include "recovery_load.hpp"
#include "recovery_watch.hpp"

#include <fmt/format.h>

#include <everpool/everpool.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <string>
#include <thread>
#include <vector>

namespace scenario {

/// All processors busy for as long as it lives.
class FullMachine {
public:
    FullMachine() {
        const unsigned count = std::max(1U, std::thread::hardware_concurrency());
        for (unsigned i = 0; i < count; ++i)
            threads_.emplace_back([this] {
                while (!is_over_.load(std::memory_order_relaxed)) {}
            });
    }
    ~FullMachine() {
        is_over_ = true;
        for (std::thread& thread : threads_) thread.join();
    }
    FullMachine(const FullMachine&) = delete;
    FullMachine& operator=(const FullMachine&) = delete;

private:
    std::atomic<bool> is_over_{false};
    std::vector<std::thread> threads_;
};

struct CalmFigures {
    std::chrono::seconds duration{};
    std::vector<std::string> alarms; ///< cause, worker and time of each
    LoadAccount account;
};

/// \pre `duration` > 0
inline CalmFigures measure_calm(const everpool::BrowserSpec& browser,
                                const everpool::ModelSpec& spec,
                                const everpool::tests::ModelSamples& model,
                                std::chrono::seconds duration) {
    RecoveryWatch watch;
    everpool::ResourcePoolConfig config;
    config.browsers = {browser};
    config.browsers.at(0).count = 2;
    config.models = {spec};
    config.on_event = watch.listener();
    everpool::Runtime runtime;
    everpool::ResourcePool pool(runtime.get_executor(), config);
    (void)runtime.start(pool);
    CalmFigures out{.duration = duration, .alarms = {}, .account = {}};
    {
        RecoveryLoad load(pool, model);
        load.wait_for(200);
        const FullMachine machine;
        const std::size_t mark = watch.mark();
        const auto begin = Clock::now();
        while (Clock::now() - begin < duration && load.wait_for(1)) {}
        for (const everpool::PoolEvent& lost : watch.losses_since(mark))
            out.alarms.push_back(fmt::format("{} of worker {} after {:.0f} s: {}", lost.detail,
                                             lost.worker.value, milliseconds(lost.at - begin) / 1e3,
                                             lost.failure ? lost.failure->message : ""));
        load.stop();
        out.account = load.account();
    }
    runtime.stop(pool);
    return out;
}

} // namespace scenario
