// Everpool facade: leases, from who waits for one to its end.
// SPDX-License-Identifier: BSL-1.0
#include "facade/pool_driver.hpp"

#include <utility>

namespace everpool::facade {

void PoolDriver::acquire(LeaseId id, AcquireRequest request, AcquireHandler handler) {
    WaitingHandler<void(error_code, Lease)> waiting{std::move(handler), executor_};
    core::Acquire event;
    event.lease = id;
    event.deadline = later(now(), request.timeout.value_or(config_.default_timeout));
    Errc refused = Errc::ok;
    if (phase_ != Phase::running && phase_ != Phase::starting)
        refused = phase_ == Phase::draining ? Errc::pool_draining : Errc::pool_not_running;
    else if (!request.model.empty() && (event.model = models_.find(request.model)).is_none())
        refused = Errc::unknown_model;
    if (refused != Errc::ok) return complete(waiting, error_code(refused), Lease{});
    event.preferred_browsers = preferred_browsers(request.browser, event.model);
    waiting_leases_.emplace(id.value, std::move(waiting));
    feed(event);
}

void PoolDriver::perform(const core::LeaseGranted& action) {
    const auto found = waiting_leases_.find(action.lease.value);
    if (found == waiting_leases_.end()) return feed(core::Release{action.lease});
    auto waiting = std::move(found->second);
    waiting_leases_.erase(found);
    const WorkerDriver& worker = *workers_.at(action.worker.value);
    publish_workers();
    Lease lease(shared_from_this(), action.lease, action.worker, worker.spec().type);
    complete(waiting, error_code{}, std::move(lease));
}

void PoolDriver::perform(const core::LeaseEnded& action) {
    publish_workers();
    const auto found = waiting_leases_.find(action.lease.value);
    if (found == waiting_leases_.end()) return; // lost after it was granted: its operations tell
    auto waiting = std::move(found->second);
    waiting_leases_.erase(found);
    complete(waiting, error_code(action.code), Lease{});
}

/// Only while it is waited for: the handler's cancellation slot stays connected when the lease has
/// been granted, and what its holder cancels then is something else.
void PoolDriver::withdraw(LeaseId id) {
    if (waiting_leases_.count(id.value) != 0) feed(core::Release{id});
}

void PoolDriver::release(LeaseId id) {
    if (phase_ == Phase::stopped) return; // what is shown stays as the stop has left it
    feed(core::Release{id});
    publish_workers();
}

} // namespace everpool::facade
