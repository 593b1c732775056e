// SPDX-License-Identifier: BSL-1.0
#include "everpool/recovery_manager.hpp"

#include "facade/config_check.hpp"
#include "facade/initiation.hpp"
#include "facade/loss_of_failure.hpp"
#include "facade/pool_driver.hpp"
#include "facade/recovery_refusal.hpp"

#include <string>
#include <utility>

namespace everpool {

namespace facade {

void recover(const std::shared_ptr<PoolDriver>& driver, WorkerId worker, BrowserFailure failure,
             RecoverHandler handler) {
    const WaitTicket ticket = driver->next_wait();
    honour_cancellation(driver, handler, [ticket](PoolDriver& self) { self.withdraw(ticket); });
    on_strand(driver, std::move(handler),
              [ticket, worker, failure = std::move(failure)](PoolDriver& self, RecoverHandler h) {
                  self.recover(ticket, worker, failure, std::move(h));
              });
}

/// Once it is known which models there are, those of a previous host included.
void PoolDriver::open_recoveries() {
    const FaultToleranceOptions& tolerance = config_.fault_tolerance;
    core::RecoveryScope scope{.worker_count = slots_.size() + rival_count(config_),
                              .strategy = tolerance.recovery_strategy};
    for (const ModelSpec& model : config_.models) scope.model_families.push_back(model.family);
    recoveries_.open(std::move(scope), slots_.size(),
                     std::string(tolerance.custom_strategy ? tolerance.custom_strategy->name()
                                                           : name_of(tolerance.recovery_strategy)),
                     tolerance.level);
}

void PoolDriver::recover(WaitTicket ticket, WorkerId worker, const BrowserFailure& failure,
                         RecoverHandler handler) {
    RecoveryDesk::Waiting waiting{std::move(handler), executor_};
    const auto refuse = [&](Errc code) {
        waiting.complete(executor_, error_code(code), RecoveryRecord{});
    };
    if (phase_ != Phase::starting && phase_ != Phase::running && phase_ != Phase::draining)
        return refuse(Errc::pool_not_running);
    if (worker.value >= workers_.size()) return refuse(Errc::no_worker_available);
    if (const Errc refusal = refusal_of_recovery(core_, worker); refusal != Errc::ok)
        return refuse(refusal);
    const auto cause = loss_of(failure, engine_of(workers_[worker.value]->spec().type));
    if (!cause) return refuse(Errc::invalid_request);
    recoveries_.wait(worker, ticket, std::move(waiting));
    if (core_.worker(worker).state != WorkerState::ready) return;
    workers_[worker.value]->witness(*cause, failure.evidence);
    feed(core::WorkerLost{worker, core_.worker(worker).generation, *cause});
}

} // namespace facade

RecoverySnapshot RecoveryManager::snapshot() const { return driver_->recoveries(); }

} // namespace everpool
