// 1. One inference in a real browser, from a program without an event loop.
//
//     01_inference <directory with mlp.onnx>
//
// SPDX-License-Identifier: BSL-1.0
#include <everpool/everpool.hpp>

#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: 01_inference <directory with mlp.onnx>\n");
        return 2;
    }
    using namespace everpool;
    const std::filesystem::path models = argv[1];

    ModelSpec mlp;
    mlp.name = "mlp";
    mlp.file = models / "mlp.onnx";
    mlp.providers = {Provider::webgpu, Provider::wasm}; // in this order of preference

    ResourcePoolConfig config; // one Chromium, found by itself
    config.models = {mlp};

    Runtime runtime;
    ResourcePool pool{runtime.get_executor(), config};
    runtime.start(pool);

    auto x = Tensor::of<float>("x", {1, 128}, std::vector<float>(128, 0.5f));
    const Result result = runtime.run(pool, Request::inference("mlp", {x}));

    std::printf("%s %s answered by %s%s:", std::string(name_of(result.browser)).c_str(),
                result.browser_version.c_str(), std::string(name_of(*result.provider)).c_str(),
                result.is_fallback_adapter ? " on a software adapter" : "");
    for (const float probability : result.outputs.at(0).as<float>())
        std::printf(" %.3f", static_cast<double>(probability));
    std::printf("\n");

    // Bad input gets an answer too, and the answer names the culprit.
    auto wrong = Tensor::of<float>("x", {1, 3}, {1, 2, 3});
    try {
        (void)runtime.run(pool, Request::inference("mlp", {wrong}));
        return 1;
    } catch (const Error& error) {
        std::printf("%s\n", error.diagnostics().text().c_str());
    }
    runtime.stop(pool);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
