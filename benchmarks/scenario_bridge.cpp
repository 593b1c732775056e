// Whole path host -> bridge -> browser -> host: async_run(echo) beside a bare Beast WebSocket echo
// against an equally bare page, in the same kind of browser, alternating, in one process.
// SPDX-License-Identifier: BSL-1.0
#include "bare_browsers.hpp"
#include "bare_echo.hpp"
#include "burst.hpp"
#include "scenario_report.hpp"

#include <everpool/everpool.hpp>

#include <boost/asio/io_context.hpp>

#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace scenario {

using everpool::BrowserType;
using everpool::Request;
using everpool::ResourcePool;
using everpool::Result;
using everpool::Tensor;
using everpool::error_code;

constexpr std::size_t browser_count = 2;
constexpr std::size_t mebibyte = std::size_t{1} << 20;

struct Options {
    BrowserType browser{BrowserType::chromium};
    std::size_t runs{5};
    bool smoke{false};
};

/// What is measured: payload, operations a round, how many at once, and what the figure is.
struct Load {
    const char* name;
    const char* unit;
    std::size_t bytes, count, outstanding;
    enum class Figure { p50_us, operations_per_second, mebibytes_per_second } figure;
};

class Scenario {
public:
    Scenario(asio::io_context& context, const Options& options)
        : options_(options), pool_(context.get_executor(), config(options)),
          bare_(context, browser_count, [this] { one_side_ready(); }),
          browsers_(context, options.browser, browser_count, bare_.url()) {
        using enum Load::Figure;
        const std::size_t scale = options.smoke ? 100 : 1;
        loads_ = {{"echo_64B_p50", "us", 64, 5000 / scale, 1, p50_us},
                  {"echo_64B_pipelined", "ops/s", 64, 40000 / scale, 64, operations_per_second},
                  {"echo_1MiB", "MiB/s", mebibyte, 300 / scale, 1, mebibytes_per_second},
                  {"echo_16MiB", "MiB/s", 16 * mebibyte, std::max<std::size_t>(30 / scale, 2), 1,
                   mebibytes_per_second}};
        pool_.async_start([this](error_code ec, const everpool::StartReport& report) {
            if (ec || report.workers_ready != browser_count)
                fail(ec.message() + ": " + report.diagnostics.text());
            one_side_ready();
        });
    }

    void print() const {
        boost::json::array rows;
        for (const Row& row : rows_) rows.push_back(row.json());
        std::printf("%s\n", boost::json::serialize(boost::json::object{
                                {"scenario", "bridge"},
                                {"version", EVERPOOL_VERSION},
                                {"machine", machine()},
                                {"engine", {{"name", engine_}, {"version", engine_version_}}},
                                {"rows", rows}}).c_str());
    }

private:
    static everpool::ResourcePoolConfig config(const Options& options) {
        everpool::ResourcePoolConfig out;
        out.browsers.at(0).type = options.browser;
        out.browsers.at(0).count = browser_count;
        out.max_in_flight_per_worker = 64;
        return out;
    }

    void one_side_ready() {
        if (++sides_ready_ == 2) next_load();
    }

    void next_load() {
        if (rows_.size() == loads_.size()) return finish();
        const Load& load = loads_[rows_.size()];
        std::fprintf(stderr, "%s ", load.name);
        payload_.assign(load.bytes, '\0');
        std::uint32_t state = 1; // incompressible, the same in each run
        for (char& byte : payload_) {
            state = state * 1664525u + 1013904223u;
            byte = static_cast<char>(state >> 24);
        }
        auto owner = std::make_shared<std::string>(payload_);
        tensor_ = Tensor{"x", everpool::DataType::uint8, {static_cast<std::int64_t>(load.bytes)},
                         {owner, std::as_bytes(std::span(*owner))}};
        rows_.push_back({load.name, load.unit, load.count, {}, {}, {}});
        measure_ours(true);
    }

    // A round is ours then the floor; the first round warms up and does not count.
    void measure_ours(bool warm_up) {
        const Load& load = loads_[rows_.size() - 1];
        burst_ = std::make_unique<Burst>(
            load.count, load.outstanding,
            [this](std::size_t, std::function<void()> done) {
                std::vector<Tensor> inputs{tensor_};
                auto check_it = [this, done = std::move(done)](error_code ec,
                                                 const Result& result) {
                    if (ec) fail(result.diagnostics.text());
                    check(result);
                    done();
                };
                pool_.async_run(Request::echo(std::move(inputs)), std::move(check_it));
            },
            [this, warm_up](double seconds, const std::vector<double>& latencies) {
                note(rows_.back().ours, "ours_p99", warm_up, seconds, latencies);
                asio::post(pool_.get_executor(), [this, warm_up] { measure_floor(warm_up); });
            });
    }

    void measure_floor(bool warm_up) {
        const Load& load = loads_[rows_.size() - 1];
        burst_ = std::make_unique<Burst>(
            load.count, load.outstanding,
            [this](std::size_t number, std::function<void()> done) {
                bare_.echo(number % browser_count, asio::buffer(payload_), std::move(done));
            },
            [this, warm_up](double seconds, const std::vector<double>& latencies) {
                note(rows_.back().floor, "floor_p99", warm_up, seconds, latencies);
                std::fprintf(stderr, ".");
                const bool enough = rows_.back().ours.size() == options_.runs;
                if (enough) std::fprintf(stderr, "\n");
                asio::post(pool_.get_executor(), [this, enough] {
                    enough ? next_load() : measure_ours(false);
                });
            });
    }

    void note(std::vector<double>& into, const char* p99, bool warm_up, double seconds,
              const std::vector<double>& latencies) {
        if (warm_up) return;
        const Load& load = loads_[rows_.size() - 1];
        const auto count = static_cast<double>(load.count);
        switch (load.figure) {
        case Load::Figure::p50_us:
            into.push_back(median(latencies));
            rows_.back().further[p99] = quantile(latencies, 0.99); // of the last round
            break;
        case Load::Figure::operations_per_second: into.push_back(count / seconds); break;
        case Load::Figure::mebibytes_per_second:
            into.push_back(count * static_cast<double>(load.bytes) / mebibyte / seconds);
            break;
        }
    }

    void check(const Result& result) {
        if (result.outputs.size() != 1 || result.outputs[0].data.bytes.size() != payload_.size())
            fail("an echo came back with another length");
        // The first and last bytes always, everything in the smoke test: comparing 16 MiB each
        // time would measure memcmp.
        const auto* got = reinterpret_cast<const char*>(result.outputs[0].data.bytes.data());
        const std::size_t all = payload_.size();
        const std::size_t some = options_.smoke ? all : std::min<std::size_t>(64, all);
        if (std::memcmp(got, payload_.data(), some) != 0 ||
            std::memcmp(got + all - some, payload_.data() + all - some, some) != 0)
            fail("an echo came back changed");
        engine_ = name_of(result.browser);
        engine_version_ = result.browser_version;
    }

    void finish() {
        bare_.close();
        browsers_.close();
        pool_.async_stop([](error_code) {});
    }

    Options options_;
    ResourcePool pool_;
    BareEcho bare_;
    BareBrowsers browsers_;
    std::vector<Load> loads_;
    std::vector<Row> rows_;
    std::string payload_, engine_, engine_version_;
    Tensor tensor_;
    std::unique_ptr<Burst> burst_;
    int sides_ready_{0};
};

} // namespace scenario

int main(int argc, char** argv) try {
    scenario::Options options;
    for (int i = 1; i < argc; ++i) {
        const std::string_view argument = argv[i];
        if (argument == "--smoke") {
            options.smoke = true;
            options.runs = 1;
        } else if (argument == "--runs" && i + 1 < argc) {
            options.runs = static_cast<std::size_t>(std::stoul(argv[++i]));
        } else if (argument == "--browser" && i + 1 < argc) {
            const auto type = everpool::browser_type_from(argv[++i]);
            if (!type) scenario::fail(std::string("no browser is called ") + argv[i]);
            options.browser = *type;
        } else {
            std::printf("usage: scenario_bridge [--runs N] [--browser NAME] [--smoke]\n\n"
                        "Echoes through the pool beside a bare Beast echo, alternating.\n\n"
                        "--runs N        rounds that count, default 5\n"
                        "--browser NAME  chromium (default), chrome, edge or firefox\n"
                        "--smoke         one short round that checks every byte\n");
            return argument == "--help" ? 0 : 2;
        }
    }
    boost::asio::io_context context{1};
    scenario::Scenario scenario{context, options};
    context.run();
    scenario.print();
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "scenario_bridge: %s\n", error.what());
    return 1;
}
