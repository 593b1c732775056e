// SQLite: an insert, which is a transaction of its own, in WAL mode; synchronous=FULL if it is to
// be durable, else NORMAL, which leaves the WAL to the system.
// SPDX-License-Identifier: BSL-1.0
//
// One connection behind a mutex: with one per thread all but one wait for the file's lock by
// sleeping and asking again. Checkpoints of its WAL are put off until the end of the run.
#include "log_store.hpp"

#include <sqlite3.h>

#include <mutex>

namespace bench {
namespace {

class Connection {
public:
    Connection(const std::filesystem::path& file, Level level) {
        require(sqlite3_open_v2(file.c_str(), &db_,
                                SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                                nullptr),
                SQLITE_OK);
        require(sqlite3_busy_timeout(db_, 60'000), SQLITE_OK);
        run("PRAGMA journal_mode=WAL");
        run(level == Level::durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL");
        run("PRAGMA wal_autocheckpoint=0");
        run("CREATE TABLE IF NOT EXISTS records(number INTEGER PRIMARY KEY, body BLOB)");
        require(sqlite3_prepare_v2(db_, "INSERT INTO records VALUES(?, ?)", -1, &insert_, nullptr),
                SQLITE_OK);
    }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection() {
        sqlite3_finalize(insert_);
        sqlite3_close(db_);
    }

    void insert(std::uint64_t number, std::span<const std::byte> record) {
        sqlite3_bind_int64(insert_, 1, static_cast<sqlite3_int64>(number));
        sqlite3_bind_blob(insert_, 2, record.data(), static_cast<int>(record.size()),
                          SQLITE_STATIC);
        require(sqlite3_step(insert_), SQLITE_DONE);
        sqlite3_reset(insert_);
    }

private:
    void run(const char* statement) {
        require(sqlite3_exec(db_, statement, nullptr, nullptr, nullptr), SQLITE_OK);
    }
    void require(int result, int expected) {
        check(result == expected, std::string("SQLite: ") + sqlite3_errmsg(db_));
    }

    sqlite3* db_{nullptr};
    sqlite3_stmt* insert_{nullptr};
};

class SqliteStore final : public RecordStore {
public:
    SqliteStore(const std::filesystem::path& file, Level level) : connection_(file, level) {}

    void commit(std::uint64_t number, std::span<const std::byte> record) override {
        const std::lock_guard lock(mutex_);
        connection_.insert(number, record);
    }

private:
    std::mutex mutex_;
    Connection connection_;
};

} // namespace

StorePtr make_sqlite_store(const std::filesystem::path& directory, Level level) {
    return std::make_unique<SqliteStore>(directory / "records.db", level);
}

} // namespace bench
