// Everpool: what a host may watch a pool doing.
// SPDX-License-Identifier: BSL-1.0
//
// Events are for logs, dashboards and timelines. Nothing depends on anybody listening, and a
// listener cannot change what the pool decides.
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/time.hpp"
#include "everpool/worker_role.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace everpool {

struct PoolEvent {
    enum class Kind : std::uint8_t {
        worker_starting,      ///< detail: the rung, e.g. "reload_page": what is made anew
        worker_connected,     ///< its page talks to us; models are being loaded
        worker_ready,         ///< takes work
        worker_lost,          ///< detail: the cause as seen, e.g. "process_exited", "page_crashed"
        worker_failed,        ///< given up for good; code says why
        worker_stopped,       ///< process and directories are gone
        model_loading,        ///< detail: "fetch 12345/67890", from the page's progress messages
        model_ready,          ///< loaded on that worker, and warmed up if it has a warm-up
        model_rejected,       ///< code and diagnostics say why
        request_redispatched, ///< a lost worker held it; it goes to another
        answers_disagree,     ///< of several workers asked one gave another answer than most, or
                              ///< nobody knows which is right (code answers_disagree); detail: who,
                              ///< with both fingerprints; diagnostics: where and by how much
        page_message,         ///< the page told of something: hidden, unhandled error; remote text
        fleet_failing,   ///< the starts of all workers fail alike: `worker` alone goes on trying
        worker_replaced, ///< its rival `successor` was ready first, and is what it was
        fleet_recovered, ///< `worker` is ready; the others are started
        /// Something an operator should know: diagnostics.message and .remedy. At the start, that a
        /// level has fewer workers than it wants; later, that state is not kept, or is again.
        warning,
    };

    Kind kind{};
    TimePoint at{};
    WorkerId worker{WorkerId::none()};
    Generation generation{};
    BrowserType browser{};
    WorkerRole role{};                    ///< of the worker, when it is told
    WorkerId successor{WorkerId::none()}; ///< of worker_replaced
    RequestId request{};
    std::string model;  ///< of model_* events
    std::string detail; ///< see the kinds
    Errc code{};        ///< ok of a warning: nothing has failed, or not any more
    Diagnostics diagnostics;
    /// Of worker_lost, and of a page_message that tells of trouble: what failed, classified, with a
    /// fingerprint by which the same failure is known again on any machine. The phase of a
    /// worker_lost is `sent` if the worker had been given something that it had not answered, else
    /// `not_sent`; that of a page_message is always `not_sent`.
    std::optional<BrowserFailure> failure{};
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
    case answers_disagree: return "answers_disagree";
    case page_message: return "page_message";
    case worker_replaced: return "worker_replaced";
    case fleet_failing: return "fleet_failing";
    case fleet_recovered: return "fleet_recovered";
    case warning: return "warning";
    }
    return "unrecognised";
}

/// Called on the pool's strand: be quick, never block, never throw (an exception is swallowed).
/// Calling the pool's async_ functions from it is fine.
using PoolEventListener = std::function<void(const PoolEvent&)>;

} // namespace everpool
