// Parts of scenario_recovery: one fault, again and again, to a pool of two browsers under load, and
// of a third one where a vote decides.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "recovery_degrees.hpp"
#include "recovery_leaks.hpp"
#include "recovery_load.hpp"
#include "recovery_targets.hpp"
#include "recovery_watch.hpp"
#include "support/processes.hpp"

#include <boost/asio/use_future.hpp>

#include <everpool/fault_injector.hpp>
#include <everpool/recovery_manager.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace scenario {

struct RoundsOptions {
    everpool::BrowserSpec browser{};
    everpool::ModelSpec spec{};
    everpool::tests::ModelSamples model{};
    std::size_t rounds{20};
    everpool::FaultIntensity intensity{everpool::FaultIntensity::severe};
    bool judges_times{true};
};

/// For a vote.
inline everpool::BrowserSpec of_another_engine(everpool::BrowserType type) {
    everpool::BrowserSpec out;
    out.type = everpool::is_chromium_family(type) ? everpool::BrowserType::firefox
                                                  : everpool::BrowserType::chromium;
    return out;
}

class FaultRounds {
public:
    FaultRounds(const RoundsOptions& options, everpool::Fault fault)
        : options_(options),
          is_voted_(fault == everpool::Fault::wrong_answer),
          pool_(runtime_.get_executor(), config(options)) {
        row_.fault = fault;
        row_.intensity = options.intensity;
    }

    /// `between`: called before the first round, after the last and every few of them, while
    /// nothing is asked of the pool.
    FaultFigures run(const std::function<void()>& between) {
        (void)runtime_.start(pool_);
        const auto nest = nest_of(pool_.snapshot().workers.at(0).process_id);
        {
            RecoveryLoad load(pool_, options_.model, load_options());
            load.wait_for(2000); // so that what is usual is known
            (void)let_settle(load);
            const std::vector<int> browsers = processes();
            for (std::size_t i = 0; i < options_.rounds; ++i) {
                if (i % rounds_at_once == 0) pause(load, between);
                round(load, everpool::WorkerId{static_cast<std::uint32_t>(i % 2)});
            }
            pause(load, between);
            // Who has a GPU process needs no more than a new one.
            if (row_.fault == everpool::Fault::gpu_hang &&
                everpool::is_chromium_family(options_.browser.type) && processes() != browsers) {
                ++row_.not_restored;
                note("a browser was restarted for an endless shader");
            }
            load.stop();
            settle(load.account());
        }
        const auto recoveries = everpool::RecoveryManager{pool_}.snapshot();
        row_.recoveries = recoveries.total;
        std::map<std::string, std::size_t> paths;
        for (const auto& record : recoveries.last) ++paths[path_of(record)];
        for (const auto& [path, count] : paths)
            row_.paths.push_back(std::to_string(count) + " x " + path);
        runtime_.stop(pool_);
        row_.leaked = count_leaked(nest, Clock::now() + std::chrono::seconds{3});
        if (row_.leaked != 0) note("left behind in " + nest.string());
        return std::move(row_);
    }

private:
    static constexpr std::size_t rounds_at_once = 5;

    void pause(RecoveryLoad& load, const std::function<void()>& between) {
        load.pause();
        between();
        load.resume();
        if (!let_settle(load)) note("no answers for a minute");
    }

    everpool::ResourcePoolConfig config(const RoundsOptions& options) {
        everpool::ResourcePoolConfig out;
        out.browsers = {options.browser};
        out.browsers.at(0).count = 2;
        if (is_voted_) out.browsers.push_back(of_another_engine(options.browser.type));
        out.models = {options.spec};
        out.on_event = watch_.listener();
        // The delay before the next start grows if the same worker fails again within a minute, as
        // it does here on purpose.
        out.restart_delay_min = out.restart_delay_max = std::chrono::milliseconds{1};
        // Each round is another fault, and not one that does not go away: it is recovered from as
        // if the worker had long been healthy, and as what it was configured as.
        out.restart_period = {};
        out.restart_healthy_after = {};
        out.start_timeout = std::chrono::seconds{30};
        return out;
    }

    /// Wrong numbers are seen where somebody compares: three workers of two engines vote.
    [[nodiscard]] LoadOptions load_options() const {
        LoadOptions out;
        if (is_voted_) out.prepare = [](std::size_t, everpool::Request& r) { r.redundancy = 3; };
        return out;
    }

    [[nodiscard]] std::vector<int> processes() const {
        std::vector<int> out;
        for (const auto& worker : pool_.snapshot().workers) out.push_back(worker.process_id);
        return out;
    }

    void round(RecoveryLoad& load, everpool::WorkerId victim) {
        using everpool::Fault;
        const std::size_t mark = watch_.mark();
        const std::size_t moved_before = load.account().moved.size();
        const bool endures = is_endured(row_.fault, row_.intensity);
        everpool::FaultInjector injector{pool_};
        auto injected = std::make_shared<
            std::promise<std::pair<everpool::error_code, everpool::FaultReport>>>();
        auto injecting = injected->get_future();
        injector.async_inject({.fault = row_.fault, .worker = victim, .intensity = row_.intensity},
                              [injected](everpool::error_code ec, everpool::FaultReport report) {
                                  injected->set_value({ec, std::move(report)});
                              });
        const auto [ec, report] = injecting.get();
        if (ec) {
            ++row_.not_restored;
            return note(ec.message() + ": " + report.diagnostics.text());
        }
        row_.n += faults_in_round(row_.fault, row_.intensity);
        if (endures) endure(load, report, length_of(row_.fault, row_.intensity));
        // What was to be endured and was not has to come back as well, before the next round; its
        // row's `recoveries` tells of it.
        const std::size_t losses = endures ? watch_.losses_since(mark).size()
                                   : row_.fault == Fault::all_browsers_kill
                                       ? 2
                                       : faults_in_round(row_.fault, row_.intensity);
        const Aftermath after =
            losses == 0 ? Aftermath{}
                        : watch_.wait_for_recovery(mark, losses, std::chrono::seconds{90});
        if (losses != 0) measure(report.at, after, victim, endures);
        if (!let_settle(load)) {
            ++row_.not_restored;
            note("no answers for a minute");
        }
        if (is_voted_) return; // no caller's operation moved: each was with three workers
        const auto moved = load.account().moved;
        for (std::size_t i = moved_before; i < moved.size(); ++i)
            if (moved[i].submitted <= report.at)
                row_.first_answer.push_back(milliseconds(moved[i].answered - report.at));
    }

    /// A round has a neighbour that is done with compiling, as the floors have, if its times are
    /// compared with them; a vote's are not. And whoever is to be found slow must have been seen at
    /// work before, for three seconds at least (Slowness).
    [[nodiscard]] bool let_settle(RecoveryLoad& load) const {
        const bool must_be_known = row_.fault == everpool::Fault::slow;
        const auto known = Clock::now() + std::chrono::seconds{must_be_known ? 6 : 0};
        if (options_.judges_times && !is_voted_ && !let_compile(load, options_.browser.type))
            return false;
        if (!load.wait_for(24)) return false;
        while (Clock::now() < known)
            if (!load.wait_for(24)) return false;
        return true;
    }

    /// Returns when the fault is over; it goes on long after it was reported. Nothing tells of its
    /// end, but its processes show it: its time has begun when it is reported; when that is over no
    /// pause begins any more, and only the last may still be on.
    static void endure(RecoveryLoad& load, const everpool::FaultReport& report,
                       std::chrono::seconds length) {
        const auto last_pause = Clock::now() + length;
        const auto is_on = [&] {
            return Clock::now() < last_pause ||
                   std::ranges::any_of(report.processes, everpool::tests::is_stopped);
        };
        while (is_on() && load.wait_for(1)) {}
    }

    void measure(everpool::TimePoint at, const Aftermath& after, everpool::WorkerId victim,
                 bool endures) {
        if (!after.ready) {
            ++row_.not_restored;
            return note("worker " + std::to_string(victim.value) + " did not come back");
        }
        if (row_.fault == everpool::Fault::gpu_kill_repeated) return; // of several faults, not one
        if (endures) return;                                          // nothing had to be detected
        row_.detect.push_back(milliseconds(*after.lost - at));
        row_.capacity.push_back(milliseconds(*after.ready - at));
        row_.restore.push_back(milliseconds(*after.ready - *after.lost));
    }

    void settle(const LoadAccount& account) {
        row_.lost = account.lost;
        row_.twice = account.twice;
        row_.wrong = account.wrong;
        row_.model_compute = account.compute_ms;
        if (!account.trouble.empty()) note(account.trouble);
    }

    static std::string path_of(const everpool::RecoveryRecord& record) {
        std::string out = record.cause + ':';
        for (const auto& step : record.path)
            out += ' ' + std::string(name_of(step.rung)) +
                   (step.code == everpool::Errc::ok ? "" : " (failed)");
        return out;
    }

    void note(const std::string& what) {
        if (row_.trouble.empty()) row_.trouble = what;
    }

    const RoundsOptions& options_;
    const bool is_voted_;
    RecoveryWatch watch_;
    everpool::Runtime runtime_;
    everpool::ResourcePool pool_;
    FaultFigures row_;
};

} // namespace scenario
