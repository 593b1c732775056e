// Everpool facade: a failure as the host knows it becomes a loss as the core knows it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser/silence.hpp"
#include "everpool/browser_failure.hpp"
#include "everpool/browser_spec.hpp"
#include "everpool/core/event.hpp"
#include "everpool/core/loss_of_silence.hpp"

#include <optional>
#include <variant>

namespace everpool::facade {

/// By the domain alone, where the evidence says no more.
constexpr std::optional<core::LossCause> loss_of_domain(FailureDomain domain) noexcept {
    switch (domain) {
    case FailureDomain::operation: break;
    case FailureDomain::compute: return core::LossCause::compute_hung;
    case FailureDomain::page: return core::LossCause::connection_closed;
    case FailureDomain::gpu: return core::LossCause::device_lost;
    case FailureDomain::browser:
    case FailureDomain::machine: return core::LossCause::browser_hung;
    case FailureDomain::network_service: return core::LossCause::network_hung;
    }
    return std::nullopt;
}

/// As the pool judges what it sees itself: a closed connection is no hang, whichever thread's it
/// was. But a browser without its control channel is as good as one that hangs: no page of it can
/// be made anew.
constexpr core::LossCause loss_of_connection(WorkerChannel channel) noexcept {
    return channel == WorkerChannel::control ? core::LossCause::browser_hung
                                             : core::LossCause::connection_closed;
}

constexpr core::LossCause loss_of_process(FailureDomain process) noexcept {
    switch (process) {
    case FailureDomain::compute:
    case FailureDomain::page: return core::LossCause::page_crashed;
    case FailureDomain::gpu: return core::LossCause::device_lost;
    case FailureDomain::network_service: return core::LossCause::connection_closed;
    case FailureDomain::operation:
    case FailureDomain::browser:
    case FailureDomain::machine: break;
    }
    return core::LossCause::process_exited;
}

/// Empty: it concerns one operation, and the worker is fine. `engine`: the worker's, which the host
/// need not have known.
inline std::optional<core::LossCause> loss_of(const BrowserFailure& failure,
                                              BrowserEngine engine) noexcept {
    using enum core::LossCause;
    const auto& evidence = failure.evidence;
    if (const auto* exited = std::get_if<ProcessExited>(&evidence))
        return loss_of_process(exited->process);
    if (const auto* closed = std::get_if<ConnectionClosed>(&evidence))
        return loss_of_connection(closed->channel);
    if (std::holds_alternative<LaunchFailed>(evidence)) return process_exited;
    if (std::holds_alternative<PageCrashed>(evidence)) return page_crashed;
    if (std::holds_alternative<PageNavigated>(evidence)) return connection_closed;
    if (std::holds_alternative<AdapterBecameFallback>(evidence)) return software_adapter;
    if (std::holds_alternative<MemoryPressure>(evidence)) return memory_exhausted;
    if (std::holds_alternative<LatencyDrift>(evidence)) return slow;
    if (std::holds_alternative<WrongAnswer>(evidence)) return wrong_answer;
    if (const auto* silent = std::get_if<ChannelsSilent>(&evidence))
        if (const auto hung = core::loss_of(browser::diagnose_silence(engine, *silent)))
            return hung;
    if (const auto* lost = std::get_if<DeviceLost>(&evidence))
        return lost->api == DeviceApi::webnn ? context_lost : device_lost;
    if (const auto* late = std::get_if<DeadlineExceeded>(&evidence);
        late != nullptr && failure.domain == FailureDomain::gpu)
        return gpu_hung;
    return loss_of_domain(failure.domain);
}

} // namespace everpool::facade
