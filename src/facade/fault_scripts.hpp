// Everpool facade: what a drill runs in a page to break it.
// SPDX-License-Identifier: BSL-1.0
//
// Statements for io::Browser::async_execute, which reaches the page over the browser's own control
// channel. What is to break in the compute thread is handed on by the page's main thread to
// src/web/drills.js: Firefox takes no scripts for a worker.
#pragma once

#include "everpool/fault_injector.hpp"

#include <string>

namespace everpool::facade {

/// For the page's main thread. \pre it is done by one: main_loop, worker_loop, page_reload,
/// page_navigate, device_destroy, context_lost, oom, wrong_answer
[[nodiscard]] std::string script_of(Fault fault, FaultIntensity intensity);

/// The source of a compute shader that runs for longer than anybody waits for it.
[[nodiscard]] std::string endless_shader(FaultIntensity intensity);

} // namespace everpool::facade
