// SPDX-License-Identifier: BSL-1.0
#include "io/web_content.hpp"
#include "support/catch.hpp"

#include <algorithm>

namespace everpool::io {
namespace {

TEST_CASE("plain names are their own paths, others are percent-encoded") {
    CHECK(WebContent::model_path("mlp-2.v1_x") == "models/mlp-2.v1_x");
    CHECK(WebContent::module_path("twice") == "modules/twice.js");
    CHECK(WebContent::model_path("a/b c") == "models/a%2Fb%20c");
    CHECK(WebContent::model_path("\xc3\xa4%") == "models/%C3%A4%25");
    // Browsers resolve these before they ask.
    CHECK(WebContent::model_path("..") == "models/_..");
    CHECK(WebContent::model_path(".") == "models/_.");
}

TEST_CASE("a model and a module of one name do not meet") {
    WebContent content;
    content.add_model("x", "/models/x.onnx");
    content.add_module("x", "/modules/x.js");
    CHECK(content.registered_file("models/x")->path == "/models/x.onnx");
    CHECK(content.registered_file("models/x")->mime == "application/octet-stream");
    CHECK(content.registered_file("modules/x.js")->path == "/modules/x.js");
    CHECK(content.registered_file("modules/x.js")->mime == "text/javascript");
    CHECK(content.registered_file("models/x.js") == nullptr);
    CHECK(content.registered_file("models/../models/x") == nullptr);
}

TEST_CASE("registering a name again replaces its file") {
    WebContent content;
    content.add_model("x", "/a");
    content.add_model("x", "/b");
    CHECK(content.registered_file("models/x")->path == "/b");
}

TEST_CASE("the library has a worker page and onnxruntime-web in it") {
    const WebContent content;
    REQUIRE(content.worker_page() != nullptr);
    CHECK(content.worker_page()->mime == "text/html; charset=utf-8");
    for (const char* build : {"/ort/ort-wasm-simd-threaded.jspi.wasm", // with JSPI, and without
                              "/ort/ort-wasm-simd-threaded.wasm"}) {
        CAPTURE(build);
        REQUIRE(content.shared_file(build) != nullptr);
        const auto wasm = content.shared_file(build)->bytes;
        CHECK(wasm.size() > 1'000'000);
        CHECK(wasm[1] == std::byte{'a'});
        CHECK(wasm[2] == std::byte{'s'});
    }
    CHECK(content.shared_file("/ort/") == nullptr);
    CHECK(content.shared_file("") == nullptr);
    CHECK(std::ranges::is_sorted(embedded_files(), {}, &EmbeddedFile::url_path));
}

} // namespace
} // namespace everpool::io
