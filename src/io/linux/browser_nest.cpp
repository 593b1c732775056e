// Everpool doors, Linux: the host's private directory, and what happens to it when the host dies.
// SPDX-License-Identifier: BSL-1.0
//
// <temp>/everpool-<uid>/            0700, ours
//     .lock                         held while a nest is made or swept, so that neither meets the
//                                   other halfway
//     XXXXXX/                       one nest
//         .alive                    locked by the host as long as it lives; unlocked by the kernel
//                                   when the host dies, however that happens
//         1/ 2/ ...                 one directory per browser
//
// The guardian is a shell in a session of its own that reads the host's pipe. When the pipe ends
// without "done", the host is dead: the guardian kills the groups it was told of, then whoever else
// has its home in the nest, and removes the nest. After "done" only these are left. The host says
// "release" before it reaps a group's leader, so the guardian never kills a group's number that
// somebody else has by now; an inhabitant's is used milliseconds after it was read. A shell, because
// a library has no helper program that it could be sure to find.
#include "io/browser.hpp"
#include "io/linux/descriptor.hpp"
#include "io/linux/spawn_setting.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>

namespace everpool::io {

namespace fs = std::filesystem;

namespace {

constexpr char guardian_script[] = R"(
trap '' HUP INT TERM
# Of what has left its group: Firefox's crash helper is such a process, has its home in the nest like
# the browser, and ends by itself up to two seconds after it.
kill_inhabitants() {
    found=1
    for environment in $(grep -lsF -- "HOME=$1/" /proc/[0-9]*/environ); do
        process=${environment#/proc/}
        kill -s KILL "${process%/environ}" 2>/dev/null && found=0
    done
    return $found
}
groups=' '
while read -r verb group; do
    case $verb in
    guard) groups="$groups$group " ;;
    release)
        case $groups in
        *" $group "*) groups="${groups%%" $group "*} ${groups#*" $group "}" ;;
        esac ;;
    done)
        kill_inhabitants "$1" & # the host waits for us, and must not for whatever /proc does
        exit 0 ;;
    esac
done
# -s: dash takes no double dash after -KILL.
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
# What is dying may still write: try again until nothing is left, for five seconds at most.
tries=0
until
    kill_inhabitants "$1"
    killed=$?
    rm -rf -- "$1" 2>/dev/null
    [ "$killed" -ne 0 ] && [ ! -e "$1" ]
do
    tries=$((tries + 1))
    [ "$tries" -lt 50 ] || exit 1
    sleep 0.1
done
)";

[[noreturn]] void fail(const std::string& what, int error = errno) {
    throw boost::system::system_error(error, boost::system::system_category(), what);
}

/// <temp>/everpool-<uid>, made or found, and proven to be ours: in a shared /tmp anybody could have
/// put a link or a directory of theirs there.
fs::path common_directory() {
    std::error_code ec;
    fs::path directory = fs::temp_directory_path(ec);
    if (ec) directory = "/tmp";
    directory /= fmt::format("everpool-{}", ::geteuid());
    // The guardian looks for it with grep, to which a line break means "or".
    if (directory.native().find('\n') != std::string::npos)
        fail("the path of the temporary directory has a line break", EINVAL);
    if (::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST)
        fail("cannot make " + directory.string());
    struct stat status {};
    if (::lstat(directory.c_str(), &status) != 0) fail("cannot examine " + directory.string());
    if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & 077) != 0)
        fail(directory.string() + " must be a directory of yours with mode 0700", EPERM);
    return directory;
}

Descriptor open_lock(const fs::path& file, int flags) {
    return Descriptor(::open(file.c_str(), flags | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
}

/// Removes it, although processes that are just dying may add files behind our back, and a dead
/// host's guardian may be removing it too: whoever finds something gone tries again, for a second
/// at most.
void remove_tree(const fs::path& directory) {
    for (int round = 0; round < 200; ++round) {
        std::error_code ec;
        fs::remove_all(directory, ec);
        if (fs::symlink_status(directory, ec).type() == fs::file_type::not_found) return;
        std::this_thread::sleep_for(std::chrono::milliseconds{5});
    }
}

/// Removes the nests whose hosts are dead. \pre the common lock is held
void sweep(const fs::path& common) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(common, ignored)) {
        if (!entry.is_directory(ignored) || entry.is_symlink(ignored)) continue;
        const Descriptor alive = open_lock(entry.path() / ".alive", 0);
        const bool is_dead = !alive.is_open() || ::flock(alive.get(), LOCK_EX | LOCK_NB) == 0;
        if (is_dead) remove_tree(entry.path());
    }
}

} // namespace

struct BrowserNest::State {
    fs::path directory;
    Descriptor alive; ///< locked; closed last: until then nobody sweeps what we are removing
    Descriptor guardian_in;
    pid_t guardian{0};
    unsigned directory_count{0};

    ~State() {
        tell("done\n");
        guardian_in.close();
        if (guardian != 0)
            while (::waitpid(guardian, nullptr, 0) < 0 && errno == EINTR) {}
        if (!directory.empty()) remove_tree(directory);
    }

    void tell(const std::string& line) const noexcept {
        // Short lines fit into a pipe's buffer at once; the guardian reads all the time. Were it
        // gone, MSG_NOSIGNAL has no equal for pipes, so SIGPIPE is held back here.
        if (!guardian_in.is_open()) return;
        sigset_t pipe_signal, old;
        sigemptyset(&pipe_signal);
        sigaddset(&pipe_signal, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe_signal, &old);
        const bool is_broken =
            ::write(guardian_in.get(), line.data(), line.size()) < 0 && errno == EPIPE;
        if (is_broken) {
            const timespec now{};
            (void)::sigtimedwait(&pipe_signal, nullptr, &now);
        }
        pthread_sigmask(SIG_SETMASK, &old, nullptr);
    }

    void start_guardian() {
        Pipe pipe;
        if (error_code ec = pipe.open()) fail("cannot make the guardian's pipe", ec.value());
        SpawnSetting setting(ChildSession::own);
        setting.redirect(pipe.read, 0);
        setting.silence(1);
        setting.silence(2);
        guardian_in = std::move(pipe.write);
        if (error_code ec = setting.spawn(
                "/bin/sh", {"sh", "-c", guardian_script, "everpool-guardian", directory.string()},
                {"PATH=/usr/bin:/bin"}, guardian)) {
            guardian = 0;
            fail("cannot start the guardian", ec.value());
        }
    }
};

BrowserNest::BrowserNest() : state_(std::make_unique<State>()) {
    const fs::path common = common_directory();
    const Descriptor lock = open_lock(common / ".lock", O_CREAT);
    if (!lock.is_open()) fail("cannot open " + (common / ".lock").string());
    while (::flock(lock.get(), LOCK_EX) != 0)
        if (errno != EINTR) fail("cannot lock " + common.string());
    sweep(common);
    std::string name = (common / "XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail("cannot make a directory in " + common.string());
    state_->directory = name;
    state_->alive = open_lock(state_->directory / ".alive", O_CREAT);
    if (!state_->alive.is_open() || ::flock(state_->alive.get(), LOCK_EX | LOCK_NB) != 0)
        fail("cannot lock " + name);
    state_->start_guardian();
}

BrowserNest::~BrowserNest() = default;

fs::path BrowserNest::make_directory() {
    const fs::path directory = state_->directory / std::to_string(++state_->directory_count);
    if (::mkdir(directory.c_str(), 0700) != 0) fail("cannot make " + directory.string());
    return directory;
}

void BrowserNest::guard(int process_group) {
    state_->tell(fmt::format("guard {}\n", process_group));
}

void BrowserNest::release(int process_group) {
    state_->tell(fmt::format("release {}\n", process_group));
}

} // namespace everpool::io
