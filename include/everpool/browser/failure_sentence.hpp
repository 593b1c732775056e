// Everpool browser: the words of a failure's message, for people.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser/silence.hpp"
#include "everpool/browser_failure.hpp"
#include "everpool/time.hpp"

#include <chrono>
#include <string>
#include <string_view>

namespace everpool::browser::detail {

/// The ones that end browsers, as Linux numbers them.
constexpr std::string_view signal_name(int signal) noexcept {
    switch (signal) {
    case 4: return "SIGILL";
    case 5: return "SIGTRAP"; // a failed CHECK in Chromium, and Browser.crash
    case 6: return "SIGABRT"; // "GPU process isn't usable. Goodbye."
    case 7: return "SIGBUS";  // a full /dev/shm
    case 8: return "SIGFPE";
    case 9: return "SIGKILL"; // the kernel short of memory, or somebody
    case 11: return "SIGSEGV";
    case 15: return "SIGTERM";
    case 31: return "SIGSYS"; // the sandbox
    default: return {};
    }
}

constexpr std::string_view words_of(FailureDomain domain) noexcept {
    switch (domain) {
    case FailureDomain::operation: return "the operation";
    case FailureDomain::compute: return "the compute thread";
    case FailureDomain::page: return "the page";
    case FailureDomain::gpu: return "the GPU process";
    case FailureDomain::browser: return "the browser process";
    case FailureDomain::network_service: return "the network service";
    case FailureDomain::machine: return "the machine";
    }
    return "something";
}

constexpr std::string_view words_of(Silence silence) noexcept {
    switch (silence) {
    case Silence::none: return "every channel that was asked answers";
    case Silence::busy: return "the compute thread is busy, and in time";
    case Silence::compute_hung: return "the compute thread hangs";
    case Silence::page_hung: return "the page hangs";
    case Silence::network_service_stopped: return "the network service is stopped";
    case Silence::browser_stopped: return "the browser process is stopped";
    case Silence::tree_stopped: return "all processes of the browser are stopped";
    }
    return "something is silent";
}

inline std::string milliseconds(Duration duration) {
    return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(duration).count()) +
           " ms";
}

} // namespace everpool::browser::detail
