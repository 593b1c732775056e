// A pool that remembers: what is written down when, and what it does when the disk fails. With real
// browsers.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser_state_manager.hpp"
#include "support/catch.hpp"
#include "support/file_size_limit.hpp"
#include "support/kept_state.hpp"
#include "support/module_file.hpp"
#include "support/pool_under_test.hpp"
#include "support/temporary_directory.hpp"

#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;
using Kind = PoolEvent::Kind;
using enum FaultToleranceLevel;

namespace {

/// Ends at once, and tells the host that it was executed.
constexpr std::string_view telling = R"(
    export async function run({ index }, { parameters }) {
        setTimeout(() => { throw new Error(`executed ${parameters.index}`); });
        return { outputs: { index } };
    })";

bool is_of_the_disk(Errc code) {
    return code == Errc::storage_full || code == Errc::storage_failed;
}

bool is_trouble(const PoolEvent& event) {
    return event.kind == Kind::warning && event.code != Errc::ok;
}

bool is_end_of_trouble(const PoolEvent& event) {
    return event.kind == Kind::warning && event.code == Errc::ok;
}

/// Of the transaction in which the last operation finished.
std::uint64_t last_end(const BrowserStateManager& state) {
    return transactions(state, {.action = ChangeKind::operation_finished}).back().number;
}

} // namespace

TEST_CASE("at level critical the end of an operation is durable when its answer is given") {
    const TemporaryDirectory directory;
    ResourcePoolConfig config = config_with_state(directory, critical);
    config.fault_tolerance.commit_interval = 10s; // what nobody waits for comes later
    PoolUnderTest test(config);
    test.start();
    const auto state = test.pool().state();
    for (int i = 0; i < 20; ++i) {
        CHECK_FALSE(test.run(Request::echo({})).ec);
        const std::uint64_t durable = state->health().durable;
        CHECK(durable >= last_end(*state));
    }
    test.stop();
}

TEST_CASE("at level medium no answer waits for the disk") {
    const TemporaryDirectory directory;
    ResourcePoolConfig config = config_with_state(directory);
    config.fault_tolerance.commit_interval = 10s;
    PoolUnderTest test(config);
    test.start();
    const auto state = test.pool().state();
    REQUIRE_FALSE(state->flush());
    CHECK_FALSE(test.run(Request::echo({})).ec);
    const std::uint64_t durable = state->health().durable;
    CHECK(durable < last_end(*state));
    test.stop();
    CHECK(state->health().durable == state->health().committed); // and a stop leaves nothing behind
}

TEST_CASE(
    "at level medium the pool goes on while the disk fails, says so, and says when it is over") {
    const TemporaryDirectory directory;
    {
        PoolUnderTest test(config_with_state(directory));
        test.start();
        CHECK_FALSE(test.run(Request::echo({})).ec);
        const auto state = test.pool().state();
        {
            const FileSizeLimit nothing(0);
            for (int i = 0; i < 20; ++i) CHECK_FALSE(test.run(Request::echo({})).ec);
            const PoolEvent told = test.wait_for(is_trouble);
            INFO(told.diagnostics.text());
            CHECK(is_of_the_disk(told.code));
            CHECK(told.diagnostics.message.find("does not reach the disk") != std::string::npos);
            CHECK_FALSE(told.diagnostics.remedy.empty());
            CHECK(test.pool().snapshot().state.trouble == told.code);
            const StateStorageHealth health = state->health();
            CHECK(health.trouble);
            CHECK_FALSE(health.is_closed);
            CHECK(health.durable < health.committed);
            CHECK_FALSE(test.run(Request::echo({})).ec);
        }
        CHECK_FALSE(test.run(Request::echo({})).ec);
        (void)test.wait_for(is_end_of_trouble);
        CHECK(test.pool().snapshot().state.trouble == Errc::ok);
        CHECK(test.count_of(Kind::warning) == 2);
        CHECK_FALSE(state->flush());
        CHECK_FALSE(state->health().trouble);
        CHECK(state->verify().empty());
        test.stop();
    }
    const BrowserStateManager state({.directory = directory.path});
    CHECK(state.orphans().empty());
    CHECK(count_by_status(state.snapshot())[OperationStatus::completed] == 23);
}

TEST_CASE("two pools of one process cannot have the same state, and it is given back") {
    const TemporaryDirectory directory;
    PoolUnderTest first(config_with_state(directory));
    first.start();
    PoolUnderTest second(config_with_state(directory));
    try {
        second.start();
        FAIL("two pools have the same state");
    } catch (const Error& error) {
        INFO(error.what());
        CHECK(error.code() == Errc::storage_in_use);
        CHECK(error.diagnostics().text().find(std::to_string(::getpid())) != std::string::npos);
    }
    CHECK_FALSE(first.run(Request::echo({})).ec);
    first.stop();
    PoolUnderTest third(config_with_state(directory));
    third.start();
    third.stop();
}

TEST_CASE("what belongs to a lease is not kept to be executed by another host") {
    const TemporaryDirectory directory;
    SlowModule slow;
    ResourcePoolConfig config = config_with_state(directory);
    config.modules = {slow.spec()};
    PoolUnderTest test(config);
    test.start();
    Lease lease = test.runtime().acquire(test.pool());
    lease.async_run(SlowModule::request(600'000, true), [](error_code, const Result&) {});
    while (test.pool().snapshot().in_flight < 1) std::this_thread::yield();
    lease.release();
    auto free = test.submit(SlowModule::request(600'000, true)); // once the lease's is done
    while (test.pool().snapshot().queued < 1) std::this_thread::yield();
    const StateSnapshot now = test.pool().state()->snapshot();
    REQUIRE(now.operation_count() == 2);
    CHECK(now.find_operation(RequestId{1})->payload.is_empty());
    CHECK(now.find_operation(RequestId{1})->is_idempotent);
    CHECK_FALSE(now.find_operation(RequestId{2})->payload.is_empty());
    test.stop();
    CHECK(free.get().ec == Errc::cancelled);
}

// The next host's ids go on above the highest one that is still in the state.
TEST_CASE("the newest operation is remembered, however many older ones finish after it") {
    constexpr std::uint64_t waiting_count = 10'100; // more than a state keeps by default
    const TemporaryDirectory directory;
    SlowModule slow;
    ResourcePoolConfig config = config_with_state(directory);
    config.modules = {slow.spec()};
    config.max_in_flight_per_worker = 1;
    config.queue_count_max = 20'000;
    PoolUnderTest test(config);
    test.start();
    std::vector<std::future<Answer>> answers;
    answers.push_back(test.submit(SlowModule::request(600'000)));
    for (std::uint64_t i = 0; i < waiting_count; ++i)
        answers.push_back(test.submit(Request::echo({})));
    Request newest = Request::echo({});
    newest.timeout = 1ms;
    CHECK(test.run(newest).ec == Errc::deadline_exceeded);
    const auto state = test.pool().state();
    test.stop();
    for (auto& answer : answers) CHECK(answer.get().ec == Errc::cancelled);
    CHECK(highest_id(state->snapshot()) == waiting_count + 2);
}

TEST_CASE("what is not needed is not there: level none keeps no state") {
    ResourcePoolConfig config;
    config.fault_tolerance.level = none;
    PoolUnderTest test(config);
    test.start();
    CHECK_FALSE(test.run(Request::echo({})).ec);
    CHECK_FALSE(test.pool().state());
    CHECK(test.pool().snapshot().state.transactions == 0);
    test.stop();
}

TEST_CASE("by default the state is in memory, for whoever wants to look") {
    PoolUnderTest test({});
    CHECK_FALSE(test.pool().state());
    test.start();
    CHECK_FALSE(test.run(Request::echo({})).ec);
    const auto state = test.pool().state();
    REQUIRE(state);
    CHECK_FALSE(state->health().is_on_disk);
    CHECK(count_by_status(state->snapshot())[OperationStatus::completed] == 1);
    CHECK(test.pool().snapshot().state.transactions > 0);
    test.stop();
}

TEST_CASE("at level critical a disk that fails keeps what must not be repeated from being sent") {
    const TemporaryDirectory directory;
    const ModuleFile module("module", telling);
    ResourcePoolConfig config = config_with_state(directory, critical);
    config.modules = {module.spec()};
    PoolUnderTest test(config);
    test.start();
    CHECK_FALSE(test.run(Request::echo({})).ec);
    Request request;
    request.operation = "module";
    request.inputs = {Tensor::of<std::uint64_t>("index", {1}, {7})};
    request.parameters = R"({"index": 7})";
    {
        const FileSizeLimit nothing(0);
        const Answer answer = test.run(request);
        INFO(answer.result.diagnostics.text());
        CHECK((answer.ec == Errc::storage_failed || answer.ec == Errc::storage_full));
        CHECK(answer.result.outputs.empty());
        CHECK(answer.result.diagnostics.message.find("was not executed") != std::string::npos);
        CHECK(test.count_of(Kind::page_message) == 0);
        // What may be is computed while the disk is written to.
        Request harmless = request;
        harmless.idempotent = true;
        const Answer executed = test.run(harmless);
        INFO(executed.result.diagnostics.text());
        CHECK((executed.ec == Errc::storage_failed || executed.ec == Errc::storage_full));
        CHECK(executed.result.diagnostics.message.find("was executed") != std::string::npos);
        CHECK_FALSE(executed.result.outputs.empty());
    }
    CHECK(is_of_the_disk(test.wait_for(is_trouble).code));
    const Answer answer = test.run(request); // nothing had been lost: the disk has room again
    INFO(answer.result.diagnostics.text());
    CHECK_FALSE(answer.ec);
    test.stop();
}

TEST_CASE("at level critical the outputs are given with the disk's error if it fails afterwards") {
    const TemporaryDirectory directory;
    SlowModule slow;
    ResourcePoolConfig config = config_with_state(directory, critical);
    config.modules = {slow.spec()};
    PoolUnderTest test(config);
    test.start();
    auto future = test.submit(SlowModule::request(1000));
    // It must not be repeated, so it is sent once the record of that is durable.
    while (test.pool().state()->snapshot().operation_count() == 0) std::this_thread::yield();
    REQUIRE_FALSE(test.pool().state()->flush());
    const FileSizeLimit nothing(0);
    const Answer answer = future.get();
    INFO(answer.result.diagnostics.text());
    CHECK((answer.ec == Errc::storage_failed || answer.ec == Errc::storage_full));
    CHECK(answer.result.diagnostics.message.find("was executed") != std::string::npos);
    CHECK(answer.result.attempts == 1);
    CHECK(answer.result.timing.compute >= 500ms);
    test.stop();
}

TEST_CASE("at level critical what is cancelled before it was sent gives its place back") {
    const TemporaryDirectory directory;
    SlowModule slow;
    ResourcePoolConfig config = config_with_state(directory, critical);
    config.modules = {slow.spec()};
    config.max_in_flight_per_worker = 1;
    PoolUnderTest test(config);
    test.start();
    for (int i = 0; i < 50; ++i) {
        Request request = SlowModule::request(600'000);
        request.timeout = 1ms + std::chrono::microseconds(40) * i; // before, while, or after
        CHECK(test.run(request).ec == Errc::deadline_exceeded);
        CHECK_FALSE(test.run(Request::echo({})).ec);
    }
    CHECK(test.count_of(Kind::worker_lost) == 0);
    test.stop();
}

TEST_CASE("at level critical a drained pool has answered, and a stopped one has written all down") {
    const TemporaryDirectory directory;
    {
        PoolUnderTest test(config_with_state(directory, critical));
        test.start();
        std::vector<std::future<Answer>> answers;
        for (int i = 0; i < 100; ++i) answers.push_back(test.submit(Request::echo({})));
        test.runtime().drain(test.pool());
        for (auto& answer : answers) {
            REQUIRE(answer.wait_for(0s) == std::future_status::ready);
            CHECK_FALSE(answer.get().ec);
        }
        test.stop();
    }
    const BrowserStateManager state({.directory = directory.path});
    CHECK(state.orphans().empty());
    CHECK(count_by_status(state.snapshot())[OperationStatus::completed] == 100);
}

TEST_CASE("a pool that is destroyed under its operations leaves none of them unfinished") {
    const TemporaryDirectory directory;
    for (const bool is_critical : {false, true}) {
        SlowModule slow;
        ResourcePoolConfig config = config_with_state(directory, is_critical ? critical : medium);
        config.modules = {slow.spec()};
        std::future<Answer> answer;
        {
            PoolUnderTest test(config);
            test.start();
            answer = test.submit(SlowModule::request(600'000));
            while (test.pool().snapshot().in_flight == 0) std::this_thread::yield();
        }
        CHECK(answer.get().ec == Errc::cancelled);
        const BrowserStateManager state({.directory = directory.path});
        CHECK(state.orphans().empty());
        CHECK(is_gone(state.snapshot().find_browser(WorkerId{0})->connection));
    }
}
