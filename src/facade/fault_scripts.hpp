// Everpool facade: what a drill runs in a page to break it.
// SPDX-License-Identifier: BSL-1.0
//
// Statements for io::Browser::async_execute, which reaches the page over the browser's own control
// channel. The page has nothing in it that these would call: they break what any script could break.
#pragma once

#include "everpool/fault_injector.hpp"
#include "io/browser.hpp"

#include <string>

namespace everpool::facade {

struct FaultScript {
    io::PageThread thread{};
    std::string text;
};

/// How to do this fault by a script. \pre it is done by one: main_loop, worker_loop, page_reload,
/// page_navigate, device_destroy, context_lost, oom, wrong_answer
[[nodiscard]] FaultScript script_of(Fault fault, FaultIntensity intensity);

/// The source of a compute shader that runs for longer than anybody waits for it.
[[nodiscard]] std::string endless_shader(FaultIntensity intensity);

} // namespace everpool::facade
