// Parts of scenario_pool: a pool and who asks it, all on one thread, so that nothing has to be
// locked.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "burst.hpp"
#include "scenario_report.hpp"

#include <boost/asio/io_context.hpp>

#include <everpool/everpool.hpp>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <fstream>
#include <functional>
#include <utility>
#include <vector>

namespace scenario {

/// A request, and whether an answer to it is right.
struct Asked {
    everpool::Request request;
    std::function<bool(const everpool::Result&)> is_right;
};

/// Of this process, now.
inline double resident_mib() {
    std::ifstream statm("/proc/self/statm");
    double size = 0, resident = 0;
    statm >> size >> resident;
    return resident * static_cast<double>(::sysconf(_SC_PAGESIZE)) / (1 << 20);
}

class PoolClients {
public:
    using Ask = std::function<Asked(std::size_t number)>;
    using AskOf = std::function<Asked(std::size_t client, std::size_t number)>;

    /// Ready when it returns.
    PoolClients(boost::asio::io_context& context, everpool::ResourcePoolConfig config)
        : context_(context), pool_(context.get_executor(), std::move(config)) {
        bool is_ready = false;
        pool_.async_start([&](everpool::error_code ec, const everpool::StartReport& report) {
            if (ec || report.workers_failed != 0) fail(report.diagnostics.text());
            is_ready = true;
        });
        run_until([&] { return is_ready; });
    }
    ~PoolClients() {
        bool is_stopped = false;
        pool_.async_stop([&](everpool::error_code) { is_stopped = true; });
        run_until([&] { return is_stopped; });
    }
    PoolClients(const PoolClients&) = delete;
    PoolClients& operator=(const PoolClients&) = delete;

    [[nodiscard]] everpool::ResourcePool& pool() noexcept { return pool_; }

    template <class Condition>
    void run_until(Condition is_true) {
        const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes{10};
        context_.restart();
        while (!is_true())
            if (context_.run_one_until(deadline) == 0) fail("nothing happens any more");
    }

    /// Operations a second of `count`, `outstanding` at a time.
    double rate_of(std::size_t count, std::size_t outstanding, Burst::Issue issue) {
        double seconds = 0;
        Burst burst(count, outstanding, std::move(issue),
                    [&](double took, const std::vector<double>&) { seconds = took; });
        run_until([&] { return seconds != 0; });
        return static_cast<double>(count) / seconds;
    }
    double rate(std::size_t count, std::size_t outstanding, const Ask& ask) {
        return rate_of(count, outstanding, [&](std::size_t number, std::function<void()> done) {
            run(ask(number), std::move(done));
        });
    }

    /// `clients` with `outstanding` operations each, until `count` have been answered in all, or
    /// `is_enough`. `served` is told of each, with its time in us.
    void compete(
        std::size_t count, std::size_t clients, std::size_t outstanding, const AskOf& ask,
        const std::function<void(std::size_t client, double microseconds)>& served,
        const std::function<bool()>& is_enough = [] { return false; }) {
        std::size_t answered = 0, under_way = 0, number = 0;
        std::function<void(std::size_t)> next = [&](std::size_t client) {
            if (answered >= count || is_enough()) return;
            ++under_way;
            const auto begin = std::chrono::steady_clock::now();
            run(ask(client, number++), [&, client, begin] {
                const std::chrono::duration<double, std::micro> took =
                    std::chrono::steady_clock::now() - begin;
                --under_way;
                if (answered < count && !is_enough()) {
                    ++answered;
                    served(client, took.count());
                }
                next(client);
            });
        };
        for (std::size_t i = 0; i < clients * outstanding; ++i) next(i % clients);
        run_until([&] { return under_way == 0; });
    }

private:
    void run(Asked asked, std::function<void()> done) {
        pool_.async_run(std::move(asked.request),
                        [is_right = std::move(asked.is_right), done = std::move(done)](
                            everpool::error_code ec, const everpool::Result& result) {
                            if (ec) fail(result.diagnostics.text());
                            if (!is_right(result)) fail("a wrong answer");
                            done();
                        });
    }

    boost::asio::io_context& context_;
    everpool::ResourcePool pool_;
};

} // namespace scenario
