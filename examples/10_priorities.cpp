// 10. Three models with different priorities on one browser: somebody who waits for each answer, a
// service, and a batch job that would fill any queue. Prints what each of them waits, and what the
// pool says of its pressure meanwhile.
//
//     10_priorities <directory with mlp.onnx, small_cnn.onnx and audio_conv.onnx>
//
// SPDX-License-Identifier: BSL-1.0
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <everpool/everpool.hpp>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace asio = boost::asio;
using namespace everpool;
using namespace std::chrono_literals;

namespace {

/// Who asks for what, how urgently, and how many at a time.
struct Client {
    Priority priority;
    std::string model;
    Tensor input;
    int outstanding;
    int count; ///< requests of each that is outstanding
    std::vector<double> waited_ms{};
    int answered{0}, refused{0};
};

asio::awaitable<void> ask(ResourcePool& pool, Client& client) {
    for (int i = 0; i < client.count; ++i) {
        Request request = Request::inference(client.model, {client.input});
        request.priority = client.priority;
        auto [ec, result] =
            co_await pool.async_run(std::move(request), asio::as_tuple(asio::use_awaitable));
        if (ec == Errc::queue_full) {
            if (client.refused++ == 0)
                std::printf("the first refusal: %s\n", result.diagnostics.text().c_str());
            continue;
        }
        if (ec) throw Error(ec, result.diagnostics);
        ++client.answered;
        using Milliseconds = std::chrono::duration<double, std::milli>;
        client.waited_ms.push_back(Milliseconds(result.timing.queue).count());
    }
}

void print(const PressureSnapshot& pressure) {
    std::printf("pressure: %s (%s), running %u, queued %u", pressure.is_available ? "ask" : "wait",
                std::string(name_of(pressure.reason)).c_str(), pressure.running, pressure.queued);
    for (const Priority one : priorities)
        std::printf(", %s %u", std::string(name_of(one)).c_str(), pressure.queued_of(one));
    std::printf(", recently rejected %llu\n",
                static_cast<unsigned long long>(pressure.recently_rejected));
}

asio::awaitable<void> serve(ResourcePool& pool, std::vector<Client>& clients) {
    co_await pool.async_start(asio::use_awaitable);
    int running = 0;
    asio::steady_timer all_done{pool.get_executor(), asio::steady_timer::time_point::max()};
    // All but the first client begin at once; the first one asks while they are served.
    for (std::size_t i = 1; i < clients.size(); ++i)
        for (int k = 0; k < clients[i].outstanding; ++k, ++running)
            asio::co_spawn(pool.get_executor(), ask(pool, clients[i]),
                           [&all_done, &running](std::exception_ptr failure) {
                               if (failure) std::rethrow_exception(failure);
                               if (--running == 0) all_done.cancel();
                           });
    co_await ask(pool, clients.front());
    print(pool.pressure());
    if (running != 0) co_await all_done.async_wait(asio::as_tuple(asio::use_awaitable));
    print(pool.pressure());
    co_await pool.async_stop(asio::use_awaitable);
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values.empty() ? 0 : values[values.size() / 2];
}

ModelSpec model(const std::filesystem::path& directory, const std::string& name) {
    ModelSpec spec;
    spec.name = name;
    spec.file = directory / (name + ".onnx");
    spec.providers = {Provider::wasm};
    return spec;
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: 10_priorities <directory with the models>\n");
        return 2;
    }
    ResourcePoolConfig config;
    config.models = {model(argv[1], "mlp"), model(argv[1], "small_cnn"),
                     model(argv[1], "audio_conv")};
    config.max_in_flight_per_worker = 2; // what is there already is not overtaken
    config.queue_policies.low.count_max = 200;

    std::vector<Client> clients;
    clients.push_back({Priority::high, "mlp",
                       Tensor::of<float>("x", {1, 128}, std::vector<float>(128, 0.5f)), 1, 50});
    clients.push_back({Priority::normal, "small_cnn",
                       Tensor::of<float>("image", {1, 3, 32, 32}, std::vector<float>(3072, 0.5f)),
                       8, 20});
    clients.push_back({Priority::low, "audio_conv",
                       Tensor::of<float>("waveform", {1, 1, 1600}, std::vector<float>(1600, 0.5f)),
                       300, 2});

    asio::io_context context{1};
    ResourcePool pool{context.get_executor(), config};
    asio::co_spawn(context, serve(pool, clients), [](std::exception_ptr failure) {
        if (failure) std::rethrow_exception(failure);
    });
    context.run();
    int asked = 0, told = 0;
    for (const Client& client : clients) {
        std::printf("%-6s %-10s answered %d, refused %d, waited %.1f ms (median)\n",
                    std::string(name_of(client.priority)).c_str(), client.model.c_str(),
                    client.answered, client.refused, median(client.waited_ms));
        asked += client.outstanding * client.count;
        told += client.answered + client.refused;
    }
    const bool is_fair = median(clients[0].waited_ms) < median(clients[2].waited_ms);
    return told == asked && clients[0].refused == 0 && is_fair ? 0 : 1;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
