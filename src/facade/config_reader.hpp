// Everpool facade: a JSON value becomes a configuration's members.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/resource_pool_config.hpp"

#include <boost/json/value.hpp>

#include <filesystem>

namespace everpool::facade {

/// What `value` names is changed in `config`, and nothing else. Ranges are not looked at, but for
/// what no member can hold: check_config() does that.
///
/// Relative paths are put behind `directory`; if that is empty, they stay as they are.
/// \throws std::invalid_argument naming the member. Then `config` may have changed in part.
void read_config(const boost::json::value& value, ResourcePoolConfig& config,
                 const std::filesystem::path& directory = {});

} // namespace everpool::facade
