// WebNN for real. Debian's Chromium has its API and no backend, so another build is used; see
// cmake/unpack_webnn_browser.mjs. Where it is missing, these tests say that they were skipped.
// SPDX-License-Identifier: BSL-1.0
#include "support/all_models.hpp"
#include "support/catch.hpp"
#include "support/pool_under_test.hpp"

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
