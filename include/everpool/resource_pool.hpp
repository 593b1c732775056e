// Everpool: ResourcePool, a pool of real browsers that run AI models and may die at any time.
// SPDX-License-Identifier: BSL-1.0
//
// Use it when a C++ program wants inference (or any WebGPU, WebNN or WASM computation) on whatever
// hardware the machine has, sandboxed, and wants the answer even if the browser, the page, the GPU
// process or the driver fails on the way.
//
//     boost::asio::io_context context;
//     everpool::ResourcePool pool{context.get_executor(), {
//         .browsers = {{.type = BrowserType::chromium, .count = 2}},
//         .models   = {{.name = "mlp", .file = "mlp.onnx"}}}};
//
//     co_await pool.async_start(use_awaitable);
//     Result r = co_await pool.async_run(Request::inference("mlp", {x}), use_awaitable);
//     std::span<const float> y = r.outputs[0].as<float>();
//     co_await pool.async_stop(use_awaitable);
//
// A host without an event loop uses Runtime (runtime.hpp) and its blocking run().
//
// Life cycle
//   constructed -> async_start -> running -> async_drain -> draining -> async_stop -> stopped
//   async_stop may be called at any time; async_drain is optional. A stopped pool stays stopped.
//
// Lifetime
//   The destructor stops abruptly: it posts the killing of the browsers to the executor, and
//   whatever is outstanding then completes with Errc::cancelled, so handlers are still called after
//   it. ResourcePoolConfig::on_event is not; the destructor waits for a call in progress. A Lease
//   may outlive the pool; what is asked of it completes with Errc::pool_not_running. If the
//   executor never runs again, the browsers are killed when it is destroyed, and no handler is
//   called.
//
// Guarantees
//   * Every operation completes exactly once, on the handler's associated executor (the pool's,
//     if it has none), never inside the initiating call.
//   * A request that was sent to a worker that died is executed again by another one only if it is
//     idempotent; else it completes with Errc::outcome_unknown. A late answer from a worker's
//     previous life is recognised by its generation and dropped.
//   * No browser process outlives the host by more than 2 s, even if the host is killed.
//   * Nothing is thrown out of the executor's run() but what a handler of yours throws.
//
// Thread safety
//   All members may be called from any thread at any time, except the destructor. The decisions of
//   one pool are made on one strand of its executor.
//
// Completion tokens and cancellation
//   Each async_ function takes any completion token (default: asio::deferred). Cancellation types
//   terminal, partial and total are all honoured by async_run and async_acquire: the operation
//   completes with Errc::cancelled, the worker is told, a late answer is dropped. What was already
//   sent may have been executed. The other operations ignore cancellation.
#pragma once

#include "everpool/error.hpp"
#include "everpool/pressure_snapshot.hpp"
#include "everpool/request.hpp"
#include "everpool/resource_pool_config.hpp"
#include "everpool/resource_pool_snapshot.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/deferred.hpp>

#include <cassert>
#include <memory>
#include <optional>
#include <string>
#include <utility>

namespace everpool {

class BrowserStateManager; // browser_state_manager.hpp
class FaultInjector;       // fault_injector.hpp
class RecoveryManager;     // recovery_manager.hpp

namespace facade {
class PoolDriver;
}

/// What async_start found.
struct StartReport {
    std::uint32_t workers_ready{0};
    std::uint32_t workers_failed{0};
    Diagnostics diagnostics; ///< of the first failure; also filled in if some workers are ready
};

/// What async_acquire is asked for.
struct AcquireRequest {
    /// The worker must be able to serve this model; empty: any worker.
    std::string model{};
    /// Prefer this browser over the preference of the model's family.
    std::optional<BrowserType> browser{};
    /// How long to wait. Empty: ResourcePoolConfig::default_timeout.
    std::optional<Duration> timeout{};
};

/// A worker borrowed for oneself: nothing else runs on it until the lease is destroyed. For
/// operations that keep state in the page between calls. If the worker is lost, so is the lease:
/// async_run then completes with Errc::worker_lost, and nothing is repeated elsewhere.
///
/// Move-only. Thread safety: as for one object of a standard type.
class Lease {
public:
    Lease() noexcept = default; ///< holds nothing
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&& other) noexcept;
    ~Lease(); ///< gives the worker back

    [[nodiscard]] bool holds() const noexcept { return driver_ != nullptr; }
    [[nodiscard]] WorkerId worker() const noexcept { return worker_; }
    [[nodiscard]] BrowserType browser() const noexcept { return browser_; }

    /// Gives the worker back now. Operations that are running on it complete first.
    void release() noexcept;

    /// As ResourcePool::async_run, on this worker.
    /// \pre holds()
    template <class Token = boost::asio::deferred_t>
    auto async_run(Request request, Token&& token = {});

private:
    friend class facade::PoolDriver;
    Lease(std::shared_ptr<facade::PoolDriver> driver, LeaseId id, WorkerId worker,
          BrowserType browser) noexcept;

    std::shared_ptr<facade::PoolDriver> driver_;
    LeaseId id_{};
    WorkerId worker_{WorkerId::none()};
    BrowserType browser_{};
};

/// See the head of this file.
class ResourcePool {
public:
    using executor_type = boost::asio::any_io_executor;

    /// Checks the configuration; starts nothing.
    /// \throws std::invalid_argument naming the member that is out of range.
    ResourcePool(executor_type executor, ResourcePoolConfig config);
    ResourcePool(const ResourcePool&) = delete;
    ResourcePool& operator=(const ResourcePool&) = delete;
    ~ResourcePool();

    [[nodiscard]] executor_type get_executor() const;

    /// Starts the bridge and all browsers, loads all models, and runs the warm-ups of those that
    /// have one.
    ///
    /// Completion: void(error_code, StartReport), once every worker is ready or has been given up.
    /// No error if at least one worker is ready. A model that every worker rejects does not fail
    /// the start: requests for it complete with model_rejected, the others are served.
    /// A state directory is recovered first, before anything is started; that blocks the strand (a
    /// log of 1 GiB takes some seconds).
    /// Errors: model_file_missing, browser_not_found, browser_launch_failed, no_worker_available,
    /// already_started, cancelled (stopped meanwhile), storage_in_use, storage_damaged,
    /// storage_newer_format, storage_not_writable, storage_full, storage_failed, internal_error,
    /// and errors of the operating system: a module's file that cannot be read, no room for the
    /// browsers' directories, no port, no thread or no memory for the state. After an error the
    /// pool is stopped if nothing was started, else it waits for async_stop.
    template <class Token = boost::asio::deferred_t>
    auto async_start(Token&& token = {});

    /// Executes one operation on some worker. While the pool is starting, requests wait for the
    /// first worker that is ready.
    ///
    /// Completion: void(error_code, Result). Result::diagnostics says more if there is an error.
    /// Errors, each explained in error.hpp: at once invalid_request, unknown_model,
    /// unknown_operation, invalid_input, queue_full, pool_not_running, pool_draining,
    /// internal_error; later queue_timeout, invalid_input, model_rejected, message_too_large,
    /// provider_unavailable, operation_failed, device_lost, worker_lost, outcome_unknown,
    /// worker_unresponsive, no_worker_available, deadline_exceeded, cancelled; at
    /// FaultToleranceLevel::critical also storage_full, storage_not_writable and storage_failed.
    template <class Token = boost::asio::deferred_t>
    auto async_run(Request request, Token&& token = {});

    /// Borrows a worker. Who waits for one comes before all requests that wait. At most 1000 leases
    /// are held and waited for at a time.
    ///
    /// Completion: void(error_code, Lease); the lease holds nothing if there is an error.
    /// Errors: unknown_model, model_rejected, deadline_exceeded, no_worker_available, queue_full
    /// (the 1001st), cancelled, pool_not_running, pool_draining, internal_error.
    template <class Token = boost::asio::deferred_t>
    auto async_acquire(AcquireRequest request, Token&& token = {});

    /// Takes nothing new (pool_draining) and completes when everything accepted has completed.
    /// Completion: void(error_code). Errors: pool_not_running, cancelled (stopped meanwhile).
    template <class Token = boost::asio::deferred_t>
    auto async_drain(Token&& token = {});

    /// Completes whatever is outstanding with Errc::cancelled, closes the browsers, removes their
    /// directories. Completion: void(error_code), never an error; at once if nothing runs.
    template <class Token = boost::asio::deferred_t>
    auto async_stop(Token&& token = {});

    /// The state now. Never waits for the strand; its figures may be microseconds apart.
    [[nodiscard]] ResourcePoolSnapshot snapshot() const;

    /// May one ask for more? As cheap as snapshot(), and it never waits for the strand either.
    [[nodiscard]] PressureSnapshot pressure() const;

    /// What the pool remembers, as far as ResourcePoolConfig::fault_tolerance goes: its browsers,
    /// models and operations now, and the log of how that came about. Null at level none, before
    /// async_start has opened it, and after async_stop. Who keeps the pointer longer keeps the
    /// state directory locked. Read it freely; what a program commits itself stands in the log
    /// beside what the pool does, but browsers and operations are the pool's.
    [[nodiscard]] std::shared_ptr<BrowserStateManager> state() const;

    /// For tests and demonstrations of faults: crashes the page of this worker, as a bug in the
    /// engine would. Does nothing if it has none.
    void crash_page(WorkerId worker);

private:
    friend class FaultInjector;
    friend class RecoveryManager;
    std::shared_ptr<facade::PoolDriver> driver_;
};

// -------------------------------------------------------------------------------------------------
// The templates erase the handler and call compiled code, so a host pays neither for Beast nor for
// the pool's own insides at compile time.

namespace facade {

using StartHandler = boost::asio::any_completion_handler<void(error_code, StartReport)>;
using RunHandler = boost::asio::any_completion_handler<void(error_code, Result)>;
using AcquireHandler = boost::asio::any_completion_handler<void(error_code, Lease)>;
using PlainHandler = boost::asio::any_completion_handler<void(error_code)>;

void start(const std::shared_ptr<PoolDriver>&, StartHandler);
void run(const std::shared_ptr<PoolDriver>&, LeaseId, Request, RunHandler);
void acquire(const std::shared_ptr<PoolDriver>&, AcquireRequest, AcquireHandler);
void drain(const std::shared_ptr<PoolDriver>&, PlainHandler);
void stop(const std::shared_ptr<PoolDriver>&, PlainHandler);

} // namespace facade

template <class Token>
auto Lease::async_run(Request request, Token&& token) {
    assert(holds());
    return boost::asio::async_initiate<Token, void(error_code, Result)>(
        [](auto handler, std::shared_ptr<facade::PoolDriver> driver, LeaseId id, Request what) {
            facade::run(driver, id, std::move(what), std::move(handler));
        },
        token, driver_, id_, std::move(request));
}

template <class Token>
auto ResourcePool::async_start(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, StartReport)>(
        [](auto handler, std::shared_ptr<facade::PoolDriver> driver) {
            facade::start(driver, std::move(handler));
        },
        token, driver_);
}

template <class Token>
auto ResourcePool::async_run(Request request, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, Result)>(
        [](auto handler, std::shared_ptr<facade::PoolDriver> driver, Request what) {
            facade::run(driver, LeaseId{}, std::move(what), std::move(handler));
        },
        token, driver_, std::move(request));
}

template <class Token>
auto ResourcePool::async_acquire(AcquireRequest request, Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code, Lease)>(
        [](auto handler, std::shared_ptr<facade::PoolDriver> driver, AcquireRequest what) {
            facade::acquire(driver, std::move(what), std::move(handler));
        },
        token, driver_, std::move(request));
}

template <class Token>
auto ResourcePool::async_drain(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [](auto handler, std::shared_ptr<facade::PoolDriver> driver) {
            facade::drain(driver, std::move(handler));
        },
        token, driver_);
}

template <class Token>
auto ResourcePool::async_stop(Token&& token) {
    return boost::asio::async_initiate<Token, void(error_code)>(
        [](auto handler, std::shared_ptr<facade::PoolDriver> driver) {
            facade::stop(driver, std::move(handler));
        },
        token, driver_);
}

} // namespace everpool
