// SPDX-License-Identifier: BSL-1.0
#include "facade/state_settling.hpp"

#include <string_view>
#include <utility>

namespace everpool::facade {
namespace {

/// Operations first: a browser may be gone only once nothing runs on it.
void settle_operation(const OperationState& operation, OrphanPolicy policy, Settling& out) {
    if (is_final(operation.status)) return;
    const bool is_running = operation.status == OperationStatus::running;
    const bool was_sent = operation.attempts > 0;
    auto& changes = out.transaction.changes;
    OperationState& settled = out.orphans.emplace_back(OrphanedOperation{operation}).operation;
    if (policy == OrphanPolicy::redispatch && (operation.is_idempotent || !was_sent)) {
        out.orphans.back().may_run_again = true;
        if (!is_running) return;
        settled.status = OperationStatus::queued;
        settled.code = Errc::worker_lost;
        settled.worker = WorkerId::none();
        changes.emplace_back(OperationRequeued{
            .id = operation.id, .worker = operation.worker, .code = settled.code});
        return;
    }
    settled.status = was_sent ? OperationStatus::outcome_unknown : OperationStatus::cancelled;
    settled.code = was_sent ? Errc::outcome_unknown : Errc::cancelled;
    settled.payload = {};
    changes.emplace_back(
        OperationFinished{.id = operation.id,
                          .worker = is_running ? operation.worker : WorkerId::none(),
                          .status = settled.status,
                          .code = settled.code});
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
        const bool was_started = browser.process.pid != 0 || browser.generation != Generation{};
        if (!was_started && browser.connection == ConnectionStatus::disconnected) return;
        constexpr std::string_view is_left_over = "its host died; the process is still there";
        BrowserChanged change{.id = browser.id, .health = HealthStatus::unknown};
        if (browser.process.pid != 0 && process_exists(browser.process)) {
            if (browser.connection == ConnectionStatus::disconnected &&
                browser.health == HealthStatus::unknown && browser.last_failure == is_left_over)
                return; // an earlier recovery said so
            change.connection = ConnectionStatus::disconnected;
            change.last_failure = is_left_over;
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
