// SPDX-License-Identifier: BSL-1.0
#include "facade/model_registry.hpp"
#include "support/catch.hpp"

#include <cstddef>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

using everpool::DataType;
using everpool::Diagnostics;
using everpool::Errc;
using everpool::Tensor;
using everpool::facade::check_inputs;
using everpool::facade::ModelRegistry;
using everpool::facade::ModelSignature;

namespace {

const ModelSignature two_inputs{
    {{"ids", DataType::int64, {1, -1}}, {"mask", DataType::float32, {1, 4}}},
    {{"y", DataType::float32, {1}}}};

Tensor ids() { return Tensor::of<std::int64_t>("ids", {1, 2}, {7, 8}); }
Tensor mask() { return Tensor::of<float>("mask", {1, 4}, {1, 1, 1, 0}); }

std::string complaint(const std::vector<Tensor>& inputs) {
    Diagnostics diagnostics;
    const Errc code = check_inputs("m", two_inputs, inputs, diagnostics);
    CHECK((code == Errc::ok) == diagnostics.message.empty());
    if (code != Errc::ok) CHECK(code == Errc::invalid_input);
    return diagnostics.message;
}

/// One by one: of a list of them g++ 12 warns at -O2 of what is not there.
ModelRegistry registry_of(const std::vector<std::filesystem::path>& files) {
    std::vector<everpool::ModelSpec> specs(files.size());
    for (std::size_t i = 0; i < files.size(); ++i) {
        specs[i].name = files[i].stem().string();
        specs[i].file = files[i];
    }
    return ModelRegistry(std::move(specs));
}

} // namespace

TEST_CASE("inputs that are what the model takes are accepted in any order") {
    CHECK(complaint({ids(), mask()}).empty());
    CHECK(complaint({mask(), ids()}).empty());
}

TEST_CASE("a wrong input is named with what was expected and what was given") {
    CHECK(complaint({ids()}) == "model 'm': input 'mask' is missing");
    CHECK(complaint({ids(), mask(), mask()}) == "model 'm': input 'mask' is given 2 times");
    CHECK(complaint({ids(), mask(), Tensor::of<float>("extra", {1}, {1})}) ==
          "model 'm': it has no input named 'extra'");
    CHECK(complaint({ids(), Tensor::of<float>("mask", {1, 3}, {1, 2, 3})}) ==
          "model 'm': input 'mask': expected mask float32[1,4], got mask float32[1,3]");
    CHECK(complaint({Tensor::of<float>("ids", {1, 2}, {7, 8}), mask()}) ==
          "model 'm': input 'ids': expected ids int64[1,?], got ids float32[1,2]");
}

TEST_CASE("the remedy lists what the model takes") {
    Diagnostics diagnostics;
    (void)check_inputs("m", two_inputs, {}, diagnostics);
    CHECK(diagnostics.remedy == "the model takes: ids int64[1,?], mask float32[1,4]");
}

TEST_CASE("models are found by name, and a missing file is named") {
    const std::filesystem::path models = std::filesystem::path(EVERPOOL_TESTS_DIR) / "models";
    ModelRegistry registry = registry_of({models / "mlp.onnx", models / "gone.onnx"});
    CHECK(registry.find("mlp") == everpool::ModelId{0});
    CHECK(registry.find("bert").is_none());
    CHECK(registry.names() == "mlp, gone");

    Diagnostics diagnostics;
    CHECK(registry.check_files(diagnostics) == Errc::model_file_missing);
    CHECK(diagnostics.message.find("model 'gone'") != std::string::npos);
    CHECK(diagnostics.message.find("gone.onnx") != std::string::npos);
    CHECK(registry.at(everpool::ModelId{0}).file_bytes > 100'000);
}

TEST_CASE("a directory is not a model") {
    ModelRegistry registry = registry_of({EVERPOOL_TESTS_DIR});
    Diagnostics diagnostics;
    CHECK(registry.check_files(diagnostics) == Errc::model_file_missing);
    CHECK(diagnostics.message.find("not a regular file") != std::string::npos);
}
