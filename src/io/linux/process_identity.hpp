// Everpool doors, Linux: which process a number means.
// SPDX-License-Identifier: BSL-1.0
//
// A process id is given anew once its process is gone. Together with the time at which the process
// was started, which counts from the machine's own start, it is not until that is started anew.
#pragma once

#include "everpool/browser_state.hpp"

namespace everpool::io {

/// Who has this number now; {} if nobody lives there.
[[nodiscard]] ProcessIdentity identity_of(int process);

/// Does exactly this process still live? False for pid 0.
[[nodiscard]] bool exists(const ProcessIdentity& process);

} // namespace everpool::io
