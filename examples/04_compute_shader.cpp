// 4. A WebGPU compute shader: the sandboxed GPU of whatever machine this is, from C++.
//
// SPDX-License-Identifier: BSL-1.0
#include <everpool/everpool.hpp>

#include <boost/json.hpp>

#include <cstdio>
#include <numeric>
#include <vector>

namespace {

constexpr char shader[] = R"(
@group(0) @binding(0) var<storage, read> x : array<f32>;
@group(0) @binding(1) var<storage, read_write> y : array<f32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id : vec3u) {
    if (id.x < arrayLength(&x)) { y[id.x] = x[id.x] * x[id.x]; }
}
)";

} // namespace

int main() try {
    using namespace everpool;
    std::vector<float> values(1024);
    std::iota(values.begin(), values.end(), 0.0f);

    Runtime runtime;
    ResourcePool pool{runtime.get_executor(), {}};
    runtime.start(pool);

    Request request;
    request.operation = "compute";
    request.inputs = {Tensor::of<float>("x", {1024}, values)};
    request.parameters = boost::json::serialize(boost::json::value{
        {"wgsl", shader},
        {"entry_point", "main"},
        {"workgroups", {16, 1, 1}},
        {"outputs", {{{"name", "y"}, {"dtype", "float32"}, {"shape", {1024}}}}},
    });
    const Result result = runtime.run(pool, request);

    int wrong = 0;
    const auto y = result.outputs.at(0).as<float>();
    for (std::size_t i = 0; i < values.size(); ++i) wrong += y[i] != values[i] * values[i];
    std::printf("%zu squares, %d wrong, computed %s\n", y.size(), wrong,
                result.is_fallback_adapter ? "on a software adapter" : "on a GPU");
    runtime.stop(pool);
    return wrong == 0 && y.size() == values.size() ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
