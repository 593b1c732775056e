// A host that wants the pool. It starts no browser: that the library links, that its errors reach
// the host, and that what a Runtime owns is given back, is what a package test is about.
// SPDX-License-Identifier: BSL-1.0
#include <everpool/everpool.hpp>

#include <cstdio>
#include <stdexcept>
#include <string_view>

bool a_pool_can_be_made_elsewhere(everpool::Runtime& runtime);

int main() {
    everpool::Runtime runtime;
    try {
        everpool::ResourcePool pool{runtime.get_executor(), {.browsers = {}, .max_attempts = 0}};
        std::puts("a wrong configuration was accepted");
        return 1;
    } catch (const std::invalid_argument& error) {
        std::printf("refused, as it should be: %s\n", error.what());
        if (!std::string_view(error.what()).starts_with("ResourcePoolConfig::")) return 1;
    }
    return a_pool_can_be_made_elsewhere(runtime) ? 0 : 1;
}
