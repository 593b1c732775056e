// Everpool doors, Linux: who belongs to a process group.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace everpool::io {

/// The processes of this group, the dead ones that nobody has reaped yet included.
std::vector<int> members_of_group(int group);

/// Is there no process in this group any more that does anything? Dead members that their parent,
/// by now often the system's first process, has not reaped are not counted: some containers never
/// do.
bool is_group_gone(int group);

/// Who has started it; 0 if there is no such process.
int parent_of(int process);

/// A process's command line, its arguments separated by spaces. Empty if there is no such process.
std::string command_line_of(int process);

/// What may be done to a process.
enum class ProcessSignal : std::uint8_t {
    kill,  ///< SIGKILL
    stop,  ///< SIGSTOP
    go_on, ///< SIGCONT
};

/// \return whether there was such a process
bool send_signal(int process, ProcessSignal signal) noexcept;

} // namespace everpool::io
