// Everpool doors, Linux: who belongs to a process group.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>
#include <vector>

namespace everpool::io {

/// The processes of this group, the dead ones that nobody has reaped yet included.
std::vector<int> members_of_group(int group);

/// Is there no process in this group any more that does anything? Dead members that their parent,
/// by now often the system's first process, has not reaped are not counted: some containers never
/// do.
bool is_group_gone(int group);

/// A process's command line, its arguments separated by spaces. Empty if there is no such process.
std::string command_line_of(int process);

} // namespace everpool::io
