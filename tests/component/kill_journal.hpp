// Tests: what a state writer has said before it was killed, kept where no kill reaches it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "component/host/writer_report.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace everpool::tests {

/// One life of one writer.
class KillJournal {
public:
    struct Entry {
        std::size_t begin{0}, bytes{0};
        std::uint64_t number{0}; ///< 0: not told
        bool is_acknowledged{false};
        Durability durability{};
        bool is_found{false}; ///< for whoever compares
    };
    struct Key {
        std::uint16_t thread{0};
        std::uint32_t sequence{0};
    };

    /// Bytes as they come out of the pipe; the rest of a message may follow later, or never.
    void receive(std::span<const std::byte> bytes) {
        pending_.insert(pending_.end(), bytes.begin(), bytes.end());
        std::size_t at = 0;
        while (pending_.size() - at >= sizeof(Report)) {
            Report report;
            std::memcpy(&report, pending_.data() + at, sizeof report);
            if (pending_.size() - at < sizeof report + report.bytes) break;
            take(report, std::span(pending_).subspan(at + sizeof report, report.bytes));
            at += sizeof report + report.bytes;
        }
        pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(at));
    }

    [[nodiscard]] std::size_t count(ReportKind kind) const noexcept {
        return counts_[static_cast<std::size_t>(kind)];
    }
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

    /// Null: never announced.
    [[nodiscard]] Entry* find(Key key) noexcept {
        if (key.thread >= threads_.size() || key.sequence == 0) return nullptr;
        auto& entries = threads_[key.thread];
        if (key.sequence > entries.size() || entries[key.sequence - 1].bytes == 0) return nullptr;
        return &entries[key.sequence - 1];
    }
    [[nodiscard]] std::span<const std::byte> bytes_of(const Entry& entry) const noexcept {
        return std::span(arena_).subspan(entry.begin, entry.bytes);
    }
    /// By thread, the acknowledged ones among them; recovery's own in the last.
    [[nodiscard]] const auto& threads() const noexcept { return threads_; }

    /// What the listener told, in the order of the log; empty if there was none.
    struct Told {
        std::uint64_t number{0};
        Key key;
    };
    [[nodiscard]] const std::vector<Told>& told() const noexcept { return told_; }
    [[nodiscard]] std::span<const std::byte> recovery_bytes(std::uint32_t sequence) const {
        const auto& [begin, bytes] = recoveries_.at(sequence - 1);
        return std::span(arena_).subspan(begin, bytes);
    }

private:
    static constexpr std::size_t thread_count = 4;

    void take(const Report& report, std::span<const std::byte> bytes) {
        ++counts_[static_cast<std::size_t>(report.kind)];
        switch (report.kind) {
        case ReportKind::announced: {
            Entry& entry = at({report.thread, report.sequence});
            entry.begin = keep(bytes);
            entry.bytes = bytes.size();
            break;
        }
        case ReportKind::acknowledged: {
            Entry& entry = at({report.thread, report.sequence});
            entry.is_acknowledged = true;
            entry.durability = report.durability;
            if (report.number != 0) entry.number = report.number;
            break;
        }
        case ReportKind::applied:
            told_.push_back({report.number, {report.thread, report.sequence}});
            if (report.thread == recovery_thread)
                recoveries_.emplace_back(keep(bytes), bytes.size());
            break;
        case ReportKind::failed:
            failure_.assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            break;
        default: break;
        }
    }

    Entry& at(Key key) {
        auto& entries = threads_.at(key.thread);
        if (entries.size() < key.sequence) entries.resize(key.sequence);
        return entries[key.sequence - 1];
    }

    std::size_t keep(std::span<const std::byte> bytes) {
        arena_.insert(arena_.end(), bytes.begin(), bytes.end());
        return arena_.size() - bytes.size();
    }

    std::vector<std::byte> pending_, arena_;
    std::array<std::vector<Entry>, thread_count> threads_;
    std::vector<Told> told_;
    std::vector<std::pair<std::size_t, std::size_t>> recoveries_;
    std::array<std::size_t, 8> counts_{};
    std::string failure_;
};

} // namespace everpool::tests
