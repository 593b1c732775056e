// RocksDB: a put, with WriteOptions::sync if it is to be durable, else written to its log by
// write(). Writers form groups, whose leader syncs for all.
// SPDX-License-Identifier: BSL-1.0
//
// No compression, and a memtable that the run does not fill, so that nothing is flushed or
// compacted while it is measured. All else is its default.
#include "log_store.hpp"

#include <rocksdb/db.h>

#include <array>
#include <cstring>

namespace bench {
namespace {

class RocksDbStore final : public RecordStore {
public:
    RocksDbStore(const std::filesystem::path& directory, Level level) {
        rocksdb::Options options;
        options.create_if_missing = true;
        options.compression = rocksdb::kNoCompression;
        options.write_buffer_size = std::size_t{1} << 30;
        rocksdb::DB* db = nullptr;
        const rocksdb::Status status = rocksdb::DB::Open(options, directory.string(), &db);
        check(status.ok(), status.ToString());
        db_.reset(db);
        options_.sync = level == Level::durable;
    }

    void commit(std::uint64_t number, std::span<const std::byte> record) override {
        std::array<char, sizeof(number)> key;
        std::memcpy(key.data(), &number, key.size());
        const rocksdb::Status status =
            db_->Put(options_, {key.data(), key.size()},
                     {reinterpret_cast<const char*>(record.data()), record.size()});
        check(status.ok(), status.ToString());
    }

private:
    std::unique_ptr<rocksdb::DB> db_;
    rocksdb::WriteOptions options_;
};

} // namespace

StorePtr make_rocksdb_store(const std::filesystem::path& directory, Level level) {
    return std::make_unique<RocksDbStore>(directory, level);
}

} // namespace bench
