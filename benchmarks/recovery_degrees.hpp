// Parts of scenario_recovery: how hard a fault strikes, and what that makes of one round of it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <everpool/fault_injector.hpp>

#include <chrono>
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

/// Over by itself: nothing has to be recovered. What is recovered all the same is one too many,
/// though not an error; of some, as a moderate slowness, it is a matter of the machine.
inline bool is_endured(everpool::Fault fault, everpool::FaultIntensity intensity) {
    using enum everpool::Fault;
    const bool is_mild = intensity == everpool::FaultIntensity::mild;
    switch (fault) {
    case browser_stop:
    case renderer_stop:
    case network_service_stop:
    case main_loop:
    case worker_loop: return is_mild;
    case slow:
    case gpu_hang:
    case oom: return intensity != everpool::FaultIntensity::severe;
    default: return false;
    }
}

/// How long such a fault goes on at most.
inline std::chrono::seconds length_of(everpool::Fault fault, everpool::FaultIntensity intensity) {
    const bool is_long =
        fault == everpool::Fault::slow && intensity == everpool::FaultIntensity::moderate;
    return std::chrono::seconds{is_long ? 30 : 5};
}

/// Those of which everpool::FaultIntensity says what it makes of them.
inline bool has_degrees(everpool::Fault fault) {
    using enum everpool::Fault;
    switch (fault) {
    case browser_stop:
    case renderer_stop:
    case network_service_stop:
    case main_loop:
    case worker_loop:
    case slow:
    case gpu_kill_repeated:
    case gpu_hang:
    case oom:
    case launch_failure:
    case wrong_answer:
    case cascade: return true;
    default: return false;
    }
}

/// "slow (mild)"; severe is not said.
inline std::string name_with_degree(everpool::Fault fault, everpool::FaultIntensity intensity) {
    std::string out(name_of(fault));
    if (has_degrees(fault) && intensity != everpool::FaultIntensity::severe)
        out += " (" + std::string(name_of(intensity)) + ')';
    return out;
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
