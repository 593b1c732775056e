// Everpool: the state of a pool at one moment, as plain values.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/worker_role.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace everpool {

/// A worker's life, as seen from outside.
enum class WorkerState : std::uint8_t {
    idle,     ///< not started yet
    starting, ///< browser, page, connections, models, warm-up
    ready,    ///< takes work
    waiting,  ///< lost; will be restarted after a delay
    stopping, ///< being closed
    stopped,  ///< nothing is left of it
    failed,   ///< given up
};

constexpr std::string_view name_of(WorkerState state) noexcept {
    switch (state) {
    case WorkerState::idle: return "idle";
    case WorkerState::starting: return "starting";
    case WorkerState::ready: return "ready";
    case WorkerState::waiting: return "waiting";
    case WorkerState::stopping: return "stopping";
    case WorkerState::stopped: return "stopped";
    case WorkerState::failed: return "failed";
    }
    return "unrecognised";
}

struct WorkerSnapshot {
    WorkerId worker{WorkerId::none()};
    Generation generation{};
    WorkerState state{WorkerState::idle};
    WorkerRole role{WorkerRole::active};
    BrowserType browser{};
    std::string browser_version; ///< empty until first launched
    int process_id{0};           ///< the browser's; 0 if none is running
    std::uint32_t in_flight{0};
    std::uint32_t restarts{0};
    bool leased{false};
    bool webgpu{false}, webgpu_is_fallback{false}, webnn{false}; ///< probed by the worker itself
};

struct ResourcePoolSnapshot {
    std::vector<WorkerSnapshot> workers;
    std::uint32_t queued{0}; ///< waiting for a worker; by priority: ResourcePool::pressure()
    std::uint32_t in_flight{0};
    std::uint64_t submitted{0}, succeeded{0}, failed{0}, redispatched{0};
    std::uint64_t simulated{
        0};                   ///< of `succeeded`: answers that FaultToleranceOptions::simulate gave
    std::uint64_t delayed{0}; ///< went behind all others, see TimeoutAction::delay
    std::uint64_t hedged{0}, hedges_won{0}; ///< second workers asked; and those that were first
    std::uint64_t batches{0}, batched{0};   ///< sent as one, see BatchingOptions; requests in them
    std::uint64_t votes{0};                 ///< requests that a vote has decided
    std::uint64_t dissents{0};              ///< answers that were outvoted
    std::uint64_t undecided{0}; ///< requests of which nobody knows which answer is right
    /// How often threads of a silent browser were found to be ready to run and to get no processor.
    /// Many: there are too few processors for the browsers here.
    std::uint64_t starvations{0};

    /// Answers and events of a previous life, and duplicates, that were recognised and dropped.
    std::uint64_t stale_ignored{0};

    /// What the bridge refused or threw out since the start, by reason. Counted on, also while the
    /// workers are busy, and kept after the pool has stopped.
    struct Bridge {
        std::uint64_t requests_malformed{0};  ///< not HTTP, too long, or with a body
        std::uint64_t requests_unfinished{0}; ///< begun and never completed
        std::uint64_t refused_token{0}, refused_origin{0}, refused_host{0}, refused_subprotocol{0};
        std::uint64_t hellos_missing{0}; ///< connected, but did not say who it is in time
        std::uint64_t frames_too_large{0}, frames_malformed{0}, frames_unexpected{0};
        std::uint64_t connections_replaced{0}, sends_refused{0};
    } bridge;

    /// What the pool has written down; see FaultToleranceOptions.
    struct State {
        std::uint64_t transactions{0};
        std::uint64_t refused{0}; ///< by the state's own rules: a bug of ours if it is not 0
        /// Why the newest steps are not on disk, as far as is known; ok: they are, or will be soon.
        /// The pool goes on without, and looks again; ResourcePool::state()->health() says more.
        Errc trouble{Errc::ok};
    } state;

    std::uint16_t port{0}; ///< of the bridge on 127.0.0.1; 0 while there is none
};

} // namespace everpool
