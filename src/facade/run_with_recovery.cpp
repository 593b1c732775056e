// SPDX-License-Identifier: BSL-1.0
#include "everpool/run_with_recovery.hpp"

#include "everpool/browser/failure_classification.hpp"
#include "everpool/recovery_manager.hpp"

#include <future>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace everpool {

namespace {

template <class Value>
using Outcome = std::pair<error_code, Value>;

/// Waits for what `initiate` completes its handler with.
template <class Value, class Initiate>
Outcome<Value> wait_for(Initiate initiate) {
    const auto promise = std::make_shared<std::promise<Outcome<Value>>>();
    auto future = promise->get_future();
    initiate([promise](error_code ec, Value value) { promise->set_value({ec, std::move(value)}); });
    return future.get();
}

bool may_be_repeated(const Request& request) {
    const bool is_built_in = request.operation == "echo" || request.operation == "inference" ||
                             request.operation == "compute";
    return request.idempotent.value_or(is_built_in);
}

/// What a worker that answered, or that was the last to try, did wrong. Empty: nothing that its
/// recovery would put right.
std::optional<BrowserFailure> failure_of(error_code ec, const Result& result) {
    if (result.worker.is_none()) return std::nullopt;
    FailureContext context{.browser = result.browser,
                           .version = result.browser_version,
                           .provider = result.provider,
                           .phase = FailurePhase::maybe_executed};
    if (!ec) return categorize_browser_failure(WrongAnswer{WrongAnswerFinder::host}, context);
    if (ec.category() != error_category()) return std::nullopt;
    BrowserFailure failure = categorize_browser_failure(
        OperationFailed{static_cast<Errc>(ec.value()), result.diagnostics.remote_text, {}},
        context);
    if (failure.domain == FailureDomain::operation) return std::nullopt;
    return failure;
}

} // namespace

RecoveryRecord recover_browser(ResourcePool& pool, WorkerId worker, const BrowserFailure& failure) {
    RecoveryManager manager{pool};
    auto [ec, record] = wait_for<RecoveryRecord>(
        [&](auto handler) { manager.async_recover(worker, failure, std::move(handler)); });
    if (ec)
        throw Error(ec, {"worker " + std::to_string(worker.value) + " was not recovered: " +
                             (record.path.empty() ? failure.message : record.text()),
                         {},
                         {},
                         ec});
    return record;
}

RecoveredRun run_with_recovery(ResourcePool& pool, Request request,
                               RunWithRecoveryOptions options) {
    if (options.recoveries_max > 16)
        throw std::invalid_argument("RunWithRecoveryOptions::recoveries_max must be 0 to 16");
    RecoveredRun out;
    for (std::uint32_t tried = 0;; ++tried) {
        auto [ec, result] =
            wait_for<Result>([&](auto handler) { pool.async_run(request, std::move(handler)); });
        const bool is_fine = !ec && (!options.is_right || options.is_right(result));
        if (is_fine) {
            out.result = std::move(result);
            return out;
        }
        const auto failure = failure_of(ec, result);
        if (!failure || !may_be_repeated(request) || tried == options.recoveries_max) {
            if (ec) throw Error(ec, std::move(result.diagnostics));
            throw Error(Errc::operation_failed,
                        {"the answer of worker " + std::to_string(result.worker.value) +
                             " is not right, says the host",
                         {},
                         {},
                         {}});
        }
        try {
            out.recoveries.push_back(recover_browser(pool, result.worker, *failure));
        } catch (const Error&) {
            // It has been replaced or given up. Who serves instead is asked next, or there is
            // nobody.
        }
    }
}

} // namespace everpool
