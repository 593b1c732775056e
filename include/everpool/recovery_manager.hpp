// Everpool: what a pool's recovery has done, and a way to ask for one.
// SPDX-License-Identifier: BSL-1.0
//
// A pool recovers by itself; nobody has to call anything. This is for who wants to know, and for a
// host that knows more than the pool can see: that a worker's answers are wrong, for example.
//
//     everpool::RecoveryManager recovery{pool};
//     for (const everpool::RecoveryRecord& record : recovery.snapshot().last)
//         std::cout << record.text() << '\n'; // page_crashed: reload_page ok after 310 ms
//
//     auto [ec, record] = co_await recovery.async_recover(
//         worker,
//         everpool::categorize_browser_failure(
//             everpool::WrongAnswer{.found_by = everpool::WrongAnswerFinder::host}, {}),
//         as_tuple(use_awaitable));
//
// How a pool recovers is FaultToleranceOptions::recovery_strategy. Thread-safe: any function from
// any thread.
//
// Lifetime: it may outlive its pool, and then shows its last state. It must not outlive the context
// of the pool's executor (an io_context, a Runtime), as parts of the pool that belong to that live
// as long as this: it may then neither be used nor destroyed.
#pragma once

#include "everpool/browser_failure.hpp"
#include "everpool/error.hpp"
#include "everpool/fault_tolerance.hpp"
#include "everpool/ids.hpp"
#include "everpool/model_family.hpp"
#include "everpool/recovery_record.hpp"
#include "everpool/recovery_strategy.hpp"
#include "everpool/resource_pool.hpp"

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace everpool {

/// The starts of all workers fail, and for the same reason: something that they share is broken.
/// One of them goes on trying, with growing delays, and the others wait until it is ready.
struct FleetFailure {
    WorkerId prober{WorkerId::none()};
    Errc code{};         ///< what all of them failed with
    std::string cause{}; ///< as it was seen: "process_exited"
    TimePoint since{};
};

/// The recoveries of a pool so far.
struct RecoverySnapshot {
    std::string strategy{}; ///< its name, of a custom one too
    FaultToleranceLevel level{};
    std::uint32_t browsers_ready{0}; ///< take work now
    std::uint32_t browsers_total{0};
    std::optional<FleetFailure> fleet_failure{}; ///< empty: there are workers that start

    RecoveryCount total{}; ///< recoveries that have ended
    /// By BrowserFailureCategory, of the failure.
    std::array<RecoveryCount, browser_failure_categories.size()> by_category{};
    /// By BrowserType, of the browser that failed.
    std::array<RecoveryCount, browser_types.size()> by_browser{};
    /// By RecoveryStrategy, of the pool: it has one for all its life, so one of these is `total`. A
    /// host with several pools adds them up by it. One of the host's own is `custom` here, and
    /// `strategy` above has its name.
    std::array<RecoveryCount, recovery_strategies.size()> by_strategy{};
    /// By ModelFamily, of the models that the worker served (RecoveryRecord::families). A recovery
    /// counts for each of them, and for none if there was no model: these need not add up to
    /// `total`.
    std::array<RecoveryCount, model_families.size()> by_family{};
    /// By RecoveryRung: each try of one, not each recovery.
    std::array<RecoveryCount, recovery_rung_count> by_rung{};

    std::vector<RecoveryRecord> under_way{};
    std::vector<RecoveryRecord> last{}; ///< that have ended, oldest first; at most 64

    [[nodiscard]] const RecoveryCount& of(BrowserFailureCategory category) const noexcept {
        return by_category[static_cast<std::size_t>(category)];
    }
    [[nodiscard]] const RecoveryCount& of(BrowserType browser) const noexcept {
        return by_browser[static_cast<std::size_t>(browser)];
    }
    [[nodiscard]] const RecoveryCount& of(RecoveryStrategy which) const noexcept {
        return by_strategy[static_cast<std::size_t>(which)];
    }
    [[nodiscard]] const RecoveryCount& of(ModelFamily family) const noexcept {
        return by_family[static_cast<std::size_t>(family)];
    }
    [[nodiscard]] const RecoveryCount& of(RecoveryRung rung) const noexcept {
        return by_rung[static_cast<std::size_t>(rung)];
    }
};

namespace facade {
using RecoverHandler = boost::asio::any_completion_handler<void(error_code, RecoveryRecord)>;
void recover(const std::shared_ptr<PoolDriver>&, WorkerId, BrowserFailure, RecoverHandler);
} // namespace facade

class RecoveryManager {
public:
    explicit RecoveryManager(const ResourcePool& pool) noexcept : driver_(pool.driver_) {}

    [[nodiscard]] RecoverySnapshot snapshot() const;

    /// Recovers a worker as if the pool had seen this failure itself: what it had goes to others,
    /// and the ladder begins at the smallest rung that can cure it. If a recovery of it is under
    /// way, this waits for that one's end. What counts is the worker as it is when the pool hears
    /// of this, be it one that has just been recovered: there is no asking for one of its former
    /// lives.
    ///
    /// Completion: void(error_code, RecoveryRecord). No error: the worker is ready again. The
    /// record is empty (its worker is none) unless a recovery has ended: after a first start that
    /// went well, which is none, and with an error that came before the end.
    ///
    /// Errors: no_worker_available (there is no such worker, or it has been given up or stopped),
    /// invalid_request (a failure of an operation alone, which no recovery of a worker cures),
    /// pool_not_running, internal_error (the pool has found itself broken, and starts no worker any
    /// more), cancelled (by you, or stopped meanwhile). If it has been given up over this: what its
    /// last start failed with, which is browser_launch_failed, browser_not_found, worker_lost,
    /// worker_unresponsive, or another code of what controls its browser (protocol_error).
    ///
    /// Cancellation: terminal, partial and total end the wait. The recovery goes on.
    template <class Token = boost::asio::deferred_t>
    auto async_recover(WorkerId worker, BrowserFailure failure, Token&& token = {}) {
        return boost::asio::async_initiate<Token, void(error_code, RecoveryRecord)>(
            [](auto handler, std::shared_ptr<facade::PoolDriver> driver, WorkerId whom,
               BrowserFailure why) {
                facade::recover(driver, whom, std::move(why), std::move(handler));
            },
            token, driver_, worker, std::move(failure));
    }

private:
    std::shared_ptr<facade::PoolDriver> driver_;
};

} // namespace everpool
