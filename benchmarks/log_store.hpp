// What the benchmark of the log puts side by side: something that keeps records.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>

namespace bench {

/// What is asked of a record before its commit returns.
enum class Level : std::uint8_t {
    os,      ///< it is with the operating system: it survives the process
    durable, ///< it is on the disk: it survives a power cut
};

/// Threads commit to it at the same time. Failures are thrown: they end the benchmark.
class RecordStore {
public:
    RecordStore() = default;
    RecordStore(const RecordStore&) = delete;
    RecordStore& operator=(const RecordStore&) = delete;
    virtual ~RecordStore() = default;

    /// `number` is used once; numbers grow, but for what threads do at the same time.
    virtual void commit(std::uint64_t number, std::span<const std::byte> record) = 0;
};

using StorePtr = std::unique_ptr<RecordStore>;
/// Each opens a store in an empty directory.
using StoreMaker = StorePtr (*)(const std::filesystem::path& directory, Level level);

inline void check(bool is_right, const std::string& what) {
    if (!is_right) throw std::runtime_error(what);
}

StorePtr make_everpool_store(const std::filesystem::path& directory, Level level);
// Those whose packages are there (bench_log.cmake).
StorePtr make_rocksdb_store(const std::filesystem::path& directory, Level level);
StorePtr make_leveldb_store(const std::filesystem::path& directory, Level level);
StorePtr make_sqlite_store(const std::filesystem::path& directory, Level level);

// The floors (log_floor.cpp).
/// Group commit by a leader, and nothing else.
StorePtr make_group_floor(const std::filesystem::path& directory, Level level);
/// Each writes and syncs for himself.
StorePtr make_each_floor(const std::filesystem::path& directory, Level level);
/// One file after the other, each made, filled and synced as a log's segments are.
StorePtr make_segment_floor(const std::filesystem::path& directory, Level level);

} // namespace bench
