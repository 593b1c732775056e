// WebNN for real. Debian's Chromium has its API and no backend, so another build is used; see
// cmake/unpack_webnn_browser.mjs. Where it is missing, these tests say that they were skipped.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/recovery_manager.hpp"
#include "io/linux/process_group.hpp"
#include "support/all_models.hpp"
#include "support/catch.hpp"
#include "support/pool_under_test.hpp"

#include <signal.h>

#include <cstdio>
#include <filesystem>
#include <vector>

using namespace everpool;
using namespace everpool::tests;

namespace {

const std::vector<Provider> all_providers{Provider::webnn, Provider::webgpu, Provider::wasm};

/// CTest reads the words and counts a skipped test as one.
bool is_webnn_browser_here() {
    if (std::filesystem::exists(EVERPOOL_WEBNN_BROWSER)) return true;
    std::puts("skipped: no browser with WebNN at " EVERPOOL_WEBNN_BROWSER);
    return false;
}

BrowserSpec webnn_browser() {
    BrowserSpec browser;
    browser.type = BrowserType::chromium;
    browser.executable = EVERPOOL_WEBNN_BROWSER;
    return browser;
}

} // namespace

TEST_CASE("where WebNN works it is used first, and every model answers rightly on it") {
    if (!is_webnn_browser_here()) return;
    check_all_models(webnn_browser(), all_providers, Provider::webnn);
}

TEST_CASE("one browser with WebNN answers on WebGPU and WASM too, as the model asks") {
    if (!is_webnn_browser_here()) return;
    check_all_models(webnn_browser(), {Provider::wasm, Provider::webnn}, Provider::wasm);
}

TEST_CASE("a lost WebNN context is made anew in the same thread of the same page") {
    if (!is_webnn_browser_here()) return;
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config;
    config.browsers = {webnn_browser()};
    config.models = {spec_of(mlp, ModelFamily::text, {Provider::webnn})};
    PoolUnderTest test(config);
    test.start();
    const WorkerSnapshot before = test.pool().snapshot().workers.at(0);
    for (const int process : io::members_of_group(before.process_id))
        if (io::command_line_of(process).find(" --type=gpu-process") != std::string::npos)
            REQUIRE(::kill(process, SIGKILL) == 0);
    const PoolEvent lost = test.wait_for(
        [](const PoolEvent& event) { return event.kind == PoolEvent::Kind::worker_lost; });
    CHECK(lost.detail == "context_lost");
    REQUIRE(lost.failure);
    CHECK(lost.failure->category == BrowserFailureCategory::webnn);
    (void)test.wait_for([&](const PoolEvent& event) {
        return event.kind == PoolEvent::Kind::worker_ready && event.generation > lost.generation;
    });
    const RecoveryRecord record = RecoveryManager(test.pool()).snapshot().last.at(0);
    CAPTURE(record.text());
    REQUIRE(record.path.size() == 1);
    CHECK(record.path.at(0).rung == RecoveryRung::recreate_device);
    const Answer answer = test.run(Request::inference(mlp.name, mlp.samples[1].inputs));
    REQUIRE_FALSE(answer.ec);
    CHECK(answer.result.provider == Provider::webnn);
    CHECK(largest_difference(answer.result.outputs, mlp.samples[1].outputs) <= 1e-4F);
    CHECK(test.pool().snapshot().workers.at(0).process_id == before.process_id);
    test.stop();
}
