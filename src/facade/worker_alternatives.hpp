// Everpool facade: which browsers a worker may turn to when its own does not come back.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_spec.hpp"
#include "everpool/core/core_config.hpp"
#include "everpool/model_spec.hpp"
#include "everpool/resource_pool_config.hpp"

#include <optional>
#include <vector>

namespace everpool::facade {

/// What all models have in common; empty: nothing, or there is none.
std::optional<ModelFamily> common_family(const std::vector<ModelSpec>& models);

/// For a worker whose browser is `own`, resolved already: other installed browsers of its type,
/// then one of each other installed type in the family's order of preference, with their
/// executables; then those of `remote`, the browsers on other machines, but for itself.
std::vector<BrowserSpec> alternatives_of(const BrowserSpec& own, std::optional<ModelFamily> family,
                                         const std::vector<BrowserSpec>& remote = {});

/// The same for the core, which knows machines by their numbers: who has the same WebDriver
/// endpoint, or none, is on the same one.
std::vector<core::WorkerAlternative> core_alternatives(const BrowserSpec& own,
                                                       const std::vector<BrowserSpec>& others);

/// The standby of a pool whose first worker's browser is `own`: of the next type that it may turn
/// to, because what kills the one need not kill the other; else the same.
BrowserSpec standby_for(const BrowserSpec& own, std::optional<ModelFamily> family);

} // namespace everpool::facade
