// Parts of scenario_recovery: how hard a fault strikes, and what that makes of one round of it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <everpool/fault_injector.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace scenario {

inline std::optional<everpool::FaultIntensity> intensity_from(std::string_view name) {
    using enum everpool::FaultIntensity;
    for (const everpool::FaultIntensity intensity : {mild, moderate, severe})
        if (name_of(intensity) == name) return intensity;
    return std::nullopt;
}

/// Over by itself before anything has to be recovered: it must be endured, and a recovery is one
/// too many, though not an error.
inline bool is_endured(everpool::Fault fault, everpool::FaultIntensity intensity) {
    using enum everpool::Fault;
    const bool is_mild = intensity == everpool::FaultIntensity::mild;
    switch (fault) {
    case browser_stop:
    case renderer_stop:
    case network_service_stop:
    case main_loop:
    case worker_loop:
    case slow:
    case gpu_hang: return is_mild;
    case oom: return intensity != everpool::FaultIntensity::severe;
    default: return false;
    }
}

/// How many faults of its kind one round is.
inline std::size_t faults_in_round(everpool::Fault fault, everpool::FaultIntensity intensity) {
    if (fault != everpool::Fault::gpu_kill_repeated) return 1;
    switch (intensity) {
    case everpool::FaultIntensity::mild: return 3;
    case everpool::FaultIntensity::moderate: return 6;
    case everpool::FaultIntensity::severe: break;
    }
    return 12;
}

/// What `n` of its row counts.
inline std::string counted_by(everpool::Fault fault, everpool::FaultIntensity intensity) {
    using enum everpool::Fault;
    switch (fault) {
    case gpu_kill_repeated:
        return "kills, " + std::to_string(faults_in_round(fault, intensity)) + " a round";
    case all_browsers_kill: return "rounds of all browsers at once";
    case cascade:
        return intensity == everpool::FaultIntensity::severe ? "rounds of 3 faults into each other"
                                                             : "rounds of 2 faults into each other";
    default: return "faults";
    }
}

} // namespace scenario
