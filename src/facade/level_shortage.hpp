// Everpool facade: what a fault tolerance level wants of a pool that has too few workers for it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"
#include "everpool/resource_pool_config.hpp"

#include <vector>

namespace everpool::facade {

/// What the level does not do here, as there are too few workers, each with its remedy; empty: it
/// does all. No reason to refuse a configuration: the pool serves, and is told that it may do so
/// with fewer (Request::redundancy). \pre check_config() has passed
std::vector<Diagnostics> shortages_of_level(const ResourcePoolConfig& config);

} // namespace everpool::facade
