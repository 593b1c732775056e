// Everpool log: the abstract files that the ledger is kept in. A driver implements them over a real
// directory, the tests over a disk that fails.
// SPDX-License-Identifier: BSL-1.0
//
// What the ledger relies on, and nothing more:
//   * bytes written to a file are certain to be there after a crash only if File::sync() returned
//     without an error afterwards; until then each 512-byte sector of them may be there or not, in
//     any order;
//   * a file's name, and its new name, are certain to be there only if Directory::sync() returned
//     without an error afterwards; until then the old name, the new one or none may be found;
//   * rename replaces an existing file in one step: the name means one of the two, whole.
// After a sync that failed nothing is known of what it should have made durable, and asking again
// proves nothing: the pages may have been marked clean. The ledger therefore never does.
#pragma once

#include <boost/system/error_code.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::log {

using boost::system::error_code;

/// One open file. Errors are those of the system (generic or system category: ENOSPC, EIO, ...).
class File {
public:
    virtual ~File() = default;
    File(const File&) = delete;
    File& operator=(const File&) = delete;

    /// Writes all of `bytes` at `offset`, growing the file where it must. After an error any part
    /// of them may have been written.
    virtual error_code write(std::uint64_t offset, std::span<const std::byte> bytes) = 0;

    /// Reads up to bytes.size() bytes at `offset`; `count` is less only at the end of the file.
    virtual error_code read(std::uint64_t offset, std::span<std::byte> bytes,
                            std::size_t& count) = 0;

    /// Makes what was written, and the file's size, durable.
    virtual error_code sync() = 0;

    /// Makes the file `bytes` long, what is new filled with zeroes and given room on the disk, so
    /// that later writes and syncs there need not change the file's metadata.
    virtual error_code allocate(std::uint64_t bytes) = 0;

    virtual error_code size(std::uint64_t& bytes) = 0;

protected:
    File() = default;
};

enum class OpenMode : std::uint8_t {
    read,   ///< must exist
    write,  ///< must exist; for reading and writing
    create, ///< must not exist; for reading and writing
};

/// One directory of files without subdirectories. Names are plain: no slash, no dot in front.
class Directory {
public:
    virtual ~Directory() = default;
    Directory(const Directory&) = delete;
    Directory& operator=(const Directory&) = delete;

    virtual error_code open(std::string_view name, OpenMode mode, std::unique_ptr<File>& file) = 0;
    /// The names of all files, in no particular order.
    virtual error_code list(std::vector<std::string>& names) = 0;
    virtual error_code rename(std::string_view from, std::string_view to) = 0;
    virtual error_code remove(std::string_view name) = 0;
    /// Makes names durable: what was created, renamed and removed.
    virtual error_code sync() = 0;

protected:
    Directory() = default;
};

} // namespace everpool::log
