// Everpool: what a worker is there for.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string_view>

namespace everpool {

/// A pool has as many active workers and standbys as its configuration says, whatever is being
/// recovered. Rivals and those that wait to become one exist under RecoveryStrategy::parallel only.
enum class WorkerRole : std::uint8_t {
    active,  ///< takes work; keeps the role while it is recovered
    standby, ///< ready like any other; takes work only while an active worker is missing
    rival,   ///< is being started, to take the place of an active worker if it is ready before it
    dormant, ///< nothing runs there; may become a rival
};

constexpr std::string_view name_of(WorkerRole role) noexcept {
    switch (role) {
    case WorkerRole::active: return "active";
    case WorkerRole::standby: return "standby";
    case WorkerRole::rival: return "rival";
    case WorkerRole::dormant: return "dormant";
    }
    return "unrecognised";
}

} // namespace everpool
