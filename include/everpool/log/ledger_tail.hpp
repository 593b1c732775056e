// Everpool log: the records at the end of a log that nothing proves to be durable.
// SPDX-License-Identifier: BSL-1.0
//
// A process that is started anew reads them, maybe from the system's cache alone: the sync that
// they waited for may never have happened, or may have failed. So they are written once more, to
// the new segment, before anything that follows them. A segment that begins below the end of the
// one before is such a repetition, and what both hold is the same.
#pragma once

#include "everpool/log/log_id.hpp"
#include "everpool/log/segment.hpp"
#include "everpool/log/segment_reader.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace everpool::log {

class UnsyncedTail {
public:
    void begin_segment(const SegmentHeader& header);
    /// The next record of that segment, and the chain before and after it.
    void add(const LogRecord& record, std::uint32_t chain_before, std::uint32_t chain_after);

    /// The last record that is known to have been durable.
    [[nodiscard]] Lsn synced() const noexcept { return synced_; }
    [[nodiscard]] Lsn last() const noexcept { return {synced_.value + entries_.size() - head_}; }
    /// The chain after a record from synced() to last(), as its newest copy has it. Empty for
    /// others.
    [[nodiscard]] std::optional<std::uint32_t> chain_at(Lsn lsn) const noexcept;

    /// Calls `use(body, is_compressed)` for the records after `from` up to `to`, with their bodies
    /// as they are stored. \pre from is not below synced()
    template <class Use>
    void for_each(Lsn from, Lsn to, Use use) const {
        for (std::uint64_t lsn = from.value + 1; lsn <= std::min(to, last()).value; ++lsn) {
            const Entry& entry = entries_[head_ + (lsn - synced_.value) - 1];
            use(std::span(bytes_).subspan(entry.offset, entry.bytes), entry.is_compressed);
        }
    }

private:
    struct Entry {
        std::size_t offset, bytes;
        std::uint32_t chain;
        bool is_compressed;
    };

    void begin_anew(Lsn synced, std::uint32_t chain) noexcept;
    void advance(Lsn synced);

    Lsn synced_;
    std::uint32_t chain_{0}; ///< after synced_
    std::vector<Entry> entries_;
    std::size_t head_{0}; ///< entries before it are of no interest any more
    std::vector<std::byte> bytes_;
};

// -------------------------------------------------------------------------------------------------

inline void UnsyncedTail::begin_anew(Lsn synced, std::uint32_t chain) noexcept {
    synced_ = synced;
    chain_ = chain;
    entries_.clear();
    bytes_.clear();
    head_ = 0;
}

inline void UnsyncedTail::begin_segment(const SegmentHeader& header) {
    const Lsn before{header.first.value - 1};
    if (before > last()) return begin_anew(before, header.chain);
    if (before == synced_) chain_ = header.chain;
    else if (before > synced_)
        entries_[head_ + (before.value - synced_.value) - 1].chain = header.chain;
    advance(header.synced);
}

inline void UnsyncedTail::add(const LogRecord& record, std::uint32_t chain_before,
                              std::uint32_t chain_after) {
    if (record.lsn <= synced_) return;
    if (record.lsn.value > last().value + 1) begin_anew({record.lsn.value - 1}, chain_before);
    if (record.lsn <= last()) {
        entries_[head_ + (record.lsn.value - synced_.value) - 1].chain = chain_after;
    } else {
        entries_.push_back({.offset = bytes_.size(),
                            .bytes = record.body.size(),
                            .chain = chain_after,
                            .is_compressed = record.is_compressed});
        bytes_.insert(bytes_.end(), record.body.begin(), record.body.end());
    }
    advance(record.synced);
}

inline void UnsyncedTail::advance(Lsn synced) {
    const Lsn to = std::min(synced, last());
    if (to <= synced_) return;
    head_ += to.value - synced_.value;
    synced_ = to;
    chain_ = entries_[head_ - 1].chain;
    // What is left is moved to the front when as much again lies before it: a constant cost each.
    if (head_ * 2 < entries_.size() || head_ < 64) return;
    const std::size_t gone = head_ < entries_.size() ? entries_[head_].offset : bytes_.size();
    bytes_.erase(bytes_.begin(), bytes_.begin() + static_cast<std::ptrdiff_t>(gone));
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
    for (Entry& entry : entries_) entry.offset -= gone;
    head_ = 0;
}

inline std::optional<std::uint32_t> UnsyncedTail::chain_at(Lsn lsn) const noexcept {
    if (lsn == synced_) return chain_;
    if (lsn < synced_ || lsn > last()) return std::nullopt;
    return entries_[head_ + (lsn.value - synced_.value) - 1].chain;
}

} // namespace everpool::log
