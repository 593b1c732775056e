// Tests: a directory whose syncs wait at a gate, so that a test knows what happens during one.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/file_system.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::tests {

/// All calls go on to another directory. Must outlive its files.
class GatedDirectory final : public log::Directory {
public:
    using error_code = boost::system::error_code;

    explicit GatedDirectory(log::Directory& behind) : behind_(behind) {}

    /// The next sync of a file whose name begins so waits in front of the disk, until open_gate().
    void close_gate(std::string name_prefix = {}) {
        const std::lock_guard lock(mutex_);
        is_closed_ = true;
        prefix_ = std::move(name_prefix);
    }
    void open_gate() {
        const std::lock_guard lock(mutex_);
        is_closed_ = false;
        changed_.notify_all();
    }
    /// Returns when somebody waits at the gate.
    void await_arrival() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waiting_ != 0; });
    }
    /// Of files, since the beginning.
    [[nodiscard]] std::uint64_t syncs() const {
        const std::lock_guard lock(mutex_);
        return syncs_;
    }

    error_code open(std::string_view name, log::OpenMode mode,
                    std::unique_ptr<log::File>& file) override {
        std::unique_ptr<log::File> opened;
        if (error_code ec = behind_.open(name, mode, opened)) return ec;
        file = std::make_unique<GatedFile>(*this, std::string(name), std::move(opened));
        return {};
    }
    error_code list(std::vector<std::string>& names) override { return behind_.list(names); }
    error_code rename(std::string_view from, std::string_view to) override {
        return behind_.rename(from, to);
    }
    error_code remove(std::string_view name) override { return behind_.remove(name); }
    error_code sync() override { return behind_.sync(); }

private:
    class GatedFile final : public log::File {
    public:
        GatedFile(GatedDirectory& gate, std::string name, std::unique_ptr<log::File> behind)
            : gate_(gate), name_(std::move(name)), behind_(std::move(behind)) {}

        error_code write(std::uint64_t offset, std::span<const std::byte> bytes) override {
            return behind_->write(offset, bytes);
        }
        error_code read(std::uint64_t offset, std::span<std::byte> bytes,
                        std::size_t& count) override {
            return behind_->read(offset, bytes, count);
        }
        error_code sync() override {
            gate_.pass(name_);
            return behind_->sync();
        }
        error_code allocate(std::uint64_t bytes) override { return behind_->allocate(bytes); }
        error_code size(std::uint64_t& bytes) override { return behind_->size(bytes); }

    private:
        GatedDirectory& gate_;
        const std::string name_;
        std::unique_ptr<log::File> behind_;
    };

    void pass(const std::string& name) {
        std::unique_lock lock(mutex_);
        ++syncs_;
        if (!name.starts_with(prefix_)) return;
        ++waiting_;
        changed_.notify_all();
        changed_.wait(lock, [&] { return !is_closed_; });
        --waiting_;
    }

    log::Directory& behind_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t syncs_{0}, waiting_{0};
    bool is_closed_{false};
    std::string prefix_;
};

} // namespace everpool::tests
