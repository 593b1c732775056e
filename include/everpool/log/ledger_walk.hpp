// Everpool log: from segment to segment, record by record.
// SPDX-License-Identifier: BSL-1.0
//
// Where a segment ends, the log goes on in the first later one that begins with the record
// expected, or below it and repeats what is known (ledger_tail.hpp). Later segments that begin
// above it are passed over if such a one comes after them: a recovery ended the log before them and
// began it. If none comes, the log ends, and what it says itself tells how (segment_reader.hpp).
// Where the manifest has a cut, it ends well only if nothing was written after the cut.
#pragma once

#include "everpool/log/file_header.hpp"
#include "everpool/log/file_system.hpp"
#include "everpool/log/ledger_files.hpp"
#include "everpool/log/ledger_tail.hpp"
#include "everpool/log/log_id.hpp"
#include "everpool/log/manifest.hpp"
#include "everpool/log/segment.hpp"
#include "everpool/log/segment_reader.hpp"
#include "everpool/recovery_report.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace everpool::log {

/// A segment of which the header has been read.
struct WalkSegment {
    SegmentHeader header; ///< only log and index unless state is ok
    FormatError state{};
};

/// Reads the headers of the segments with these indexes, in this order.
error_code read_headers(Directory& directory, const LogId& log,
                        std::span<const std::uint64_t> indexes, std::vector<WalkSegment>& out,
                        Diagnostics& diagnostics);

/// Where to begin if records up to `covered` are not needed: a place in `segments`.
std::size_t first_segment_for(std::span<const WalkSegment> segments, Lsn covered) noexcept;

struct WalkEnd {
    LogEnding ending{LogEnding::clean};
    bool is_durable_data_lost{false};
    Lsn expected;             ///< the record that is not there
    std::uint64_t segment{0}; ///< where the log ended; 0: before its first segment
    std::uint64_t offset{0};
    std::uint64_t bytes_after{0};
    std::string reason;
};

class LogWalk {
public:
    /// Gives records after `covered`. `segments`: by index, without those that were cut off;
    /// `skips_bad`: goes on behind what cannot be read (salvage).
    LogWalk(Directory& directory, std::span<const WalkSegment> segments,
            std::span<const LogCut> cuts, Lsn covered, bool skips_bad)
        : directory_(directory),
          segments_(segments),
          cuts_(cuts),
          next_segment_(first_segment_for(segments, covered)),
          covered_(covered),
          expected_{covered.value + 1},
          skips_bad_(skips_bad) {}

    /// False: error() or end().
    [[nodiscard]] bool next(LogRecord& record);

    /// The record that next() gave last does not count, nor what follows it: ends the log before
    /// it. False: error().
    bool refuse(const LogRecord& record, std::string reason);

    [[nodiscard]] error_code error() const noexcept { return error_; }
    [[nodiscard]] const Diagnostics& trouble() const noexcept { return trouble_; }
    [[nodiscard]] const WalkEnd& end() const noexcept { return end_; }

    [[nodiscard]] const UnsyncedTail& tail() const noexcept { return tail_; }
    [[nodiscard]] std::uint32_t segments_read() const noexcept { return segments_read_; }
    [[nodiscard]] std::uint64_t bytes_read() const noexcept { return bytes_read_; }
    [[nodiscard]] std::uint64_t records_skipped() const noexcept { return records_skipped_; }

private:
    bool go_on();
    bool goes_on_in(const WalkSegment& segment) const noexcept;
    bool enter(std::size_t place);
    bool load(const WalkSegment& segment, std::vector<std::byte>& bytes);
    bool skip_bad();
    bool is_at_cut() const noexcept { return cut_ != nullptr && expected_ >= cut_->lsn; }
    bool judge(SegmentEnd end);

    /// What the segments hold that the log did not go on in.
    struct Behind {
        Lsn synced; ///< the highest that they speak of
        bool has_bytes{false};
        bool is_damaged{false};
    };
    bool look_behind(Behind& behind);

    Directory& directory_;
    const std::span<const WalkSegment> segments_;
    const std::span<const LogCut> cuts_;
    std::size_t next_segment_; ///< the first one that was not entered or passed over
    const Lsn covered_;
    Lsn expected_;
    const bool skips_bad_;

    std::vector<std::byte> bytes_; ///< of the segment that is being read
    std::optional<SegmentReader> reader_;
    const LogCut* cut_{nullptr}; ///< of that segment
    UnsyncedTail tail_;
    bool has_ended_{false};
    WalkEnd end_;
    error_code error_;
    Diagnostics trouble_;
    std::uint32_t segments_read_{0};
    std::uint64_t bytes_read_{0};
    std::uint64_t records_skipped_{0};
};

// -------------------------------------------------------------------------------------------------

namespace detail {

/// More than any writer makes: the longest segment, or the longest record alone in one.
inline constexpr std::uint64_t segment_file_bytes_max = (std::uint64_t{1} << 30) + (1 << 20);

/// The file, or what has become of it since somebody began to read the log.
inline error_code read_segment(Directory& directory, std::uint64_t index, std::uint64_t bytes_max,
                               std::vector<std::byte>& bytes) {
    const std::string name = segment_name(index);
    const error_code ec = read_file(directory, name, bytes_max, bytes);
    if (!is_absent(ec)) return ec;
    return read_file(directory, std::string(quarantine_prefix) + name, bytes_max, bytes);
}

} // namespace detail

inline error_code read_headers(Directory& directory, const LogId& log,
                               std::span<const std::uint64_t> indexes,
                               std::vector<WalkSegment>& out, Diagnostics& diagnostics) {
    std::vector<std::byte> bytes;
    for (const std::uint64_t index : indexes) {
        WalkSegment segment;
        const error_code ec = detail::read_segment(directory, index, file_header_bytes, bytes);
        if (ec && !detail::is_absent(ec))
            return detail::storage_error(ec, segment_name(index), "read", diagnostics);
        segment.state =
            ec ? FormatError::absent : decode_segment_header(bytes, log, index, segment.header);
        if (segment.state != FormatError::ok)
            segment.header = {.log = log, .index = index, .first = {}, .synced = {}, .chain = 0};
        out.push_back(segment);
    }
    return {};
}

// The last one that begins at a record that is covered. Not the one that begins right after it:
// that may be a repetition which a crash cut short, while the one before has all.
inline std::size_t first_segment_for(std::span<const WalkSegment> segments, Lsn covered) noexcept {
    for (std::size_t i = segments.size(); i-- > 0;)
        if (segments[i].state == FormatError::ok && segments[i].header.first <= covered) return i;
    return 0;
}

inline bool LogWalk::next(LogRecord& record) {
    while (!has_ended_) {
        while (reader_) {
            const std::uint32_t chain = reader_->chain();
            if (!reader_->next(record)) break;
            tail_.add(record, chain, reader_->chain());
            if (record.lsn < expected_) continue;
            expected_ = {record.lsn.value + 1};
            return true;
        }
        has_ended_ = !go_on();
    }
    return false;
}

inline bool LogWalk::goes_on_in(const WalkSegment& segment) const noexcept {
    if (segment.state != FormatError::ok || segment.header.first > expected_) return false;
    const auto chain = tail_.chain_at({segment.header.first.value - 1});
    return !chain || *chain == segment.header.chain || !reader_;
}

inline bool LogWalk::go_on() {
    for (std::size_t place = next_segment_; place < segments_.size(); ++place)
        if (goes_on_in(segments_[place])) return enter(place);
    if (skip_bad()) return true;
    if (error_) return false;
    return judge(reader_ ? reader_->end()
                         : SegmentEnd{.is_clean = true, .has_missing_sectors = true, .reason = {}});
}

inline bool LogWalk::load(const WalkSegment& segment, std::vector<std::byte>& bytes) {
    const std::uint64_t index = segment.header.index;
    const error_code ec =
        detail::read_segment(directory_, index, detail::segment_file_bytes_max, bytes);
    if (!ec) return true;
    if (skips_bad_ || detail::is_absent(ec)) { // as if it were empty
        bytes.clear();
        return true;
    }
    error_ = detail::storage_error(ec, segment_name(index), "read", trouble_);
    return false;
}

inline bool LogWalk::enter(std::size_t place) {
    const WalkSegment& segment = segments_[place];
    next_segment_ = place + 1;
    reader_.reset();
    if (!load(segment, bytes_)) return false;
    const auto cut = std::find_if(cuts_.begin(), cuts_.end(), [&](const LogCut& candidate) {
        return candidate.segment == segment.header.index;
    });
    cut_ = cut == cuts_.end() ? nullptr : &*cut;
    std::span<const std::byte> bytes = bytes_;
    if (cut_ != nullptr) bytes = bytes.first(std::min<std::uint64_t>(bytes.size(), cut_->offset));
    ++segments_read_;
    bytes_read_ += bytes.size();
    tail_.begin_segment(segment.header);
    reader_.emplace(bytes, segment.header);
    return true;
}

/// Behind a bad record that is not needed, or, in salvage, any. What is not needed is in a
/// checkpoint, which makes it a damage that does no harm; or it is a repetition that a crash cut
/// short.
inline bool LogWalk::skip_bad() {
    if (reader_) {
        const Lsn missing = reader_->end().expected;
        const bool is_needed = missing >= expected_;
        if ((!is_needed || skips_bad_) && reader_->skip() &&
            (reader_->expected() <= expected_ || skips_bad_)) {
            const Lsn found = reader_->expected();
            const Lsn bad_end = is_needed ? found : std::min(found, Lsn{covered_.value + 1});
            if (bad_end > missing) records_skipped_ += bad_end.value - missing.value;
            expected_ = std::max(expected_, found);
            return true;
        }
    }
    if (!skips_bad_) return false;
    for (std::size_t place = next_segment_; place < segments_.size(); ++place) {
        if (segments_[place].state != FormatError::ok) continue;
        const Lsn first = segments_[place].header.first;
        if (first > expected_) records_skipped_ += first.value - expected_.value;
        expected_ = std::max(expected_, first);
        return enter(place);
    }
    return false;
}

/// False: error().
inline bool LogWalk::look_behind(Behind& behind) {
    std::vector<std::byte> bytes;
    for (std::size_t place = next_segment_; place < segments_.size(); ++place) {
        const WalkSegment& segment = segments_[place];
        if (!load(segment, bytes)) return false;
        behind.synced = std::max(behind.synced, highest_synced(bytes, segment.header));
        if (used_bytes(bytes) == 0) continue; // a crash stopped whoever made it
        behind.has_bytes = true;
        // Nothing is written to a segment before its header is durable.
        if (segment.state != FormatError::ok) behind.is_damaged = true;
    }
    return true;
}

/// Always false: the log has ended.
inline bool LogWalk::judge(SegmentEnd end) {
    Behind behind;
    if (!look_behind(behind)) return false;
    if (reader_ && is_at_cut() && !behind.has_bytes) {
        end_ = {.expected = expected_, .reason = {}};
        return false;
    }
    const bool has_later_segments = next_segment_ < segments_.size();
    end.expected = expected_; // where copies differ in length, the longest counts
    end_ = {.ending = ending_of(end, has_later_segments, behind.synced),
            .is_durable_data_lost = is_durable_data_lost(end, behind.synced),
            .expected = expected_,
            .segment = reader_ ? segments_[next_segment_ - 1].header.index : 0,
            .offset = end.offset,
            .bytes_after = end.bytes_after,
            .reason = {}};
    if (behind.is_damaged) end_.ending = LogEnding::corruption;
    if (end_.ending == LogEnding::clean) return false;
    if (!end.is_clean) end_.reason = end.text();
    else
        end_.reason = "record " + std::to_string(expected_.value) +
                      ": later segments do not go on where this one ends";
    return false;
}

inline bool LogWalk::refuse(const LogRecord& record, std::string reason) {
    has_ended_ = true;
    expected_ = record.lsn;
    Behind behind;
    const WalkSegment& segment = segments_[next_segment_ - 1];
    if (!look_behind(behind)) return false;
    const Lsn synced = std::max(behind.synced, highest_synced(bytes_, segment.header));
    end_ = {.ending = LogEnding::corruption,
            .is_durable_data_lost = synced >= expected_,
            .expected = expected_,
            .segment = segment.header.index,
            .offset = record.offset,
            .bytes_after = used_bytes(std::span(bytes_).subspan(record.offset)),
            .reason = "record " + std::to_string(expected_.value) + ": " + std::move(reason)};
    return true;
}

} // namespace everpool::log
