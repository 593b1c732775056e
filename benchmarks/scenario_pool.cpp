// What a pool does under load: batches, fairness, priorities, memory; real browsers, and the same
// work without what is measured beside it. See README.md for what is measured how.
// SPDX-License-Identifier: BSL-1.0
#include "bare_browsers.hpp"
#include "bare_echo.hpp"
#include "burst.hpp"
#include "pool_clients.hpp"
#include "scenario_report.hpp"
#include "support/model_samples.hpp"

#include <boost/asio/io_context.hpp>
#include <fmt/format.h>

#include <everpool/everpool.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace scenario {

using everpool::ModelSpec;
using everpool::Priority;
using everpool::Request;
using everpool::ResourcePoolConfig;
using everpool::Tensor;

struct Options {
    everpool::BrowserType engine{everpool::BrowserType::chromium};
    std::vector<std::string> rows{};
    std::size_t runs{5};
    bool judges{true}; ///< else each row once and short
};

constexpr std::size_t browser_count = 2;

class Scenario {
public:
    explicit Scenario(const Options& options) : options_(options) {}

    /// \return whether every target was met
    bool run() {
        if (wants("echo_64B_pipelined")) echo();
        if (wants("mlp_batching_gain")) batching_gain();
        if (wants("fairness")) fairness();
        if (wants("priority_p99")) priority();
        if (wants("rss_growth_mib")) memory();
        return is_met_;
    }

    void print() const {
        std::printf("%s\n", boost::json::serialize(
                                boost::json::object{
                                    {"scenario", "pool"},
                                    {"version", EVERPOOL_VERSION},
                                    {"machine", machine()},
                                    {"engine", {{"name", engine_}, {"version", engine_version_}}},
                                    {"rows", rows_}})
                                .c_str());
    }

private:
    [[nodiscard]] bool wants(std::string_view row) const {
        return options_.rows.empty() ||
               std::ranges::find(options_.rows, row) != options_.rows.end();
    }
    [[nodiscard]] std::size_t scaled(std::size_t count) const {
        return options_.judges ? count : std::max<std::size_t>(count / 100, 64);
    }

    [[nodiscard]] ResourcePoolConfig config() const {
        ResourcePoolConfig out;
        out.browsers.at(0).type = options_.engine;
        out.browsers.at(0).count = browser_count;
        return out;
    }

    /// `mlp` with any number of rows, and its samples.
    [[nodiscard]] ModelSpec mlp(std::optional<everpool::BatchingOptions> batching = {}) const {
        ModelSpec out;
        out.name = "mlp";
        out.file = std::string(EVERPOOL_MODELS_DIR) + "/mlp_rows.onnx";
        out.providers = {everpool::Provider::wasm};
        out.warm_up = everpool::WarmUp{samples_.samples.at(0).inputs, {}, {}};
        out.batching = std::move(batching);
        return out;
    }

    void note(Row row, bool is_met, const std::string& rule) {
        const bool counts = is_met || !options_.judges;
        boost::json::object out = row.json();
        out["met"] = counts;
        out["rule"] = rule;
        std::fprintf(stderr, "%-20s %s: %s (ours %.6g, floor %.6g %s)\n", row.name.c_str(),
                     counts ? "met" : "MISSED", rule.c_str(), median(row.ours), median(row.floor),
                     row.unit.c_str());
        is_met_ = is_met_ && counts;
        rows_.push_back(std::move(out));
    }

    static double ratio_of(const Row& row) { return row.json().at("ratio").as_double(); }

    // --- rows ------------------------------------------------------------------------------------

    void echo() {
        ResourcePoolConfig with = config();
        with.max_in_flight_per_worker = 64;
        PoolClients pool(context_, with);
        note_engine(pool);
        bool is_ready = false;
        BareEcho bare(context_, browser_count, [&] { is_ready = true; });
        BareBrowsers browsers(context_, options_.engine, browser_count, bare.url());
        pool.run_until([&] { return is_ready; });
        const std::string payload(64, 'x');
        const std::vector<Tensor> inputs{
            Tensor::of<std::uint8_t>("x", {64}, std::vector<std::uint8_t>(64, 'x'))};
        Row row{"echo_64B_pipelined", "ops/s", scaled(40'000), {}, {}, {}};
        for (std::size_t i = 0; i <= runs(); ++i) {
            const double ours = pool.rate(row.operations_per_round, 64, [&](std::size_t) {
                return Asked{Request::echo(inputs), [&](const everpool::Result& result) {
                                 return std::memcmp(result.outputs.at(0).data.bytes.data(),
                                                    payload.data(), payload.size()) == 0;
                             }};
            });
            const double floor = pool.rate_of(
                row.operations_per_round, 64, [&](std::size_t number, std::function<void()> done) {
                    bare.echo(number % browser_count, asio::buffer(payload), std::move(done));
                });
            if (i == 0) continue; // warms up
            row.ours.push_back(ours);
            row.floor.push_back(floor);
        }
        bare.close();
        browsers.close();
        note(row, ratio_of(row) >= 0.8, "ratio >= 0.8 to a bare Beast echo against bare pages");
    }

    void batching_gain() {
        ResourcePoolConfig with = config(), without = config();
        with.models = {mlp(everpool::BatchingOptions{.max_batch = 64})};
        without.models = {mlp()};
        PoolClients batched(context_, with), alone(context_, without);
        note_engine(batched);
        Row row{"mlp_batching_gain", "ops/s", scaled(40'000), {}, {}, {}};
        const auto ask = [&](std::size_t number) { return inference(number); };
        for (std::size_t i = 0; i <= runs(); ++i) {
            const double ours = batched.rate(row.operations_per_round, 512, ask);
            const double floor = alone.rate(row.operations_per_round, 512, ask);
            if (i == 0) continue;
            row.ours.push_back(ours);
            row.floor.push_back(floor);
        }
        const auto seen = batched.pool().snapshot();
        const auto messages = seen.succeeded - seen.batched + seen.batches;
        row.further["requests_per_message"] =
            static_cast<double>(seen.succeeded) / static_cast<double>(messages);
        note(row, ratio_of(row) >= 3, "ratio >= 3 to the same pool without batching");
    }

    /// Eight clients with 8 operations each; the floor is a pool where there is one client at all.
    void fairness() {
        constexpr std::size_t clients = 8, outstanding = 8;
        ResourcePoolConfig with = config();
        with.models = {mlp()};
        PoolClients pool(context_, with);
        note_engine(pool);
        Row row{"fairness", "Jain", scaled(20'000), {}, {}, {}};
        for (std::size_t i = 0; i < runs(); ++i) {
            std::vector<std::size_t> served(clients, 0);
            pool.compete(
                row.operations_per_round, clients, outstanding,
                [&](std::size_t, std::size_t number) { return inference(number); },
                [&](std::size_t client, double) { ++served[client]; });
            row.ours.push_back(jain(served));
            row.floor.push_back(1); // all alike
        }
        note(row, median(row.ours) >= 0.95, "Jain's index >= 0.95");
    }

    /// A client of high priority with 8 operations under way, alone and beside 200 of low priority.
    void priority() {
        constexpr std::size_t outstanding = 8, flood = 200;
        ResourcePoolConfig with = config();
        with.models = {mlp()};
        PoolClients pool(context_, with);
        note_engine(pool);
        Row row{"priority_p99", "us", scaled(10'000), {}, {}, {}};
        for (std::size_t i = 0; i <= runs(); ++i) {
            const double alone = priority_p99(pool, row.operations_per_round, outstanding, 0);
            const double beside = priority_p99(pool, row.operations_per_round, outstanding, flood);
            if (i == 0) continue;
            row.ours.push_back(beside);
            row.floor.push_back(alone);
        }
        note(row, ratio_of(row) <= 1.5, "p99 beside a flood <= 1.5 x p99 alone");
    }

    double priority_p99(PoolClients& pool, std::size_t count, std::size_t outstanding,
                        std::size_t flood) {
        std::vector<double> latencies;
        const std::size_t clients = flood == 0 ? 1 : 1 + flood / outstanding;
        pool.compete(
            count * clients, clients, outstanding,
            [&](std::size_t client, std::size_t number) {
                Asked out = inference(number);
                out.request.priority = client == 0 ? Priority::high : Priority::low;
                return out;
            },
            [&](std::size_t client, double microseconds) {
                if (client == 0) latencies.push_back(microseconds);
            },
            [&] { return latencies.size() >= count; });
        return quantile(latencies, 0.99);
    }

    void memory() {
        ResourcePoolConfig with = config();
        with.models = {mlp()};
        PoolClients pool(context_, with);
        note_engine(pool);
        Row row{"rss_growth_mib", "MiB", scaled(100'000), {}, {}, {}};
        const auto ask = [&](std::size_t number) { return inference(number); };
        (void)pool.rate(row.operations_per_round / 10, 64, ask);
        const double before = resident_mib();
        (void)pool.rate(row.operations_per_round - row.operations_per_round / 10, 64, ask);
        row.ours.push_back(resident_mib() - before);
        row.floor.push_back(10);
        note(row, row.ours.at(0) <= 10, "no more than 10 MiB after the first tenth");
    }

    // --- helpers ---------------------------------------------------------------------------------

    [[nodiscard]] std::size_t runs() const { return options_.judges ? options_.runs : 1; }

    /// One whose answer is known.
    [[nodiscard]] Asked inference(std::size_t number) const {
        const auto& sample = samples_.samples[number % samples_.samples.size()];
        return {
            Request::inference("mlp", sample.inputs), [&sample](const everpool::Result& result) {
                return everpool::tests::largest_difference(result.outputs, sample.outputs) <= 1e-4f;
            }};
    }

    /// 1: all have got as much; 1/n: one has got everything.
    static double jain(const std::vector<std::size_t>& shares) {
        double sum = 0, squares = 0;
        for (const std::size_t share : shares) {
            sum += static_cast<double>(share);
            squares += static_cast<double>(share) * static_cast<double>(share);
        }
        return sum * sum / (static_cast<double>(shares.size()) * squares);
    }

    void note_engine(PoolClients& pool) {
        const auto worker = pool.pool().snapshot().workers.at(0);
        engine_ = name_of(worker.browser);
        engine_version_ = worker.browser_version;
    }

    const Options options_;
    boost::asio::io_context context_{1};
    const everpool::tests::ModelSamples samples_ =
        everpool::tests::load_model_samples(EVERPOOL_MODELS_DIR, "mlp");
    std::string engine_, engine_version_;
    boost::json::array rows_;
    bool is_met_{true};
};

int usage(int status) {
    std::printf("usage: scenario_pool [--engine=E] [--row=R]... [--runs=N] [--smoke]\n"
                "\n"
                "A pool of two browsers under load, and beside it the same work without what is\n"
                "measured, alternating; every answer is checked. Prints JSON.\n"
                "\n"
                "--engine=E  chromium (default), chrome, edge or firefox\n"
                "--row=R     echo_64B_pipelined, mlp_batching_gain, fairness, priority_p99 or\n"
                "            rss_growth_mib; all by default\n"
                "--runs=N    rounds that count, default 5\n"
                "--smoke     each row once and short; no figure is judged\n"
                "\n"
                "Exit status 1: a target was missed.\n");
    return status;
}

} // namespace scenario

int main(int argc, char** argv) try {
    scenario::Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        const std::string value(argument.substr(std::min(argument.find('=') + 1, argument.size())));
        if (argument == "--smoke") {
            options.judges = false;
        } else if (argument.starts_with("--engine=")) {
            const auto type = everpool::browser_type_from(value);
            if (!type) return scenario::usage(2);
            options.engine = *type;
        } else if (argument.starts_with("--row=")) {
            options.rows.push_back(value);
        } else if (argument.starts_with("--runs=")) {
            options.runs = std::max<std::size_t>(std::stoul(value), 1);
        } else {
            return scenario::usage(argument == "--help" ? 0 : 2);
        }
    }
    scenario::Scenario scenario(options);
    const bool is_met = scenario.run();
    scenario.print();
    return is_met ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "scenario_pool: %s\n", error.what());
    return 1;
}
