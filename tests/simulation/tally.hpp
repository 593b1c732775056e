// Simulator: what was really drawn. A fault that never happens proves nothing.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/event_text.hpp"
#include "everpool/recovery_rung.hpp"
#include "everpool/recovery_strategy.hpp"
#include "start_failure.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace everpool::simulation {

struct Tally {
    /// Workers lost, as the core says: by LossCause.
    std::array<std::uint64_t, core::loss_cause_count> losses{};
    /// Starts that failed, as the worker knows: by rung, step, and whether it hung.
    std::array<std::array<std::array<std::uint64_t, 2>, start_step_names.size()>,
               recovery_rung_count>
        failed_steps{};
    std::array<std::uint64_t, recovery_strategies.size()> strategies{}; ///< seeds, by strategy
    std::uint64_t storms{0}, stalls{0}, sleeps{0}, clock_errors{0};
    /// Requests that waited for as long as they could: refused, or put behind all others.
    std::uint64_t timed_out{0}, delayed{0};
    std::uint64_t batches{0}; ///< sent as one
    /// After the faults: how often each was demanded.
    std::uint64_t storm_drills{0}, start_drills{0}, slowness_drills{0};

    void add(const Tally& other) {
        const auto sum = [](auto& into, const auto& from) {
            for (std::size_t i = 0; i < into.size(); ++i) into[i] += from[i];
        };
        sum(losses, other.losses);
        sum(strategies, other.strategies);
        for (std::size_t rung = 0; rung < failed_steps.size(); ++rung)
            for (std::size_t step = 0; step < start_step_names.size(); ++step)
                sum(failed_steps[rung][step], other.failed_steps[rung][step]);
        storms += other.storms;
        stalls += other.stalls;
        sleeps += other.sleeps;
        clock_errors += other.clock_errors;
        timed_out += other.timed_out;
        delayed += other.delayed;
        batches += other.batches;
        storm_drills += other.storm_drills;
        start_drills += other.start_drills;
        slowness_drills += other.slowness_drills;
    }

    /// The pool itself asks, and answers without a computation.
    static constexpr bool is_a_workers(RecoveryRung rung) noexcept {
        return rung != RecoveryRung::ping && rung != RecoveryRung::simulation;
    }

    /// Lines for people, and for check_coverage.cmake.
    [[nodiscard]] std::string text() const {
        std::string out = "lost:";
        const auto count = [&](std::string_view name, std::uint64_t value) {
            out.append(" ").append(name).append(" ").append(std::to_string(value));
        };
        for (std::size_t i = 0; i < losses.size(); ++i)
            count(core::name_of(static_cast<core::LossCause>(i)), losses[i]);
        out += "\nstrategies:";
        for (const RecoveryStrategy one : recovery_strategies)
            count(name_of(one), strategies[static_cast<std::size_t>(one)]);
        out += "\nhost:";
        count("storms", storms);
        count("stalls", stalls);
        count("sleeps", sleeps);
        count("clock_errors", clock_errors);
        out += "\nimpatience:";
        count("timed_out", timed_out);
        count("delayed", delayed);
        out += "\ntogether:";
        count("batches", batches);
        out += "\ndrills:";
        count("storm", storm_drills);
        count("start", start_drills);
        count("slowness", slowness_drills);
        for (std::size_t rung = 0; rung < failed_steps.size(); ++rung) {
            if (!is_a_workers(recovery_rungs[rung])) continue;
            out.append("\nstarts that failed by ")
                .append(name_of(recovery_rungs[rung]))
                .append(":");
            for (std::size_t step = 0; step < start_step_names.size(); ++step) {
                count(start_step_names[step], failed_steps[rung][step][0]);
                out.append("/").append(std::to_string(failed_steps[rung][step][1]));
            }
        }
        return out;
    }
};

} // namespace everpool::simulation
