// Everpool doors: what a WebDriver session is asked for.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_spec.hpp"

#include <boost/json/object.hpp>

#include <chrono>

namespace everpool::io {

/// The member "capabilities" of a new session. `script_timeout`: for how long a driver waits for a
/// page's main thread. The browser's profile is the driver's business.
boost::json::object webdriver_capabilities(const BrowserSpec& spec,
                                           std::chrono::milliseconds script_timeout);

/// Puts `more` into `all`: objects member by member, lists appended, everything else in place of
/// what is there.
void merge_capabilities(boost::json::object& all, const boost::json::object& more);

} // namespace everpool::io
