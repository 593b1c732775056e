// 3. An operation of one's own: a JavaScript module that every worker can run.
//
// SPDX-License-Identifier: BSL-1.0
#include <everpool/everpool.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <vector>

namespace {

// A real program ships this as a file of its own.
constexpr char module_text[] = R"(
export async function run(inputs, context) {
    const scale = context.parameters.scale;
    const { shape, data } = inputs.x;
    return {
        outputs: { y: { dtype: "float32", shape, data: data.map((value) => scale * value) } },
        info: { scaled_by: scale },
    };
}
)";

} // namespace

int main() try {
    using namespace everpool;
    const auto file = std::filesystem::temp_directory_path() / "everpool_example_scale.mjs";
    std::ofstream(file) << module_text;

    ResourcePoolConfig config;
    config.modules = {{.name = "scale", .file = file}};

    Runtime runtime;
    ResourcePool pool{runtime.get_executor(), config};
    runtime.start(pool);

    Request request;
    request.operation = "scale";
    request.inputs = {Tensor::of<float>("x", {3}, {1, 2, 3})};
    request.parameters = R"({"scale": 10})";
    request.idempotent = true; // multiplying twice does no harm, so it may be repeated
    const Result result = runtime.run(pool, request);

    const auto y = result.outputs.at(0).as<float>();
    std::printf("%g %g %g, info %s\n", double{y[0]}, double{y[1]}, double{y[2]},
                result.info.c_str());
    runtime.stop(pool);
    std::filesystem::remove(file);
    return y[0] == 10 && y[1] == 20 && y[2] == 30 ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
