// Everpool facade: is a BrowserStateManagerConfig within its documented ranges?
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_state_manager_config.hpp"

namespace everpool::facade {

/// The configuration, with what was left out filled in.
/// \throws std::invalid_argument naming the member, its range and the value given.
BrowserStateManagerConfig checked(BrowserStateManagerConfig config);

} // namespace everpool::facade
