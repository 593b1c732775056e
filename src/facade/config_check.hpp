// Everpool facade: is a ResourcePoolConfig within its documented ranges?
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/resource_pool_config.hpp"

#include <cstdint>
#include <vector>

namespace everpool::facade {

/// Workers of one pool, at most.
inline constexpr std::uint32_t worker_count_max = 64;

/// Models of one pool, and operation modules, at most.
inline constexpr std::uint32_t model_count_max = 256;

/// \throws std::invalid_argument naming the member, its range and the value given.
void check_config(const ResourcePoolConfig& config);

/// Every worker's browser, in the order of ResourcePoolConfig::browsers: one entry a worker.
std::vector<BrowserSpec> expand_browsers(const ResourcePoolConfig& config);

} // namespace everpool::facade
