// SPDX-License-Identifier: BSL-1.0
#include "everpool/core/state_ranges.hpp"
#include "facade/kept_model.hpp"
#include "support/catch.hpp"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

using namespace everpool;
using facade::is_same_model;
using facade::spec_of;
using facade::state_of;

namespace {

ModelSpec example(std::size_t elements) {
    ModelSpec spec;
    spec.name = "cnn";
    spec.file = "models/cnn.onnx";
    spec.family = ModelFamily::vision;
    spec.providers = {Provider::webgpu, Provider::wasm};
    std::vector<std::uint8_t> values(elements);
    for (std::size_t i = 0; i < elements; ++i) values[i] = static_cast<std::uint8_t>(i * 37);
    const auto count = static_cast<std::int64_t>(elements);
    spec.warm_up = WarmUp{{Tensor::of<std::uint8_t>("image", {count}, std::move(values))},
                          {{.name = "scores", .dtype = DataType::float32, .shape = {1, -1}}},
                          {Tensor::of<float>("scores", {1, 2}, {0.25F, -3})}};
    return spec;
}

} // namespace

TEST_CASE("a model that was kept can be registered again, its warm-up included") {
    // Sizes around a piece of text, so that the last group of base64 has each of its lengths.
    for (const std::size_t elements : {0U, 1U, 2U, 3U, 12'000U, 12'288U, 40'001U, 40'002U}) {
        INFO(elements);
        const ModelSpec before = example(elements);
        const ModelState kept = state_of(before);
        CHECK(core::check_ranges(kept).empty());
        const auto after = spec_of(kept);
        REQUIRE(after);
        CHECK(after->name == "cnn");
        CHECK(after->file == std::filesystem::absolute("models/cnn.onnx"));
        CHECK(after->family == ModelFamily::vision);
        CHECK(after->providers == before.providers);
        REQUIRE(after->warm_up);
        CHECK(after->warm_up->outputs == before.warm_up->outputs);
        REQUIRE(after->warm_up->inputs.size() == 1);
        CHECK(std::ranges::equal(after->warm_up->inputs[0].as<std::uint8_t>(),
                                 before.warm_up->inputs[0].as<std::uint8_t>()));
        REQUIRE(after->warm_up->answer.size() == 1);
        CHECK(std::ranges::equal(after->warm_up->answer[0].as<float>(),
                                 before.warm_up->answer[0].as<float>()));
        CHECK(is_same_model(state_of(*after), kept));
    }
}

TEST_CASE("a model without a warm-up stays without one") {
    ModelSpec spec = example(1);
    spec.warm_up.reset();
    const auto after = spec_of(state_of(spec));
    REQUIRE(after);
    CHECK_FALSE(after->warm_up);
}

TEST_CASE("a warm-up of which no answer is known stays so") {
    ModelSpec spec = example(1);
    spec.warm_up->answer.clear();
    const auto after = spec_of(state_of(spec));
    REQUIRE(after);
    REQUIRE(after->warm_up);
    CHECK(after->warm_up->answer.empty());
}

TEST_CASE("a warm-up of many megabytes is not kept") {
    const ModelState kept = state_of(example(facade::warm_up_bytes_kept_max + 1));
    CHECK(kept.parameters.empty());
    CHECK(spec_of(kept));
}

TEST_CASE("a warm-up that cannot be read makes no model") {
    const ModelState good = state_of(example(40'000));
    for (const char* key : {"warm_up.inputs.00000", "warm_up.inputs.00001", "warm_up.outputs.00000",
                            "warm_up.answer.00000"}) {
        ModelState bad = good;
        REQUIRE(bad.parameters.contains(key));
        bad.parameters[key] = "!!!!";
        CHECK_FALSE(spec_of(bad));
        bad.parameters[key].clear();
        CHECK_FALSE(spec_of(bad));
    }
}

TEST_CASE("models differ in their file, family, providers and warm-up, not in where they are") {
    const ModelState model = state_of(example(8));
    ModelState elsewhere = model;
    elsewhere.assignments.push_back({.worker = WorkerId{1}});
    elsewhere.version = 7;
    CHECK(is_same_model(model, elsewhere));
    ModelState other = model;
    other.providers.pop_back();
    CHECK_FALSE(is_same_model(model, other));
    CHECK_FALSE(is_same_model(model, state_of(example(9))));
}
