// SPDX-License-Identifier: BSL-1.0
#include "io/linux/file_directory.hpp"

#include "everpool/log/ledger_files.hpp"
#include "io/linux/file_size_signal.hpp"

#include <fmt/format.h>

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <charconv>
#include <optional>
#include <span>
#include <utility>

namespace everpool::io {

namespace fs = std::filesystem;

namespace {

constexpr const char* lock_name = "LOCK";

/// Zeroes that are written at a time. The system's cache holds a file in pieces of the size that it
/// was written in, and ext4 looks at all of a piece with each small write to it afterwards: after
/// writes of 1 MiB a record costs nearly three times as much (2.0 us instead of 0.7, Linux 6.18).
constexpr std::size_t zeroes_bytes = std::size_t{64} << 10;

/// Names are ours, plain and short, so a copy with a zero behind it is cheap and always enough.
std::string plain(std::string_view name) {
    assert(!name.empty() && name.front() != '.' && name.find('/') == name.npos);
    return std::string(name);
}

off_t offset_of(std::uint64_t offset) { return static_cast<off_t>(offset); }

class RealFile final : public log::File {
public:
    explicit RealFile(Descriptor descriptor) : descriptor_(std::move(descriptor)) {}

    error_code write(std::uint64_t offset, std::span<const std::byte> bytes) override {
        std::optional<HeldFileSizeSignal> held;
        if (has_size_limit_) held.emplace();
        while (!bytes.empty()) {
            const ssize_t done =
                ::pwrite(descriptor_.get(), bytes.data(), bytes.size(), offset_of(offset));
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) return last_error();
            bytes = bytes.subspan(static_cast<std::size_t>(done));
            offset += static_cast<std::uint64_t>(done);
        }
        return {};
    }

    error_code read(std::uint64_t offset, std::span<std::byte> bytes, std::size_t& count) override {
        count = 0;
        while (count < bytes.size()) {
            const ssize_t done = ::pread(descriptor_.get(), bytes.data() + count,
                                         bytes.size() - count, offset_of(offset + count));
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) return last_error();
            if (done == 0) break;
            count += static_cast<std::size_t>(done);
        }
        return {};
    }

    error_code sync() override {
        // Not again after EINTR or anything else: what failed may have been forgotten by then.
        return ::fdatasync(descriptor_.get()) == 0 ? error_code{} : last_error();
    }

    error_code allocate(std::uint64_t bytes) override {
        std::uint64_t before = 0;
        if (error_code ec = size(before)) return ec;
        if (bytes <= before) return cut(bytes);
        const HeldFileSizeSignal held;
        error_code ec = reserve(before, bytes);
        if (!ec) ec = fill(before, bytes);
        if (ec) (void)cut(before);
        return ec;
    }

    error_code size(std::uint64_t& bytes) override {
        struct stat status {};
        if (::fstat(descriptor_.get(), &status) != 0) return last_error();
        bytes = static_cast<std::uint64_t>(status.st_size);
        return {};
    }

private:
    /// Asks for the room at once, so that it comes in one piece, and a full disk says so before
    /// anything has been written.
    error_code reserve(std::uint64_t from, std::uint64_t to) {
        while (::fallocate(descriptor_.get(), 0, offset_of(from), offset_of(to - from)) != 0) {
            if (errno == EINTR) continue;
            // Some file systems cannot; what follows needs no more than pwrite.
            return errno == EOPNOTSUPP || errno == ENOSYS ? error_code{} : last_error();
        }
        return {};
    }

    /// Reserved room is marked as never written, and taking that mark off is a change of metadata,
    /// at the sync of every record: so real zeroes are written here.
    error_code fill(std::uint64_t from, std::uint64_t to) {
        const std::vector<std::byte> zeroes(
            static_cast<std::size_t>(std::min<std::uint64_t>(to - from, zeroes_bytes)));
        while (from < to) {
            const std::span piece(zeroes.data(), static_cast<std::size_t>(std::min<std::uint64_t>(
                                                     to - from, zeroes.size())));
            if (error_code ec = write(from, piece)) return ec;
            from += piece.size();
        }
        return {};
    }

    error_code cut(std::uint64_t bytes) {
        while (::ftruncate(descriptor_.get(), offset_of(bytes)) != 0)
            if (errno != EINTR) return last_error();
        return {};
    }

    const Descriptor descriptor_;
    /// Asked for once: most have none, and each record would pay for the question.
    const bool has_size_limit_{has_file_size_limit()};
};

error_code sync_directory(int directory) {
    return ::fsync(directory) == 0 ? error_code{} : last_error();
}

/// Makes the directory's own name durable. Each who opens it does so: who made it may have died, or
/// failed, before he could.
error_code sync_name(int directory) {
    // Not what is left of the path: that may be where a link to the directory lies.
    const Descriptor outer(::openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (outer.is_open()) {
        const error_code ec = sync_directory(outer.get());
        // Read-only file systems that we are mounted in know of no sync: no name is lost there.
        return ec == boost::system::errc::invalid_argument ? error_code{} : ec;
    }
    if (errno != EACCES) return last_error();
    // What we were given lies in what we must not read: all of the file system, then.
    return ::syncfs(directory) == 0 ? error_code{} : last_error();
}

error_code explain_at(const fs::path& path, error_code cause, Diagnostics& diagnostics) {
    diagnostics = {};
    diagnostics.last_cause = cause;
    diagnostics.message = fmt::format("state directory {}: {}", path.string(), cause.message());
    switch (log::detail::meaning_of(cause)) {
    case Errc::storage_full:
        diagnostics.remedy = "free some room on its disk, or raise the quota or file size limit";
        return Errc::storage_full;
    case Errc::storage_not_writable:
        diagnostics.remedy = log::detail::is_link_in_the_way(cause)
                                 ? log::detail::remedy_of(cause)
                                 : fmt::format("choose a directory that user {} may write to, on a "
                                               "disk that is not read-only",
                                               ::geteuid());
        return Errc::storage_not_writable;
    default: break;
    }
    if (cause == boost::system::errc::no_such_file_or_directory) {
        diagnostics.remedy = "make the directory that it is to be in";
        return Errc::storage_not_writable;
    }
    if (cause == boost::system::errc::not_a_directory) {
        diagnostics.remedy = "choose another name: a file is there";
        return Errc::storage_not_writable;
    }
    diagnostics.remedy = log::detail::remedy_of(cause);
    return Errc::storage_failed;
}

/// Who holds the lock, as the holder wrote it; 0: not known.
int holder_of(int lock) {
    std::array<char, 16> text{};
    const ssize_t bytes = ::pread(lock, text.data(), text.size(), 0);
    int holder = 0;
    if (bytes > 0) std::from_chars(text.data(), text.data() + bytes, holder);
    return holder;
}

error_code explain_holder(const fs::path& path, int holder, Diagnostics& diagnostics) {
    diagnostics = {};
    diagnostics.last_cause = error_code(EWOULDBLOCK, boost::system::system_category());
    const bool is_own = holder == ::getpid();
    diagnostics.message = fmt::format(
        "state directory {} is in use by {}", path.string(),
        holder == 0 ? "another process"
                    : fmt::format("{} {}", is_own ? "this very process," : "process", holder));
    diagnostics.remedy = is_own ? "open it once, or choose another directory"
                                : "end that process, or choose another directory";
    return Errc::storage_in_use;
}

} // namespace

error_code FileDirectory::open(const fs::path& path, std::unique_ptr<FileDirectory>& out,
                               Diagnostics& diagnostics) {
    const auto fail = [&](error_code cause) { return explain_at(path, cause, diagnostics); };
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail(last_error());
    Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!directory.is_open()) return fail(last_error());
    if (error_code ec = sync_name(directory.get())) return fail(ec);
    Descriptor lock(
        ::openat(directory.get(), lock_name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (!lock.is_open()) return fail(last_error());
    while (::flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) return explain_holder(path, holder_of(lock.get()), diagnostics);
        if (errno != EINTR) return fail(last_error());
    }
    const std::string holder = fmt::format("{}\n", ::getpid());
    // On a full disk the number cannot be written. That is no reason to refuse.
    const HeldFileSizeSignal held;
    if (::ftruncate(lock.get(), 0) == 0)
        (void)!::pwrite(lock.get(), holder.data(), holder.size(), 0);
    out.reset(new FileDirectory(std::move(directory), std::move(lock)));
    return {};
}

FileDirectory::FileDirectory(Descriptor directory, Descriptor lock)
    : directory_(std::move(directory)), lock_(std::move(lock)) {}

// The file stays: were it removed, one process could lock the old one and another one the new.
FileDirectory::~FileDirectory() { (void)!::ftruncate(lock_.get(), 0); }

error_code FileDirectory::open(std::string_view name, log::OpenMode mode,
                               std::unique_ptr<log::File>& file) {
    int flags = O_CLOEXEC | O_NOFOLLOW;
    switch (mode) {
    case log::OpenMode::read: flags |= O_RDONLY; break;
    case log::OpenMode::write: flags |= O_RDWR; break;
    case log::OpenMode::create: flags |= O_RDWR | O_CREAT | O_EXCL; break;
    }
    Descriptor descriptor(::openat(directory_.get(), plain(name).c_str(), flags, 0600));
    if (!descriptor.is_open()) return last_error();
    file = std::make_unique<RealFile>(std::move(descriptor));
    return {};
}

error_code FileDirectory::list(std::vector<std::string>& names) {
    names.clear();
    // A descriptor of its own: a directory's position belongs to the open file.
    Descriptor descriptor(::openat(directory_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!descriptor.is_open()) return last_error();
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(descriptor.get()), &::closedir);
    if (!entries) return last_error();
    descriptor.release(); // closedir closes it
    errno = 0;
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view name = entry->d_name;
        if (name.front() == '.' || name == lock_name) continue;
        struct stat status {};
        if (::fstatat(directory_.get(), entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            // Gone meanwhile; anything else that was left out would pass for one that is lost.
            if (errno != ENOENT) return last_error();
        } else if (S_ISREG(status.st_mode)) {
            names.emplace_back(name);
        }
        errno = 0;
    }
    return errno == 0 ? error_code{} : last_error();
}

error_code FileDirectory::rename(std::string_view from, std::string_view to) {
    return ::renameat(directory_.get(), plain(from).c_str(), directory_.get(), plain(to).c_str()) ==
                   0
               ? error_code{}
               : last_error();
}

error_code FileDirectory::remove(std::string_view name) {
    return ::unlinkat(directory_.get(), plain(name).c_str(), 0) == 0 ? error_code{} : last_error();
}

error_code FileDirectory::sync() { return sync_directory(directory_.get()); }

} // namespace everpool::io
