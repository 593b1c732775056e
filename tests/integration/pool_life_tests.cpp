// How a pool begins and ends: what outlives it, what comes too late, what may not be done twice.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/everpool.hpp"
#include "support/catch.hpp"
#include "support/kept_state.hpp"
#include "support/module_file.hpp"
#include "support/run_until.hpp"
#include "support/temporary_directory.hpp"
#include "support/thread_limit.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/io_context.hpp>

#include <signal.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

/// A pool on this thread: nothing happens but within wait_for() and finish(), so each test says
/// exactly what has happened when.
class PoolOnThisThread {
public:
    explicit PoolOnThisThread(ResourcePoolConfig config)
        : pool_(std::make_unique<ResourcePool>(context_.get_executor(), std::move(config))) {}
    /// As with PoolUnderTest: no step may break a rule of the state, whatever is tested.
    ~PoolOnThisThread() {
        if (pool_ && pool_->snapshot().state.refused != 0) std::abort();
    }
    PoolOnThisThread(const PoolOnThisThread&) = delete;
    PoolOnThisThread& operator=(const PoolOnThisThread&) = delete;

    [[nodiscard]] ResourcePool& pool() { return *pool_; }
    void destroy_pool() { pool_.reset(); }

    /// Works until `answer` has a value.
    template <class Value>
    const Value& wait_for(const std::optional<Value>& answer) {
        context_.restart(); // it stops whenever it runs out of work
        while (!answer)
            if (context_.run_one() == 0) throw std::runtime_error("nothing is left to wait for");
        return *answer;
    }

    /// Does what can be done without waiting for a browser.
    void do_what_is_ready() { settle(context_); }

    /// Works until nothing is left to do.
    void finish() {
        context_.restart();
        context_.run();
    }

    error_code start() {
        std::optional<error_code> answer;
        pool_->async_start([&](error_code ec, const StartReport& report) {
            UNSCOPED_INFO(report.diagnostics.text());
            answer = ec;
        });
        return wait_for(answer);
    }

    error_code stop() {
        std::optional<error_code> answer;
        pool_->async_stop([&](error_code ec) { answer = ec; });
        return wait_for(answer);
    }

    error_code run(Lease& lease) {
        std::optional<error_code> answer;
        lease.async_run(Request::echo({}), [&](error_code ec, const Result&) { answer = ec; });
        return wait_for(answer);
    }

    Lease acquire() {
        std::optional<Lease> answer;
        pool_->async_acquire({}, [&](error_code, Lease lease) { answer = std::move(lease); });
        (void)wait_for(answer);
        return std::move(*answer);
    }

private:
    boost::asio::io_context context_{1};
    std::unique_ptr<ResourcePool> pool_;
};

ResourcePoolConfig chromiums(std::uint32_t count) {
    ResourcePoolConfig config;
    config.browsers.at(0).count = count;
    return config;
}

} // namespace

TEST_CASE("a pool is started once") {
    PoolOnThisThread test(chromiums(1));
    CHECK_FALSE(test.start());
    CHECK(test.start() == Errc::already_started);
    CHECK_FALSE(test.stop());
    CHECK(test.start() == Errc::already_started);
    CHECK_FALSE(test.stop());
}

// The signal is emitted on: a coroutine that was given a lease is cancelled at its next suspension.
TEST_CASE("a cancellation that comes after the lease was granted does not take it away") {
    PoolOnThisThread test(chromiums(1));
    REQUIRE_FALSE(test.start());
    boost::asio::cancellation_signal signal;
    std::optional<Lease> answer;
    test.pool().async_acquire(
        {}, boost::asio::bind_cancellation_slot(
                signal.slot(), [&](error_code, Lease granted) { answer = std::move(granted); }));
    (void)test.wait_for(answer);
    Lease lease = std::move(*answer);
    REQUIRE(lease.holds());
    signal.emit(boost::asio::cancellation_type::terminal);
    CHECK_FALSE(test.run(lease));
    lease.release();
    CHECK_FALSE(test.stop());
}

TEST_CASE("a cancelled acquisition ends, and what it waited for goes to the next") {
    PoolOnThisThread test(chromiums(1));
    REQUIRE_FALSE(test.start());
    Lease first = test.acquire();
    boost::asio::cancellation_signal signal;
    std::optional<error_code> cancelled;
    test.pool().async_acquire(
        {}, boost::asio::bind_cancellation_slot(
                signal.slot(), [&](error_code ec, const Lease&) { cancelled = ec; }));
    signal.emit(boost::asio::cancellation_type::terminal);
    CHECK(test.wait_for(cancelled) == Errc::cancelled);
    first.release();
    CHECK(test.acquire().holds());
    CHECK_FALSE(test.stop());
}

TEST_CASE("leases may outlive their pool") {
    ResourcePoolConfig config = chromiums(2);
    config.ping_interval = 10ms;
    PoolOnThisThread test(config);
    REQUIRE_FALSE(test.start());
    Lease first = test.acquire(), second = test.acquire();
    test.destroy_pool();
    test.finish();
    first.release();
    CHECK_NOTHROW(test.finish()); // a pool that is gone asks no worker for a sign of life
    CHECK(test.run(second) == Errc::pool_not_running);
}

TEST_CASE("a lease given back after the stop does not change what is shown") {
    PoolOnThisThread test(chromiums(1));
    REQUIRE_FALSE(test.start());
    Lease lease = test.acquire();
    CHECK_FALSE(test.stop());
    lease.release();
    test.finish();
    const ResourcePoolSnapshot snapshot = test.pool().snapshot();
    REQUIRE(snapshot.workers.size() == 1);
    CHECK(snapshot.workers[0].state == WorkerState::stopped);
}

TEST_CASE("a pool destroyed while it stops completes the stop, and leaves no browser") {
    PoolOnThisThread test(chromiums(1));
    REQUIRE_FALSE(test.start());
    const int browser = test.pool().snapshot().workers.at(0).process_id;
    int stops = 0;
    test.pool().async_stop([&](error_code) { ++stops; });
    test.destroy_pool();
    test.finish();
    CHECK(stops == 1);
    CHECK(::kill(browser, 0) != 0);
}

// Where every worker was given up the stop ends in the step that it begins with; so the pool is
// destroyed before what follows of that.
TEST_CASE("a pool destroyed while it stops does not ask a state that it has closed") {
    const TemporaryDirectory directory;
    ResourcePoolConfig config = config_with_state(directory, FaultToleranceLevel::critical);
    config.browsers.at(0).executable = "/bin/false";
    config.standby_count = 0; // which could be of a browser that starts
    config.restart_count_max = 1;
    config.restart_delay_min = config.restart_delay_max = 1ms;
    PoolOnThisThread test(config);
    REQUIRE(test.start());
    int answers = 0, stops = 0;
    test.pool().async_run(Request::echo({}), [&](error_code ec, const Result&) {
        CHECK(ec);
        ++answers;
    }); // waits for the disk, whose answer comes after all that is here
    test.pool().async_stop([&](error_code) { ++stops; });
    test.destroy_pool();
    test.finish();
    CHECK(answers == 1);
    CHECK(stops == 1);
    const BrowserStateManager state({.directory = directory.path});
    CHECK(state.orphans().empty());
}

TEST_CASE("what no worker can compute any more is simulated if the host wants that, and says so") {
    const bool is_wanted = GENERATE(true, false);
    ResourcePoolConfig config = chromiums(1);
    config.browsers.at(0).executable = "/bin/false";
    config.restart_count_max = 1;
    std::vector<std::string> asked;
    const Tensor x = Tensor::of<float>("x", {1}, std::vector<float>{7});
    if (is_wanted)
        config.fault_tolerance.simulate = [&](const Request& request) {
            asked.push_back(request.operation);
            if (request.inputs.empty()) throw std::runtime_error("nothing to go by");
            return request.inputs;
        };
    PoolOnThisThread test(config);
    REQUIRE(test.start());
    const auto run = [&](Request request) {
        std::optional<std::pair<error_code, Result>> answer;
        test.pool().async_run(std::move(request), [&](error_code ec, Result result) {
            answer.emplace(ec, std::move(result));
        });
        return test.wait_for(answer);
    };
    const auto [ec, result] = run(Request::echo({x}));
    CHECK(ec == (is_wanted ? error_code{} : error_code(Errc::no_worker_available)));
    CHECK(result.is_simulated == is_wanted);
    CHECK(result.worker.is_none());
    CHECK_FALSE(result.provider);
    CHECK(result.outputs.size() == (is_wanted ? 1 : 0));
    const auto [refusal, refused] = run(Request::echo({}));
    CHECK(refusal == Errc::no_worker_available);
    CHECK_FALSE(refused.is_simulated);
    const bool is_said = refused.diagnostics.remedy.find("nothing to go by") != std::string::npos;
    CHECK(is_said == is_wanted);
    CHECK(asked.size() == (is_wanted ? 2 : 0));
    CHECK(test.pool().snapshot().simulated == (is_wanted ? 1 : 0));
    test.stop();
}

TEST_CASE("a host that stops working while its pool stops leaves no browser") {
    int browser = 0;
    {
        PoolOnThisThread test(chromiums(1));
        REQUIRE_FALSE(test.start());
        browser = test.pool().snapshot().workers.at(0).process_id;
        test.pool().async_stop([](error_code) {});
        test.do_what_is_ready();
        CHECK(test.pool().snapshot().workers.at(0).state == WorkerState::stopping);
    }
    CHECK(::kill(browser, 0) != 0);
}

TEST_CASE("a module's file that cannot even be looked at fails the start, not the host") {
    ResourcePoolConfig config = chromiums(1);
    config.modules = {{"long", std::string(300, 'x')}};
    PoolOnThisThread test(config);
    std::optional<StartReport> answer;
    std::optional<error_code> code;
    test.pool().async_start([&](error_code ec, StartReport report) {
        code = ec;
        answer = std::move(report);
    });
    const StartReport& report = test.wait_for(answer);
    CHECK(code == boost::system::errc::filename_too_long);
    CHECK(report.diagnostics.message.find("operation module 'long'") != std::string::npos);
}

TEST_CASE("a pool whose state can have no thread fails to start, not the host") {
    const TemporaryDirectory directory;
    // Two for the log, one for its checkpoints.
    for (const std::size_t count : {0U, 1U, 2U}) {
        PoolOnThisThread test(config_with_state(directory));
        std::optional<std::pair<error_code, StartReport>> answer;
        {
            const ThreadLimit limit(count);
            test.pool().async_start(
                [&](error_code ec, StartReport report) { answer.emplace(ec, std::move(report)); });
            (void)test.wait_for(answer);
        }
        INFO(answer->second.diagnostics.text());
        CHECK(answer->first == boost::system::errc::resource_unavailable_try_again);
        CHECK_FALSE(answer->second.diagnostics.message.empty());
        CHECK_FALSE(answer->second.diagnostics.remedy.empty());
        CHECK_FALSE(test.pool().state());
    }
    const BrowserStateManager state({.directory = directory.path}); // it was given back
    CHECK(state.verify().empty());
}
