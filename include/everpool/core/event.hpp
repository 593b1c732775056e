// Everpool core: what happens to a pool. Everything that the decision layer ever learns is one of
// these values, with the time beside it.
// SPDX-License-Identifier: BSL-1.0
//
// Every event is legal in every state. Late, duplicate and reordered ones, and those of a worker's
// previous life (an older generation), are normal: they are ignored and counted.
//
// Names stay outside: the drivers translate model and browser names into ids and small integers
// once, on admission, so the core neither hashes strings nor allocates per operation.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/priority.hpp"
#include "everpool/recovery_rung.hpp"
#include "everpool/time.hpp"
#include "everpool/vote.hpp"
#include "everpool/wire/message.hpp"

#include <cstddef>
#include <cstdint>
#include <variant>

namespace everpool::core {

/// Why a worker was lost. The domain is the smallest that explains what was seen.
enum class LossCause : std::uint8_t {
    process_exited,    ///< the browser process is gone
    page_crashed,      ///< the engine says that the page's process died
    connection_closed, ///< a WebSocket of the page closed though nobody asked for it
    unresponsive,      ///< pings unanswered (decided by the core itself)
    device_lost,       ///< GPU device lost: the compute thread is dead, the page lives
    context_lost,      ///< WebNN context lost: its sessions are dead, the compute thread lives
    protocol_error,    ///< the page sent what is not everpool.v1
    start_timed_out,   ///< did not become ready in time (decided by the core itself)
    compute_hung,      ///< the compute thread alone is silent (decided by the core itself)
    page_hung,         ///< the page's main thread is silent, the browser answers for it
    browser_hung,      ///< the browser's control channel is silent
    network_hung,     ///< both connections are silent, and yet the page is alive: what carries them
    gpu_hung,         ///< an operation does not end though every thread answers: an endless shader
    wrong_answer,     ///< a known inference gave something else
    software_adapter, ///< the GPU adapter has turned into one of software
    slow,             ///< it is much slower than it was
    memory_exhausted, ///< it cannot get the memory that it needs
};

inline constexpr std::size_t loss_cause_count = 17;

/// What is asked beside a worker's connections.
enum class ControlQuestion : std::uint8_t {
    browser, ///< the browser over its control channel, for a sign of life of its own
    page,    ///< the same for one of the page's main thread
    /// The operating system. Never answered of a browser elsewhere; all zero, if it does not tell.
    starvation,
};

/// The answer to ControlQuestion::starvation.
struct ThreadsSeen {
    /// Some without which nobody answers were ready to run, and got no processor ever since asked.
    bool does_any_wait{false};
    bool does_compute_wait{false}; ///< the compute thread is one of them
    Duration compute_ran{};        ///< its processor time since its oldest unanswered ping
    friend bool operator==(const ThreadsSeen&, const ThreadsSeen&) = default;
};

/// More copies of one request than this are not made.
inline constexpr std::size_t copies_max = 7;

/// What the core must know of an operation. Plain integers.
struct RequestMeta {
    RequestId id;
    ModelId model{ModelId::none()}; ///< none(): any worker that is ready will do
    /// So many workers are asked, and a vote decides; 1: one is asked, and believed. At most
    /// copies_max. Counts as 1 if it is not idempotent, or belongs to a lease.
    std::uint8_t copies{1};
    /// A second worker may be asked if the first is late. Not if a vote decides, and not if it is
    /// not idempotent or belongs to a lease.
    bool may_hedge{false};
    Priority priority{Priority::normal};
    TimeoutAction timeout_action{TimeoutAction::reject}; ///< at queue_deadline
    LeaseId lease{}; ///< 0: any worker; else the worker held by this lease
    TimePoint deadline{never};
    /// Until then it waits for its first worker. Not of a lease's requests, which have theirs.
    TimePoint queue_deadline{never};
    /// From when on its waiting counts. `never`, or later than its submission: from that on. The
    /// core adds what its priority costs; then the one that comes first is served first.
    TimePoint waits_since{never};
    std::uint64_t bytes{0}; ///< payload, counts against in-flight bytes of a worker
    /// Requests of one model with the same number may be run as one, see batch_rule.hpp; 0: it goes
    /// alone, as do votes, a lease's, and what is not idempotent.
    std::uint64_t batch{0};
    std::uint32_t rows{1}; ///< in the first dimension of its inputs
    std::uint32_t preferred_browsers{
        0}; ///< packed order of preference, see placement.hpp; 0 = none
    /// Which kind of work it is, if it goes alone: what a model is run for, or an operation. Work
    /// of one kind takes about as long each time. Less than CoreConfig::work_count.
    std::uint16_t work{0};
    std::uint8_t max_attempts{3};
    bool idempotent{true};
    friend bool operator==(const RequestMeta&, const RequestMeta&) = default;
};

// From the host.
struct Start {
    friend bool operator==(const Start&, const Start&) = default;
};
struct Drain {
    friend bool operator==(const Drain&, const Drain&) = default;
};
struct Stop {
    friend bool operator==(const Stop&, const Stop&) = default;
};
struct Submit {
    RequestMeta meta;
    friend bool operator==(const Submit&, const Submit&) = default;
};
struct Cancel {
    RequestId id;
    friend bool operator==(const Cancel&, const Cancel&) = default;
};
/// Wants a worker for itself; answered by LeaseGranted or LeaseEnded with an error.
struct Acquire {
    LeaseId lease;
    ModelId model{ModelId::none()};
    TimePoint deadline{never};
    std::uint32_t preferred_browsers{0};
    friend bool operator==(const Acquire&, const Acquire&) = default;
};
/// Gives the worker back, or withdraws an Acquire that has not been answered.
struct Release {
    LeaseId lease;
    friend bool operator==(const Release&, const Release&) = default;
};

// From the drivers. All carry the generation of the life that they tell about.
/// Both connections have said hello; the worker can be given models and work.
struct WorkerConnected {
    WorkerId worker;
    Generation generation;
    friend bool operator==(const WorkerConnected&, const WorkerConnected&) = default;
};
/// StartWorker could not be carried out. `permanent`: trying again cannot help (no such browser).
struct WorkerStartFailed {
    WorkerId worker;
    Generation generation;
    Errc code{};
    bool permanent{false};
    friend bool operator==(const WorkerStartFailed&, const WorkerStartFailed&) = default;
};
struct WorkerLost {
    WorkerId worker;
    Generation generation;
    LossCause cause{};
    friend bool operator==(const WorkerLost&, const WorkerLost&) = default;
};
/// StopWorker is done: process reaped, directories gone.
struct WorkerStopped {
    WorkerId worker;
    Generation generation;
    friend bool operator==(const WorkerStopped&, const WorkerStopped&) = default;
};
struct ModelLoaded {
    WorkerId worker;
    Generation generation;
    ModelId model;
    friend bool operator==(const ModelLoaded&, const ModelLoaded&) = default;
};
/// The warm-up's outputs are as the model's spec expects them (or it has no warm-up).
struct ModelWarmedUp {
    WorkerId worker;
    Generation generation;
    ModelId model;
    friend bool operator==(const ModelWarmedUp&, const ModelWarmedUp&) = default;
};
/// The worker cannot serve this model, for a reason that a restart would not cure.
struct ModelRejected {
    WorkerId worker;
    Generation generation;
    ModelId model;
    Errc code{};
    friend bool operator==(const ModelRejected&, const ModelRejected&) = default;
};
/// The answer to Dispatch. `code` ok: a result has arrived and is kept by the driver. `was_sent`
/// false: it is the driver's own refusal, so nothing was executed. The driver alone knows that: a
/// page can answer with any code.
struct Replied {
    WorkerId worker;
    Generation generation;
    RequestId request;
    std::uint32_t attempt{0};
    Errc code{};
    bool was_sent{true};
    friend bool operator==(const Replied&, const Replied&) = default;
};
struct PongArrived {
    WorkerId worker;
    Generation generation;
    wire::Channel channel{};
    std::uint64_t sequence{0};
    friend bool operator==(const PongArrived&, const PongArrived&) = default;
};

/// The answer to AskControl.
struct ControlAnswered {
    WorkerId worker;
    Generation generation;
    ControlQuestion question{};
    std::uint64_t sequence{0};
    ThreadsSeen threads{}; ///< of starvation
    friend bool operator==(const ControlAnswered&, const ControlAnswered&) = default;
};

/// The answer to CountVotes. `agreeing` has a bit for each answer, in the order asked; `chosen` is
/// the attempt whose answer is to be handed on, 0 if `verdict` is undecided.
struct VotesCounted {
    RequestId request;
    VoteVerdict verdict{};
    std::uint32_t chosen{0};
    std::uint32_t agreeing{0};
    friend bool operator==(const VotesCounted&, const VotesCounted&) = default;
};

using Event = std::variant<Start, Drain, Stop, Submit, Cancel, Acquire, Release, WorkerConnected,
                           WorkerStartFailed, WorkerLost, WorkerStopped, ModelLoaded, ModelWarmedUp,
                           ModelRejected, Replied, PongArrived, ControlAnswered, VotesCounted>;

} // namespace everpool::core
