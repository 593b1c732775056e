// Everpool doors: what a WebDriver session is asked for.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_spec.hpp"

#include <boost/json/object.hpp>

#include <chrono>
#include <optional>

namespace everpool::io {

/// The member "capabilities" of a new session. `script_timeout`: for how long a driver waits for a
/// page's main thread. The browser's profile is the driver's business.
///
/// BiDi is asked for as a first match, with a second one that is the same without it: a driver that
/// has none takes that. What the host's capabilities_json says of webSocketUrl goes before. Its
/// alternatives (firstMatch) stay in its order, each twice like that; what of ours they speak of is
/// moved into them, since no name may stand in both.
boost::json::object webdriver_capabilities(const BrowserSpec& spec,
                                           std::chrono::milliseconds script_timeout);

/// The same without BiDi, for a driver that knows no such word. Empty if it is not asked for, or
/// asked for by the host as a must.
std::optional<boost::json::object> without_bidi(boost::json::object capabilities);

/// Puts `more` into `all`: objects member by member, lists appended, everything else in place of
/// what is there.
void merge_capabilities(boost::json::object& all, const boost::json::object& more);

} // namespace everpool::io
