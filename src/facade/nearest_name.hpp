// Everpool facade: which name was meant by one that is misspelt?
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace everpool::facade {

/// Letters to change, add, leave out or swap with their neighbours until `a` is `b`, whatever case
/// they have; `limit` + 1 for all that are more. Takes time and memory by their lengths: bounded
/// for all that differ in length by more than the limit.
std::size_t edit_distance(std::string_view a, std::string_view b, std::size_t limit);

/// The one of them that is the fewest such changes away, the first of several. Empty if none is
/// near enough to have been meant: one change for a name of up to 4 letters, two up to 8, else 3.
std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& known);

} // namespace everpool::facade
