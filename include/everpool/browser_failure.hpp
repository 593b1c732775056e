// Everpool: what failed in a browser, as far as it is known.
// SPDX-License-Identifier: BSL-1.0
//
// A browser fails in many ways, and most of them look alike from outside: the connection is gone,
// or nobody answers. A `BrowserFailure` says which it was. It is made from evidence, which is what
// was really seen (a process ended with this status, a channel is silent, a page threw that), and
// from the context in which it was seen:
//
//     #include "everpool/browser/failure_classification.hpp"
//
//     const everpool::BrowserFailure failure = everpool::categorize_browser_failure(
//         everpool::DeviceLost{.api = everpool::DeviceApi::webgpu, .reason = "unknown"},
//         {.browser = everpool::BrowserType::chromium, .provider = everpool::Provider::webgpu});
//     // failure.category   == webgpu
//     // failure.domain     == gpu: no page has to go, the compute thread is made anew
//     // failure.message    == "chromium: the WebGPU device was lost (provider webgpu) [...]"
//
// A host that has nothing but an exception's text passes that: typed evidence is judged first and
// text last, but text is judged too.
//
// What a failure answers
//   category      which kind of trouble; strategies and statistics go by it
//   domain        the smallest part that explains what was seen; recovery begins there
//   fingerprint   whether it is the same failure as another one, on this machine or any other
//   retryability  whether the operation that met it may be repeated, and where
//   phase         how far that operation had come
//   message       all of it in a sentence, for a person
//
// Everything here is a value: it may be copied, compared and sent to other threads.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/time.hpp"

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace everpool {

/// The kinds of trouble. Values are stable: they are written into logs; new ones are only appended.
enum class BrowserFailureCategory : std::uint8_t {
    connection, ///< a socket or a control channel broke, and that is all that is known
    crash,      ///< a process or a page died
    memory,     ///< not enough of it, for one page or for all
    timeout,    ///< no answer in time: busy, hung or stopped
    webgpu,     ///< the GPU device, its adapter or a shader
    webnn,      ///< the WebNN context, its graph or its backend
    launch,     ///< the browser did not become a worker
    api,        ///< an interface is missing, or was used wrongly
    resource,   ///< something other than memory is used up, throttled or too slow
    unknown,    ///< none of these, or nothing is known
};

/// Parts of a worker that fail as one, smallest first. A failure is attributed to the smallest that
/// explains what was seen, because a bigger one is dearer to replace: an operation costs nothing, a
/// GPU process some 40 ms, a browser hundreds.
enum class FailureDomain : std::uint8_t {
    operation,       ///< this one call; the worker is fine
    compute,         ///< the page's compute thread, with its runtime, sessions and device
    page,            ///< the page and its process
    gpu,             ///< the browser's GPU process or device; all its pages lose theirs
    browser,         ///< the browser with all its processes
    network_service, ///< the browser's network process; all its sockets go, the pages stay
    machine,         ///< all browsers of this machine
};

/// How far the operation had come that met the failure.
enum class FailurePhase : std::uint8_t {
    not_sent,       ///< nothing of it has left this process
    sent,           ///< handed to the connection; whether it arrived is not known
    maybe_executed, ///< it had arrived, and was perhaps executed
};

/// What may be done with the operation that met the failure.
enum class Retryability : std::uint8_t {
    retry_same_worker,  ///< this worker may well succeed, at once or after its recovery
    retry_other_worker, ///< another worker may; this one is not to be trusted with it yet
    not_retryable,      ///< it would fail again anywhere, or must not be executed twice
};

/// The two interfaces that give a page a device that can be lost.
enum class DeviceApi : std::uint8_t { webgpu, webnn };

/// The ways to a worker. Each tells another part of the story (see browser/silence.hpp).
enum class WorkerChannel : std::uint8_t {
    compute, ///< the socket of the compute thread, which answers pings itself
    page,    ///< the socket of the page's main thread, which answers pings itself
    control, ///< the browser's own: CDP, WebDriver BiDi, WebDriver
};

/// What a question to a channel has come to.
enum class ChannelAnswer : std::uint8_t {
    unknown, ///< not asked, or there is no such channel
    answers, ///< in time
    silent,  ///< not in time; the connection is still there
};

/// Who noticed that an answer was wrong.
enum class WrongAnswerFinder : std::uint8_t {
    canary,  ///< an inference whose answer is known, and did not come
    vote,    ///< other workers, asked the same
    warm_up, ///< the model's own warm-up, right after it was loaded. In a recovery also a model
             ///< that cannot be loaded any more, though the worker has served it
    host,    ///< the host, which knows a right answer from a wrong one
};

// --- evidence: what was seen ---------------------------------------------------------------------
// Members that a page, a browser or a runtime wrote are remote text: any bytes of any length. They
// are bounded and escaped before they stand in a message, and never interpreted beyond words.

/// A process of the browser has ended.
struct ProcessExited {
    /// As waitpid gives it: the low seven bits are the signal, or 0 and the next byte is the code.
    int wait_status{0};
    /// Which one: browser, page, gpu or network_service.
    FailureDomain process{FailureDomain::browser};
    /// The end of what it wrote; remote text. Chromium and Firefox say there why they gave up.
    std::string output{};

    /// The signal that ended it; 0: none did.
    [[nodiscard]] constexpr int signal() const noexcept { return wait_status & 0x7f; }
    /// What it returned. \pre signal() == 0
    [[nodiscard]] constexpr int exit_code() const noexcept { return (wait_status >> 8) & 0xff; }

    friend bool operator==(const ProcessExited&, const ProcessExited&) = default;
};

/// A channel closed though nobody asked for it. The code hardly tells causes apart: a page whose
/// process was killed and one that was reloaded both close with 1001.
struct ConnectionClosed {
    WorkerChannel channel{WorkerChannel::compute};
    std::uint16_t close_code{1006}; ///< WebSocket's; 1005: none was sent; 1006: it just ended
    friend bool operator==(const ConnectionClosed&, const ConnectionClosed&) = default;
};

/// The browser says that a page's process died.
struct PageCrashed {
    std::string reason{}; ///< the browser's word for it ("crashed", "oom", "killed"); remote text
    friend bool operator==(const PageCrashed&, const PageCrashed&) = default;
};

/// Some channels do not answer in time, while nothing has closed. Which of them do not, tells what
/// hangs; fill in what was asked and leave the rest unknown.
struct ChannelsSilent {
    ChannelAnswer compute{ChannelAnswer::unknown}; ///< an echo by the compute thread
    ChannelAnswer page{ChannelAnswer::unknown};    ///< an echo by the page's main thread
    ChannelAnswer control{ChannelAnswer::unknown}; ///< a question to the browser itself
    /// A WebSocket ping frame. Whichever process does the networking answers it, so it proves
    /// nothing about the page and much about that process.
    ChannelAnswer protocol{ChannelAnswer::unknown};
    /// A script that the control channel runs on the page's main thread.
    ChannelAnswer evaluate{ChannelAnswer::unknown};
    /// It has not been silent for longer than it may be, with what it has to compute.
    bool is_compute_in_time{false};
    friend bool operator==(const ChannelsSilent&, const ChannelsSilent&) = default;
};

/// `device.lost` or `MLContext.lost`.
struct DeviceLost {
    DeviceApi api{DeviceApi::webgpu};
    std::string reason{};  ///< "destroyed": by the page itself; "unknown": by anything else
    std::string message{}; ///< remote text
    friend bool operator==(const DeviceLost&, const DeviceLost&) = default;
};

/// After a loss the browser gives a software adapter where it gave hardware before.
struct AdapterBecameFallback {
    std::string adapter{}; ///< "google/swiftshader"; remote text
    friend bool operator==(const AdapterBecameFallback&, const AdapterBecameFallback&) = default;
};

/// An error that nothing on the page caught.
struct UnhandledError {
    std::string message{}; ///< remote text
    std::string stack{};   ///< remote text
    friend bool operator==(const UnhandledError&, const UnhandledError&) = default;
};

/// The page is not shown any more: its timers are throttled and its process has a lower priority.
struct PageHidden {
    friend bool operator==(const PageHidden&, const PageHidden&) = default;
};

/// The page went elsewhere, or was reloaded, though nobody asked for it.
struct PageNavigated {
    std::string url{}; ///< remote text
    friend bool operator==(const PageNavigated&, const PageNavigated&) = default;
};

/// Memory is nearly used up.
struct MemoryPressure {
    FailureDomain where{FailureDomain::page}; ///< page, gpu, browser or machine
    std::uint64_t used_bytes{0};
    std::uint64_t limit_bytes{0}; ///< 0: not known
    friend bool operator==(const MemoryPressure&, const MemoryPressure&) = default;
};

/// A worker has become slower than it was itself. Slow is a failure: its callers wait.
struct LatencyDrift {
    Duration usual{};
    Duration now{};
    friend bool operator==(const LatencyDrift&, const LatencyDrift&) = default;
};

/// An answer came in time and was wrong.
struct WrongAnswer {
    WrongAnswerFinder found_by{WrongAnswerFinder::canary};
    double error{0};     ///< the largest one, in whatever measure the finder uses
    double tolerance{0}; ///< what it may be
    friend bool operator==(const WrongAnswer&, const WrongAnswer&) = default;
};

/// A browser was started and did not become a worker.
struct LaunchFailed {
    Errc code{Errc::browser_launch_failed};
    std::string output{}; ///< what it wrote; remote text
    friend bool operator==(const LaunchFailed&, const LaunchFailed&) = default;
};

/// A worker answered an operation with an error.
struct OperationFailed {
    Errc code{Errc::operation_failed};
    std::string message{}; ///< remote text
    std::string stack{};   ///< remote text
    friend bool operator==(const OperationFailed&, const OperationFailed&) = default;
};

/// An operation was not answered by its deadline, or by the time in which nearly all like it are.
struct DeadlineExceeded {
    Duration elapsed{};
    Duration deadline{};
    /// Whether the compute thread answers meanwhile. If it does, it waits for somebody else: the
    /// GPU, if the model runs there. An endless shader shows in no other way.
    ChannelAnswer compute{ChannelAnswer::unknown};
    friend bool operator==(const DeadlineExceeded&, const DeadlineExceeded&) = default;
};

/// What was seen: one of these.
using FailureEvidence =
    std::variant<ProcessExited, ConnectionClosed, PageCrashed, ChannelsSilent, DeviceLost,
                 AdapterBecameFallback, UnhandledError, PageHidden, PageNavigated, MemoryPressure,
                 LatencyDrift, WrongAnswer, LaunchFailed, OperationFailed, DeadlineExceeded>;

/// Where and in the middle of what it was seen. Leave out what is not known.
struct FailureContext {
    std::optional<BrowserType> browser{};
    std::string version{}; ///< of the browser: "156.0.8078.79"
    std::string model{};   ///< the name under which it is registered
    std::optional<Provider> provider{};
    FailurePhase phase{FailurePhase::not_sent};
    /// May the operation be executed twice? If not, it is retryable only before it was sent.
    bool is_idempotent{true};
    friend bool operator==(const FailureContext&, const FailureContext&) = default;
};

/// Which failure it is. Two failures have the same fingerprint if engine, category, and message and
/// stack without their accidents (numbers, addresses, paths, names in quotes) are the same. It is
/// the same on every machine and in every run, so that a fleet can tell that it fails as one.
struct FailureFingerprint {
    std::uint64_t value{0};

    /// 16 hexadecimal digits, for logs and for people.
    [[nodiscard]] std::string text() const;

    friend auto operator<=>(const FailureFingerprint&, const FailureFingerprint&) = default;
};

/// A failure, judged. Made by categorize_browser_failure().
struct BrowserFailure {
    BrowserFailureCategory category{BrowserFailureCategory::unknown};
    FailureDomain domain{FailureDomain::operation};
    FailureEvidence evidence{UnhandledError{}};
    FailureFingerprint fingerprint{};
    Retryability retryability{Retryability::not_retryable};
    FailurePhase phase{FailurePhase::not_sent};
    /// "chromium 156.0.8078.79: the browser process was ended by signal 9 (SIGKILL)". One line;
    /// what the other side wrote is escaped, bounded and marked as theirs.
    std::string message{};

    friend bool operator==(const BrowserFailure&, const BrowserFailure&) = default;
};

// -------------------------------------------------------------------------------------------------

constexpr std::string_view name_of(BrowserFailureCategory category) noexcept {
    switch (category) {
    case BrowserFailureCategory::connection: return "connection";
    case BrowserFailureCategory::crash: return "crash";
    case BrowserFailureCategory::memory: return "memory";
    case BrowserFailureCategory::timeout: return "timeout";
    case BrowserFailureCategory::webgpu: return "webgpu";
    case BrowserFailureCategory::webnn: return "webnn";
    case BrowserFailureCategory::launch: return "launch";
    case BrowserFailureCategory::api: return "api";
    case BrowserFailureCategory::resource: return "resource";
    case BrowserFailureCategory::unknown: return "unknown";
    }
    return "unrecognised";
}

inline constexpr std::array browser_failure_categories{
    BrowserFailureCategory::connection, BrowserFailureCategory::crash,
    BrowserFailureCategory::memory,     BrowserFailureCategory::timeout,
    BrowserFailureCategory::webgpu,     BrowserFailureCategory::webnn,
    BrowserFailureCategory::launch,     BrowserFailureCategory::api,
    BrowserFailureCategory::resource,   BrowserFailureCategory::unknown};

constexpr std::string_view name_of(FailureDomain domain) noexcept {
    switch (domain) {
    case FailureDomain::operation: return "operation";
    case FailureDomain::compute: return "compute";
    case FailureDomain::page: return "page";
    case FailureDomain::gpu: return "gpu";
    case FailureDomain::browser: return "browser";
    case FailureDomain::network_service: return "network_service";
    case FailureDomain::machine: return "machine";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(FailurePhase phase) noexcept {
    switch (phase) {
    case FailurePhase::not_sent: return "not_sent";
    case FailurePhase::sent: return "sent";
    case FailurePhase::maybe_executed: return "maybe_executed";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(Retryability retryability) noexcept {
    switch (retryability) {
    case Retryability::retry_same_worker: return "retry_same_worker";
    case Retryability::retry_other_worker: return "retry_other_worker";
    case Retryability::not_retryable: return "not_retryable";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(DeviceApi api) noexcept {
    return api == DeviceApi::webgpu ? "webgpu" : "webnn";
}

constexpr std::string_view name_of(WorkerChannel channel) noexcept {
    switch (channel) {
    case WorkerChannel::compute: return "compute";
    case WorkerChannel::page: return "page";
    case WorkerChannel::control: return "control";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(ChannelAnswer answer) noexcept {
    switch (answer) {
    case ChannelAnswer::unknown: return "unknown";
    case ChannelAnswer::answers: return "answers";
    case ChannelAnswer::silent: return "silent";
    }
    return "unrecognised";
}

constexpr std::string_view name_of(WrongAnswerFinder finder) noexcept {
    switch (finder) {
    case WrongAnswerFinder::canary: return "canary";
    case WrongAnswerFinder::vote: return "vote";
    case WrongAnswerFinder::warm_up: return "warm_up";
    case WrongAnswerFinder::host: return "host";
    }
    return "unrecognised";
}

/// The alternative's own name: "process_exited".
constexpr std::string_view name_of(const FailureEvidence& evidence) noexcept {
    constexpr std::string_view names[] = {
        "process_exited", "connection_closed",       "page_crashed",     "channels_silent",
        "device_lost",    "adapter_became_fallback", "unhandled_error",  "page_hidden",
        "page_navigated", "memory_pressure",         "latency_drift",    "wrong_answer",
        "launch_failed",  "operation_failed",        "deadline_exceeded"};
    static_assert(std::size(names) == std::variant_size_v<FailureEvidence>);
    return evidence.valueless_by_exception() ? "unrecognised" : names[evidence.index()];
}

inline std::string FailureFingerprint::text() const {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string out(16, '0');
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = digits[(value >> (60 - 4 * i)) & 15];
    return out;
}

} // namespace everpool
