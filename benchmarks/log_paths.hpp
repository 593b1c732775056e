// Where the benchmark of the log writes.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "log_store.hpp"

#include <stdlib.h>
#include <sys/vfs.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

namespace bench {

inline std::filesystem::path bench_place() {
    const char* asked = std::getenv("EVERPOOL_BENCH_DIRECTORY");
    return asked != nullptr && *asked != '\0' ? std::filesystem::path(asked)
                                              : std::filesystem::current_path();
}

/// There, a sync costs nothing.
inline bool is_in_memory(const std::filesystem::path& path) {
    constexpr auto tmpfs_magic = 0x01021994;
    struct statfs status {};
    return ::statfs(path.c_str(), &status) == 0 && status.f_type == tmpfs_magic;
}

/// A directory of one's own, on the disk that is measured; removed in the end.
class BenchDirectory {
public:
    BenchDirectory() {
        std::string name = (bench_place() / "bench-log-XXXXXX").string();
        check(::mkdtemp(name.data()) != nullptr, "cannot make a directory like " + name);
        path = name;
    }
    BenchDirectory(const BenchDirectory&) = delete;
    BenchDirectory& operator=(const BenchDirectory&) = delete;
    ~BenchDirectory() {
        std::error_code ignored;
        std::filesystem::remove_all(path, ignored);
    }

    std::filesystem::path path;
};

} // namespace bench
