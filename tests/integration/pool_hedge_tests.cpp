// A worker is late, and another one is asked as well.
// SPDX-License-Identifier: BSL-1.0
#include "support/catch.hpp"
#include "support/pool_under_test.hpp"
#include "support/test_models.hpp"

#include <chrono>

using namespace everpool;
using namespace everpool::tests;

TEST_CASE("while one browser stands still for half a second, the other one answers for it") {
    const BrowserType type = GENERATE(BrowserType::chromium, BrowserType::firefox);
    CAPTURE(name_of(type));
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config;
    config.browsers.resize(1);
    config.browsers[0].type = type;
    config.browsers[0].count = 2;
    config.models = {spec_of(mlp, ModelFamily::text)};
    PoolUnderTest test(config);
    test.start();
    const auto run = [&] {
        Request request = Request::inference("mlp", mlp.samples[1].inputs);
        request.idempotent = true;
        const Answer answer = test.run(request);
        INFO(answer.result.diagnostics.text());
        REQUIRE_FALSE(answer.ec);
        REQUIRE(largest_difference(answer.result.outputs, mlp.samples[1].outputs) <= 1e-4);
    };
    // So many, that the pool knows how long they take.
    for (int i = 0; i < 300; ++i) run();
    const auto won = [&] { return test.pool().snapshot().hedges_won; };
    const std::uint64_t won_before = won();
    // The first of these may be over before the loop has begun; none is wrong, and none is lost.
    const auto begin = std::chrono::steady_clock::now();
    const FaultOrder stand_still{.fault = Fault::worker_loop, .intensity = FaultIntensity::mild};
    REQUIRE_FALSE(test.inject(stand_still).first);
    while (won() == won_before &&
           std::chrono::steady_clock::now() - begin < std::chrono::seconds{20})
        run();
    CHECK(won() > won_before);
    CHECK(test.pool().snapshot().hedged >= won());
    CHECK(test.count_of(PoolEvent::Kind::worker_lost) == 0);
    test.stop();
}
