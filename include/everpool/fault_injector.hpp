// Everpool: breaks a pool's browsers on purpose, as they break by themselves.
// SPDX-License-Identifier: BSL-1.0
//
//     everpool::FaultInjector faults{pool};
//     auto [ec, report] = co_await faults.async_inject(
//         {.fault = everpool::Fault::renderer_kill, .worker = worker}, as_tuple(use_awaitable));
//     std::cout << report.text; // "killed process 4711 (page)"
//
// For drills, tests and demonstrations: a recovery that was never tried is a hope. Everything is
// done to real processes, by signals and over the browser's own control channel; nothing is
// simulated. What was done is not undone, but for what is said to end by itself: putting it right
// is the pool's task. A fault that an engine has no part for (Firefox has no GPU process) is
// refused with invalid_request, and the diagnostics say why.
//
// Thread-safe: any function from any thread.
//
// Lifetime: it may outlive its pool. It must not outlive the context of the pool's executor (an
// io_context, a Runtime), as parts of the pool that belong to that live as long as this: it may
// then neither be used nor destroyed.
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/error.hpp"
#include "everpool/ids.hpp"
#include "everpool/resource_pool.hpp"
#include "everpool/time.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool {

enum class Fault : std::uint8_t {
    browser_kill,      ///< SIGKILL of the browser process
    browser_stop,      ///< SIGSTOP of it
    renderer_kill,     ///< SIGKILL of the page's process
    renderer_stop,     ///< SIGSTOP of it
    page_crash,        ///< the engine's own way to crash a page
    gpu_kill,          ///< SIGKILL of the GPU process
    gpu_kill_repeated, ///< gpu_kill again and again, each when the worker is ready after the last
    gpu_hang,          ///< a `compute` operation whose shader never ends, on whichever worker of
                       ///< that engine takes it. (Mesa's software adapter, which Firefox uses where
                       ///< there is no GPU, ends any loop after 65535 rounds.)
    network_service_kill, ///< SIGKILL of what carries the connections
    network_service_stop, ///< SIGSTOP of it
    device_destroy,       ///< the WebGPU device that is used next is destroyed while it is used
    context_lost,         ///< the WebNN context that is used next is destroyed while it is used
    main_loop,            ///< an endless loop in the page's main thread
    worker_loop,          ///< an endless loop in the compute thread
    socket_drop,          ///< both connections of the page are cut
    page_reload,          ///< the page reloads itself
    page_navigate,        ///< the page goes to about:blank
    oom,                  ///< the compute thread fills its memory until it dies
    launch_failure,       ///< the browser is killed, and its next launches fail
    slow,                 ///< the page's process runs a part of the time only
    wrong_answer,         ///< the compute thread gives plausible wrong numbers from now on
    all_browsers_kill,    ///< browser_kill of every worker at once; `worker` does not matter
    cascade,              ///< one fault into the recovery from another
    host_kill,            ///< SIGKILL of the host. Refused here: nobody would be left to report it;
                          ///< kill a child process that has a pool, as scenario_recovery does
};

inline constexpr std::size_t fault_count = 24;

inline constexpr std::array<Fault, fault_count> all_faults = [] {
    std::array<Fault, fault_count> all{};
    for (std::size_t i = 0; i < fault_count; ++i) all[i] = static_cast<Fault>(i);
    return all;
}();

constexpr std::string_view name_of(Fault fault) noexcept {
    switch (fault) {
    case Fault::browser_kill: return "browser_kill";
    case Fault::browser_stop: return "browser_stop";
    case Fault::renderer_kill: return "renderer_kill";
    case Fault::renderer_stop: return "renderer_stop";
    case Fault::page_crash: return "page_crash";
    case Fault::gpu_kill: return "gpu_kill";
    case Fault::gpu_kill_repeated: return "gpu_kill_repeated";
    case Fault::gpu_hang: return "gpu_hang";
    case Fault::network_service_kill: return "network_service_kill";
    case Fault::network_service_stop: return "network_service_stop";
    case Fault::device_destroy: return "device_destroy";
    case Fault::context_lost: return "context_lost";
    case Fault::main_loop: return "main_loop";
    case Fault::worker_loop: return "worker_loop";
    case Fault::socket_drop: return "socket_drop";
    case Fault::page_reload: return "page_reload";
    case Fault::page_navigate: return "page_navigate";
    case Fault::oom: return "oom";
    case Fault::launch_failure: return "launch_failure";
    case Fault::slow: return "slow";
    case Fault::wrong_answer: return "wrong_answer";
    case Fault::all_browsers_kill: return "all_browsers_kill";
    case Fault::cascade: return "cascade";
    case Fault::host_kill: return "host_kill";
    }
    return "unrecognised";
}

constexpr std::optional<Fault> fault_from(std::string_view name) noexcept {
    for (const Fault fault : all_faults)
        if (name_of(fault) == name) return fault;
    return std::nullopt;
}

/// How hard. What is stopped, looped or slowed for a time goes on by itself afterwards. Faults that
/// are not named here have no degrees.
///
///                       mild                moderate              severe
///   stops and loops     0.5 s, which no     5 s                   without end
///                       recovery should
///                       notice
///   slow                half the time,      a fifth of the time,  a twentieth of the time,
///                       for 5 s             for 30 s              for as long as the page's process
///                                                                 lives: found and recovered, if
///                                                                 another worker does the same
///                                                                 work as fast as ever
///   gpu_kill_repeated   3 times             6 times               12 times
///   gpu_hang            a long shader       a longer one          one without end
///   oom                 256 MiB, given      1 GiB, given          until the engine gives up, at
///                       back at once        back at once          most 4.5 GiB
///   launch_failure      the next launch     the next two          the next three
///   wrong_answer        a hundredth off     a tenth off           the opposite sign
///   cascade             the page's process, then the browser;     severe: then the new browser too
enum class FaultIntensity : std::uint8_t { mild, moderate, severe };

constexpr std::string_view name_of(FaultIntensity intensity) noexcept {
    switch (intensity) {
    case FaultIntensity::mild: return "mild";
    case FaultIntensity::moderate: return "moderate";
    case FaultIntensity::severe: return "severe";
    }
    return "unrecognised";
}

/// How a launch fails, for Fault::launch_failure.
enum class LaunchFailure : std::uint8_t {
    bad_path,       ///< there is no such program
    crash_at_start, ///< it dies by a signal at once
    never_answers,  ///< it runs, and never opens its control channel
};

constexpr std::string_view name_of(LaunchFailure failure) noexcept {
    switch (failure) {
    case LaunchFailure::bad_path: return "bad_path";
    case LaunchFailure::crash_at_start: return "crash_at_start";
    case LaunchFailure::never_answers: return "never_answers";
    }
    return "unrecognised";
}

struct FaultOrder {
    Fault fault{};
    WorkerId worker{0};
    FaultIntensity intensity{FaultIntensity::severe};
    LaunchFailure launch_failure{LaunchFailure::crash_at_start};
};

struct FaultReport {
    TimePoint at{};               ///< just before it was done; of several, the first
    std::vector<int> processes{}; ///< that got a signal
    std::string text{};           ///< what was done, for people
    Diagnostics diagnostics{};    ///< why it was not
};

namespace facade {
using InjectHandler = boost::asio::any_completion_handler<void(error_code, FaultReport)>;
void inject(const std::shared_ptr<PoolDriver>&, FaultOrder, InjectHandler);
} // namespace facade

class FaultInjector {
public:
    explicit FaultInjector(const ResourcePool& pool) noexcept : driver_(pool.driver_) {}

    /// Completion: void(error_code, FaultReport), when it has been done: after the last one of
    /// several; where a script does it, when the page has taken the script, which takes effect some
    /// milliseconds later. Errors: invalid_request (no such worker, or its engine has no such
    /// part), no_worker_available (it has no browser or no page now, or did not become ready
    /// between two faults), pool_not_running, cancelled (by you, or the pool was stopped
    /// meanwhile). If a script was to do it: worker_unresponsive (the page does not take one), or
    /// what controls the browser said of it, which is worker_lost (browser or page have gone),
    /// browser_launch_failed (it refuses the script) or another of its codes (protocol_error).
    ///
    /// Cancellation: terminal, partial and total. What comes next of several is not done any more,
    /// and the report says what was; a script that is under way may still be run. After the
    /// completion there is nothing to be cancelled: what ends by itself does so.
    template <class Token = boost::asio::deferred_t>
    auto async_inject(FaultOrder order, Token&& token = {}) {
        return boost::asio::async_initiate<Token, void(error_code, FaultReport)>(
            [](auto handler, std::shared_ptr<facade::PoolDriver> driver, FaultOrder what) {
                facade::inject(driver, what, std::move(handler));
            },
            token, driver_, order);
    }

private:
    std::shared_ptr<facade::PoolDriver> driver_;
};

} // namespace everpool
