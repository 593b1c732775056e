// The parts of the benchmark of the log, each of which registers its names.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <benchmark/benchmark.h>

#include <exception>
#include <string>
#include <utility>

namespace bench {

struct LogCases {
    double watched_seconds{2}; ///< how long writers are watched
    bool is_short{false};      ///< everything as small as can be: it only has to run
    bool is_long{false};       ///< recovers 1 GiB
};

void register_durable(const LogCases& cases);
void register_os(const LogCases& cases);
void register_replay(const LogCases& cases);
void register_state(const LogCases& cases);
void register_checkpoints(const LogCases& cases);

/// Registers what may throw: then that benchmark has failed, and so has the program.
template <class Function>
benchmark::internal::Benchmark* add_case(const std::string& name, Function function) {
    return benchmark::RegisterBenchmark(name.c_str(),
                                        [function = std::move(function)](benchmark::State& state) {
                                            try {
                                                function(state);
                                            } catch (const std::exception& error) {
                                                state.SkipWithError(error.what());
                                            }
                                        });
}

} // namespace bench
