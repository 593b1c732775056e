// All four test models on one browser with one provider: right answers, and true words about them.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/catch.hpp"
#include "support/pool_under_test.hpp"
#include "support/test_models.hpp"

#include <utility>
#include <vector>

namespace everpool::tests {

inline constexpr float tolerance = 1e-4f;

/// Every sample of every model, with `providers` in their order; `expected` must be the one in use.
inline void check_all_models(BrowserSpec browser, const std::vector<Provider>& providers,
                             Provider expected) {
    const std::vector<std::pair<ModelSamples, ModelFamily>> models{
        {samples_of("mlp"), ModelFamily::text},
        {samples_of("tiny_encoder"), ModelFamily::text},
        {samples_of("small_cnn"), ModelFamily::vision},
        {samples_of("audio_conv"), ModelFamily::audio}};
    ResourcePoolConfig config;
    config.browsers = {std::move(browser)};
    for (const auto& [model, family] : models)
        config.models.push_back(spec_of(model, family, providers));
    PoolUnderTest test(config);
    test.start();
    for (const auto& [model, family] : models)
        for (const ModelSample& sample : model.samples) {
            const Answer answer = test.run(Request::inference(model.name, sample.inputs));
            INFO(model.name << ": " << answer.result.diagnostics.text());
            REQUIRE_FALSE(answer.ec);
            CHECK(largest_difference(answer.result.outputs, sample.outputs) <= tolerance);
            CHECK(answer.result.provider == expected);
            CHECK(answer.result.browser == config.browsers[0].type);
            CHECK_FALSE(answer.result.browser_version.empty());
            CHECK(answer.result.attempts == 1);
            CHECK(answer.result.timing.total >=
                  answer.result.timing.compute + answer.result.timing.transfer);
        }
    test.stop();
}

} // namespace everpool::tests
