// What is particular to the real directory: locks, permissions, a full disk. What any directory
// must do is in tests/conformance.
// SPDX-License-Identifier: BSL-1.0
#include "everpool/log/ledger_files.hpp"
#include "io/linux/file_directory.hpp"
#include "support/catch.hpp"
#include "support/failing_call.hpp"
#include "support/file_size_limit.hpp"
#include "support/ordinary_user.hpp"
#include "support/temporary_directory.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>

namespace everpool::io {
namespace {

namespace fs = std::filesystem;
using log::OpenMode;
using tests::OrdinaryUser;
using tests::run_with_failing;
using tests::TemporaryDirectory;

std::unique_ptr<FileDirectory> open_there(const fs::path& path) {
    std::unique_ptr<FileDirectory> directory;
    Diagnostics diagnostics;
    const error_code ec = FileDirectory::open(path, directory, diagnostics);
    INFO(diagnostics.text());
    REQUIRE(!ec);
    REQUIRE(directory);
    return directory;
}

struct Refusal {
    error_code code;
    Diagnostics diagnostics;
};

Refusal refused(const fs::path& path) {
    std::unique_ptr<FileDirectory> directory;
    Refusal refusal;
    refusal.code = FileDirectory::open(path, directory, refusal.diagnostics);
    CHECK_FALSE(directory);
    CHECK(refusal.diagnostics.message.find(path.string()) != std::string::npos);
    CHECK_FALSE(refusal.diagnostics.remedy.empty());
    return refusal;
}

bool mentions(const std::string& text, std::string_view what) {
    INFO(text);
    return text.find(what) != std::string::npos;
}

std::unique_ptr<log::File> open_file(log::Directory& directory, std::string_view name,
                                     OpenMode mode) {
    std::unique_ptr<log::File> file;
    const error_code ec = directory.open(name, mode, file);
    INFO(name << ": " << ec.message());
    REQUIRE(!ec);
    return file;
}

int mode_of(const fs::path& path) {
    struct stat status {};
    REQUIRE(::lstat(path.c_str(), &status) == 0);
    return static_cast<int>(status.st_mode & 07777);
}

constexpr std::array<std::byte, 5> hello{std::byte{'h'}, std::byte{'e'}, std::byte{'l'},
                                         std::byte{'l'}, std::byte{'o'}};

/// Another process that has the directory open, until it is ended.
class Holder {
public:
    explicit Holder(const fs::path& path) {
        Pipe ready;
        REQUIRE(!ready.open());
        pid = ::fork();
        REQUIRE(pid >= 0);
        if (pid == 0) {
            std::unique_ptr<FileDirectory> directory;
            Diagnostics diagnostics;
            if (!FileDirectory::open(path, directory, diagnostics))
                (void)!::write(ready.write.get(), "y", 1);
            for (;;) ::pause();
        }
        ready.write.close();
        char byte = 0;
        const bool is_ready = ::read(ready.read.get(), &byte, 1) == 1;
        if (!is_ready) end();
        REQUIRE(is_ready);
    }
    Holder(const Holder&) = delete;
    Holder& operator=(const Holder&) = delete;
    ~Holder() { end(); }

    void end() {
        if (pid <= 0) return;
        ::kill(pid, SIGKILL);
        ::waitpid(pid, nullptr, 0);
        pid = 0;
    }

    pid_t pid{0};
};

TEST_CASE("a directory that is missing is made, and nobody else may look into it") {
    const TemporaryDirectory temporary;
    const fs::path path = temporary.path / "state";
    const auto directory = open_there(path);
    CHECK(mode_of(path) == 0700);
    CHECK(mode_of(path / "LOCK") == 0600);
    open_file(*directory, "segment", OpenMode::create);
    CHECK(mode_of(path / "segment") == 0600);
}

/// Where the kernel is told to refuse this and that.
void skip_without_filters() { std::cout << "skipped: system calls cannot be filtered here\n"; }

TEST_CASE("a directory's name is made durable by each who opens it, as its maker may have failed") {
    const TemporaryDirectory temporary;
    const fs::path path = temporary.path / "state";
    error_code maker, second;
    const bool is_run = run_with_failing({.number = SYS_fsync, .error = EIO}, [&] {
        std::unique_ptr<FileDirectory> directory;
        Diagnostics diagnostics;
        maker = FileDirectory::open(path, directory, diagnostics);
        second = FileDirectory::open(path, directory, diagnostics);
    });
    if (!is_run) return skip_without_filters();
    CHECK(maker == Errc::storage_failed);
    CHECK(fs::is_directory(path)); // a power cut may take it all the same
    CHECK(second == Errc::storage_failed);
    open_there(path);
}

TEST_CASE("a directory may lie in one that its owner must not list, and its name is durable too") {
    const TemporaryDirectory temporary;
    const fs::path outer = temporary.path / "outer", path = outer / "state";
    REQUIRE(fs::create_directories(path));
    REQUIRE(::chmod(temporary.path.c_str(), 0755) == 0);
    REQUIRE(::chmod(path.c_str(), 0777) == 0);
    REQUIRE(::chmod(outer.c_str(), 0111) == 0);
    error_code opened, failed;
    const auto open_as_ordinary_user = [&] {
        const OrdinaryUser ordinary;
        std::unique_ptr<FileDirectory> directory;
        Diagnostics diagnostics;
        return FileDirectory::open(path, directory, diagnostics);
    };
    opened = open_as_ordinary_user();
    const bool is_run = run_with_failing({.number = SYS_syncfs, .error = EIO},
                                         [&] { failed = open_as_ordinary_user(); });
    REQUIRE(::chmod(outer.c_str(), 0700) == 0);
    CHECK(!opened);
    if (!is_run) return skip_without_filters();
    CHECK(failed == Errc::storage_failed);
}

TEST_CASE("a directory whose outer file system knows of no sync is opened, as after a mount") {
    const TemporaryDirectory temporary;
    error_code opened = Errc::internal_error;
    const bool is_run = run_with_failing({.number = SYS_fsync, .error = EINVAL}, [&] {
        std::unique_ptr<FileDirectory> directory;
        Diagnostics diagnostics;
        opened = FileDirectory::open(temporary.path, directory, diagnostics);
    });
    if (!is_run) return skip_without_filters();
    CHECK(!opened);
}

TEST_CASE("a file that cannot be looked at is no file that is missing") {
    const TemporaryDirectory temporary;
    const auto directory = open_there(temporary.path);
    open_file(*directory, "segment", OpenMode::create);
    std::vector<std::string> names;
    error_code damaged, removed;
    const auto list_failing = [&](std::uint16_t error, error_code& outcome) {
        // The flag is of our question alone: the library asks for its own descriptors, too.
        return run_with_failing(
            {.number = SYS_newfstatat, .error = error, .argument = 3, .bits = AT_SYMLINK_NOFOLLOW},
            [&] { outcome = directory->list(names); });
    };
    if (!list_failing(EIO, damaged)) return skip_without_filters();
    CHECK(damaged == boost::system::errc::io_error);
    REQUIRE(list_failing(ENOENT, removed)); // by somebody else, meanwhile
    CHECK(!removed);
    CHECK(names.empty());
}

TEST_CASE("the file of the lock is not one of the log's, nor is what others put there") {
    const TemporaryDirectory temporary;
    fs::create_directory(temporary.path / "lost+found");
    fs::create_symlink("/etc/passwd", temporary.path / "link");
    std::ofstream(temporary.path / ".hidden") << "x";
    const auto directory = open_there(temporary.path);
    open_file(*directory, "segment", OpenMode::create);
    std::vector<std::string> names{"what was here before"};
    REQUIRE(!directory->list(names));
    CHECK(names == std::vector<std::string>{"segment"});
}

TEST_CASE("a second process is turned away and told the number of the first") {
    const TemporaryDirectory temporary;
    Holder holder(temporary.path);
    const Refusal refusal = refused(temporary.path);
    CHECK(refusal.code == Errc::storage_in_use);
    CHECK(mentions(refusal.diagnostics.message, "in use by process " + std::to_string(holder.pid)));
    holder.end(); // killed: nothing of it stays behind
    open_there(temporary.path);
}

TEST_CASE("a second object of the same process is turned away too, and told so") {
    const TemporaryDirectory temporary;
    auto first = open_there(temporary.path);
    const Refusal refusal = refused(temporary.path);
    CHECK(refusal.code == Errc::storage_in_use);
    CHECK(
        mentions(refusal.diagnostics.message, "this very process, " + std::to_string(::getpid())));
    CHECK(mentions(refusal.diagnostics.remedy, "open it once"));
    first.reset();
    first = open_there(temporary.path);
}

TEST_CASE("a lock that says nothing of its holder is respected all the same") {
    const TemporaryDirectory temporary;
    const auto first = open_there(temporary.path);
    const std::string written = GENERATE("", "rubbish", "99999999999999999999");
    std::ofstream(temporary.path / "LOCK", std::ios::trunc) << written;
    const Refusal refusal = refused(temporary.path);
    CHECK(refusal.code == Errc::storage_in_use);
    CHECK(mentions(refusal.diagnostics.message, "in use by another process"));
}

TEST_CASE("a directory that may not be written to is refused, and nothing in it is changed") {
    const TemporaryDirectory temporary;
    REQUIRE(::chmod(temporary.path.c_str(), 0755) == 0);
    const fs::path path = temporary.path / "state";
    REQUIRE(::mkdir(path.c_str(), 0555) == 0);
    {
        const OrdinaryUser ordinary;
        const Refusal refusal = refused(path);
        CHECK(refusal.code == Errc::storage_not_writable);
        CHECK(refusal.diagnostics.last_cause == boost::system::errc::permission_denied);
        CHECK(mentions(refusal.diagnostics.remedy, "may write to"));
    }
    CHECK(fs::is_empty(path));
}

TEST_CASE("a name that cannot become a directory is refused with what is in its way") {
    const TemporaryDirectory temporary;
    CHECK(refused(temporary.path / "missing" / "state").code == Errc::storage_not_writable);
    CHECK_FALSE(fs::exists(temporary.path / "missing"));
    std::ofstream(temporary.path / "file") << "x";
    const Refusal refusal = refused(temporary.path / "file");
    CHECK(refusal.code == Errc::storage_not_writable);
    CHECK(mentions(refusal.diagnostics.remedy, "a file is there"));
}

TEST_CASE("a link in place of a file is not followed, for the lock neither") {
    const TemporaryDirectory temporary, other;
    std::ofstream(other.path / "victim") << "precious";
    const auto directory = open_there(temporary.path);
    fs::create_symlink(other.path / "victim", temporary.path / "segment");
    std::unique_ptr<log::File> file;
    for (const OpenMode mode : {OpenMode::read, OpenMode::write}) {
        Diagnostics diagnostics;
        const error_code ec = directory->open("segment", mode, file);
        CHECK(log::detail::storage_error(ec, "segment", "open", diagnostics) ==
              Errc::storage_not_writable);
        CHECK(mentions(diagnostics.remedy, "link"));
        CHECK_FALSE(file);
    }
    CHECK(directory->open("segment", OpenMode::create, file));
    CHECK_FALSE(file);
    const TemporaryDirectory trapped;
    fs::create_symlink(other.path / "victim", trapped.path / "LOCK");
    const Refusal refusal = refused(trapped.path);
    CHECK(refusal.code == Errc::storage_not_writable);
    CHECK(mentions(refusal.diagnostics.remedy, "link"));
    std::ifstream victim(other.path / "victim");
    CHECK(std::string(std::istreambuf_iterator<char>(victim), {}) == "precious");
}

TEST_CASE("a file that may not become larger says so, and keeps what it had") {
    const TemporaryDirectory temporary;
    const auto directory = open_there(temporary.path);
    const auto file = open_file(*directory, "segment", OpenMode::create);
    REQUIRE(!file->write(0, hello));
    error_code refusal, write_refusal;
    {
        const tests::FileSizeLimit limit(4096); // as a full disk, but for this process alone
        refusal = file->allocate(1 << 20);
        write_refusal = file->write(4096, hello);
    }
    CHECK(refusal == boost::system::errc::file_too_large);
    CHECK(write_refusal == boost::system::errc::file_too_large);
    std::uint64_t bytes = 0;
    REQUIRE(!file->size(bytes));
    CHECK(bytes == hello.size());
}

/// The signal stays what it is, unlike with FileSizeLimit.
bool limit_file_size(rlim_t bytes) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_FSIZE, &limit) != 0) return false;
    limit.rlim_cur = std::min(bytes, limit.rlim_max);
    return ::setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

/// In a process of its own. \return 0, or which step went wrong.
int work_below_limit(const fs::path& path) {
    const auto is_full = [](error_code ec) {
        return ec && log::detail::meaning_of(ec) == Errc::storage_full;
    };
    if (::signal(SIGXFSZ, SIG_DFL) == SIG_ERR || !limit_file_size(0)) return 1;
    std::unique_ptr<FileDirectory> directory;
    Diagnostics diagnostics;
    if (FileDirectory::open(path, directory, diagnostics)) return 2; // its lock tells no number
    std::unique_ptr<log::File> file;
    if (directory->open("segment", OpenMode::create, file)) return 3;
    if (!is_full(file->write(0, hello))) return 4;
    if (!limit_file_size(4096) || file->allocate(4096) || file->write(0, hello)) return 5;
    if (!is_full(file->allocate(8192)) || !is_full(file->write(4096, hello))) return 6;
    sigset_t blocked, pending;
    if (::pthread_sigmask(SIG_SETMASK, nullptr, &blocked) != 0 || ::sigpending(&pending) != 0)
        return 7;
    return ::sigismember(&blocked, SIGXFSZ) == 0 && ::sigismember(&pending, SIGXFSZ) == 0 ? 0 : 8;
}

TEST_CASE("a limit of file sizes is a full disk, and does not end the host") {
    const TemporaryDirectory temporary;
    const pid_t pid = ::fork();
    REQUIRE(pid >= 0);
    if (pid == 0) ::_exit(work_below_limit(temporary.path));
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    INFO("signal " << (WIFSIGNALED(status) ? WTERMSIG(status) : 0));
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) == 0);
}

TEST_CASE("a signal of file sizes that the host keeps for itself is left to it") {
    const TemporaryDirectory temporary;
    const bool was_pending = GENERATE(false, true);
    void (*const handler)(int) = ::signal(SIGXFSZ, SIG_DFL);
    sigset_t signal, before, blocked, pending;
    sigemptyset(&signal);
    sigaddset(&signal, SIGXFSZ);
    REQUIRE(::pthread_sigmask(SIG_BLOCK, &signal, &before) == 0);
    if (was_pending) REQUIRE(::raise(SIGXFSZ) == 0);
    REQUIRE(limit_file_size(4096));
    const auto directory = open_there(temporary.path);
    const error_code refusal = open_file(*directory, "segment", OpenMode::create)->allocate(8192);
    REQUIRE(limit_file_size(RLIM_INFINITY));
    REQUIRE(::pthread_sigmask(SIG_SETMASK, nullptr, &blocked) == 0);
    REQUIRE(::sigpending(&pending) == 0);
    const timespec now{};
    if (::sigismember(&pending, SIGXFSZ) == 1) REQUIRE(::sigtimedwait(&signal, nullptr, &now) > 0);
    REQUIRE(::pthread_sigmask(SIG_SETMASK, &before, nullptr) == 0);
    ::signal(SIGXFSZ, handler);
    CHECK(refusal == boost::system::errc::file_too_large);
    CHECK(::sigismember(&blocked, SIGXFSZ) == 1);
    CHECK((::sigismember(&pending, SIGXFSZ) == 1) == was_pending);
}

TEST_CASE("a full device says that it is full") {
    const TemporaryDirectory temporary;
    const auto directory = open_there(temporary.path);
    // A twin of /dev/full, which only root may make, and not everywhere.
    if (::mknod((temporary.path / "full").c_str(), S_IFCHR | 0600, makedev(1, 7)) != 0) {
        std::cout << "skipped: no device can be made here\n";
        return;
    }
    std::unique_ptr<log::File> file;
    if (directory->open("full", OpenMode::write, file)) {
        std::cout << "skipped: devices mean nothing on this file system\n";
        return;
    }
    const error_code ec = file->write(0, hello);
    CHECK(ec == boost::system::errc::no_space_on_device);
}

TEST_CASE("errors of files are told by what a host can do about them") {
    const auto told = [](int value) {
        Diagnostics diagnostics;
        const error_code cause(value, boost::system::system_category());
        const error_code ec = log::detail::storage_error(cause, "segment", "write", diagnostics);
        CHECK(mentions(diagnostics.message, "segment: write: "));
        CHECK_FALSE(diagnostics.remedy.empty());
        CHECK(diagnostics.last_cause == cause);
        return ec;
    };
    CHECK(told(EIO) == Errc::storage_failed);
    CHECK(told(ENOSPC) == Errc::storage_full);
    CHECK(told(EDQUOT) == Errc::storage_full);
    CHECK(told(EFBIG) == Errc::storage_full);
    CHECK(told(EROFS) == Errc::storage_not_writable);
    CHECK(told(EACCES) == Errc::storage_not_writable);
}

TEST_CASE("room that was asked for is really taken, so that a full disk is noticed early") {
    const TemporaryDirectory temporary;
    const auto directory = open_there(temporary.path);
    const auto file = open_file(*directory, "segment", OpenMode::create);
    REQUIRE(!file->write(0, hello));
    REQUIRE(!file->allocate(3'000'000));
    struct stat status {};
    REQUIRE(::stat((temporary.path / "segment").c_str(), &status) == 0);
    CHECK(status.st_size == 3'000'000);
    REQUIRE(!file->sync()); // until then a file system may have promised only
    REQUIRE(::stat((temporary.path / "segment").c_str(), &status) == 0);
    CHECK(status.st_blocks * 512 >= 3'000'000);
}

} // namespace
} // namespace everpool::io
