// Wrong numbers that no vote sees: a model's known answer tells, at the start and ever after.
// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/pool_under_test.hpp"
#include "support/test_models.hpp"

#include <chrono>
#include <string>
#include <variant>

using namespace std::chrono_literals;
using namespace everpool;
using namespace everpool::tests;

TEST_CASE("a lone worker that begins to give wrong numbers is found by its canary") {
    const ModelSamples mlp = samples_of("mlp");
    ResourcePoolConfig config;
    config.models = {spec_of(mlp, ModelFamily::text)};
    config.canary_interval = 100ms;
    PoolUnderTest test(config);
    test.start();
    const FaultOrder patch{.fault = Fault::wrong_answer, .intensity = FaultIntensity::severe};
    REQUIRE_FALSE(test.inject(patch).first);
    const PoolEvent lost =
        test.wait_for([](const auto& e) { return e.kind == PoolEvent::Kind::worker_lost; });
    CHECK(lost.detail == "wrong_answer");
    REQUIRE(lost.failure);
    CHECK(std::get<WrongAnswer>(lost.failure->evidence).found_by == WrongAnswerFinder::canary);
    test.wait_for([&](const auto& e) {
        return e.kind == PoolEvent::Kind::worker_ready && e.generation > lost.generation;
    });
    const Answer answer = test.run(Request::inference("mlp", mlp.samples[1].inputs));
    INFO(answer.result.diagnostics.text());
    REQUIRE_FALSE(answer.ec);
    CHECK(largest_difference(answer.result.outputs, mlp.samples[1].outputs) <= 1e-4);
    test.stop();
}

TEST_CASE("a model that does not compute its known answer is served by nobody") {
    const ModelSamples mlp = samples_of("mlp");
    ResourcePoolConfig config;
    config.models = {spec_of(mlp, ModelFamily::text)};
    config.models[0].warm_up->answer = mlp.samples[1].outputs; // to another question
    PoolUnderTest test(config);
    test.start();
    const Answer answer = test.run(Request::inference("mlp", mlp.samples[0].inputs));
    CHECK(answer.ec == Errc::model_rejected);
    const std::string text = answer.result.diagnostics.text();
    INFO(text);
    CHECK(text.find("model 'mlp': warm-up: element ") != std::string::npos);
    CHECK(text.find("WarmUp::answer") != std::string::npos);
    test.stop();
}
