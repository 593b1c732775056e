// The specification's orders, and what is left of them where not every browser is there.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/browser/fallback_order.hpp"
#include "support/catch.hpp"

#include <vector>

using namespace everpool;
using namespace everpool::browser;
using enum BrowserType;
using Browsers = std::vector<BrowserType>;

namespace {

Browsers order_of(ModelFamily family) {
    const auto order = fallback_order_of(family);
    return {order.begin(), order.end()};
}

} // namespace

TEST_CASE("each family has the specification's order") {
    CHECK(order_of(ModelFamily::text) == Browsers{edge, chrome, firefox});
    CHECK(order_of(ModelFamily::audio) == Browsers{firefox, chrome, edge});
    CHECK(order_of(ModelFamily::vision) == Browsers{chrome, edge, firefox});
    CHECK(order_of(ModelFamily::multimodal) == Browsers{chrome, edge, firefox});
    CHECK(order_of(ModelFamily::unknown) == Browsers{chrome, edge, firefox});
}

TEST_CASE("only what is there counts, and Chromium stands where Chrome does") {
    CHECK(fallbacks_among(ModelFamily::text, Browsers{firefox, chromium}) ==
          Browsers{chromium, firefox});
    CHECK(fallbacks_among(ModelFamily::audio, Browsers{chromium, chrome, firefox}) ==
          Browsers{firefox, chrome, chromium});
    CHECK(fallbacks_among(ModelFamily::vision, Browsers{webkit, firefox, firefox, edge}) ==
          Browsers{edge, firefox, webkit});
    CHECK(fallbacks_among(ModelFamily::text, Browsers{}).empty());
}

TEST_CASE("another browser takes over, or one of another engine") {
    const Browsers all{chromium, chrome, edge, firefox};
    CHECK(fallback_for(edge, ModelFamily::text, all) == chrome);
    CHECK(fallback_for(edge, ModelFamily::text, all, true) == firefox);
    CHECK(fallback_for(firefox, ModelFamily::audio, all, true) == chrome);
    CHECK(fallback_for(chromium, ModelFamily::vision, Browsers{chromium}) == std::nullopt);
    CHECK(fallback_for(chromium, ModelFamily::vision, Browsers{chromium, chrome}, true) ==
          std::nullopt);
}

TEST_CASE("turning to another provider leaves out one that the browser has") {
    using P = Provider;
    const std::vector<P> wanted{P::webnn, P::webgpu, P::wasm};
    const std::vector<P> all{P::wasm, P::webgpu, P::webnn};
    CHECK(providers_after(0, wanted, all) == wanted);
    CHECK(providers_after(1, wanted, all) == std::vector<P>{P::webgpu, P::wasm});
    CHECK(providers_after(2, wanted, all) == std::vector<P>{P::wasm});
    CHECK(providers_after(3, wanted, all) == std::vector<P>{P::wasm});

    // The page would not have taken WebNN, so it is WebGPU that has failed.
    const std::vector<P> usual{P::webgpu, P::wasm};
    CHECK(providers_after(0, wanted, usual) == wanted);
    CHECK(providers_after(1, wanted, usual) == std::vector<P>{P::wasm});
    CHECK(providers_after(2, wanted, usual) == std::vector<P>{P::wasm});
    CHECK(providers_after(1, std::vector<P>{P::webnn}, usual) == std::vector<P>{P::webnn});
    CHECK(providers_after(5, wanted, std::vector<P>{P::wasm}) == wanted);
}
