// Everpool core: what the decision layer wants done. A driver performs actions in order; whatever
// comes of them returns as an event that carries the same ids and generation.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/event.hpp"

#include <cstdint>
#include <variant>
#include <vector>

namespace everpool::core {

// For the workers.
/// Bring the worker to life at this level, under this generation, and report WorkerConnected,
/// WorkerStartFailed or WorkerLost. Anything that is left of the previous life at this level or
/// below is thrown away first (process: killed and reaped; page: closed; compute: terminated).
struct StartWorker {
    WorkerId worker;
    Generation generation;
    RestartLevel level{};
    friend bool operator==(const StartWorker&, const StartWorker&) = default;
};
/// End the worker's process and remove its directories; answered by WorkerStopped. Graceful: the
/// browser is asked first and killed after a grace period; otherwise it is killed at once.
struct StopWorker {
    WorkerId worker;
    Generation generation;
    bool graceful{true};
    friend bool operator==(const StopWorker&, const StopWorker&) = default;
};
struct LoadModel {
    WorkerId worker;
    Generation generation;
    ModelId model;
    friend bool operator==(const LoadModel&, const LoadModel&) = default;
};
/// Run the model's warm-up inference; answered by ModelWarmedUp or ModelRejected.
struct WarmUpModel {
    WorkerId worker;
    Generation generation;
    ModelId model;
    friend bool operator==(const WarmUpModel&, const WarmUpModel&) = default;
};
struct Dispatch {
    WorkerId worker;
    Generation generation;
    RequestId request;
    std::uint32_t attempt{1};
    friend bool operator==(const Dispatch&, const Dispatch&) = default;
};
/// Tell the worker that nobody waits for this any more. Its answer, if any, is ignored.
struct SendCancel {
    WorkerId worker;
    Generation generation;
    RequestId request;
    std::uint32_t attempt{1};
    friend bool operator==(const SendCancel&, const SendCancel&) = default;
};
struct SendPing {
    WorkerId worker;
    Generation generation;
    wire::Channel channel{};
    std::uint64_t sequence{0};
    friend bool operator==(const SendPing&, const SendPing&) = default;
};

// For the host. Each of these is said exactly once per request or lease.
/// Complete the caller's operation. Ok: with the result kept since the last Replied.
struct Complete {
    RequestId request;
    Errc code{};
    std::uint32_t attempts{0};
    WorkerId worker{WorkerId::none()}; ///< who answered, or who was lost with it
    friend bool operator==(const Complete&, const Complete&) = default;
};
struct LeaseGranted {
    LeaseId lease;
    WorkerId worker;
    Generation generation;
    friend bool operator==(const LeaseGranted&, const LeaseGranted&) = default;
};
/// The lease is over: refused (before it was granted), or its worker was lost, or the pool was
/// stopped. Not said on Release of a granted lease.
struct LeaseEnded {
    LeaseId lease;
    Errc code{};
    friend bool operator==(const LeaseEnded&, const LeaseEnded&) = default;
};
/// Start is over: ok once every worker is ready or has failed for good and at least one is ready.
struct StartFinished {
    Errc code{};
    friend bool operator==(const StartFinished&, const StartFinished&) = default;
};
struct DrainFinished {
    friend bool operator==(const DrainFinished&, const DrainFinished&) = default;
};
struct StopFinished {
    friend bool operator==(const StopFinished&, const StopFinished&) = default;
};

/// Something that a person watching the pool wants to know; changes nothing.
struct Notice {
    enum class What : std::uint8_t {
        worker_starting,
        worker_connected,
        worker_ready,
        worker_lost,
        worker_failed,
        worker_stopped,
        model_ready,
        model_rejected,
        request_redispatched,
    };
    What what{};
    WorkerId worker{WorkerId::none()};
    Generation generation{};
    LossCause cause{};              ///< of worker_lost
    RestartLevel level{};           ///< of worker_starting
    ModelId model{ModelId::none()}; ///< of model_*
    RequestId request{};            ///< of request_*
    Errc code{};                    ///< of worker_failed, model_rejected
    friend bool operator==(const Notice&, const Notice&) = default;
};

using Action = std::variant<StartWorker, StopWorker, LoadModel, WarmUpModel, Dispatch, SendCancel,
                            SendPing, Complete, LeaseGranted, LeaseEnded, StartFinished,
                            DrainFinished, StopFinished, Notice>;

/// Filled by the core, performed and cleared by the driver, kept for its capacity.
using Actions = std::vector<Action>;

} // namespace everpool::core
