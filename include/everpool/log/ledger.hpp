// Everpool log: the ledger. Records go in and are durable when it says so; after a crash they come
// out again, all of them, in order, and nothing else.
// SPDX-License-Identifier: BSL-1.0
//
//     std::optional<Ledger> ledger;
//     RecoveryReport report;
//     Diagnostics why;
//     if (error_code ec = Ledger::open(directory, {}, fresh_id, visitor, report, why, ledger)) ...
//     Lsn lsn;
//     if (error_code ec = ledger->append(body, lsn)) ...   // in memory
//     if (error_code ec = ledger->sync()) ...              // durable: a power cut does not take it
//
// Not thread-safe: one caller at a time, and no locks inside. Whoever shares it holds his own lock
// around the calls, and does the waiting for the disk without it:
//
//     lock:    Batch batch = ledger.take(Reach::disk);
//     unlock:  batch.perform();                            // others append meanwhile
//     lock:    error_code ec = ledger.done(std::move(batch));
//
// The same for checkpoints: begin_checkpoint() and publish() under the lock,
// CheckpointPlan::write() and Publication::perform() without it. These may run at the same time as
// a batch: the directory has to bear calls from several threads, for different files. One batch is
// out at a time, and one checkpoint from begin_checkpoint() until its publication is done, or the
// plan is dropped. Beside a batch that only writes take_sync() may be out, which syncs the same
// file.
//
// Promises, on a disk that keeps what file_system.hpp says:
//   * after a crash at any moment open() succeeds (but in mode absolute, if there is an end to be
//     cut off), and gives every record up to durable(); those after it may be there or not, but
//     none without all those before it;
//   * nothing is given that was not appended; what a crash cut off never comes back;
//   * open() destroys nothing, least of all when it returns an error; and no file is ever removed
//     that the kept checkpoints need: what they do not is renamed first, and removed two later;
//   * a segment that was recovered is never written again: the log goes on in a new one. What may
//     have been read from the system's cache alone (it was never known to be durable) is written
//     there once more, with the first batch.
//
// After a sync that failed the ledger is poisoned: what had been written may be gone although it
// can be read, and syncing again would prove nothing. All later calls fail with storage_failed;
// open a new one. A write that failed (disk full) loses nothing: the bytes stay in memory, and the
// next batch writes them to the same place.
#pragma once

#include "everpool/error.hpp"
#include "everpool/log/checkpoint_file.hpp"
#include "everpool/log/file_system.hpp"
#include "everpool/log/ledger_batch.hpp"
#include "everpool/log/ledger_checkpoint.hpp"
#include "everpool/log/ledger_config.hpp"
#include "everpool/log/ledger_reading.hpp"
#include "everpool/log/log_id.hpp"
#include "everpool/log/manifest.hpp"
#include "everpool/log/record_body.hpp"
#include "everpool/log/segment_writer.hpp"
#include "everpool/recovery_report.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace everpool::log {

/// Whoever a log is recovered for: builds the state anew, from a checkpoint and what follows it.
class RecoveryVisitor {
public:
    virtual ~RecoveryVisitor() = default;
    RecoveryVisitor(const RecoveryVisitor&) = delete;
    RecoveryVisitor& operator=(const RecoveryVisitor&) = delete;

    // They may throw, for what is no damage: a body of a newer version, no memory. open() ends by
    // that exception then, and has changed nothing: what they refuse, it may cut off.

    /// A full checkpoint first, then the deltas that build on it, in order; `lsn` is the last
    /// record that is in it. False: it makes no sense. on_reset() follows, and an older one if
    /// there is one.
    virtual bool on_checkpoint(CheckpointKind kind, Lsn lsn, std::span<const std::byte> body) = 0;
    /// Forget everything that came so far.
    virtual void on_reset() = 0;
    /// A record after the checkpoint: in order and, but in mode salvage, without gaps. False: it
    /// makes no sense, and nothing was changed by it; it counts as damaged.
    virtual bool on_record(Lsn lsn, std::span<const std::byte> body) = 0;

protected:
    RecoveryVisitor() = default;
};

class Ledger {
public:
    /// Recovers the log in `directory`, or makes a new one, named `fresh_id`, if there is none. The
    /// directory must outlive the ledger. Files that are not the log's are left alone. `report` is
    /// filled in as far as it went, with an error too. Throws std::invalid_argument for a
    /// configuration that is out of range, std::bad_alloc, and what the visitor throws. Exceptions,
    /// and errors, and then no segment and no checkpoint has changed (at most the manifest was
    /// replaced already, by one that says where the log was cut):
    ///   storage_damaged       the log is not whole, and the mode forbids a cut; or the manifest,
    ///                         or everything that could be a beginning, is lost (mode salvage
    ///   tries) storage_newer_format  written by a newer version of this library
    ///   invalid_request       bodies are compressed, and LedgerConfig::compressor is null
    ///   storage_full, storage_not_writable, storage_failed
    static error_code open(Directory& directory, const LedgerConfig& config, const LogId& fresh_id,
                           RecoveryVisitor& visitor, RecoveryReport& report,
                           Diagnostics& diagnostics, std::optional<Ledger>& out);

    Ledger(Ledger&&) = default;
    Ledger& operator=(Ledger&&) = default;

    // --- records ---------------------------------------------------------------------------------

    /// Frames a record of at most record_bytes_max, in memory; `lsn` is its number. No allocation
    /// once the buffers have grown. Errors, and std::bad_alloc, and then nothing has changed:
    ///   message_too_large  the record is
    ///   queue_full         LedgerConfig::unwritten_bytes_max bytes wait to be written
    ///   storage_full, storage_not_writable  the same, because writing fails
    ///   storage_failed     the same; or poisoned
    ///   storage_damaged    a full checkpoint is needed first: see needs_full_checkpoint()
    error_code append(std::span<const std::byte> body, Lsn& lsn);

    /// The last record that was appended; that the operating system has; that is durable.
    [[nodiscard]] Lsn appended() const noexcept { return appended_; }
    [[nodiscard]] Lsn written() const noexcept { return written_; }
    [[nodiscard]] Lsn durable() const noexcept { return durable_; }

    /// take, perform and done in one. \pre no batch is out
    error_code write_out() { return complete(Reach::system); }
    error_code sync() { return complete(Reach::disk); }

    /// Syncs, and gives back the room that the last segment does not use. Optional: without it the
    /// next open() finds the same records. The ledger may be used on. \pre no batch is out
    error_code close();

    /// Everything appended that is not written yet, and with Reach::disk the sync of everything.
    /// \pre no batch is out
    Batch take(Reach reach);
    /// Takes a batch back, performed or not: what it did counts, what it did not do stays to be
    /// done. The error of all who wait for it: storage_full, storage_not_writable (both: try again
    /// later), storage_failed (try again, unless poisoned). Throws std::bad_alloc, and then the
    /// ledger is poisoned, if there is no memory for what the batch did not write.
    error_code done(Batch&& batch);

    /// The sync of what is written, alone. \pre no other is out, nor a batch that syncs: none for
    /// the disk, and none that begins_segment() was true for
    [[nodiscard]] WrittenSync take_sync() const;
    /// Takes it back. storage_failed: the ledger is poisoned.
    error_code done(WrittenSync&& sync);
    /// The next batch begins a segment, and syncs for it, however far it reaches. \pre no batch is
    /// out
    [[nodiscard]] bool begins_segment() const noexcept;

    /// A sync has failed: nothing will be written any more.
    [[nodiscard]] bool is_poisoned() const noexcept { return is_poisoned_; }
    /// Why the last batch or publication failed; last_cause is the system's error.
    [[nodiscard]] const Diagnostics& trouble() const noexcept { return trouble_; }

    // --- checkpoints -----------------------------------------------------------------------------

    /// Decides of a checkpoint of the state after the record appended(). A delta becomes a full one
    /// if there is nothing that it could build on, or LedgerConfig::deltas_max are built already.
    [[nodiscard]] CheckpointPlan begin_checkpoint(CheckpointKind wanted) const;

    /// Once it is written: how it comes into force. Empty if it is not written, or if durable() is
    /// below its lsn: sync first.
    [[nodiscard]] std::optional<Publication> publish(const CheckpointPlan& plan);
    /// Takes a publication back. An error: the checkpoint does not count; see take() for which.
    error_code done(Publication&& publication);

    /// Sync, publish, perform and done in one. \pre no batch is out
    error_code finish_checkpoint(const CheckpointPlan& plan);

    /// The newest checkpoint that counts: 0: none.
    [[nodiscard]] Lsn checkpoint() const noexcept {
        return manifest_.checkpoints.empty() ? Lsn{} : manifest_.checkpoints.back().lsn;
    }
    /// After mode salvage has skipped records: they are missing in the log, which is of no use from
    /// there on. Nothing is taken until a full checkpoint of what was saved is in force.
    [[nodiscard]] bool needs_full_checkpoint() const noexcept { return needs_full_checkpoint_; }

    // --- audit -----------------------------------------------------------------------------------

    /// A look at the records from `from` on that are written, as far back as there are segments.
    /// Reading it touches nothing of the ledger, and may go on while the ledger does.
    [[nodiscard]] LogReading reading(Lsn from) const;

    [[nodiscard]] const LogId& id() const noexcept { return manifest_.log; }
    [[nodiscard]] const Manifest& manifest() const noexcept { return manifest_; }

private:
    friend class Recovery;

    Ledger(Directory& directory, const LedgerConfig& config)
        : directory_(&directory), config_(config) {}

    error_code refusal(std::size_t bytes) const;
    void frame(std::span<const std::byte> body, bool is_compressed);
    void begin_segment(std::size_t body_bytes);
    detail::Piece& open_piece();
    void recycle(std::vector<std::byte>&& buffer);
    void take_back(std::vector<detail::Piece>& pieces);
    error_code complete(Reach reach);
    void poison() noexcept { is_poisoned_ = true; }
    [[nodiscard]] Manifest next_manifest(const CheckpointEntry& newest) const;
    void forget_segments_before(std::uint64_t index);
    void note_quarantine(const Publication& publication);

    static constexpr std::size_t kept_buffer_bytes_max = std::size_t{8} << 20;

    struct KnownSegment {
        std::uint64_t index{0};
        Lsn first;
    };
    struct Quarantined {
        std::string name;
        std::uint64_t round{0}; ///< the publication that put it there, or found it there
    };

    Directory* directory_;
    LedgerConfig config_;
    Manifest manifest_;

    Lsn appended_, written_, durable_;
    Lsn stored_; ///< the last one in this ledger's own segments; written_ also counts what was read
    std::uint32_t chain_{0};        ///< after appended_, while there is no writer
    std::uint64_t next_segment_{1}; ///< index of the next one that is begun
    std::optional<SegmentWriter> writer_;
    std::shared_ptr<detail::SegmentFile> segment_; ///< the writer's
    std::shared_ptr<detail::SegmentFile> current_; ///< the last one that a batch wrote to
    std::vector<detail::Piece> pieces_;            ///< framed, not yet written
    std::vector<detail::Piece> spare_pieces_;
    std::vector<std::vector<std::byte>> spare_buffers_;
    std::vector<std::byte> compressed_;
    std::uint64_t unwritten_bytes_{0}; ///< those that are out with a batch included

    std::vector<KnownSegment> segments_; ///< that count, by index
    std::vector<Quarantined> quarantined_;
    std::uint64_t round_{0};
    /// Written, but its publication failed, which does not tell whether the manifest names it.
    std::optional<CheckpointEntry> unpublished_;

    error_code last_error_; ///< of the last batch
    Diagnostics trouble_;
    bool is_batch_out_{false};
    bool is_poisoned_{false};
    bool needs_full_checkpoint_{false};
};

// -------------------------------------------------------------------------------------------------

inline error_code Ledger::refusal(std::size_t bytes) const {
    if (is_poisoned_) return Errc::storage_failed;
    if (needs_full_checkpoint_) return Errc::storage_damaged;
    if (bytes > record_bytes_max) return Errc::message_too_large;
    if (unwritten_bytes_ == 0 || unwritten_bytes_ + bytes <= config_.unwritten_bytes_max) return {};
    return last_error_ ? last_error_ : make_error_code(Errc::queue_full);
}

inline error_code Ledger::append(std::span<const std::byte> body, Lsn& lsn) {
    if (error_code ec = refusal(body.size())) return ec;
    bool is_compressed = false;
    if (config_.compressor != nullptr && body.size() >= config_.compressed_from_bytes) {
        compressed_.clear();
        is_compressed = compress_body(body, *config_.compressor, compressed_);
        if (is_compressed) body = compressed_;
    }
    frame(body, is_compressed);
    lsn = appended_;
    return {};
}

inline void Ledger::frame(std::span<const std::byte> body, bool is_compressed) {
    const bool fits =
        writer_ && (writer_->offset() == segment_header_bytes ||
                    writer_->offset() + writer_->bytes_for(body.size()) <= segment_->bytes);
    if (!fits) begin_segment(body.size());
    detail::Piece& piece = open_piece();
    const std::uint64_t before = writer_->offset();
    writer_->append(writer_->next(), durable_, body, is_compressed, piece.bytes);
    unwritten_bytes_ += writer_->offset() - before;
    appended_.value = writer_->next().value - 1;
    piece.last = appended_;
}

inline void Ledger::begin_segment(std::size_t body_bytes) {
    const Lsn first{appended_.value + 1};
    const std::uint32_t chain = writer_ ? writer_->chain() : chain_;
    auto segment = std::make_shared<detail::SegmentFile>();
    segment->header = {.log = manifest_.log,
                       .index = next_segment_,
                       .first = first,
                       .synced = appended_, // by the time that this header is written
                       .chain = chain};
    SegmentWriter writer(manifest_.log, next_segment_, first, chain);
    segment->bytes =
        std::max(config_.segment_bytes, segment_header_bytes + writer.bytes_for(body_bytes));
    segment->previous = segment_;
    segments_.push_back({.index = next_segment_, .first = first});
    segment_ = std::move(segment);
    writer_ = writer;
    ++next_segment_;
}

/// The piece at the end of the segment that is being written.
inline detail::Piece& Ledger::open_piece() {
    if (!pieces_.empty() && pieces_.back().segment == segment_) return pieces_.back();
    detail::Piece piece{
        .segment = segment_, .offset = writer_->offset(), .last = appended_, .bytes = {}};
    if (!spare_buffers_.empty()) {
        piece.bytes = std::move(spare_buffers_.back());
        spare_buffers_.pop_back();
    }
    return pieces_.emplace_back(std::move(piece));
}

inline void Ledger::recycle(std::vector<std::byte>&& buffer) {
    if (buffer.capacity() > kept_buffer_bytes_max || spare_buffers_.size() >= 4) return;
    buffer.clear();
    spare_buffers_.push_back(std::move(buffer));
}

inline error_code Ledger::close() {
    if (error_code ec = sync()) return ec;
    if (!current_ || !writer_) return {};
    // Only zeroes are cut off, and nothing is appended to this segment any more.
    const std::uint64_t end = writer_->offset();
    const std::string name = segment_name(current_->header.index);
    chain_ = writer_->chain();
    writer_.reset();
    segment_.reset();
    const auto file = std::exchange(current_, nullptr);
    if (error_code ec = file->file->allocate(end))
        return detail::storage_error(ec, name, "give back room", trouble_);
    if (error_code ec = file->file->sync()) {
        poison();
        return detail::sync_error(ec, name, "sync", trouble_);
    }
    return {};
}

} // namespace everpool::log

#include "everpool/log/ledger_publishing.hpp"
#include "everpool/log/ledger_recovery.hpp"
#include "everpool/log/ledger_writing.hpp"
