// What the pool does when browsers, pages and callers fail: nothing lost, nothing twice.
// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/module_file.hpp"
#include "support/pool_under_test.hpp"
#include "support/test_models.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <signal.h>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using Kind = PoolEvent::Kind;

namespace {

ResourcePoolConfig chromiums(std::uint32_t count) {
    ResourcePoolConfig config;
    config.browsers.at(0).count = count;
    return config;
}

bool is_process(int pid) { return ::kill(pid, 0) == 0; }

const WorkerSnapshot busiest(const ResourcePool& pool) {
    WorkerSnapshot out;
    for (const WorkerSnapshot& worker : pool.snapshot().workers)
        if (out.worker.is_none() || worker.in_flight > out.in_flight) out = worker;
    return out;
}

/// The answer is right, and its times add up, whatever the attempts before the last one cost.
void check_right(const Answer& answer, const ModelSample& sample) {
    INFO(answer.result.diagnostics.text());
    REQUIRE_FALSE(answer.ec);
    CHECK(largest_difference(answer.result.outputs, sample.outputs) <= 1e-4f);
    const Timing& timing = answer.result.timing;
    CHECK(timing.total >= timing.queue + timing.transfer + timing.compute);
}

/// Runs 120 inferences, 8 at a time, calls `fail` after 40 answers; all must be right.
template <class Fail>
void run_through(PoolUnderTest& test, const ModelSamples& model, Fail fail) {
    constexpr std::size_t count = 120, outstanding = 8;
    std::vector<std::future<Answer>> answers;
    for (std::size_t i = 0; i < count + outstanding; ++i) {
        if (i < count)
            answers.push_back(
                test.submit(Request::inference(model.name, model.samples[i % 8].inputs)));
        if (i < outstanding) continue;
        check_right(answers[i - outstanding].get(), model.samples[(i - outstanding) % 8]);
        if (i - outstanding == 40) fail();
    }
}

} // namespace

TEST_CASE("a browser killed in mid-run costs no answer, and comes back") {
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config = chromiums(2);
    config.models = {spec_of(mlp, ModelFamily::text)};
    PoolUnderTest test(config);
    test.start();
    WorkerSnapshot victim;
    run_through(test, mlp, [&] {
        victim = busiest(test.pool());
        REQUIRE(::kill(victim.process_id, SIGKILL) == 0);
    });
    const PoolEvent ready = test.wait_for([&](const PoolEvent& event) {
        return event.kind == Kind::worker_ready && event.worker == victim.worker &&
               event.generation > victim.generation;
    });
    CHECK(ready.generation > victim.generation);
    CHECK(test.pool().snapshot().workers.at(victim.worker.value).process_id != victim.process_id);
    test.stop();
}

TEST_CASE("a page that crashes costs no answer, and its browser stays") {
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config = chromiums(2);
    config.models = {spec_of(mlp, ModelFamily::text)};
    PoolUnderTest test(config);
    test.start();
    WorkerSnapshot victim;
    run_through(test, mlp, [&] {
        victim = busiest(test.pool());
        test.pool().crash_page(victim.worker);
    });
    (void)test.wait_for([&](const PoolEvent& event) {
        return event.kind == Kind::worker_ready && event.worker == victim.worker &&
               event.generation > victim.generation;
    });
    CHECK(test.pool().snapshot().workers.at(victim.worker.value).process_id == victim.process_id);
    test.stop();
}

TEST_CASE("a Firefox whose page crashes comes back") {
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config = chromiums(1);
    config.browsers.at(0).type = BrowserType::firefox;
    config.models = {spec_of(mlp, ModelFamily::text)};
    PoolUnderTest test(config);
    test.start();
    run_through(test, mlp, [&] { test.pool().crash_page(WorkerId{0}); });
    // The crash may be slower than the answers; without it nothing was survived.
    (void)test.wait_for([](const PoolEvent& event) {
        return event.kind == Kind::worker_ready && event.generation > Generation{1};
    });
    CHECK(test.count_of(Kind::worker_lost) == 1);
    run_through(test, mlp, [] {});
    test.stop();
}

TEST_CASE("what must not be repeated is reported as of unknown outcome") {
    SlowModule slow;
    ResourcePoolConfig config = chromiums(2);
    config.modules = {slow.spec()};
    PoolUnderTest test(config);
    test.start();
    auto once = test.submit(SlowModule::request(600'000));
    auto twice = test.submit(SlowModule::request(600'000, true));
    while (test.pool().snapshot().in_flight < 2) (void)test.run(Request::echo({}));
    for (const WorkerSnapshot& worker : test.pool().snapshot().workers)
        if (worker.in_flight > 0) ::kill(worker.process_id, SIGKILL);
    const Answer answer = once.get();
    CHECK(answer.ec == Errc::outcome_unknown);
    CHECK(answer.result.attempts == 1);
    CHECK_FALSE(answer.result.diagnostics.remedy.empty());
    (void)test.wait_for([](const PoolEvent& e) { return e.kind == Kind::request_redispatched; });
    test.stop();
    CHECK(twice.get().ec == Errc::cancelled);
}

TEST_CASE("a deadline ends an operation that hangs, and the pool goes on") {
    SlowModule slow;
    ResourcePoolConfig config = chromiums(1);
    config.modules = {slow.spec()};
    PoolUnderTest test(config);
    test.start();
    Request request = SlowModule::request(600'000);
    request.timeout = 200ms;
    const Answer answer = test.run(request);
    CHECK(answer.ec == Errc::deadline_exceeded);
    CHECK(answer.result.timing.total >= 200ms);
    CHECK_FALSE(test.run(Request::echo({})).ec);
    test.stop();
}

TEST_CASE("a cancelled operation completes at once, whether queued or running") {
    SlowModule slow;
    ResourcePoolConfig config = chromiums(1);
    config.modules = {slow.spec()};
    config.max_in_flight_per_worker = 1;
    PoolUnderTest test(config);
    test.start();
    boost::asio::cancellation_signal running, queued;
    std::promise<error_code> running_ec, queued_ec;
    test.pool().async_run(
        SlowModule::request(600'000),
        boost::asio::bind_cancellation_slot(
            running.slot(), [&](error_code ec, const Result&) { running_ec.set_value(ec); }));
    test.pool().async_run(Request::echo({}), boost::asio::bind_cancellation_slot(
                                                 queued.slot(), [&](error_code ec, const Result&) {
                                                     queued_ec.set_value(ec);
                                                 }));
    queued.emit(boost::asio::cancellation_type::terminal);
    CHECK(queued_ec.get_future().get() == Errc::cancelled);
    running.emit(boost::asio::cancellation_type::terminal);
    CHECK(running_ec.get_future().get() == Errc::cancelled);
    CHECK_FALSE(test.run(Request::echo({})).ec); // the module heard of it and gave the worker back
    test.stop();
}

TEST_CASE("a lease is exclusive, and the waiting one gets it after") {
    PoolUnderTest test(chromiums(1));
    test.start();
    Lease lease = test.runtime().acquire(test.pool());
    CHECK(lease.worker() == WorkerId{0});
    auto waiting = test.submit(Request::echo({}));
    CHECK(test.runtime().run(lease, Request::echo({})).worker == WorkerId{0});
    CHECK(test.pool().snapshot().queued == 1); // though the worker has room for it
    lease.release();
    CHECK_FALSE(waiting.get().ec);
    test.stop();
}

TEST_CASE("a lost worker ends its lease, and nothing of it is repeated elsewhere") {
    SlowModule slow;
    ResourcePoolConfig config = chromiums(2);
    config.modules = {slow.spec()};
    PoolUnderTest test(config);
    test.start();
    Lease lease = test.runtime().acquire(test.pool());
    std::promise<error_code> ended;
    lease.async_run(SlowModule::request(600'000),
                    [&](error_code ec, const Result&) { ended.set_value(ec); });
    while (test.pool().snapshot().in_flight == 0) (void)test.run(Request::echo({}));
    ::kill(test.pool().snapshot().workers.at(lease.worker().value).process_id, SIGKILL);
    CHECK(ended.get_future().get() == Errc::outcome_unknown);
    CHECK_THROWS_AS(test.runtime().run(lease, Request::echo({})), Error);
    test.stop();
}

TEST_CASE("a full queue refuses, and a drain takes nothing new but finishes what it has") {
    SlowModule slow;
    ResourcePoolConfig config = chromiums(1);
    config.modules = {slow.spec()};
    config.max_in_flight_per_worker = 1;
    config.queue_count_max = 2;
    PoolUnderTest test(config);
    test.start();
    auto running = test.submit(SlowModule::request(500));
    auto first = test.submit(Request::echo({})), second = test.submit(Request::echo({}));
    while (test.pool().pressure().queued != 2) std::this_thread::yield();
    const PressureSnapshot pressure = test.pool().pressure();
    CHECK_FALSE(pressure.is_available);
    CHECK(pressure.reason == PressureReason::queue_full);
    CHECK(pressure.queued == 2);
    CHECK(pressure.queued_of(Priority::normal) == 2);
    CHECK(pressure.running == 1);
    CHECK(pressure.recently_rejected == 0);
    const Answer refused = test.run(Request::echo({}));
    CHECK(refused.ec == Errc::queue_full);
    CAPTURE(refused.result.diagnostics.message);
    CHECK(refused.result.diagnostics.message.find("2 of 2 requests of priority normal wait, the "
                                                  "first for 0.") != std::string::npos);
    CHECK(refused.result.diagnostics.message.find("worker 0 (chromium) has 1 operation, the first "
                                                  "for 0.") != std::string::npos);
    CHECK(test.pool().pressure().recently_rejected == 1);
    auto drained = std::async(std::launch::async, [&] { test.runtime().drain(test.pool()); });
    drained.get();
    CHECK_FALSE(running.get().ec);
    CHECK_FALSE(first.get().ec);
    CHECK_FALSE(second.get().ec);
    CHECK(test.run(Request::echo({})).ec == Errc::pool_draining);
    CHECK(test.pool().pressure().reason == PressureReason::draining);
    test.stop();
    CHECK(test.pool().pressure().reason == PressureReason::not_running);
}

TEST_CASE("who is urgent is served first, who has no patience is refused, and both are told why") {
    SlowModule slow;
    ResourcePoolConfig config = chromiums(1);
    config.modules = {slow.spec()};
    config.max_in_flight_per_worker = 1;
    config.queue_policies.low = {.timeout = 100ms};
    PoolUnderTest test(config);
    test.start();
    CHECK(test.pool().pressure().is_available);
    auto running = test.submit(SlowModule::request(700));
    while (test.pool().snapshot().in_flight == 0) std::this_thread::yield();
    auto first = test.submit(SlowModule::request(300));
    Request urgent = Request::echo({});
    urgent.priority = Priority::high;
    auto second = test.submit(urgent);
    Request low = Request::echo({});
    low.priority = Priority::low;
    const Answer refused = test.run(low);
    CHECK(refused.ec == Errc::queue_timeout);
    CAPTURE(refused.result.diagnostics.message);
    CHECK(refused.result.diagnostics.message.find("worker 0 (chromium) has 1 operation") !=
          std::string::npos);
    CHECK(refused.result.attempts == 0);
    const Answer served = second.get();
    CHECK_FALSE(served.ec);
    CHECK(served.result.timing.total < first.get().result.timing.total);
    CHECK_FALSE(running.get().ec);
    low.queue_timeout = 10s; // its own word counts for more than the policy
    auto again = test.submit(SlowModule::request(300));
    CHECK_FALSE(test.run(low).ec);
    CHECK_FALSE(again.get().ec);
    test.stop();
}

TEST_CASE("a clean stop leaves no process") {
    PoolUnderTest test(chromiums(2));
    test.start();
    std::vector<int> processes;
    for (const WorkerSnapshot& worker : test.pool().snapshot().workers)
        processes.push_back(worker.process_id);
    test.stop();
    for (const int pid : processes) CHECK_FALSE(is_process(pid));
}

TEST_CASE("a pool that is destroyed under load completes everything with cancelled") {
    std::vector<std::future<Answer>> answers;
    std::vector<int> processes;
    {
        PoolUnderTest test(chromiums(1));
        test.start();
        processes.push_back(test.pool().snapshot().workers.at(0).process_id);
        for (int i = 0; i < 100; ++i) answers.push_back(test.submit(Request::echo({})));
    }
    for (auto& answer : answers) {
        const error_code ec = answer.get().ec;
        CHECK((!ec || ec == Errc::cancelled));
    }
    for (const int pid : processes) CHECK_FALSE(is_process(pid));
}
