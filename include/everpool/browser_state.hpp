// Everpool: what is remembered of browsers, models, operations, resources and metrics.
// SPDX-License-Identifier: BSL-1.0
//
// These are the records of the state that BrowserStateManager keeps. They are plain values: a
// program reads them in a StateSnapshot, and changes them by a Transaction (state_change.hpp) only.
//
// Each record has two members of the same meaning:
//   version     the state's clock when the record was last changed (StateSnapshot::clock()). It
//               only grows, and a record that was read from another view of the same state can be
//               compared by it.
//   changed_at  the wall time of that transaction. For people, and to decide between two versions
//               that are equal; nothing else is decided by it, as wall clocks may be set back.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/tensor.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool {

/// The time of day, which survives a restart of the host and TimePoint does not. Zero: not known.
using WallTime = std::chrono::sys_time<std::chrono::nanoseconds>;

/// Something that occupies memory of a worker. From 1, by the host's counting.
using ResourceId = StrongId<struct ResourceTag, std::uint64_t>;

// --- browsers ------------------------------------------------------------------------------------

/// How a browser is connected to the pool.
enum class ConnectionStatus : std::uint8_t {
    disconnected, ///< not started yet, or for a moment not reachable
    connecting,   ///< started, its page has not said hello
    connected,    ///< its page has said hello, models are being loaded
    ready,        ///< takes work
    draining,     ///< finishes what it has, gets nothing new
    lost,         ///< it died, or must be taken for dead; may be restarted
    failed,       ///< given up
    stopped,      ///< closed on purpose
};

constexpr std::string_view name_of(ConnectionStatus status) noexcept {
    switch (status) {
    case ConnectionStatus::disconnected: return "disconnected";
    case ConnectionStatus::connecting: return "connecting";
    case ConnectionStatus::connected: return "connected";
    case ConnectionStatus::ready: return "ready";
    case ConnectionStatus::draining: return "draining";
    case ConnectionStatus::lost: return "lost";
    case ConnectionStatus::failed: return "failed";
    case ConnectionStatus::stopped: return "stopped";
    }
    return "unrecognised";
}

/// Is there nothing left of what the browser had? lost, failed and stopped: no model is assigned to
/// it, it holds no resource and runs no operation.
constexpr bool is_gone(ConnectionStatus status) noexcept {
    return status >= ConnectionStatus::lost;
}

enum class HealthStatus : std::uint8_t { unknown, healthy, degraded, unhealthy };

constexpr std::string_view name_of(HealthStatus health) noexcept {
    switch (health) {
    case HealthStatus::unknown: return "unknown";
    case HealthStatus::healthy: return "healthy";
    case HealthStatus::degraded: return "degraded";
    case HealthStatus::unhealthy: return "unhealthy";
    }
    return "unrecognised";
}

/// Which process. The number alone is not enough after a restart of the host: it may have been
/// given to another process since.
struct ProcessIdentity {
    std::int32_t pid{0};               ///< 0: none is running
    std::uint64_t start_time_ticks{0}; ///< since boot, as the system counts
    friend bool operator==(const ProcessIdentity&, const ProcessIdentity&) = default;
};

/// Names and values; what they mean is up to who sets them.
using StateSettings = std::map<std::string, std::string>;

/// A browser: what lives in a slot of the pool.
struct BrowserState {
    WorkerId id{WorkerId::none()};
    BrowserType type{BrowserType::chromium};
    std::string browser_version{}; ///< "156.0.8078.79"; empty until it was launched
    ConnectionStatus connection{ConnectionStatus::disconnected};
    HealthStatus health{HealthStatus::unknown};
    std::string failure_domain{}; ///< what it shares with others that fail together; may be empty
    StateSettings settings{};     ///< in force
    std::uint32_t restarts{0};
    Generation generation{}; ///< which life; 0: none yet
    ProcessIdentity process{};
    std::string last_failure{}; ///< the text of its last failure; empty: none
    std::uint64_t version{0};
    WallTime changed_at{};

    friend bool operator==(const BrowserState&, const BrowserState&) = default;
};

// --- models --------------------------------------------------------------------------------------

/// A worker that has a model loaded.
struct ModelAssignment {
    WorkerId worker{WorkerId::none()};
    Provider provider{Provider::wasm};
    std::uint64_t memory_bytes{0}; ///< 0: not known
    friend bool operator==(const ModelAssignment&, const ModelAssignment&) = default;
};

struct ModelState {
    std::string name{}; ///< unique
    std::string file{};
    ModelFamily family{ModelFamily::text};
    std::vector<Provider> providers{}; ///< in order of preference
    StateSettings parameters{};
    std::vector<ModelAssignment> assignments{}; ///< by worker, ascending; each worker once
    std::uint64_t version{0};
    WallTime changed_at{};

    [[nodiscard]] bool is_loaded() const noexcept { return !assignments.empty(); }

    friend bool operator==(const ModelState&, const ModelState&) = default;
};

// --- operations ----------------------------------------------------------------------------------

/// What became of an operation?
///
///     operation_submitted --> queued <--> running --> completed
///                               |            |
///                               +------------+------> failed, cancelled, outcome_unknown
///
/// queued -> running is operation_dispatched, back is operation_requeued, all to the right are
/// operation_finished. Only what runs can have completed; a final status never changes.
enum class OperationStatus : std::uint8_t {
    queued,
    running,
    completed,
    failed,
    cancelled,
    outcome_unknown, ///< its worker died with it, and it must not be executed a second time
};

constexpr std::string_view name_of(OperationStatus status) noexcept {
    switch (status) {
    case OperationStatus::queued: return "queued";
    case OperationStatus::running: return "running";
    case OperationStatus::completed: return "completed";
    case OperationStatus::failed: return "failed";
    case OperationStatus::cancelled: return "cancelled";
    case OperationStatus::outcome_unknown: return "outcome_unknown";
    }
    return "unrecognised";
}

constexpr bool is_final(OperationStatus status) noexcept {
    return status >= OperationStatus::completed;
}

/// Bytes that never change, shared between copies; compared by content.
class Payload {
public:
    Payload() = default;
    /// Shares what `shared.owner` keeps alive. \pre the bytes never change again
    explicit Payload(SharedBytes shared) noexcept : shared_(std::move(shared)) {}
    explicit Payload(std::vector<std::byte> bytes) {
        if (bytes.empty()) return;
        const auto owner = std::make_shared<const std::vector<std::byte>>(std::move(bytes));
        shared_ = {.owner = owner, .bytes = *owner};
    }

    [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return shared_.bytes; }
    [[nodiscard]] bool is_empty() const noexcept { return shared_.bytes.empty(); }

    friend bool operator==(const Payload& a, const Payload& b) noexcept {
        return a.bytes().data() == b.bytes().data() ? a.bytes().size() == b.bytes().size()
                                                    : std::ranges::equal(a.bytes(), b.bytes());
    }

private:
    SharedBytes shared_{};
};

/// One operation of a caller, from its submission until it is forgotten: finished ones are kept up
/// to a number, and the oldest goes first.
struct OperationState {
    RequestId id{};
    std::string operation{}; ///< "inference", ...
    std::string model{};     ///< may be empty
    std::uint64_t inputs_digest{0};
    OperationStatus status{OperationStatus::queued};
    std::uint32_t attempts{0};             ///< dispatched so often
    WorkerId worker{WorkerId::none()};     ///< who has or had it last; none() while it is queued
    Generation generation{};               ///< of that worker
    WallTime deadline{};                   ///< zero: none
    WallTime submitted_at{}, started_at{}; ///< started_at: the last attempt; zero: none yet
    WallTime finished_at{};                ///< zero: not yet
    Errc code{Errc::ok};                   ///< why it did not complete, or was queued once more
    bool is_idempotent{false};             ///< may it be executed twice?
    /// The request itself, if it shall survive the host; let go of when the operation has finished.
    Payload payload{};
    std::uint64_t version{0};
    WallTime changed_at{};

    friend bool operator==(const OperationState&, const OperationState&) = default;
};

// --- resources -----------------------------------------------------------------------------------

enum class ResourceKind : std::uint8_t { tensor_memory, webgpu_buffer, webnn_graph, model_shard };

constexpr std::string_view name_of(ResourceKind kind) noexcept {
    switch (kind) {
    case ResourceKind::tensor_memory: return "tensor_memory";
    case ResourceKind::webgpu_buffer: return "webgpu_buffer";
    case ResourceKind::webnn_graph: return "webnn_graph";
    case ResourceKind::model_shard: return "model_shard";
    }
    return "unrecognised";
}

struct ResourceState {
    ResourceId id{};
    ResourceKind kind{ResourceKind::tensor_memory};
    WorkerId worker{WorkerId::none()};
    std::string model{}; ///< what for; may be empty
    std::uint64_t bytes{0};
    std::uint64_t version{0};
    WallTime changed_at{};

    friend bool operator==(const ResourceState&, const ResourceState&) = default;
};

// --- metrics -------------------------------------------------------------------------------------

struct MetricKey {
    std::string model{};
    BrowserType browser{BrowserType::chromium};
    Provider provider{Provider::wasm};
    std::string operation{};
    friend bool operator==(const MetricKey&, const MetricKey&) = default;
};

/// What was measured of one kind of operation. Durations are those of all, failed ones included.
struct MetricState {
    MetricKey key{};
    std::uint64_t count{0}, failures{0};
    Duration sum{}, min{}, max{}, last{};
    std::uint64_t version{0};
    WallTime changed_at{};

    friend bool operator==(const MetricState&, const MetricState&) = default;
};

} // namespace everpool
