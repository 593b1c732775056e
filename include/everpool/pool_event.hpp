// Everpool: what a host may watch a pool doing.
// SPDX-License-Identifier: BSL-1.0
//
// Events are for logs, dashboards and timelines. Nothing depends on anybody listening, and a
// listener cannot change what the pool decides.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/time.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace everpool {

struct PoolEvent {
    enum class Kind : std::uint8_t {
        worker_starting,      ///< detail: "process", "page" or "compute": what is made anew
        worker_connected,     ///< its page talks to us; models are being loaded
        worker_ready,         ///< takes work
        worker_lost,          ///< detail: the cause as seen, e.g. "process_exited", "page_crashed"
        worker_failed,        ///< given up for good; code says why
        worker_stopped,       ///< process and directories are gone
        model_loading,        ///< detail: "fetch 12345/67890", from the page's progress messages
        model_ready,          ///< loaded and warmed up on that worker
        model_rejected,       ///< code and diagnostics say why
        request_redispatched, ///< a lost worker held it; it goes to another
        page_message,         ///< the page told of something: hidden, unhandled error; remote text
        warning,              ///< something an operator should know; diagnostics.message
    };

    Kind kind{};
    TimePoint at{};
    WorkerId worker{WorkerId::none()};
    Generation generation{};
    BrowserType browser{};
    RequestId request{};
    std::string model;  ///< of model_* events
    std::string detail; ///< see the kinds
    Errc code{};
    Diagnostics diagnostics;
};

constexpr std::string_view name_of(PoolEvent::Kind kind) noexcept {
    using enum PoolEvent::Kind;
    switch (kind) {
    case worker_starting: return "worker_starting";
    case worker_connected: return "worker_connected";
    case worker_ready: return "worker_ready";
    case worker_lost: return "worker_lost";
    case worker_failed: return "worker_failed";
    case worker_stopped: return "worker_stopped";
    case model_loading: return "model_loading";
    case model_ready: return "model_ready";
    case model_rejected: return "model_rejected";
    case request_redispatched: return "request_redispatched";
    case page_message: return "page_message";
    case warning: return "warning";
    }
    return "unrecognised";
}

/// Called on the pool's strand: be quick, never block, never throw (an exception is swallowed).
/// Calling the pool's async_ functions from it is fine.
using PoolEventListener = std::function<void(const PoolEvent&)>;

} // namespace everpool
