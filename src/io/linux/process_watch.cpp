// SPDX-License-Identifier: BSL-1.0
#include "io/linux/process_watch.hpp"

#include "io/linux/proc_file.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::io {

namespace {

constexpr unsigned pidfd_thread = O_EXCL; // PIDFD_THREAD, of Linux 6.9

/// Not open: errno says why.
Descriptor open_pidfd(int process, unsigned flags) {
    return Descriptor(static_cast<int>(::syscall(SYS_pidfd_open, process, flags)));
}

/// Members of a stat by their numbers in proc(5).
enum StatMember : int { flags_member = 9, signal_member = 31, exit_code_member = 52 };

unsigned number_at(std::string_view stat, StatMember which) {
    const std::string_view text = stat_member(stat, which);
    unsigned out = 0;
    std::from_chars(text.data(), text.data() + text.size(), out);
    return out;
}

/// The threads of a process but its first, which is the last to be heard of; oldest first.
std::vector<int> later_threads_of(int process) {
    std::vector<int> out = threads_of(process);
    std::erase(out, process);
    std::ranges::sort(out);
    return out;
}

} // namespace

/// Each thread of a process is sent a SIGKILL, however that ends, and its first thread may be the
/// last to hear of it. No browser ends its first thread alone.
bool is_dying(int process) {
    const std::string stat = read_stat(process);
    if (stat.empty()) return false;
    constexpr unsigned exiting = 0x4; // PF_EXITING of the kernel
    constexpr unsigned killed = 1U << (SIGKILL - 1);
    return is_dead(stat) || (number_at(stat, flags_member) & exiting) != 0 ||
           (number_at(stat, signal_member) & killed) != 0;
}

class ProcessWatch::Watch : public std::enable_shared_from_this<Watch> {
public:
    Watch(const boost::asio::any_io_executor& executor, int process, std::function<void()> died)
        : process_(process),
          process_fd_(executor),
          thread_fds_{Watched(executor), Watched(executor)},
          died_(std::move(died)) {}

    void begin(int group) {
        Descriptor pidfd = open_pidfd(process_, 0);
        if (!pidfd.is_open() && errno != ESRCH) return; // no descriptor left: that says nothing
        // Asked after the descriptor was had: a number that was given anew meanwhile is another
        // group's.
        if (!pidfd.is_open() || ::getpgid(process_) != group)
            return boost::asio::post(process_fd_.get_executor(), [weak = weak_from_this()] {
                if (const auto self = weak.lock()) self->tell();
            });
        wait_for(process_fd_, std::move(pidfd), [](Watch& self) { self.tell(); });
        for (Watched& fd : thread_fds_) watch_thread(fd);
    }

private:
    using Watched = boost::asio::posix::stream_descriptor;

    template <class Then>
    void wait_for(Watched& watched, Descriptor pidfd, Then then) {
        error_code ec;
        watched.assign(pidfd.get(), ec);
        if (ec) return; // it watches nothing then
        (void)pidfd.release();
        await_end(watched, then);
    }
    template <class Then>
    void await_end(Watched& watched, Then then) {
        watched.async_wait(Watched::wait_read,
                           [weak = weak_from_this(), &watched, then](error_code failed) {
                               const auto self = weak.lock();
                               if (!self || failed) return;
                               if (is_readable(watched.native_handle())) then(*self);
                               else self->await_end(watched, then);
                           });
    }

    /// The oldest one that has not been watched yet. If there is none any more, or the kernel
    /// watches no threads, the process's own end remains.
    void watch_thread(Watched& with) {
        for (const int thread : later_threads_of(process_)) {
            if (thread <= last_thread_) continue;
            last_thread_ = thread;
            Descriptor pidfd = open_pidfd(thread, pidfd_thread);
            if (!pidfd.is_open()) continue;
            return wait_for(with, std::move(pidfd),
                            [&with](Watch& self) { self.on_thread_ended(with); });
        }
    }

    /// Threads come and go, so that one has ended need not mean anything.
    void on_thread_ended(Watched& with) {
        with.close(); // one that is_dying() can have
        if (is_dying(process_)) return tell();
        watch_thread(with);
    }

    void tell() {
        process_fd_.close();
        for (Watched& fd : thread_fds_) fd.close();
        if (const auto died = std::exchange(died_, nullptr)) died();
    }

    int process_;
    int last_thread_{0};
    Watched process_fd_;
    /// Whichever thread ends last gives back the memory before, and is as late as the process. It
    /// can be but one of them.
    std::array<Watched, 2> thread_fds_;
    std::function<void()> died_;
};

ProcessWatch::ProcessWatch(const boost::asio::any_io_executor& executor, int process, int group,
                           std::function<void()> died)
    : watch_(std::make_shared<Watch>(executor, process, std::move(died))) {
    watch_->begin(group);
}

int wait_status_of(int process) {
    return static_cast<int>(number_at(read_stat(process), exit_code_member));
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
