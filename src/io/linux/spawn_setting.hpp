// Everpool doors, Linux: what posix_spawn must be told for every child of ours.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "io/linux/descriptor.hpp"

#include <signal.h>
#include <spawn.h>
#include <sys/types.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace everpool::io {

/// A child's session. Linux shares processors out by session where autogroup is on: with a session
/// each, a thread of one of two busy browsers on two processors got hardly any for up to 0.6 s.
enum class ChildSession : std::uint8_t {
    of_host, ///< which shares with it
    own,     ///< nothing that is done to the host's session is done to it
};

/// A group of its own, and no signal blocked or ignored, whatever the host does with its own: what
/// is ignored is inherited, and a child that ignores SIGPIPE or SIGCHLD surprises those who wrote
/// it. Freed in the end.
class SpawnSetting {
public:
    explicit SpawnSetting(ChildSession session) {
        const int group = session == ChildSession::own ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP;
        posix_spawn_file_actions_init(&actions_);
        posix_spawnattr_init(&attributes_);
        sigset_t none, all;
        sigemptyset(&none);
        sigfillset(&all);
        posix_spawnattr_setsigmask(&attributes_, &none);
        posix_spawnattr_setsigdefault(&attributes_, &all);
        posix_spawnattr_setflags(&attributes_, static_cast<short>(group | POSIX_SPAWN_SETSIGMASK |
                                                                  POSIX_SPAWN_SETSIGDEF));
    }
    SpawnSetting(const SpawnSetting&) = delete;
    SpawnSetting& operator=(const SpawnSetting&) = delete;
    ~SpawnSetting() {
        posix_spawn_file_actions_destroy(&actions_);
        posix_spawnattr_destroy(&attributes_);
    }

    void redirect(const Descriptor& from, int to) {
        kept_max_ = std::max(kept_max_, to);
        posix_spawn_file_actions_adddup2(&actions_, from.get(), to);
    }
    /// What the child writes to `to` is seen by nobody.
    void silence(int to) {
        kept_max_ = std::max(kept_max_, to);
        posix_spawn_file_actions_addopen(&actions_, to, "/dev/null", O_WRONLY, 0);
    }

    /// Arguments begin with the program's own name; nothing of the environment is inherited, and no
    /// descriptor but those above: Asio's sockets do not close themselves on exec, so a browser
    /// would hold the bridge's port after the host's death.
    error_code spawn(const char* executable, std::vector<std::string> arguments,
                     std::vector<std::string> environment, pid_t& pid) {
        posix_spawn_file_actions_addclosefrom_np(&actions_, kept_max_ + 1);
        const int failure =
            ::posix_spawn(&pid, executable, &actions_, &attributes_, pointers_to(arguments).data(),
                          pointers_to(environment).data());
        return {failure, boost::system::system_category()};
    }

private:
    static std::vector<char*> pointers_to(std::vector<std::string>& texts) {
        std::vector<char*> out;
        for (std::string& text : texts) out.push_back(text.data());
        out.push_back(nullptr);
        return out;
    }

    posix_spawn_file_actions_t actions_;
    posix_spawnattr_t attributes_;
    int kept_max_{2};
};

} // namespace everpool::io
