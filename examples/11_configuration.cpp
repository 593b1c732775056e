// 11. A pool that is configured by who runs it: the host's own choices, a JSON file over them, the
// environment over both. Prints what comes of it, and has a browser answer once.
//
//     11_configuration <directory>/11_configuration.json
//     EVERPOOL_QUEUE_COUNT_MAX=200 EVERPOOL_HEDGE__ENABLED=false 11_configuration ...
//     EVERPOOL_QUEUE_COUNT_MX=200 11_configuration ...        (says what is wrong)
//
// SPDX-License-Identifier: BSL-1.0
#include <everpool/everpool.hpp>

#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

using namespace everpool;

namespace {

std::string text_of(std::string_view name) { return std::string(name); }

double milliseconds(Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

void print(const ResourcePoolConfig& config) {
    for (const BrowserSpec& browser : config.browsers)
        std::printf("browser      %s, %u of them\n", text_of(name_of(browser.type)).c_str(),
                    browser.count);
    for (const ModelSpec& model : config.models)
        std::printf("model        %s from %s, %u rows at a time\n", model.name.c_str(),
                    model.file.c_str(),
                    model.batching ? model.batching->rows_max(model.family) : 1);
    std::printf("timeout      %.0f ms, %u attempts\n", milliseconds(config.default_timeout),
                config.max_attempts);
    std::printf("queue        %u, of low priority %u\n", config.queue_count_max,
                config.queue_policies.low.count_max.value_or(config.queue_count_max));
    std::printf("hedges       %s, after the quantile %.3f\n", config.hedge.enabled ? "yes" : "no",
                config.hedge.quantile);
    std::printf("remembers    as level %s says, in '%s'\n",
                text_of(name_of(config.fault_tolerance.level)).c_str(),
                config.fault_tolerance.state_directory.c_str());
}

} // namespace

int main(int argc, char** argv) try {
    if (argc != 2) {
        std::fprintf(stderr, "usage: 11_configuration <configuration file>\n");
        return 2;
    }
    ResourcePoolConfig config;
    config.max_attempts = 2; // what nobody says otherwise
    config.on_event = [](const PoolEvent& event) {
        if (event.kind == PoolEvent::Kind::warning)
            std::printf("%s\n", event.diagnostics.text().c_str());
    };
    config = config_from_environment(config_from_file(argv[1], config));
    print(config);

    Runtime runtime;
    ResourcePool pool{runtime.get_executor(), config};
    runtime.start(pool);
    const auto x = Tensor::of<float>("x", {2}, {1, 2});
    const Result result = runtime.run(pool, Request::echo({x}));
    std::printf("echo         %zu numbers by %s %s\n", result.outputs.at(0).as<float>().size(),
                text_of(name_of(result.browser)).c_str(), result.browser_version.c_str());
    runtime.stop(pool);
    return 0;
} catch (const std::invalid_argument& error) { // a configuration that is none
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
