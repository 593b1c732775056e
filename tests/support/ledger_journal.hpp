// Tests: what was given to a ledger, kept where no crash reaches it; and what came out again.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/prng.hpp"
#include "everpool/log/ledger.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace everpool::tests {

using Bytes = std::vector<std::byte>;

/// Bytes that only this tag gives, none of them zero (a sector of zeroes looks like a lost one).
inline Bytes bytes_of(std::uint64_t tag, std::size_t count) {
    core::Prng prng(tag);
    Bytes bytes(count);
    for (std::size_t i = 0; i < count; i += 8) {
        const std::uint64_t word = prng.next() | 0x0101'0101'0101'0101ULL;
        std::memcpy(bytes.data() + i, &word, std::min<std::size_t>(8, count - i));
    }
    return bytes;
}

/// The truth: every record that was appended, and how far durability was promised. The state of
/// these tests is a digest over all records.
class LedgerJournal {
public:
    void append(Bytes body) {
        std::uint64_t digest = digest_at(last()) * 31 + body.size();
        for (const std::byte b : body) digest = (digest ^ std::uint64_t(b)) * 0x100'0000'01b3ULL;
        records_.push_back({std::make_shared<const Bytes>(std::move(body)), digest});
    }
    void promise(log::Lsn lsn) { promised_ = std::max(promised_, lsn.value); }

    /// A recovery found so many: those after it are gone for good.
    void truncate(std::uint64_t last) { records_.resize(last); }

    [[nodiscard]] std::uint64_t last() const noexcept { return records_.size(); }
    [[nodiscard]] std::uint64_t promised() const noexcept { return promised_; }
    [[nodiscard]] const Bytes& body(std::uint64_t lsn) const { return *records_[lsn - 1].body; }
    [[nodiscard]] std::uint64_t digest_at(std::uint64_t lsn) const {
        return lsn == 0 ? 0 : records_[lsn - 1].digest;
    }

    /// A checkpoint of the state after `lsn`; a delta knows what it builds on.
    [[nodiscard]] Bytes checkpoint(std::uint64_t lsn, std::uint64_t parent) const {
        Bytes bytes = bytes_of(digest_at(lsn), 1500);
        const std::uint64_t parent_digest = digest_at(parent);
        std::memcpy(bytes.data(), &parent_digest, sizeof parent_digest);
        return bytes;
    }

private:
    struct Record {
        std::shared_ptr<const Bytes> body;
        std::uint64_t digest;
    };
    std::vector<Record> records_;
    std::uint64_t promised_{0};
};

/// Compares what a recovery gives with the journal.
class JournalVisitor final : public log::RecoveryVisitor {
public:
    explicit JournalVisitor(const LedgerJournal& journal) : journal_(journal) {}

    bool on_checkpoint(log::CheckpointKind kind, log::Lsn lsn,
                       std::span<const std::byte> body) override {
        const bool is_full = kind == log::CheckpointKind::full;
        if (is_full != (last_ == 0)) complain("a checkpoint is out of order");
        if (lsn.value > journal_.last()) complain("a checkpoint of what never was");
        else if (!std::ranges::equal(body, journal_.checkpoint(lsn.value, is_full ? 0 : last_)))
            complain("a checkpoint is of another state");
        last_ = lsn.value;
        return true;
    }
    void on_reset() override { last_ = 0; }
    bool on_record(log::Lsn lsn, std::span<const std::byte> body) override {
        if (lsn.value != last_ + 1)
            complain("record " + std::to_string(lsn.value) + " follows " + std::to_string(last_));
        if (lsn.value > journal_.last()) complain("a record that never was");
        else if (!std::ranges::equal(body, journal_.body(lsn.value)))
            complain("record " + std::to_string(lsn.value) + " is another one");
        last_ = lsn.value;
        return true;
    }

    [[nodiscard]] std::uint64_t last() const noexcept { return last_; }
    /// The first thing that was wrong; empty if nothing was.
    [[nodiscard]] const std::string& complaint() const noexcept { return complaint_; }

private:
    void complain(std::string what) {
        if (complaint_.empty()) complaint_ = std::move(what);
    }

    const LedgerJournal& journal_;
    std::uint64_t last_{0};
    std::string complaint_;
};

} // namespace everpool::tests
