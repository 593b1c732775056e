// What a host writes down: compiled with all warnings as errors, so that naming only the members
// that matter stays free of "missing initializer".
// SPDX-License-Identifier: BSL-1.0
#include "everpool/request.hpp"
#include "everpool/resource_pool_config.hpp"

#include "support/catch.hpp"

#include <chrono>

using namespace everpool;

TEST_CASE("a configuration names the members that matter, and the others have their defaults") {
    const ResourcePoolConfig config{
        .browsers = {{.type = BrowserType::chromium, .count = 2}, {.type = BrowserType::firefox}},
        .models = {{.name = "mlp", .file = "mlp.onnx"}},
        .modules = {{.name = "scale", .file = "scale.mjs"}},
        .max_attempts = 1,
    };
    CHECK(config.browsers.at(1).count == 1);
    CHECK(config.browsers.at(0).executable.empty());
    CHECK(config.models.at(0).providers.size() == 3);
    CHECK_FALSE(config.models.at(0).warm_up);
    CHECK(config.max_attempts == 1);
    CHECK(config.default_timeout == std::chrono::seconds{60});
}

TEST_CASE("a request names the members that matter, and the others have their defaults") {
    const Request request{.operation = "scale", .parameters = "{}", .idempotent = true};
    CHECK(request.inputs.empty());
    CHECK_FALSE(request.timeout);
    CHECK(request.max_attempts == 0);
}
