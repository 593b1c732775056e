// The floors of keeping records: the least that has to be done, and nothing that could be read
// back.
// SPDX-License-Identifier: BSL-1.0
//
// No frames, no checksums, no recovery. Files are as large as they will be, and all of them was
// written before, so that a sync has no metadata to write.
#include "log_store.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <vector>

namespace bench {
namespace {

constexpr std::size_t file_bytes = std::size_t{16} << 20; // as a segment

/// A file of zeroes, written over and over.
class FloorFile {
public:
    explicit FloorFile(const std::filesystem::path& path)
        : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
        check(fd_ >= 0, "cannot make " + path.string());
        const std::vector<std::byte> zeroes(std::size_t{64} << 10); // see file_directory.cpp
        for (std::size_t at = 0; at < file_bytes; at += zeroes.size()) write(at, zeroes);
        sync();
    }
    FloorFile(const FloorFile&) = delete;
    FloorFile& operator=(const FloorFile&) = delete;
    ~FloorFile() { ::close(fd_); }

    void write(std::size_t at, std::span<const std::byte> bytes) const {
        check(::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(at)) ==
                  static_cast<ssize_t>(bytes.size()),
              "pwrite");
    }
    void sync() const { check(::fdatasync(fd_) == 0, "fdatasync"); }

private:
    const int fd_;
};

// --- group commit --------------------------------------------------------------------------------

/// Threads copy their records behind each other; one of them writes and syncs what is there, for
/// all. They wait as those of LogCommitter do, which was the fastest of what was tried: those whose
/// records are being written apart from those that come after, so that a sync wakes nobody in vain,
/// and the next leader first.
class GroupFloor final : public RecordStore {
public:
    GroupFloor(const std::filesystem::path& file, Level level) : level_(level), file_(file) {}

    void commit(std::uint64_t, std::span<const std::byte> record) override {
        std::unique_lock lock(mutex_);
        gathered_.insert(gathered_.end(), record.begin(), record.end());
        const std::uint64_t mine = ++count_, group = group_;
        while (done_ < mine) {
            if (failure_) std::rethrow_exception(failure_);
            if (is_flying_ || group_ != group) {
                waiting_[group % 2].wait(lock);
                continue;
            }
            is_flying_ = true;
            ++group_;
            flying_.swap(gathered_);
            const std::uint64_t last = count_;
            lock.unlock();
            std::exception_ptr failure;
            try {
                write_out();
            } catch (...) {
                failure = std::current_exception();
            }
            lock.lock();
            is_flying_ = false;
            if (failure) fail(failure);
            done_ = last;
            const bool has_next = count_ != last;
            lock.unlock();
            if (has_next) waiting_[(group + 1) % 2].notify_one();
            waiting_[group % 2].notify_all();
            return;
        }
    }

private:
    /// For all: those who wait would wait for ever.
    void fail(const std::exception_ptr& failure) {
        failure_ = failure;
        for (std::condition_variable& waiting : waiting_) waiting.notify_all();
        std::rethrow_exception(failure);
    }

    void write_out() {
        if (offset_ + flying_.size() > file_bytes) offset_ = 0; // from the beginning again
        file_.write(offset_, flying_);
        if (level_ == Level::durable) file_.sync();
        offset_ += flying_.size();
        flying_.clear();
    }

    const Level level_;
    const FloorFile file_;
    std::size_t offset_{0};         ///< the leader's
    std::vector<std::byte> flying_; ///< likewise

    std::mutex mutex_;
    std::array<std::condition_variable, 2> waiting_; ///< for groups of even and odd number
    std::vector<std::byte> gathered_;
    std::uint64_t group_{0}; ///< which group a record that comes now belongs to
    std::uint64_t count_{0}, done_{0};
    bool is_flying_{false};
    std::exception_ptr failure_; ///< of the first that failed; it ends the benchmark
};

// --- everybody for himself -----------------------------------------------------------------------

/// At places of one file that nobody else writes to at the same time.
class EachFloor final : public RecordStore {
public:
    EachFloor(const std::filesystem::path& file, Level level) : level_(level), file_(file) {}

    void commit(std::uint64_t number, std::span<const std::byte> record) override {
        file_.write(number * record.size() % file_bytes, record);
        if (level_ == Level::durable) file_.sync();
    }

private:
    const Level level_;
    const FloorFile file_;
};

// --- segments ------------------------------------------------------------------------------------

/// What a log has to do that keeps what was written, and whose segments become durable one after
/// the other: by one thread.
class SegmentFloor final : public RecordStore {
public:
    SegmentFloor(std::filesystem::path directory, Level level)
        : directory_(std::move(directory)), level_(level) {}

    void commit(std::uint64_t, std::span<const std::byte> record) override {
        if (!file_ || offset_ + record.size() > file_bytes) begin_file();
        file_->write(offset_, record);
        if (level_ == Level::durable) file_->sync();
        offset_ += record.size();
    }

private:
    void begin_file() {
        if (file_) file_->sync();
        file_ = std::make_unique<FloorFile>(directory_ / std::to_string(++count_));
        offset_ = 0;
        const int names = ::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        const bool is_synced = ::fsync(names) == 0;
        ::close(names);
        check(is_synced, "fsync of a directory");
    }

    const std::filesystem::path directory_;
    const Level level_;
    std::unique_ptr<FloorFile> file_;
    std::size_t offset_{0};
    std::uint64_t count_{0};
};

} // namespace

StorePtr make_group_floor(const std::filesystem::path& directory, Level level) {
    return std::make_unique<GroupFloor>(directory / "records", level);
}
StorePtr make_each_floor(const std::filesystem::path& directory, Level level) {
    return std::make_unique<EachFloor>(directory / "records", level);
}
StorePtr make_segment_floor(const std::filesystem::path& directory, Level level) {
    return std::make_unique<SegmentFloor>(directory, level);
}

} // namespace bench
