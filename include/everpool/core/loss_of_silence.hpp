// Everpool core: what hangs in a browser becomes the reason for which its worker is lost.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser/silence.hpp"
#include "everpool/core/event.hpp"

#include <optional>

namespace everpool::core {

/// Empty: nobody hangs.
constexpr std::optional<LossCause> loss_of(browser::Silence silence) noexcept {
    switch (silence) {
    case browser::Silence::none:
    case browser::Silence::busy: break;
    case browser::Silence::compute_hung: return LossCause::compute_hung;
    case browser::Silence::page_hung: return LossCause::page_hung;
    case browser::Silence::network_service_stopped: return LossCause::network_hung;
    case browser::Silence::browser_stopped:
    case browser::Silence::tree_stopped: return LossCause::browser_hung;
    }
    return std::nullopt;
}

} // namespace everpool::core
