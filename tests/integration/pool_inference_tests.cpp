// What the pool answers when nothing fails: right results, and clear errors for bad input.
// SPDX-License-Identifier: BSL-1.0
#include "support/all_models.hpp"
#include "support/catch.hpp"
#include "support/module_file.hpp"
#include "support/pool_under_test.hpp"

#include <memory>
#include <numeric>
#include <string>
#include <vector>

using namespace everpool;
using namespace everpool::tests;
using namespace std::chrono_literals;

namespace {

bool mentions(const Answer& answer, const std::string& words) {
    INFO(answer.result.diagnostics.text());
    return answer.result.diagnostics.text().find(words) != std::string::npos;
}

BrowserSpec browser_of(BrowserType type) {
    BrowserSpec browser;
    browser.type = type;
    return browser;
}

void check_all_models(BrowserType type, Provider provider) {
    everpool::tests::check_all_models(browser_of(type), {provider}, provider);
}

} // namespace

TEST_CASE("Chromium answers every model rightly on WASM") {
    check_all_models(BrowserType::chromium, Provider::wasm);
}

TEST_CASE("Chromium answers every model rightly on WebGPU, and says that the adapter is software") {
    check_all_models(BrowserType::chromium, Provider::webgpu);
}

TEST_CASE("Firefox answers every model rightly on WASM") {
    check_all_models(BrowserType::firefox, Provider::wasm);
}

TEST_CASE("Firefox answers a model rightly on WebGPU") {
    check_all_models(BrowserType::firefox, Provider::webgpu);
}

// navigator.ml exists there, but every context is refused: offering it would fail each model.
TEST_CASE("a Chromium without a WebNN backend falls to WebGPU and says so") {
    everpool::tests::check_all_models(browser_of(BrowserType::chromium),
                                      {Provider::webnn, Provider::webgpu, Provider::wasm},
                                      Provider::webgpu);
}

TEST_CASE("bad input is refused with an error that names the culprit") {
    const auto mlp = samples_of("mlp");
    ResourcePoolConfig config;
    ModelSpec corrupt;
    corrupt.name = "corrupt";
    corrupt.file = models_dir / "corrupt.onnx";
    corrupt.providers = {Provider::wasm};
    config.models = {spec_of(mlp, ModelFamily::text), corrupt};
    config.frame_bytes_max = 64 << 10;
    PoolUnderTest test(config);
    test.start();

    auto answer = test.run(Request::inference("bert", {}));
    CHECK(answer.ec == Errc::unknown_model);
    CHECK(mentions(answer, "'bert'"));
    CHECK(mentions(answer, "mlp, corrupt"));

    Request request;
    request.operation = "sing";
    answer = test.run(request);
    CHECK(answer.ec == Errc::unknown_operation);
    CHECK(mentions(answer, "'sing'"));

    answer = test.run(Request::inference("mlp", {Tensor::of<float>("x", {1, 3}, {1, 2, 3})}));
    CHECK(answer.ec == Errc::invalid_input);
    CHECK(mentions(answer, "expected x float32[1,128], got x float32[1,3]"));

    answer = test.run(Request::inference(
        "mlp", {Tensor::of<double>("x", {1, 128}, std::vector<double>(128))}));
    CHECK(answer.ec == Errc::invalid_input);
    CHECK(mentions(answer, "got x float64[1,128]"));

    answer = test.run(Request::inference("mlp", {}));
    CHECK(answer.ec == Errc::invalid_input);
    CHECK(mentions(answer, "input 'x' is missing"));

    answer = test.run(Request::inference("corrupt", mlp.samples[0].inputs));
    CHECK(answer.ec == Errc::model_rejected);
    CHECK(mentions(answer, "'corrupt'"));
    CHECK_FALSE(answer.result.diagnostics.remote_text.empty());

    answer = test.run(Request::echo({Tensor::of<float>("x", {20000}, std::vector<float>(20000))}));
    CHECK(answer.ec == Errc::message_too_large);
    CHECK(mentions(answer, "frame_bytes_max"));

    request = Request::echo({});
    request.operation = "compute";
    request.parameters = "not json";
    answer = test.run(request);
    CHECK(answer.ec == Errc::invalid_request);
    CHECK(mentions(answer, "JSON object"));

    // After all that the pool goes on serving.
    answer = test.run(Request::inference("mlp", mlp.samples[1].inputs));
    REQUIRE_FALSE(answer.ec);
    CHECK(largest_difference(answer.result.outputs, mlp.samples[1].outputs) <= tolerance);
    test.stop();
}

TEST_CASE("a warm-up that does not fit into a message rejects its model, and says so") {
    ModelSpec mlp = spec_of(samples_of("mlp"), ModelFamily::text);
    mlp.warm_up->inputs = {Tensor::of<float>("x", {1, 20000}, std::vector<float>(20000))};
    ResourcePoolConfig config;
    config.models = {mlp};
    config.frame_bytes_max = 64 << 10;
    PoolUnderTest test(config);
    test.start();
    const Answer answer = test.run(Request::inference("mlp", {}));
    CHECK(answer.ec == Errc::model_rejected);
    CHECK(mentions(answer, "model 'mlp': its warm-up cannot be sent"));
    CHECK(mentions(answer, "frame_bytes_max"));
    test.stop();
}

TEST_CASE("a start that cannot succeed says why") {
    SECTION("a model's file is missing") {
        ResourcePoolConfig config;
        config.models.resize(1);
        config.models[0].name = "ghost";
        config.models[0].file = models_dir / "ghost.onnx";
        PoolUnderTest test(config);
        try {
            test.start();
            FAIL("it started");
        } catch (const Error& error) {
            CHECK(error.code() == Errc::model_file_missing);
            CHECK(error.diagnostics().message.find("ghost.onnx") != std::string::npos);
        }
    }
    SECTION("no such browser") {
        ResourcePoolConfig config;
        config.browsers.at(0).executable = "/nonexistent/browser";
        PoolUnderTest test(config);
        try {
            test.start();
            FAIL("it started");
        } catch (const Error& error) {
            CHECK(error.code() == Errc::browser_not_found);
            CHECK(error.diagnostics().message.find("/nonexistent/browser") != std::string::npos);
        }
    }
    SECTION("the executable is no browser") {
        ResourcePoolConfig config;
        config.browsers.at(0).executable = "/bin/false";
        config.restart_count_max = 2;
        config.restart_delay_min = config.restart_delay_max = 1ms;
        PoolUnderTest test(config);
        try {
            test.start();
            FAIL("it started");
        } catch (const Error& error) {
            CHECK((error.code() == Errc::browser_launch_failed ||
                   error.code() == Errc::no_worker_available));
            CHECK_FALSE(error.diagnostics().message.empty());
        }
        test.stop();
    }
}

TEST_CASE("before its start and after its stop a pool refuses, and stops again without ado") {
    PoolUnderTest test({});
    CHECK(test.run(Request::echo({})).ec == Errc::pool_not_running);
    test.stop();
    CHECK(test.run(Request::echo({})).ec == Errc::pool_not_running);
    test.stop();
}

TEST_CASE("echo gives every data type back, bit by bit") {
    PoolUnderTest test({});
    test.start();
    std::vector<std::uint8_t> bytes(256);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    const auto owner = std::make_shared<std::vector<std::uint8_t>>(bytes);
    std::vector<Tensor> inputs;
    for (int type = 1; type <= 12; ++type) {
        const auto dtype = static_cast<DataType>(type);
        const std::size_t count = 48 / element_bytes(dtype);
        inputs.push_back({std::string(name_of(dtype)), dtype, {static_cast<std::int64_t>(count)},
                          {owner, std::as_bytes(std::span(*owner)).first(48)}});
    }
    inputs.push_back(Tensor::of<float>("empty", {0, 3}, {}));
    inputs.push_back(Tensor::of<float>("scalar", {}, {42}));
    const Answer answer = test.run(Request::echo(inputs));
    REQUIRE_FALSE(answer.ec);
    REQUIRE(answer.result.outputs.size() == inputs.size());
    for (std::size_t i = 0; i < inputs.size(); ++i) {
        const Tensor &got = answer.result.outputs[i], &sent = inputs[i];
        CHECK(got.describe() == sent.describe());
        CHECK(std::equal(got.data.bytes.begin(), got.data.bytes.end(), sent.data.bytes.begin(),
                         sent.data.bytes.end()));
    }
    test.stop();
}

TEST_CASE("an operation module computes, and its exceptions come back as errors") {
    const ModuleFile plus_one("plus_one", R"(
        export async function run(inputs, { parameters }) {
            if (parameters.fail) throw new Error("asked to fail");
            const { shape, data } = inputs.x;
            return { outputs: { y: { dtype: "float32", shape, data: data.map((v) => v + 1) } },
                     info: { note: "plus one" } };
        })");
    ResourcePoolConfig config;
    config.modules = {plus_one.spec()};
    PoolUnderTest test(config);
    test.start();
    Request request;
    request.operation = "plus_one";
    request.inputs = {Tensor::of<float>("x", {2}, {1, 2})};
    auto answer = test.run(request);
    REQUIRE_FALSE(answer.ec);
    CHECK(answer.result.outputs.at(0).as<float>()[1] == 3.0f);
    CHECK(answer.result.info.find("plus one") != std::string::npos);

    request.parameters = R"({"fail": true})";
    answer = test.run(request);
    CHECK(answer.ec == Errc::operation_failed);
    CHECK(answer.result.diagnostics.remote_text.find("asked to fail") != std::string::npos);
    test.stop();
}

TEST_CASE("a compute shader runs, and its errors come back with the compiler's words") {
    PoolUnderTest test({});
    test.start();
    Request request;
    request.operation = "compute";
    request.inputs = {Tensor::of<float>("x", {4}, {1, 2, 3, 4})};
    request.parameters = R"({"wgsl": "@group(0) @binding(0) var<storage, read> x : array<f32>;
        @group(0) @binding(1) var<storage, read_write> y : array<f32>;
        @compute @workgroup_size(4) fn main(@builtin(global_invocation_id) i : vec3u)
        { y[i.x] = 2.0 * x[i.x]; }", "entry_point": "main", "workgroups": [1, 1, 1],
        "outputs": [{"name": "y", "dtype": "float32", "shape": [4]}]})";
    std::erase(request.parameters, '\n'); // JSON strings have no raw line breaks
    auto answer = test.run(request);
    INFO(answer.result.diagnostics.text());
    REQUIRE_FALSE(answer.ec);
    CHECK(answer.result.outputs.at(0).as<float>()[3] == 8.0f);
    CHECK(answer.result.provider == Provider::webgpu);

    request.parameters = R"({"wgsl": "this is no shader", "entry_point": "main",
        "workgroups": [1, 1, 1], "outputs": [{"name": "y", "dtype": "float32", "shape": [4]}]})";
    answer = test.run(request);
    CHECK(answer.ec == Errc::operation_failed);
    CHECK_FALSE(answer.result.diagnostics.remote_text.empty());
    test.stop();
}
