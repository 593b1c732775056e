// Everpool facade: is a ResourcePoolConfig within its documented ranges?
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/batch_rule.hpp"
#include "everpool/ids.hpp"
#include "everpool/resource_pool_config.hpp"

#include <cstdint>
#include <string_view>
#include <vector>

namespace everpool::facade {

/// Workers of one pool, at most.
inline constexpr std::uint32_t worker_count_max = 64;

/// Models of one pool, and operation modules, at most.
inline constexpr std::uint32_t model_count_max = 256;

/// \throws std::invalid_argument naming the member, its range and the value given.
void check_config(const ResourcePoolConfig& config);

/// Kinds of work whose run times are told apart: each model's inferences, echo, compute, and each
/// module's operation.
std::uint32_t work_count(const ResourcePoolConfig& config);
/// Which requests of each model go together; empty: none do. Their kinds of work follow those.
std::vector<core::BatchRule> batch_rules(const ResourcePoolConfig& config);
/// Which of them: less than work_count(). `model` is none() unless the operation is inference.
/// \pre the operation is one of the pool's
std::uint16_t work_of(const ResourcePoolConfig& config, std::string_view operation, ModelId model);

/// Standbys, as configured or by the level.
std::uint32_t standby_count(const ResourcePoolConfig& config);
/// Slots in which nothing runs until a worker is recovered by the strategy parallel.
std::uint32_t rival_count(const ResourcePoolConfig& config);

/// Every active worker's browser, in the order of ResourcePoolConfig::browsers: one entry a worker.
std::vector<BrowserSpec> expand_browsers(const ResourcePoolConfig& config);

} // namespace everpool::facade
