// Everpool facade: answers that nobody computed, where the host prefers them to none.
// SPDX-License-Identifier: BSL-1.0
#include "facade/pool_driver.hpp"

#include <fmt/format.h>

#include <exception>
#include <utility>

namespace everpool::facade {

/// The last resort: no worker is left that could ever serve it. \return whether `result` is
/// labelled and has outputs; if not, its diagnostics say why
bool PoolDriver::simulate(Pending& pending, Result& result) {
    const SimulateFunction& simulation = config_.fault_tolerance.simulate;
    if (!simulation || pending.recovered) return false;
    Request request;
    request.operation = pending.run.operation;
    request.model = pending.run.model;
    request.inputs = std::move(pending.run.tensors);
    request.parameters = std::move(pending.run.parameters);
    try {
        result.outputs = simulation(request);
    } catch (const std::exception& error) {
        result.diagnostics.remedy =
            fmt::format("FaultToleranceOptions::simulate has thrown: {}", error.what());
        return false;
    } catch (...) {
        result.diagnostics.remedy = "FaultToleranceOptions::simulate has thrown";
        return false;
    }
    result.is_simulated = true;
    SnapshotBoard::add(board_.counters.simulated);
    return true;
}

} // namespace everpool::facade
