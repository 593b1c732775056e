// Everpool facade: what the core must have seen when it decided by itself that a worker is lost.
// SPDX-License-Identifier: BSL-1.0
//
// The counterpart of loss_of_failure.hpp. What a driver has seen with its own eyes (an exit status,
// a page's words) says more, and comes first.
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/core/action.hpp"
#include "everpool/core/event.hpp"

namespace everpool::facade {

inline FailureEvidence evidence_of(core::LossCause cause) {
    using core::LossCause;
    using enum ChannelAnswer;
    switch (cause) {
    case LossCause::process_exited: return ProcessExited{};
    case LossCause::page_crashed: return PageCrashed{};
    case LossCause::connection_closed: return ConnectionClosed{};
    case LossCause::unresponsive: return ChannelsSilent{.compute = silent, .page = silent};
    case LossCause::compute_hung: return ChannelsSilent{.compute = silent, .page = answers};
    case LossCause::page_hung: return ChannelsSilent{.page = silent, .control = answers};
    case LossCause::browser_hung: return ChannelsSilent{.control = silent};
    case LossCause::network_hung:
        return ChannelsSilent{
            .compute = silent, .page = silent, .control = answers, .evaluate = answers};
    case LossCause::gpu_hung: return DeadlineExceeded{.compute = answers}; // where there is a GPU
    case LossCause::device_lost: return DeviceLost{.api = DeviceApi::webgpu, .reason = "unknown"};
    case LossCause::context_lost: return DeviceLost{.api = DeviceApi::webnn, .reason = "unknown"};
    case LossCause::protocol_error: return OperationFailed{.code = Errc::protocol_error};
    case LossCause::start_timed_out: return LaunchFailed{};
    case LossCause::wrong_answer: return WrongAnswer{};
    case LossCause::software_adapter: return AdapterBecameFallback{};
    case LossCause::slow: return LatencyDrift{};
    case LossCause::memory_exhausted: return MemoryPressure{};
    }
    return UnhandledError{};
}

/// Of a notice of a loss, which says as well who found an answer wrong. \pre worker_lost
inline FailureEvidence evidence_of(const core::Notice& notice) {
    if (notice.found_by) return WrongAnswer{.found_by = *notice.found_by};
    return evidence_of(notice.cause);
}

} // namespace everpool::facade
