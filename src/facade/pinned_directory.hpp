// Everpool facade: a directory in which nothing that is being read is removed.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"
#include "everpool/log/file_system.hpp"
#include "everpool/log/ledger_files.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::facade {

/// Hands every call on, but for one: while somebody reads (pin()), what is in quarantine is not
/// removed at once, but when the last reader has gone. What the ledger clears away it renames
/// first, and readers look for it by both names; so a reader finds everything that was there when
/// it began, however many checkpoints are made meanwhile. Nobody waits for anybody.
///
/// Removing late is no danger: what a crash leaves in quarantine is removed later.
class PinnedDirectory final : public log::Directory {
public:
    explicit PinnedDirectory(std::unique_ptr<log::Directory> behind) : behind_(std::move(behind)) {}

    /// As long as it lives. Must not outlive the directory.
    class Pin {
    public:
        explicit Pin(PinnedDirectory& directory) : directory_(directory) {
            const std::scoped_lock lock(directory_.mutex_);
            ++directory_.readers_;
        }
        ~Pin() { directory_.unpin(); }
        Pin(const Pin&) = delete;
        Pin& operator=(const Pin&) = delete;

    private:
        PinnedDirectory& directory_;
    };
    [[nodiscard]] Pin pin() { return Pin(*this); }

    error_code open(std::string_view name, log::OpenMode mode,
                    std::unique_ptr<log::File>& file) override {
        return behind_->open(name, mode, file);
    }
    error_code list(std::vector<std::string>& names) override { return behind_->list(names); }
    error_code rename(std::string_view from, std::string_view to) override {
        return behind_->rename(from, to);
    }
    error_code remove(std::string_view name) override {
        if (name.starts_with(log::detail::quarantine_prefix)) {
            const std::scoped_lock lock(mutex_);
            if (readers_ != 0) {
                if (std::ranges::find(doomed_, name) == doomed_.end()) doomed_.emplace_back(name);
                return {};
            }
        }
        return behind_->remove(name);
    }
    error_code sync() override { return behind_->sync(); }

private:
    void unpin() {
        std::vector<std::string> doomed;
        {
            const std::scoped_lock lock(mutex_);
            if (--readers_ != 0) return;
            doomed.swap(doomed_);
        }
        for (const std::string& name : doomed) (void)behind_->remove(name);
    }

    const std::unique_ptr<log::Directory> behind_;
    std::mutex mutex_;
    std::size_t readers_{0};
    std::vector<std::string> doomed_;
};

} // namespace everpool::facade
