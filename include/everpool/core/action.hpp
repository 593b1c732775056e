// Everpool core: what the decision layer wants done. A driver performs actions in order; whatever
// comes of them returns as an event that carries the same ids and generation.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/core/event.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace everpool::core {

// For the workers.
/// What a worker slot is at present. Recovery may change it; a restart after a healthy spell goes
/// back to what the configuration says, which is all zero.
struct WorkerForm {
    std::uint8_t browser{0};        ///< 0: as configured; n: its n-th alternative
    std::uint8_t adjustment{0};     ///< n: with the n-th set of settings for `adjusted_for`
    std::uint8_t provider_turns{0}; ///< to another one, see browser::providers_after()
    /// It stays so, whatever failure comes after.
    BrowserFailureCategory adjusted_for{BrowserFailureCategory::unknown};
    friend bool operator==(const WorkerForm&, const WorkerForm&) = default;
};

/// Bring the worker to life by this rung, in this form, under this generation, and report
/// WorkerConnected, WorkerStartFailed or WorkerLost. Anything that the rung replaces is thrown away
/// first (process: killed and reaped; page: closed; compute: terminated).
struct StartWorker {
    WorkerId worker;
    Generation generation;
    RecoveryRung rung{RecoveryRung::restart_browser};
    WorkerForm form{};
    LossCause cause{}; ///< what was seen last; of a first start: process_exited
    /// `form` is one of that worker's: this one may take its place. none(): of its own.
    WorkerId like{WorkerId::none()};
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
    bool is_beside{false}; ///< others of its attempts are under way, or have been answered
    /// Those of the same number, which come one after the other, are to be run as one; 0: alone.
    std::uint64_t batch{0};
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
/// Ask beside the worker's connections; answered by ControlAnswered, or not.
struct AskControl {
    WorkerId worker;
    Generation generation;
    ControlQuestion question{};
    std::uint64_t sequence{0};
    friend bool operator==(const AskControl&, const AskControl&) = default;
};

/// Compare the answers to these attempts, which the driver has kept; answered by VotesCounted.
struct CountVotes {
    RequestId request;
    std::uint8_t count{0};
    std::array<std::uint32_t, copies_max> attempts{}; ///< the first `count` of them
    friend bool operator==(const CountVotes&, const CountVotes&) = default;
};

// For the host. Each of these is said exactly once per request or lease.
/// Complete the caller's operation. Ok: with the answer to `attempt`, which the driver has kept.
struct Complete {
    RequestId request;
    Errc code{};
    std::uint32_t attempts{0};
    WorkerId worker{WorkerId::none()}; ///< who answered, or who was lost with it
    std::uint32_t attempt{0}; ///< of several at the same time; 0: there was but one at a time
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
        fleet_failing,   ///< all workers fail to start alike; `worker` alone goes on trying
        fleet_recovered, ///< `worker` is ready, and the others start
        worker_replaced, ///< its rival `other` was ready before it, and is what it was
    };
    What what{};
    WorkerId worker{WorkerId::none()};
    Generation generation{};
    WorkerId other{WorkerId::none()}; ///< of worker_replaced; of a rival's: whose place it may take
    LossCause cause{};                ///< of worker_lost, worker_starting, fleet_failing
    RecoveryRung rung{};              ///< of worker_starting; of worker_ready: what has cured it
    ModelId model{ModelId::none()};   ///< of model_*
    RequestId request{};              ///< of request_*
    Errc code{};                      ///< of worker_failed, model_rejected, fleet_failing
    /// Of worker_lost: who found the wrong answer. Empty for any other cause, and where it was not
    /// the core that found it.
    std::optional<WrongAnswerFinder> found_by{};
    std::uint32_t operations{0}; ///< of worker_lost: that it had been sent and had not answered
    friend bool operator==(const Notice&, const Notice&) = default;
};

using Action = std::variant<StartWorker, StopWorker, LoadModel, WarmUpModel, Dispatch, SendCancel,
                            SendPing, AskControl, CountVotes, Complete, LeaseGranted, LeaseEnded,
                            StartFinished, DrainFinished, StopFinished, Notice>;

/// Filled by the core, performed and cleared by the driver, kept for its capacity.
using Actions = std::vector<Action>;

} // namespace everpool::core
