// SPDX-License-Identifier: BSL-1.0
#include "facade/state_settling.hpp"

#include <utility>

namespace everpool::facade {
namespace {

/// Operations first: a browser may be gone only once nothing runs on it.
void settle_operation(const OperationState& operation, OrphanPolicy policy, Settling& out) {
    if (is_final(operation.status)) return;
    out.orphans.push_back(operation.id);
    const bool was_sent = operation.attempts > 0;
    const bool may_run_again = operation.is_idempotent || !was_sent;
    auto& changes = out.transaction.changes;
    if (policy == OrphanPolicy::redispatch && may_run_again) {
        if (operation.status == OperationStatus::running)
            changes.emplace_back(OperationRequeued{
                .id = operation.id, .worker = operation.worker, .code = Errc::worker_lost});
        return;
    }
    const bool is_unknown = was_sent;
    changes.emplace_back(OperationFinished{
        .id = operation.id,
        .worker =
            operation.status == OperationStatus::running ? operation.worker : WorkerId::none(),
        .status = is_unknown ? OperationStatus::outcome_unknown : OperationStatus::cancelled,
        .code = is_unknown ? Errc::outcome_unknown : Errc::cancelled});
}

} // namespace

Settling settle(const StateSnapshot& left, OrphanPolicy policy,
                const std::function<bool(const ProcessIdentity&)>& process_exists) {
    Settling out;
    out.transaction.actor = "recovery";
    left.visit_operations(
        [&](const OperationState& operation) { settle_operation(operation, policy, out); });
    left.visit_browsers([&](const BrowserState& browser) {
        if (is_gone(browser.connection)) return;
        BrowserChanged change{.id = browser.id, .health = HealthStatus::unknown};
        if (browser.process.pid != 0 && process_exists(browser.process)) {
            change.connection = ConnectionStatus::disconnected;
            change.last_failure = "its host died; the process is still there";
        } else {
            change.connection = ConnectionStatus::lost;
            change.process = ProcessIdentity{};
            change.last_failure = "it ended with its host";
        }
        out.transaction.changes.emplace_back(std::move(change));
    });
    return out;
}

} // namespace everpool::facade
