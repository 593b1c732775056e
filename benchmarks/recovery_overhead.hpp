// Parts of scenario_recovery: what the levels of fault tolerance cost while nothing fails.
// SPDX-License-Identifier: BSL-1.0
//
// Two pools at the same time, one at level none, in turn: a block of operations each, one by one.
// Single blocks of the same pool differ by several percent, so that it takes hundreds of them to
// tell two percent.
// At level critical one of the three that vote is of another engine, if there is one; the floor
// then asks browsers of the same types, since one may take longer than the other.
#pragma once

#include "recovery_load.hpp"
#include "scenario_report.hpp"

#include <everpool/everpool.hpp>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <future>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace scenario {

/// A directory for a state; removed at the end.
class StateDirectory {
public:
    StateDirectory() {
        std::string name =
            (std::filesystem::temp_directory_path() / "everpool-scenario-XXXXXX").string();
        if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make " + name);
        path_ = name;
    }
    ~StateDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    StateDirectory(const StateDirectory&) = delete;
    StateDirectory& operator=(const StateDirectory&) = delete;
    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

private:
    std::filesystem::path path_;
};

/// In us: the median of `count` appends that are durable when they return.
inline double durable_append_us(const std::filesystem::path& directory, std::size_t count) {
    const int file = ::open((directory / "floor").c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    if (file < 0) throw std::runtime_error("cannot write in " + directory.string());
    const std::vector<char> record(256, 'x');
    std::vector<double> times;
    for (std::size_t i = 0; i < count; ++i) {
        const auto begin = Clock::now();
        const bool is_fine =
            ::write(file, record.data(), record.size()) == static_cast<ssize_t>(record.size()) &&
            ::fdatasync(file) == 0;
        if (!is_fine) throw std::runtime_error("cannot write in " + directory.string());
        times.push_back(milliseconds(Clock::now() - begin) * 1000);
    }
    ::close(file);
    return median(times);
}

class OverheadPool {
public:
    OverheadPool(std::vector<everpool::BrowserSpec> browsers, const everpool::ModelSpec& spec,
                 const everpool::tests::ModelSamples& model, everpool::FaultToleranceLevel level,
                 const std::filesystem::path& directory)
        : model_(model),
          pool_(runtime_.get_executor(), config(std::move(browsers), spec, level, directory)) {
        (void)runtime_.start(pool_);
    }
    ~OverheadPool() { runtime_.stop(pool_); }

    /// In us: each the slowest of as many operations at once as there are browsers here, one for
    /// each of them; or of one, for whichever the pool chooses.
    std::vector<double> run(std::size_t count,
                            const std::vector<everpool::BrowserSpec>& browsers = {}) {
        std::vector<double> out;
        for (std::size_t i = 0; i < count; ++i) {
            const auto begin = Clock::now();
            std::vector<std::future<bool>> answers;
            if (browsers.empty()) answers.push_back(ask(i, {}));
            for (const everpool::BrowserSpec& one : browsers) answers.push_back(ask(i, one.type));
            for (auto& answer : answers)
                if (!answer.get()) throw std::runtime_error("an answer is wrong or missing");
            out.push_back(milliseconds(Clock::now() - begin) * 1000);
        }
        return out;
    }

    /// Those that vote on an operation.
    std::vector<everpool::BrowserSpec> voters() {
        std::promise<std::vector<everpool::BrowserSpec>> found;
        pool_.async_run(everpool::Request::inference(model_.name, model_.samples.front().inputs),
                        [&found](everpool::error_code ec, const everpool::Result& result) {
                            std::vector<everpool::BrowserSpec> out;
                            if (!ec && result.votes && result.votes->is_complete())
                                for (const everpool::Vote& vote : result.votes->answers) {
                                    out.emplace_back();
                                    out.back().type = vote.browser;
                                }
                            found.set_value(std::move(out));
                        });
        auto out = found.get_future().get();
        if (out.empty()) throw std::runtime_error("not all workers have voted");
        return out;
    }

private:
    static everpool::ResourcePoolConfig config(std::vector<everpool::BrowserSpec> browsers,
                                               const everpool::ModelSpec& spec,
                                               everpool::FaultToleranceLevel level,
                                               const std::filesystem::path& directory) {
        using everpool::FaultToleranceLevel;
        everpool::ResourcePoolConfig out;
        out.browsers = std::move(browsers);
        out.models = {spec};
        out.fault_tolerance.level = level;
        if (level >= FaultToleranceLevel::medium) out.fault_tolerance.state_directory = directory;
        return out;
    }

    std::future<bool> ask(std::size_t number, std::optional<everpool::BrowserType> browser) {
        auto answered = std::make_shared<std::promise<bool>>();
        auto future = answered->get_future();
        const auto& sample = model_.samples[number % model_.samples.size()];
        auto request = everpool::Request::inference(model_.name, sample.inputs);
        request.browser = browser;
        pool_.async_run(std::move(request), [&sample, answered](everpool::error_code ec,
                                                                const everpool::Result& result) {
            answered->set_value(
                !ec && everpool::tests::largest_difference(result.outputs, sample.outputs) <= 1e-4);
        });
        return future;
    }

    const everpool::tests::ModelSamples& model_;
    everpool::Runtime runtime_;
    everpool::ResourcePool pool_;
};

/// How much the p50 may exceed the floor's.
inline double overhead_allowed(everpool::FaultToleranceLevel level) {
    switch (level) {
    case everpool::FaultToleranceLevel::low: return 1.02;
    case everpool::FaultToleranceLevel::medium: return 1.10;
    case everpool::FaultToleranceLevel::high: return 1.15;
    case everpool::FaultToleranceLevel::critical: return 1.10;
    case everpool::FaultToleranceLevel::none: break;
    }
    return 1;
}

inline Row measure_overhead(const everpool::BrowserSpec& browser, const everpool::ModelSpec& spec,
                            const everpool::tests::ModelSamples& model,
                            everpool::FaultToleranceLevel level, std::size_t rounds,
                            std::size_t block) {
    const bool is_critical = level == everpool::FaultToleranceLevel::critical;
    const std::vector<everpool::BrowserSpec> browsers(is_critical ? 3 : 2, browser);
    const StateDirectory directory;
    OverheadPool ours(browsers, spec, model, level, directory.path());
    const auto voters = is_critical ? ours.voters() : std::vector<everpool::BrowserSpec>{};
    OverheadPool floor(is_critical ? voters : browsers, spec, model,
                       everpool::FaultToleranceLevel::none, {});
    Row row{"overhead/" + std::string(name_of(level)), "us", block, {}, {}, {}};
    (void)floor.run(block, voters);
    (void)ours.run(block);
    const auto run_ours = [&] { row.ours.push_back(median(ours.run(block))); };
    const auto run_floor = [&] {
        row.floor.push_back(median(floor.run(block, voters)) +
                            (is_critical ? 2 * durable_append_us(directory.path(), 20) : 0));
    };
    for (std::size_t i = 0; i < rounds; ++i) {
        // Whoever comes second finds the machine as the first one has left it: they take turns.
        if (i % 2 == 0) run_ours();
        run_floor();
        if (i % 2 != 0) run_ours();
    }
    return row;
}

} // namespace scenario
