// SPDX-License-Identifier: BSL-1.0
#include "everpool/recovery_manager.hpp"

#include "facade/loss_of_failure.hpp"
#include "facade/pool_driver.hpp"

#include <boost/asio/dispatch.hpp>

#include <utility>

namespace everpool {

namespace facade {

void recover(const std::shared_ptr<PoolDriver>& driver, WorkerId worker, BrowserFailure failure,
             RecoverHandler handler) {
    boost::asio::dispatch(driver->strand(), [driver, worker, failure = std::move(failure),
                                             h = std::move(handler)]() mutable {
        driver->recover(worker, failure, std::move(h));
    });
}

void PoolDriver::recover(WorkerId worker, const BrowserFailure& failure, RecoverHandler handler) {
    RecoveryDesk::Waiting waiting{std::move(handler), executor_};
    const auto refuse = [&](Errc code) {
        waiting.complete(executor_, error_code(code), RecoveryRecord{});
    };
    if (phase_ != Phase::starting && phase_ != Phase::running && phase_ != Phase::draining)
        return refuse(Errc::pool_not_running);
    if (worker.value >= workers_.size()) return refuse(Errc::no_worker_available);
    const auto [state, role] = std::pair(core_.worker(worker).state, core_.worker(worker).role);
    const bool is_wanted = role == WorkerRole::active || role == WorkerRole::standby;
    if (state == WorkerState::failed || !is_wanted) return refuse(Errc::no_worker_available);
    const auto cause = loss_of(failure);
    if (!cause) return refuse(Errc::invalid_request);
    recoveries_.wait(worker, std::move(waiting));
    if (state == WorkerState::ready)
        feed(core::WorkerLost{worker, core_.worker(worker).generation, *cause});
}

} // namespace facade

RecoverySnapshot RecoveryManager::snapshot() const { return driver_->recoveries(); }

} // namespace everpool
