// SPDX-License-Identifier: BSL-1.0
#include "io/linux/process_watch.hpp"

#include "io/linux/proc_file.hpp"

#include <boost/asio/post.hpp>

#include <dirent.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace everpool::io {

ProcessWatch::ProcessWatch(const boost::asio::any_io_executor& executor, int process, int group,
                           std::function<void()> ended)
    : pidfd_(executor) {
    const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, process, 0));
    if (pidfd >= 0) pidfd_.assign(pidfd);
    // Asked after the descriptor was had: a number that was given anew meanwhile is another
    // group's.
    if (pidfd < 0 || ::getpgid(process) != group) {
        boost::asio::post(pidfd_.get_executor(), std::move(ended));
        return;
    }
    pidfd_.async_wait(boost::asio::posix::descriptor_base::wait_read,
                      [ended = std::move(ended)](boost::system::error_code ec) {
                          if (!ec) ended();
                      });
}

namespace {

/// The inodes of the process's sockets, as /proc names them: "socket:[12345]".
std::set<std::string, std::less<>> sockets_of(int process) {
    std::set<std::string, std::less<>> out;
    const std::string folder = "/proc/" + std::to_string(process) + "/fd";
    const std::unique_ptr<DIR, int (*)(DIR*)> files(::opendir(folder.c_str()), &::closedir);
    if (!files) return out;
    constexpr std::string_view beginning = "socket:[";
    while (const dirent* entry = ::readdir(files.get())) {
        std::array<char, 64> target;
        const ssize_t bytes =
            ::readlink((folder + '/' + entry->d_name).c_str(), target.data(), target.size());
        if (bytes <= static_cast<ssize_t>(beginning.size())) continue;
        const std::string_view name(target.data(), static_cast<std::size_t>(bytes));
        if (name.starts_with(beginning) && name.ends_with(']'))
            out.emplace(name.substr(beginning.size(), name.size() - beginning.size() - 1));
    }
    return out;
}

} // namespace

unsigned short listening_port_of(int process) {
    const auto sockets = sockets_of(process);
    if (sockets.empty()) return 0;
    std::istringstream table(read_proc(process, "net/tcp"));
    std::string line;
    std::getline(table, line); // headings
    while (std::getline(table, line)) {
        // "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ..."
        std::istringstream fields(line);
        std::array<std::string, 10> field;
        for (std::string& one : field) fields >> one;
        const std::size_t colon = field[1].find(':');
        constexpr std::string_view listening = "0A";
        if (field[3] != listening || colon == std::string::npos || !sockets.contains(field[9]))
            continue;
        return static_cast<unsigned short>(std::stoul(field[1].substr(colon + 1), nullptr, 16));
    }
    return 0;
}

} // namespace everpool::io
