// 2. Many inferences at once on two browsers, with coroutines on the program's own io_context.
//
//     02_coroutines <directory with mlp.onnx>
//
// SPDX-License-Identifier: BSL-1.0
#include <everpool/everpool.hpp>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <tuple>
#include <vector>

namespace asio = boost::asio;
using namespace everpool;

namespace {

/// 50 inferences, one after the other; gives the number of right answers.
asio::awaitable<int> caller(ResourcePool& pool, float value) {
    int right = 0;
    for (int i = 0; i < 50; ++i) {
        auto x = Tensor::of<float>("x", {1, 128}, std::vector<float>(128, value));
        // A statement of its own: g++ 12 cannot keep a braced list within a co_await.
        Request request = Request::inference("mlp", {std::move(x)});
        // as_tuple: the error and its diagnostics as values, not as an exception.
        auto [ec, result] = co_await pool.async_run(std::move(request),
                                                    asio::as_tuple(asio::use_awaitable));
        if (ec) {
            std::fprintf(stderr, "%s\n", result.diagnostics.text().c_str());
            continue;
        }
        float sum = 0; // the model ends with a softmax
        for (const float probability : result.outputs.at(0).as<float>()) sum += probability;
        right += sum > 0.999f && sum < 1.001f;
    }
    co_return right;
}

asio::awaitable<void> run(ResourcePool& pool, int& right) {
    using namespace asio::experimental::awaitable_operators;
    co_await pool.async_start(asio::use_awaitable);
    const auto counts = co_await (caller(pool, 0.1f) && caller(pool, 0.2f) &&
                                  caller(pool, 0.3f) && caller(pool, 0.4f));
    right = std::apply([](auto... each) { return (each + ...); }, counts);
    co_await pool.async_drain(asio::use_awaitable);
    co_await pool.async_stop(asio::use_awaitable);
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: 02_coroutines <directory with mlp.onnx>\n");
        return 2;
    }
    ModelSpec mlp;
    mlp.name = "mlp";
    mlp.file = std::filesystem::path(argv[1]) / "mlp.onnx";
    mlp.providers = {Provider::wasm};

    ResourcePoolConfig config;
    config.browsers.at(0).count = 2;
    config.models = {mlp};

    asio::io_context context{1};
    ResourcePool pool{context.get_executor(), config};
    int right = 0;
    asio::co_spawn(context, run(pool, right), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    context.run();
    std::printf("%d of 200 answers are right\n", right);
    return right == 200 ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
