// Everpool log: whole files, and what the system's errors mean to a ledger.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"
#include "everpool/log/file_system.hpp"

#include <boost/system/errc.hpp>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::log::detail {

inline constexpr std::string_view manifest_name = "MANIFEST";
inline constexpr std::string_view manifest_draft_name = "MANIFEST.tmp";
inline constexpr std::string_view quarantine_prefix = "quarantine-";

/// Files are opened without following links, and what stands in the place of one is told so.
inline bool is_link_in_the_way(error_code cause) noexcept {
    return cause == boost::system::errc::too_many_symbolic_link_levels;
}

/// What a system's error means to the host.
inline Errc meaning_of(error_code cause) noexcept {
    namespace errc = boost::system::errc;
#ifdef EDQUOT
    if (cause.category() == boost::system::system_category() && cause.value() == EDQUOT)
        return Errc::storage_full;
#endif
    if (cause == errc::no_space_on_device || cause == errc::file_too_large)
        return Errc::storage_full;
    if (cause == errc::read_only_file_system || cause == errc::permission_denied ||
        cause == errc::operation_not_permitted || is_link_in_the_way(cause))
        return Errc::storage_not_writable;
    return Errc::storage_failed;
}

inline const char* remedy_of(error_code cause) noexcept {
    if (is_link_in_the_way(cause)) return "remove the link that is in the place of a file";
    switch (meaning_of(cause)) {
    case Errc::storage_full: return "free some room on the disk";
    case Errc::storage_not_writable:
        return "choose a directory that this user may write to, on a disk that is not read-only";
    default: return "the disk may be failing: see the system's log";
    }
}

/// "<file>: <what was done>: <the system's words>"
inline error_code storage_error(error_code cause, std::string_view file, std::string_view what,
                                Diagnostics& diagnostics) {
    diagnostics = {};
    diagnostics.message = std::string(file) + ": " + std::string(what) + ": " + cause.message();
    diagnostics.remedy = remedy_of(cause);
    diagnostics.last_cause = cause;
    return meaning_of(cause);
}

/// A sync after which nothing is certain, and trying again would prove nothing: storage_failed,
/// whatever the system calls it. (It may say that the disk is full, if it took the bytes before it
/// had room for them.)
inline error_code sync_error(error_code cause, std::string_view file, std::string_view what,
                             Diagnostics& diagnostics) {
    (void)storage_error(cause, file, what, diagnostics);
    diagnostics.remedy = remedy_of(Errc::storage_failed);
    return Errc::storage_failed;
}

inline bool is_absent(error_code cause) noexcept {
    return cause == boost::system::errc::no_such_file_or_directory;
}

/// Reads the file from its beginning, `bytes_max` of it at most; `bytes` keeps its memory.
inline error_code read_file(Directory& directory, std::string_view name, std::uint64_t bytes_max,
                            std::vector<std::byte>& bytes) {
    std::unique_ptr<File> file;
    if (error_code ec = directory.open(name, OpenMode::read, file)) return ec;
    std::uint64_t size = 0;
    if (error_code ec = file->size(size)) return ec;
    bytes.resize(static_cast<std::size_t>(std::min(size, bytes_max)));
    std::size_t count = 0;
    if (error_code ec = file->read(0, bytes, count)) return ec;
    bytes.resize(count);
    return {};
}

/// Makes the file anew, whatever was there, and syncs it; its name is not durable yet.
inline error_code write_file(Directory& directory, std::string_view name,
                             std::span<const std::byte> begin, std::span<const std::byte> rest) {
    std::unique_ptr<File> file;
    error_code ec = directory.open(name, OpenMode::create, file);
    if (ec == boost::system::errc::file_exists) {
        if (ec = directory.remove(name); ec) return ec;
        ec = directory.open(name, OpenMode::create, file);
    }
    if (ec) return ec;
    if (ec = file->write(0, begin); ec) return ec;
    if (!rest.empty())
        if (ec = file->write(begin.size(), rest); ec) return ec;
    return file->sync();
}

} // namespace everpool::log::detail
