// LevelDB: a put, with WriteOptions::sync if it is to be durable, else written to its log by
// write(). Writers queue up, and the first syncs for all.
// SPDX-License-Identifier: BSL-1.0
//
// No compression, and a memtable that the run does not fill. All else is its default.
#include "log_store.hpp"

#include <leveldb/db.h>

#include <array>
#include <cstring>

namespace bench {
namespace {

class LevelDbStore final : public RecordStore {
public:
    LevelDbStore(const std::filesystem::path& directory, Level level) {
        leveldb::Options options;
        options.create_if_missing = true;
        options.compression = leveldb::kNoCompression;
        options.write_buffer_size = std::size_t{1} << 30;
        leveldb::DB* db = nullptr;
        const leveldb::Status status = leveldb::DB::Open(options, directory.string(), &db);
        check(status.ok(), status.ToString());
        db_.reset(db);
        options_.sync = level == Level::durable;
    }

    void commit(std::uint64_t number, std::span<const std::byte> record) override {
        std::array<char, sizeof(number)> key;
        std::memcpy(key.data(), &number, key.size());
        const leveldb::Status status =
            db_->Put(options_, {key.data(), key.size()},
                     {reinterpret_cast<const char*>(record.data()), record.size()});
        check(status.ok(), status.ToString());
    }

private:
    std::unique_ptr<leveldb::DB> db_;
    leveldb::WriteOptions options_;
};

} // namespace

StorePtr make_leveldb_store(const std::filesystem::path& directory, Level level) {
    return std::make_unique<LevelDbStore>(directory, level);
}

} // namespace bench
