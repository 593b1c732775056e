// Tests: a real file system that is small, and can be made read-only.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/temporary_directory.hpp"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace everpool::tests {

/// A tmpfs that nobody else sees: a child process has mounted it in a namespace of its own, as root
/// or as whoever may make user namespaces, and we reach it by /proc/<child>/root. It is gone with
/// the child, and the child with us.
class SmallDisk {
public:
    explicit SmallDisk(std::size_t bytes) : mount_point_(where_.path.string()) {
        const std::string options = "mode=0755,size=" + std::to_string(bytes);
        const std::string uids = std::to_string(::geteuid()) + ' ' + std::to_string(::geteuid());
        const std::string gids = std::to_string(::getegid()) + ' ' + std::to_string(::getegid());
        int ends[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return;
        child_ = ::fork();
        if (child_ == 0) {
            ::close(ends[0]);
            serve(ends[1], options.c_str(), uids + " 1", gids + " 1");
        }
        ::close(ends[1]);
        line_ = ends[0];
        trouble_ = child_ < 0 ? errno : answer();
        path_ = "/proc/" + std::to_string(child_) + "/root" + mount_point_;
    }
    SmallDisk(const SmallDisk&) = delete;
    SmallDisk& operator=(const SmallDisk&) = delete;
    ~SmallDisk() {
        if (line_ >= 0) ::close(line_);
        if (child_ <= 0) return;
        ::kill(child_, SIGKILL);
        while (::waitpid(child_, nullptr, 0) < 0 && errno == EINTR) {}
    }

    /// False: no file system can be mounted here; why() says what the system said.
    [[nodiscard]] bool is_there() const noexcept { return trouble_ == 0; }
    [[nodiscard]] std::string why() const { return std::strerror(trouble_); }

    [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }

    /// Takes all the room that is left, by a file.
    void fill() {
        std::ofstream filler(path_ / "filler", std::ios::binary);
        const std::string page(4096, 'x');
        while (filler.write(page.data(), static_cast<std::streamsize>(page.size())).flush()) {}
    }
    void make_room() { std::filesystem::remove(path_ / "filler"); }

    /// False while a file is open for writing.
    bool set_read_only(bool is_read_only) {
        const char command = is_read_only ? 'r' : 'w';
        return ::send(line_, &command, 1, MSG_NOSIGNAL) == 1 && answer() == 0;
    }

private:
    static constexpr unsigned long flags = MS_NOSUID | MS_NODEV;

    int answer() const {
        int value = 0;
        return ::read(line_, &value, sizeof value) == sizeof value ? value : ECHILD;
    }

    // --- the child: system calls only ------------------------------------------------------------

    [[noreturn]] void serve(int line, const char* options, const std::string& uids,
                            const std::string& gids) const {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        const bool is_private = ::unshare(CLONE_NEWNS) == 0 || become_someone(uids, gids);
        bool is_done = is_private && ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, "") == 0 &&
                       ::mount("tmpfs", mount_point_.c_str(), "tmpfs", flags, options) == 0;
        for (;;) {
            const int trouble = is_done ? 0 : errno;
            char command = 0;
            if (::write(line, &trouble, sizeof trouble) < 0 || ::read(line, &command, 1) != 1)
                ::_exit(0);
            const unsigned long read_only = command == 'r' ? MS_RDONLY : 0;
            is_done = ::mount(nullptr, mount_point_.c_str(), nullptr,
                              MS_REMOUNT | MS_BIND | flags | read_only, "") == 0;
        }
    }

    /// Who is not root is, in a user namespace; and still the same user for everybody else.
    static bool become_someone(const std::string& uids, const std::string& gids) {
        const auto put = [](const char* file, const std::string& text) {
            const int out = ::open(file, O_WRONLY | O_CLOEXEC);
            const bool is_put = out >= 0 && ::write(out, text.data(), text.size()) ==
                                                static_cast<ssize_t>(text.size());
            if (out >= 0) ::close(out);
            return is_put;
        };
        return ::unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 && put("/proc/self/uid_map", uids) &&
               put("/proc/self/setgroups", "deny") && put("/proc/self/gid_map", gids);
    }

    const TemporaryDirectory where_;
    const std::string mount_point_;
    pid_t child_{-1};
    int line_{-1};
    int trouble_{ECHILD};
    std::filesystem::path path_;
};

} // namespace everpool::tests
