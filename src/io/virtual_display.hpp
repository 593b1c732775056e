// Everpool doors: a screen that nobody sees, for a browser that does not run without one.
// SPDX-License-Identifier: BSL-1.0
//
// Each browser has an X server (Xvfb) of its own, in its own process group, so that it goes when
// the browser goes. It takes connections through an abstract socket only, which leaves no file, and
// from those only who know a secret, which is in the browser's directory. The host's own screen is
// used where there is no Xvfb, since windows would open there in somebody's face.
#pragma once

#include "io/linux/child_process.hpp"

#include <filesystem>

namespace everpool::io {

/// Changes `child` so that it runs on a display: on one of `server`'s, which is started before it,
/// or, if `server` is empty, on the host's. `directory`: the child's own.
/// \throws std::system_error
void put_on_display(ChildOptions& child, const std::filesystem::path& directory,
                    const std::filesystem::path& server);

} // namespace everpool::io
