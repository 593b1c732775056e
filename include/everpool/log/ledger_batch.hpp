// Everpool log: what a ledger has framed and not yet written, on its way to the disk.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"
#include "everpool/log/file_system.hpp"
#include "everpool/log/ledger_files.hpp"
#include "everpool/log/log_id.hpp"
#include "everpool/log/segment.hpp"

#include <boost/system/errc.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::log {

/// How far records are brought.
enum class Reach : std::uint8_t {
    system, ///< handed to the operating system: they survive the process
    disk,   ///< synced: they survive a power cut
};

namespace detail {

/// A segment that is written by this ledger. Who performs a batch has it to himself.
struct SegmentFile {
    SegmentHeader header;
    std::uint64_t bytes{0};     ///< of the file, allocated at once
    std::unique_ptr<File> file; ///< null: not made yet
    bool is_ready{false};       ///< header and name are durable: records may be written
    bool is_dirty{false};       ///< written to since its last sync
    /// The one before: it is synced before this one begins, so that a segment's header proves that
    /// all records before it are durable.
    std::shared_ptr<SegmentFile> previous;
};

/// Bytes that stand in one place of one segment.
struct Piece {
    std::shared_ptr<SegmentFile> segment;
    std::uint64_t offset{0};
    Lsn last; ///< the last record in it
    std::vector<std::byte> bytes;
    bool is_written{false};
};

} // namespace detail

/// What Ledger::take() took. perform() does the writing and syncing and touches nothing of the
/// ledger, which goes on appending meanwhile; Ledger::done() takes the batch back, whatever came of
/// it.
class Batch {
public:
    Batch() = default;
    Batch(Batch&&) = default;
    Batch& operator=(Batch&&) = default;

    /// Nothing is to be done. perform() and done() do no harm.
    [[nodiscard]] bool is_empty() const noexcept {
        return pieces_.empty() && (reach_ == Reach::system || !current_ || !current_->is_dirty);
    }
    /// The last record that is written, or durable, when it has been performed.
    [[nodiscard]] Lsn last() const noexcept { return last_; }

    /// Writes what was taken, and syncs it if it was taken to reach the disk. A new segment is made
    /// on the way: the full one is synced, the new one's header and name made durable, then the
    /// records follow. The same error as done() gives, unless the ledger was poisoned meanwhile.
    error_code perform();

    /// Why it failed, until it is given back.
    [[nodiscard]] const Diagnostics& trouble() const noexcept { return trouble_; }

private:
    friend class Ledger;

    error_code write_pieces();
    error_code prepare(detail::SegmentFile& segment);
    error_code create(detail::SegmentFile& segment);
    error_code sync(detail::SegmentFile& segment);
    error_code fail(error_code cause, const detail::SegmentFile& segment, std::string_view what) {
        return detail::storage_error(cause, segment_name(segment.header.index), what, trouble_);
    }

    Directory* directory_{nullptr};
    std::vector<detail::Piece> pieces_;
    std::shared_ptr<detail::SegmentFile> current_; ///< the last one that was written to
    Reach reach_{Reach::system};
    Lsn last_;
    Lsn sealed_; ///< all records up to it are durable, since a later segment was begun
    error_code outcome_;
    Diagnostics trouble_;
    bool is_synced_{false};
    bool is_sync_failed_{false};
};

/// What Ledger::take_sync() took: the sync of what is written, and nothing else. It may be out
/// along with a batch, if that one only writes: of a failure the system tells one sync of a file
/// only, so of two at the same time one might believe that all is well.
class WrittenSync {
public:
    WrittenSync() = default;
    WrittenSync(WrittenSync&&) = default;
    WrittenSync& operator=(WrittenSync&&) = default;

    /// The last record that is durable when it has been performed, and is done.
    [[nodiscard]] Lsn last() const noexcept { return last_; }

    error_code perform() noexcept {
        if (segment_ && !outcome_) outcome_ = segment_->file->sync();
        is_performed_ = true;
        return outcome_;
    }

private:
    friend class Ledger;

    std::shared_ptr<detail::SegmentFile> segment_; ///< null: everything up to last_ is durable
    Lsn last_;
    error_code outcome_;
    bool is_performed_{false};
};

// -------------------------------------------------------------------------------------------------

inline error_code Batch::perform() {
    if (!outcome_) outcome_ = write_pieces();
    return outcome_;
}

inline error_code Batch::write_pieces() {
    for (detail::Piece& piece : pieces_) {
        if (error_code ec = prepare(*piece.segment)) return ec;
        current_ = piece.segment;
        current_->is_dirty = true; // even if it fails: a part of it may be there
        if (error_code ec = current_->file->write(piece.offset, piece.bytes))
            return fail(ec, *current_, "write");
        piece.is_written = true;
    }
    if (reach_ == Reach::system) return {};
    if (current_ && current_->is_dirty)
        if (error_code ec = sync(*current_)) return ec;
    is_synced_ = true;
    return {};
}

inline error_code Batch::prepare(detail::SegmentFile& segment) {
    if (segment.is_ready) return {};
    if (segment.previous) {
        if (segment.previous->is_dirty)
            if (error_code ec = sync(*segment.previous)) return ec;
        segment.previous.reset();
    }
    if (error_code ec = create(segment)) return ec;
    segment.is_ready = true;
    sealed_ = {segment.header.first.value - 1};
    return {};
}

inline error_code Batch::create(detail::SegmentFile& segment) {
    if (!segment.file) {
        const std::string name = segment_name(segment.header.index);
        error_code ec = directory_->open(name, OpenMode::create, segment.file);
        // An earlier attempt failed after it had made the file. No other segment has this index.
        if (ec == boost::system::errc::file_exists)
            ec = directory_->open(name, OpenMode::write, segment.file);
        if (ec) return fail(ec, segment, "create");
    }
    if (error_code ec = segment.file->allocate(segment.bytes)) return fail(ec, segment, "allocate");
    const auto header = encode_segment_header(segment.header);
    if (error_code ec = segment.file->write(0, header)) return fail(ec, segment, "write");
    if (error_code ec = sync(segment)) return ec;
    if (error_code ec = directory_->sync()) {
        is_sync_failed_ = true;
        return detail::sync_error(ec, segment_name(segment.header.index), "sync of the directory",
                                  trouble_);
    }
    return {};
}

inline error_code Batch::sync(detail::SegmentFile& segment) {
    if (error_code ec = segment.file->sync()) {
        is_sync_failed_ = true;
        return detail::sync_error(ec, segment_name(segment.header.index), "sync", trouble_);
    }
    segment.is_dirty = false;
    return {};
}

} // namespace everpool::log
