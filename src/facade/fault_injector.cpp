// SPDX-License-Identifier: BSL-1.0
#include "everpool/fault_injector.hpp"

#include "facade/fault_drill.hpp"
#include "facade/initiation.hpp"
#include "facade/pool_driver.hpp"

#include <utility>

namespace everpool::facade {

void inject(const std::shared_ptr<PoolDriver>& driver, FaultOrder order, InjectHandler handler) {
    const WaitTicket ticket = driver->next_wait();
    honour_cancellation(driver, handler, [ticket](PoolDriver& self) { self.withdraw(ticket); });
    on_strand(driver, std::move(handler), [ticket, order](PoolDriver& self, InjectHandler h) {
        self.inject(ticket, order, std::move(h));
    });
}

void PoolDriver::inject(WaitTicket ticket, const FaultOrder& order, InjectHandler handler) {
    FaultDrill::Waiting waiting{std::move(handler), executor_};
    const bool is_open =
        phase_ == Phase::starting || phase_ == Phase::running || phase_ == Phase::draining;
    if (!is_open || workers_.empty())
        return waiting.complete(executor_, error_code(Errc::pool_not_running), FaultReport{});
    if (!drill_)
        drill_ = std::make_unique<FaultDrill>(strand_, executor_, static_cast<DrillGround&>(*this));
    drill_->begin(order, ticket, std::move(waiting));
}

void PoolDriver::withdraw(WaitTicket ticket) {
    recoveries_.withdraw(ticket);
    if (drill_) drill_->withdraw(ticket);
}

WorkerState PoolDriver::state_of(WorkerId worker) const { return core_.worker(worker).state; }

void PoolDriver::run_for_drill(Request request) {
    run(next_request(), LeaseId{}, std::move(request), KeptRequest{},
        [](error_code, const Result&) {});
}

void PoolDriver::cut_connections(WorkerId worker) { bridge_->cut(worker); }

} // namespace everpool::facade
