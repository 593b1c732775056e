// Everpool facade: what of a browser a fault strikes, and who has such a thing.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/fault_injector.hpp"
#include "io/browser.hpp"

#include <string_view>

namespace everpool::facade {

constexpr std::string_view name_of(io::BrowserPart part) noexcept {
    switch (part) {
    case io::BrowserPart::browser: return "browser";
    case io::BrowserPart::page: return "page";
    case io::BrowserPart::gpu: return "GPU";
    case io::BrowserPart::network: return "network service";
    }
    return "unrecognised";
}

constexpr bool is_by_script(Fault fault) noexcept {
    switch (fault) {
    case Fault::main_loop:
    case Fault::worker_loop:
    case Fault::page_reload:
    case Fault::page_navigate:
    case Fault::device_destroy:
    case Fault::context_lost:
    case Fault::oom:
    case Fault::wrong_answer: return true;
    default: return false;
    }
}

/// The part that the fault strikes first; the browser if it is not one process's.
constexpr io::BrowserPart part_of(Fault fault) noexcept {
    switch (fault) {
    case Fault::renderer_kill:
    case Fault::renderer_stop:
    case Fault::slow:
    case Fault::cascade: return io::BrowserPart::page;
    case Fault::gpu_kill:
    case Fault::gpu_kill_repeated: return io::BrowserPart::gpu;
    case Fault::network_service_kill:
    case Fault::network_service_stop: return io::BrowserPart::network;
    default: return io::BrowserPart::browser;
    }
}

/// By signals to its processes, which are this host's only if the browser is.
constexpr bool needs_process(Fault fault) noexcept {
    return !is_by_script(fault) && fault != Fault::page_crash && fault != Fault::socket_drop &&
           fault != Fault::gpu_hang;
}

/// Which have this as a process of its own; others do its work elsewhere.
constexpr bool has_part(BrowserType type, io::BrowserPart part) noexcept {
    switch (part) {
    case io::BrowserPart::gpu: return is_chromium_family(type);
    case io::BrowserPart::network: return engine_of(type) != BrowserEngine::gecko;
    case io::BrowserPart::browser:
    case io::BrowserPart::page: break;
    }
    return true;
}

} // namespace everpool::facade
