// Requests that are computed together, in a real browser: right answers for each, whatever goes
// wrong with one of them.
// SPDX-License-Identifier: BSL-1.0
#include "support/all_models.hpp"
#include "support/catch.hpp"
#include "support/pool_under_test.hpp"
#include "support/test_models.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

ModelSpec spec_of_rows(const std::string& name, BatchingOptions batching) {
    ModelSpec spec;
    spec.name = name;
    spec.file = models_dir / (name + "_rows.onnx");
    spec.providers = {Provider::wasm};
    spec.batching = std::move(batching);
    return spec;
}

ResourcePoolConfig pool_of(ModelSpec model) {
    ResourcePoolConfig config;
    config.models = {std::move(model)};
    return config;
}

Request lookup(std::vector<std::int32_t> indices) {
    const auto rows = static_cast<std::int64_t>(indices.size());
    return Request::inference("lookup",
                              {Tensor::of<std::int32_t>("i", {rows}, std::move(indices))});
}

/// Row i of that model's table is (i, i, i).
void check_lookup(const Answer& answer, const std::vector<std::int32_t>& indices) {
    INFO(answer.result.diagnostics.text());
    REQUIRE_FALSE(answer.ec);
    REQUIRE(answer.result.outputs.size() == 1);
    const Tensor& rows = answer.result.outputs[0];
    REQUIRE(rows.shape == Shape{static_cast<std::int64_t>(indices.size()), 3});
    std::vector<float> expected;
    for (const std::int32_t index : indices) expected.insert(expected.end(), 3, float(index));
    const auto values = rows.as<float>();
    CHECK(std::ranges::equal(values, expected));
}

} // namespace

TEST_CASE("callers who ask at the same time are answered together, each with its own rows") {
    const auto mlp = samples_of("mlp");
    PoolUnderTest test(pool_of(spec_of_rows("mlp", {.max_batch = 16})));
    test.start();
    constexpr std::size_t count = 200;
    std::vector<std::future<Answer>> answers;
    for (std::size_t i = 0; i < count; ++i)
        answers.push_back(
            test.submit(Request::inference("mlp", mlp.samples[i % mlp.samples.size()].inputs)));
    std::uint32_t largest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Answer answer = answers[i].get();
        INFO(answer.result.diagnostics.text());
        REQUIRE_FALSE(answer.ec);
        CHECK(largest_difference(answer.result.outputs,
                                 mlp.samples[i % mlp.samples.size()].outputs) <= tolerance);
        CHECK(answer.result.attempts == 1);
        largest = std::max(largest, answer.result.batch_size);
    }
    CHECK(largest == 16);
    const ResourcePoolSnapshot snapshot = test.pool().snapshot();
    CHECK(snapshot.batches >= count / 16);
    CHECK(snapshot.batched <= count);
    CHECK(snapshot.batched > count / 2);
    test.stop();
}

TEST_CASE("requests of several rows are taken apart where they were joined") {
    PoolUnderTest test(pool_of(spec_of_rows("lookup", {.max_batch = 8, .max_delay = 5s})));
    test.start();
    // Eight rows: enough, so that nobody waits for the delay.
    auto a = test.submit(lookup({1, 2, 3}));
    auto b = test.submit(lookup({4}));
    auto c = test.submit(lookup({5, 6, 7, 8}));
    const Answer first = a.get();
    check_lookup(first, {1, 2, 3});
    CHECK(first.result.batch_size == 3);
    check_lookup(b.get(), {4});
    check_lookup(c.get(), {5, 6, 7, 8});
    test.stop();
}

TEST_CASE("one bad input fails alone") {
    PoolUnderTest test(pool_of(spec_of_rows("lookup", {.max_batch = 8, .max_delay = 5s})));
    test.start();
    std::vector<std::future<Answer>> answers;
    for (std::int32_t i = 0; i < 8; ++i) answers.push_back(test.submit(lookup({i == 5 ? 99 : i})));
    for (std::int32_t i = 0; i < 8; ++i) {
        const Answer answer = answers[static_cast<std::size_t>(i)].get();
        if (i != 5) {
            check_lookup(answer, {i});
            continue;
        }
        INFO(answer.result.diagnostics.text());
        CHECK(answer.ec == Errc::operation_failed);
        CHECK_FALSE(answer.result.diagnostics.remote_text.empty());
    }
    CHECK(test.pool().snapshot().batches > 1); // the whole, and its halves
    test.stop();
}

TEST_CASE("a request that is cancelled in its batch is no loss to the others") {
    const auto mlp = samples_of("mlp");
    PoolUnderTest test(pool_of(spec_of_rows("mlp", {.max_batch = 64})));
    test.start();
    // Each of the first ones that are on their way holds up the batches behind it.
    constexpr std::size_t count = 400;
    std::vector<boost::asio::cancellation_signal> signals(count);
    std::vector<std::promise<Answer>> answers(count);
    for (std::size_t i = 0; i < count; ++i)
        test.pool().async_run(Request::inference("mlp", mlp.samples[i % mlp.samples.size()].inputs),
                              boost::asio::bind_cancellation_slot(
                                  signals[i].slot(), [&, i](error_code ec, Result result) {
                                      answers[i].set_value({ec, std::move(result)});
                                  }));
    while (test.pool().snapshot().batches == 0) std::this_thread::yield();
    for (std::size_t i = 0; i < count; i += 3)
        signals[i].emit(boost::asio::cancellation_type::terminal);
    std::size_t cancelled = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const Answer answer = answers[i].get_future().get();
        if (answer.ec == Errc::cancelled) {
            CHECK(i % 3 == 0);
            ++cancelled;
            continue;
        }
        INFO(answer.result.diagnostics.text());
        REQUIRE_FALSE(answer.ec);
        CHECK(largest_difference(answer.result.outputs,
                                 mlp.samples[i % mlp.samples.size()].outputs) <= tolerance);
    }
    CHECK(cancelled > 0);
    test.stop();
}

TEST_CASE("a model with a fixed number of rows is found out before anything fails") {
    const auto mlp = samples_of("mlp");
    ModelSpec spec = spec_of_rows("mlp", {.max_batch = 8});
    spec.file = mlp.file;
    PoolUnderTest test(pool_of(spec));
    test.start();
    std::vector<std::future<Answer>> answers;
    for (std::size_t i = 0; i < 40; ++i)
        answers.push_back(test.submit(Request::inference("mlp", mlp.samples[0].inputs)));
    for (auto& one : answers) {
        const Answer answer = one.get();
        INFO(answer.result.diagnostics.text());
        REQUIRE_FALSE(answer.ec);
        CHECK(answer.result.batch_size == 1);
    }
    CHECK(test.pool().snapshot().batches == 0);
    const PoolEvent warning = test.wait_for(
        [](const PoolEvent& event) { return event.kind == PoolEvent::Kind::warning; });
    CHECK(warning.diagnostics.message.find("model 'mlp' takes x float32[1,128]") !=
          std::string::npos);
    test.stop();
}

TEST_CASE("a model whose rows are not independent is found out, and goes alone") {
    PoolUnderTest test(pool_of(spec_of_rows("mean", {.max_batch = 4, .max_delay = 5s})));
    test.start();
    for (int round = 0; round < 2; ++round) {
        std::vector<std::future<Answer>> answers;
        for (int i = 0; i < 4; ++i)
            answers.push_back(test.submit(Request::inference(
                "mean", {Tensor::of<float>("x", {1, 4}, std::vector<float>(4, float(i)))})));
        for (int i = 0; i < 4; ++i) {
            const Answer answer = answers[static_cast<std::size_t>(i)].get();
            INFO(answer.result.diagnostics.text());
            REQUIRE_FALSE(answer.ec);
            CHECK(answer.result.outputs.at(0).as<float>()[0] == float(i));
            CHECK(answer.result.batch_size == 1);
        }
    }
    const PoolEvent warning = test.wait_for(
        [](const PoolEvent& event) { return event.kind == PoolEvent::Kind::warning; });
    CHECK(warning.diagnostics.message.find("model 'mean' was given 4 rows") != std::string::npos);
    CHECK(test.count_of(PoolEvent::Kind::warning) == 1);
    test.stop();
}

TEST_CASE("a browser that is killed under batches loses none of their requests") {
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config = pool_of(spec_of_rows("mlp", {.max_batch = 16}));
    config.browsers.at(0).count = 2;
    PoolUnderTest test(config);
    test.start();
    std::vector<std::future<Answer>> answers;
    const auto ask = [&](std::size_t count) {
        for (std::size_t i = 0; i < count; ++i)
            answers.push_back(test.submit(Request::inference(
                "mlp", mlp.samples[answers.size() % mlp.samples.size()].inputs)));
    };
    ask(400);
    const auto [ec, report] = test.inject({.fault = Fault::browser_kill, .worker = WorkerId{0}});
    CHECK_FALSE(ec);
    ask(400);
    std::size_t moved = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const Answer answer = answers[i].get();
        INFO(answer.result.diagnostics.text());
        REQUIRE_FALSE(answer.ec);
        CHECK(largest_difference(answer.result.outputs,
                                 mlp.samples[i % mlp.samples.size()].outputs) <= tolerance);
        moved += answer.result.attempts > 1 ? 1 : 0;
        if (answer.result.attempts > 1) CHECK(answer.result.batch_size == 1);
    }
    CHECK(moved > 0);
    test.stop();
}
