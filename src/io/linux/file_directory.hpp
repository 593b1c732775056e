// Everpool doors, Linux: the directory that a log is kept in.
// SPDX-License-Identifier: BSL-1.0
//
// One holder at a time, in all processes: `LOCK` is locked as long as the object lives, and the
// kernel unlocks it when the process ends, however that happens. The holder's number stands in it,
// for those who are turned away. flock belongs to the open file, so a second object of the same
// process is turned away as well; nothing that is started with exec inherits it.
//
// A limit of file sizes (ulimit -f) is told as a full disk, without its signal. One that is set
// while a file is open holds its signal back only from the next file on.
//
// Directory and files are private (0700, 0600), and a link in place of a file is never followed.
#pragma once

#include "everpool/error.hpp"
#include "everpool/log/file_system.hpp"
#include "io/linux/descriptor.hpp"

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace everpool::io {

class FileDirectory final : public log::Directory {
public:
    /// Locks `path`, which is made if only its last part is missing. Fails with
    ///   storage_in_use        somebody has it open; the message names the process
    ///   storage_not_writable  a read-only file system, permissions, or the parent is missing
    ///   storage_full, storage_failed
    /// and then has changed nothing.
    static error_code open(const std::filesystem::path& path, std::unique_ptr<FileDirectory>& out,
                           Diagnostics& diagnostics);
    ~FileDirectory() override;

    // Errors are the system's. The lock is not among the names.
    error_code open(std::string_view name, log::OpenMode mode,
                    std::unique_ptr<log::File>& file) override;
    error_code list(std::vector<std::string>& names) override;
    error_code rename(std::string_view from, std::string_view to) override;
    error_code remove(std::string_view name) override;
    error_code sync() override;

private:
    FileDirectory(Descriptor directory, Descriptor lock);

    const Descriptor directory_, lock_;
};

} // namespace everpool::io
