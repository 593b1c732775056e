// 8. An operation whose answer the host checks. A page is made to give wrong numbers; it is found,
//    recovered, and the operation answered rightly in the same call.
//     08_run_with_recovery <directory with mlp.onnx>
// SPDX-License-Identifier: BSL-1.0
#include <boost/asio/use_future.hpp>

#include <everpool/everpool.hpp>
#include <everpool/fault_injector.hpp>
#include <everpool/run_with_recovery.hpp>

#include <algorithm>
#include <cstdio>

int main(int argc, char** argv) try {
    using namespace everpool;
    if (argc != 2) return 2;
    ResourcePoolConfig config;
    config.models = {{.name = "mlp", .file = std::filesystem::path(argv[1]) / "mlp.onnx"}};
    Runtime runtime;
    ResourcePool pool{runtime.get_executor(), config};
    runtime.start(pool);

    const FaultReport fault =
        FaultInjector{pool}
            .async_inject({.fault = Fault::wrong_answer, .worker = WorkerId{0}},
                          boost::asio::use_future)
            .get(); // throws, if the page cannot be broken
    std::printf("%s\n", fault.text.c_str());
    const Request request =
        Request::inference("mlp", {Tensor::of<float>("x", {1, 128}, std::vector(128, 0.5f))});
    const auto is_right = [](const Result& result) { // the model gives probabilities
        return std::ranges::all_of(result.outputs[0].as<float>(), [](float p) { return p >= 0; });
    };
    for (RecoveredRun run; !run.was_recovered();) { // until the fault has struck
        run = run_with_recovery(pool, request, {.is_right = is_right});
        for (const RecoveryRecord& recovery : run.recoveries)
            std::printf("%s\n", recovery.text().c_str());
    }
    runtime.stop(pool);
    return 0;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
