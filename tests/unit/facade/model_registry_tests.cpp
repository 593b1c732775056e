// SPDX-License-Identifier: BSL-1.0
#include "facade/model_registry.hpp"

#include "support/catch.hpp"

#include <filesystem>
#include <string>

using everpool::DataType;
using everpool::Diagnostics;
using everpool::Errc;
using everpool::Tensor;
using everpool::WarmUp;
using everpool::facade::check_inputs;
using everpool::facade::check_warm_up;
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

everpool::ModelSpec spec_of(std::string name, std::filesystem::path file) {
    everpool::ModelSpec spec;
    spec.name = std::move(name);
    spec.file = std::move(file);
    return spec;
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

TEST_CASE("a warm-up must give every expected output in its shape") {
    const WarmUp warm_up{{}, {{"y", DataType::float32, {1, 2}}}};
    Diagnostics diagnostics;
    CHECK(check_warm_up("m", warm_up, {Tensor::of<float>("y", {1, 2}, {1, 2})}, diagnostics) ==
          Errc::ok);
    CHECK(check_warm_up("m", warm_up, {Tensor::of<float>("y", {2}, {1, 2})}, diagnostics) ==
          Errc::model_rejected);
    CHECK(diagnostics.message ==
          "model 'm': warm-up: expected output y float32[1,2], got y float32[2]");
    CHECK(check_warm_up("m", warm_up, {}, diagnostics) == Errc::model_rejected);
    CHECK(diagnostics.message ==
          "model 'm': warm-up: expected output y float32[1,2], got none of that name");
}

TEST_CASE("models are found by name, and a missing file is named") {
    const std::filesystem::path models = std::filesystem::path(EVERPOOL_TESTS_DIR) / "models";
    ModelRegistry registry(
        {spec_of("mlp", models / "mlp.onnx"), spec_of("gone", models / "no.onnx")});
    CHECK(registry.find("mlp") == everpool::ModelId{0});
    CHECK(registry.find("bert").is_none());
    CHECK(registry.names() == "mlp, gone");

    Diagnostics diagnostics;
    CHECK(registry.check_files(diagnostics) == Errc::model_file_missing);
    CHECK(diagnostics.message.find("model 'gone'") != std::string::npos);
    CHECK(diagnostics.message.find("no.onnx") != std::string::npos);
    CHECK(registry.at(everpool::ModelId{0}).file_bytes > 100'000);
}

TEST_CASE("a directory is not a model") {
    ModelRegistry registry({spec_of("dir", EVERPOOL_TESTS_DIR)});
    Diagnostics diagnostics;
    CHECK(registry.check_files(diagnostics) == Errc::model_file_missing);
    CHECK(diagnostics.message.find("not a regular file") != std::string::npos);
}
