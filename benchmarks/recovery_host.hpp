// Parts of scenario_recovery: a host that dies with its pool, and comes back.
// SPDX-License-Identifier: BSL-1.0
//
// The host is this program once more, as a child. It works until it is killed, and is started again
// at once with the same state: what it had under way then must be executed, and nothing that it was
// answered may be. That is promised of every moment at level critical only, so this is the level
// here; below it what was answered in the last commit_interval before the kill may be executed and
// told once more.
#pragma once

#include "recovery_journal.hpp"
#include "recovery_leaks.hpp"
#include "recovery_load.hpp"
#include "recovery_overhead.hpp"
#include "recovery_targets.hpp"
#include "support/host_process.hpp"

#include <fmt/format.h>

#include <everpool/everpool.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

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

inline everpool::ResourcePoolConfig host_config(everpool::BrowserType engine,
                                                const everpool::tests::ModelSamples& model,
                                                const std::filesystem::path& directory) {
    everpool::ResourcePoolConfig config;
    config.browsers.at(0).type = engine;
    config.browsers.at(0).count = 2;
    everpool::ModelSpec spec;
    spec.name = model.name;
    spec.file = model.file;
    spec.warm_up =
        everpool::WarmUp{model.samples.at(0).inputs, model.outputs, model.samples.at(0).outputs};
    config.models = {spec};
    config.standby_count = 0; // two browsers, as in every other row
    config.fault_tolerance.level = everpool::FaultToleranceLevel::critical;
    config.fault_tolerance.state_directory = directory;
    config.fault_tolerance.on_recovered = [&model](const everpool::RecoveredOperation& one) {
        print_line(fmt::format("recovered {} {}", one.operation.inputs_digest,
                               answer_in_words(model, one.code, one.result)));
    };
    return config;
}

/// The child: the host of that number. See recovery_journal.hpp for what it prints.
inline int be_host(std::string_view engine, const std::filesystem::path& directory,
                   std::uint64_t number) {
    const auto model = everpool::tests::load_model_samples(EVERPOOL_MODELS_DIR, "mlp");
    const auto inputs = [&](std::size_t i) {
        return numbered(model.samples[i % model.samples.size()].inputs, number << 32 | i);
    };
    everpool::Runtime runtime;
    everpool::ResourcePool pool{
        runtime.get_executor(),
        host_config(everpool::browser_type_from(engine).value(), model, directory)};
    const everpool::StartReport report = runtime.start(pool);
    if (report.workers_failed != 0) throw std::runtime_error(report.diagnostics.text());
    print_line("nest " + nest_of(pool.snapshot().workers.at(0).process_id).string());
    print_line(
        fmt::format("left {}", std::ranges::count_if(pool.state()->orphans(),
                                                     &everpool::OrphanedOperation::may_run_again)));
    LoadOptions options;
    options.prepare = [&](std::size_t i, everpool::Request& request) {
        request.inputs = inputs(i);
        request.redundancy = 1; // no votes: it is about the host
        print_line(fmt::format("asked {} {}", everpool::facade::digest_of(request.inputs),
                               i % model.samples.size()));
    };
    options.on_end = [&](std::size_t i, everpool::error_code ec, const everpool::Result& result) {
        print_line(fmt::format("answered {} {}", everpool::facade::digest_of(inputs(i)),
                               answer_in_words(model, ec, result)));
    };
    RecoveryLoad load(pool, model, options);
    load.wait_for(200);
    print_line("ready");
    while (load.wait_for(1000)) {} // until it is killed
    return 1;
}

/// Hosts one after another in one state directory.
class HostRounds {
public:
    explicit HostRounds(everpool::BrowserType engine)
        : command_(std::filesystem::read_symlink("/proc/self/exe").string() + " --host " +
                   std::string(name_of(engine)) + ' ' + directory_.path().string() + ' ') {
        row_.fault = everpool::Fault::host_kill;
    }

    /// All times are from the kill on. The next host is started at once, as a supervisor would do
    /// it, and not when the guardian has cleaned up after the last one. What that one has left is
    /// counted when the next one is ready: processes, which only the guardian ends, and the
    /// directory, which a host that starts removes too if it is there first. After the very last
    /// one there is only the guardian.
    FaultFigures run(std::size_t rounds) {
        for (std::size_t i = 0; i <= rounds; ++i) live(i);
        if (count_leaks() != 0) note("a killed host has left something behind");
        if (journal_.left_to_all() == 0) {
            ++row_.not_restored;
            note("no host left an operation to the next");
        }
        row_.lost = journal_.lost();
        row_.twice = journal_.twice();
        row_.wrong = journal_.wrong();
        row_.unheard_of = journal_.unheard_of();
        return std::move(row_);
    }

private:
    void live(std::size_t number) {
        everpool::tests::HostProcess host(command_ + std::to_string(number));
        const bool is_successor = number != 0;
        std::string nest;
        journal_.begin_life();
        for (std::string line = host.next_line(); line != "ready"; line = host.next_line()) {
            const double after = milliseconds(Clock::now() - killed_);
            journal_.add(line);
            if (line.starts_with("nest ")) nest = line.substr(5);
            if (line.starts_with("nest ") && is_successor) row_.capacity.push_back(after);
            if (line.starts_with("recovered ")) row_.first_answer.push_back(after);
        }
        const std::size_t read = host.all_lines().size();
        if (is_successor) {
            ++row_.n;
            if (journal_.recovered() < journal_.left()) {
                ++row_.not_restored;
                note(fmt::format("of {} operations that a host left, the next one executed {}",
                                 journal_.left(), journal_.recovered()));
            }
            if (count_leaks() != 0) note("a killed host has left something behind");
        }
        killed_ = Clock::now();
        host.kill();
        nest_ = nest;
        // What it had said before it was killed, and was not read yet.
        for (std::size_t i = read; i < host.all_lines().size(); ++i)
            journal_.add(host.all_lines()[i]);
    }

    /// Of the last host that was killed.
    std::size_t count_leaks() {
        const std::size_t left = count_leaked(nest_, killed_ + std::chrono::seconds{10});
        row_.leaked += left;
        return left;
    }

    void note(const std::string& what) {
        if (row_.trouble.empty()) row_.trouble = what;
    }

    const StateDirectory directory_;
    const std::string command_;
    HostJournal journal_;
    std::filesystem::path nest_; ///< of the last host
    everpool::TimePoint killed_{};
    FaultFigures row_;
};

} // namespace scenario
