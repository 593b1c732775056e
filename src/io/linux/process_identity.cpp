// SPDX-License-Identifier: BSL-1.0
#include "io/linux/process_identity.hpp"

#include "io/linux/proc_file.hpp"

#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

namespace everpool::io {

ProcessIdentity identity_of(int process) {
    if (process <= 0) return {};
    const std::string stat = read_stat(process);
    if (is_dead(stat)) return {};
    // The state's letter is field 3 of proc(5), the time of the start is field 22.
    std::string_view rest = stat;
    for (int field = 3; field < 22; ++field) {
        const std::size_t space = rest.find(' ');
        if (space == std::string_view::npos) return {};
        rest.remove_prefix(space + 1);
    }
    ProcessIdentity out{.pid = process};
    const auto [end, error] =
        std::from_chars(rest.data(), rest.data() + rest.size(), out.start_time_ticks);
    return error == std::errc{} ? out : ProcessIdentity{};
}

bool exists(const ProcessIdentity& process) {
    return process.pid > 0 && identity_of(process.pid) == process;
}

} // namespace everpool::io
