// A host that starts a Chromium, its full sibling if there is one, and a Firefox, prints their
// process ids and the word "ready", and then waits to be killed. `early`: prints the ids of what
// has been spawned without waiting for anything to become ready.
// SPDX-License-Identifier: BSL-1.0
#include <everpool/everpool.hpp>

#include <unistd.h>

#include <cstdio>
#include <cstring>

int main(int argc, char** argv) try {
    using namespace everpool;
    const bool is_early = argc > 1 && std::strcmp(argv[1], "early") == 0;
    ResourcePoolConfig config;
    config.browsers.push_back(BrowserSpec{});
    config.browsers.back().executable = "/usr/lib/chromium/chromium";
    config.browsers.push_back(BrowserSpec{});
    config.browsers.back().type = BrowserType::firefox;
    const auto print = [](const ResourcePool& pool) {
        for (const WorkerSnapshot& worker : pool.snapshot().workers)
            std::printf("%d\n", worker.process_id);
        std::printf("ready\n");
        std::fflush(stdout);
    };
    Runtime runtime;
    ResourcePool pool{runtime.get_executor(), config};
    if (is_early) {
        pool.async_start([](error_code, const StartReport&) {});
        for (;;) { // until all three are spawned, which takes a few milliseconds
            std::size_t spawned = 0;
            for (const WorkerSnapshot& worker : pool.snapshot().workers)
                spawned += worker.process_id != 0;
            if (spawned == 3) break;
        }
    } else {
        runtime.start(pool);
    }
    print(pool);
    for (;;) ::pause();
} catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
}
