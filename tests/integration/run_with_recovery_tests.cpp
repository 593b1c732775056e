// One call that runs an operation, and recovers the worker that fails it.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/failure_classification.hpp"
#include "everpool/run_with_recovery.hpp"
#include "support/catch.hpp"
#include "support/module_file.hpp"
#include "support/pool_under_test.hpp"
#include "support/test_models.hpp"

#include <stdexcept>

using namespace everpool;
using namespace everpool::tests;

namespace {

ResourcePoolConfig one_chromium(const ModelSamples& model) {
    ResourcePoolConfig config;
    config.models = {spec_of(model, ModelFamily::text)};
    return config;
}

} // namespace

TEST_CASE("an answer that the host finds wrong has its worker recovered, and is asked again") {
    const auto mlp = samples_of("mlp");
    PoolUnderTest test(one_chromium(mlp));
    test.start();
    const Request request = Request::inference("mlp", mlp.samples[1].inputs);
    int asked = 0;
    const RecoveredRun run = run_with_recovery(
        test.pool(), request, {.is_right = [&](const Result&) { return ++asked == 2; }});
    CHECK(run.was_recovered());
    REQUIRE(run.recoveries.size() == 1);
    CHECK(run.recoveries[0].cause == "wrong_answer");
    CHECK(run.recoveries[0].outcome == RecoveryOutcome::recovered);
    CHECK(largest_difference(run.result.outputs, mlp.samples[1].outputs) <= 1e-4);
    CHECK(test.pool().snapshot().workers.at(0).restarts == 1);

    // What is right at once costs nothing.
    CHECK_FALSE(run_with_recovery(test.pool(), request).was_recovered());
    CHECK(test.pool().snapshot().workers.at(0).restarts == 1);
    test.stop();
}

TEST_CASE("an answer that is never right is an error in the end") {
    const auto mlp = samples_of("mlp");
    PoolUnderTest test(one_chromium(mlp));
    test.start();
    const auto is_never_right = [](const Result&) { return false; };
    try {
        (void)run_with_recovery(test.pool(), Request::inference("mlp", mlp.samples[0].inputs),
                                {.is_right = is_never_right, .recoveries_max = 2});
        FAIL("it was taken for right");
    } catch (const Error& error) {
        CHECK(error.code() == Errc::operation_failed);
    }
    CHECK(test.pool().snapshot().workers.at(0).restarts == 2);
    test.stop();
}

TEST_CASE("what is the caller's fault, or must not be repeated, recovers nobody") {
    const auto mlp = samples_of("mlp");
    const ModuleFile broken("broken",
                            "export async function run() { throw new Error('as ever'); }");
    ResourcePoolConfig config = one_chromium(mlp);
    config.modules = {broken.spec()};
    PoolUnderTest test(config);
    test.start();
    Request module;
    module.operation = "broken";
    CHECK_THROWS_AS(run_with_recovery(test.pool(), Request::inference("mlp", {})), Error);
    CHECK_THROWS_AS(run_with_recovery(test.pool(), module), Error);
    module.idempotent = true;
    CHECK_THROWS_AS(run_with_recovery(test.pool(), module), Error); // the module's own error
    CHECK(test.pool().snapshot().workers.at(0).restarts == 0);
    CHECK_THROWS_AS(run_with_recovery(test.pool(), module, {.recoveries_max = 17}),
                    std::invalid_argument);
    test.stop();
}

TEST_CASE("a browser is recovered on the host's word") {
    const auto mlp = samples_of("mlp");
    PoolUnderTest test(one_chromium(mlp));
    test.start();
    const BrowserFailure failure = categorize_browser_failure(WrongAnswer{}, {});
    CHECK(recover_browser(test.pool(), WorkerId{0}, failure).outcome == RecoveryOutcome::recovered);
    CHECK_THROWS_AS(recover_browser(test.pool(), WorkerId{9}, failure), Error);
    test.stop();
}
