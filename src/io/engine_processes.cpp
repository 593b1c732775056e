// SPDX-License-Identifier: BSL-1.0
#include "io/engine_processes.hpp"

#include "io/linux/proc_file.hpp"
#include "io/linux/process_group.hpp"

#include <string>
#include <string_view>

namespace everpool::io {
namespace {

bool is_of_chromium(const std::string& line, BrowserPart part) {
    const std::string_view mark = part == BrowserPart::gpu    ? " --type=gpu-process "
                                  : part == BrowserPart::page ? " --type=renderer "
                                                              : "=network.mojom.NetworkService ";
    return (line + ' ').find(mark) != std::string::npos;
}

/// Firefox names the kind last. One that has a site's page is named after that, which one that is
/// kept ready for a page to come is not.
bool is_of_firefox(int process, const std::string& line, BrowserPart part) {
    return part == BrowserPart::page && line.find("-contentproc") != std::string::npos &&
           line.ends_with(" tab") && read_proc(process, "comm").starts_with("Isolated Web Co");
}

/// WebKit has a program for each kind.
bool is_of_webkit(const std::string& line, BrowserPart part) {
    const std::string_view program = part == BrowserPart::gpu    ? "/WebKitGPUProcess"
                                     : part == BrowserPart::page ? "/WebKitWebProcess"
                                                                 : "/WebKitNetworkProcess";
    return std::string_view(line).substr(0, line.find(' ')).ends_with(program);
}

} // namespace

std::vector<int> engine_processes(BrowserEngine engine, BrowserPart part, int group) {
    std::vector<int> out = members_of_group(group);
    std::erase_if(out, [&](int process) {
        const std::string line = command_line_of(process);
        switch (engine) {
        case BrowserEngine::gecko: return !is_of_firefox(process, line, part);
        case BrowserEngine::webkit: return !is_of_webkit(line, part);
        case BrowserEngine::chromium: break;
        }
        return !is_of_chromium(line, part);
    });
    return out;
}

} // namespace everpool::io
