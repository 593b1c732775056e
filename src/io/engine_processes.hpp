// Everpool doors: which processes of a browser's group hold what, by their command lines.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/browser.hpp"

#include <vector>

namespace everpool::io {

/// Those of `group` that are this part of a browser of that engine. Not for BrowserPart::browser,
/// which only the browser's driver knows.
std::vector<int> engine_processes(BrowserEngine engine, BrowserPart part, int group);

} // namespace everpool::io
