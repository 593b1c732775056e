// Everpool browser: the threads of an engine without which nobody answers.
// SPDX-License-Identifier: BSL-1.0
//
// By their names, of which the kernel keeps 15 characters. A browser has a hundred threads more;
// whether these wait for a processor says nothing of its answers.
#pragma once

#include "everpool/browser_spec.hpp"

#include <array>
#include <span>
#include <string_view>

namespace everpool::browser {

inline constexpr std::array<std::string_view, 4> chromium_answering_threads{
    "DedicatedWorker",
    "Chrome_ChildIOT", // of the page's process and of the network service
    "Chrome_IOThread", // of the browser
    "DevToolsPipeHan", // two, of the control channel
};
inline constexpr std::array<std::string_view, 4> firefox_answering_threads{
    "DOM Worker",
    "IPC I/O Child",
    "IPC I/O Parent",
    "Socket Thread",
};
inline constexpr std::array<std::string_view, 2> webkit_answering_threads{
    "WebCore: Worker",
    "ReceiveQueue",
};

/// Beside the first thread of each process, which answers in all of them. First the one that
/// computes.
constexpr std::span<const std::string_view> answering_threads(BrowserEngine engine) noexcept {
    switch (engine) {
    case BrowserEngine::gecko: return firefox_answering_threads;
    case BrowserEngine::webkit: return webkit_answering_threads;
    case BrowserEngine::chromium: break;
    }
    return chromium_answering_threads;
}

constexpr std::string_view compute_thread(BrowserEngine engine) noexcept {
    return answering_threads(engine).front();
}

} // namespace everpool::browser
