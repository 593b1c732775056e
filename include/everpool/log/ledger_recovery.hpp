// Everpool log: from the files of a directory to a ledger that can be written.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/ledger.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::log {

/// One run of Ledger::open(). Nothing is written before all has been read and found good enough for
/// the mode; then the manifest is, by the usual replacement. Always, even if it says the same: the
/// one that was read may be in the system's cache alone, by this name, if whoever wrote it was
/// killed before the directory was synced, or that failed. Nothing that is written later may be
/// durable before it is.
class Recovery {
public:
    Recovery(Directory& directory, const LedgerConfig& config, RecoveryVisitor& visitor,
             RecoveryReport& report, Diagnostics& diagnostics)
        : directory_(directory),
          config_(config),
          visitor_(visitor),
          report_(report),
          diagnostics_(diagnostics),
          bodies_(config.compressor) {}

    error_code run(const LogId& fresh_id, std::optional<Ledger>& out);

private:
    error_code find_files();
    error_code read_manifest(bool& is_new);
    error_code rebuild_manifest(std::string_view why);
    error_code choose_checkpoints();
    error_code give_checkpoint(const CheckpointEntry& entry, std::string& complaint);
    error_code replay();
    error_code check_ending();
    error_code write_manifest();
    void cut_log();
    void build(std::optional<Ledger>& out);

    [[nodiscard]] bool salvages() const noexcept {
        return config_.recovery == RecoveryMode::salvage;
    }
    [[nodiscard]] Lsn covered() const noexcept {
        return manifest_.checkpoints.empty() ? Lsn{} : manifest_.checkpoints.back().lsn;
    }
    error_code fail(Errc code, std::string message, std::string remedy = {}) {
        diagnostics_ = {.message = std::move(message), .remedy = std::move(remedy)};
        return code;
    }
    /// It may be whole: not a word of damage, then, and nothing is cut off.
    error_code lacks_compressor(const std::string& what) {
        return fail(Errc::invalid_request, what + " is compressed, and no compressor was given",
                    "open the log with the compressor that it was written with");
    }
    error_code newer(std::string_view file) {
        return fail(Errc::storage_newer_format,
                    std::string(file) + " was written by a newer version of this library",
                    "open it with that version");
    }

    Directory& directory_;
    const LedgerConfig& config_;
    RecoveryVisitor& visitor_;
    RecoveryReport& report_;
    Diagnostics& diagnostics_;
    BodyReader bodies_;

    std::vector<std::uint64_t> indexes_;      ///< of all segments there are
    std::vector<CheckpointName> checkpoints_; ///< all there are
    std::vector<std::string> quarantine_;
    bool has_manifest_{false};
    bool is_beginning_lost_{false};
    error_code unread_; ///< of a checkpoint that the system could not read
    std::vector<std::byte> bytes_;
    Manifest manifest_;
    std::vector<WalkSegment> segments_; ///< that count
    std::optional<LogWalk> walk_;
    WalkEnd end_;
};

// -------------------------------------------------------------------------------------------------

inline error_code Ledger::open(Directory& directory, const LedgerConfig& config,
                               const LogId& fresh_id, RecoveryVisitor& visitor,
                               RecoveryReport& report, Diagnostics& diagnostics,
                               std::optional<Ledger>& out) {
    check_config(config);
    report = {};
    report.mode = config.recovery;
    diagnostics = {};
    return Recovery(directory, config, visitor, report, diagnostics).run(fresh_id, out);
}

inline error_code Recovery::run(const LogId& fresh_id, std::optional<Ledger>& out) {
    if (error_code ec = find_files()) return ec;
    bool is_new = false;
    if (error_code ec = read_manifest(is_new)) return ec;
    if (is_new) {
        manifest_ = {.log = fresh_id};
        report_.is_new = true;
    }
    // Those before first_segment are not needed, and those that were cut off never will be; they
    // wait to be cleared away.
    std::vector<std::uint64_t> needed;
    for (const std::uint64_t index : indexes_)
        if (index >= manifest_.first_segment && !is_cut_off(manifest_.cuts, index))
            needed.push_back(index);
    if (error_code ec = read_headers(directory_, manifest_.log, needed, segments_, diagnostics_))
        return ec;
    for (const WalkSegment& segment : segments_)
        if (segment.state == FormatError::newer_version)
            return newer(segment_name(segment.header.index));
    if (error_code ec = choose_checkpoints()) return ec;
    if (error_code ec = replay()) return ec;
    if (error_code ec = check_ending()) return ec;
    cut_log();
    if (error_code ec = write_manifest()) return ec;
    build(out);
    return {};
}

inline error_code Recovery::find_files() {
    std::vector<std::string> names;
    if (error_code ec = directory_.list(names))
        return detail::storage_error(ec, "the directory", "list", diagnostics_);
    for (std::string& name : names) {
        if (name == detail::manifest_name) has_manifest_ = true;
        else if (const auto index = segment_index_of(name)) indexes_.push_back(*index);
        else if (const auto checkpoint = parse_checkpoint_name(name))
            checkpoints_.push_back(*checkpoint);
        else if (detail::is_quarantined(name)) quarantine_.push_back(std::move(name));
    }
    std::sort(indexes_.begin(), indexes_.end());
    return {};
}

inline error_code Recovery::read_manifest(bool& is_new) {
    // A log begins with its manifest: without one there is none, unless there are its other files.
    is_new = !has_manifest_ && indexes_.empty() && checkpoints_.empty();
    if (is_new) return {};
    if (!has_manifest_) return rebuild_manifest("is missing");
    constexpr std::uint64_t manifest_bytes_max = std::uint64_t{1} << 20;
    if (error_code ec =
            detail::read_file(directory_, detail::manifest_name, manifest_bytes_max, bytes_)) {
        if (salvages()) return rebuild_manifest("cannot be read");
        return detail::storage_error(ec, detail::manifest_name, "read", diagnostics_);
    }
    const FormatError format = decode_manifest(bytes_, manifest_);
    if (format == FormatError::newer_version) return newer(detail::manifest_name);
    if (format != FormatError::ok) return rebuild_manifest(name_of(format));
    return {};
}

/// Only in salvage: without it nobody knows which records were cut off once.
inline error_code Recovery::rebuild_manifest(std::string_view why) {
    std::string message = std::string(detail::manifest_name) + ": " + std::string(why);
    if (!salvages())
        return fail(Errc::storage_damaged, std::move(message),
                    "put it back from a backup, or open the log in mode salvage");
    report_.checkpoints_rejected.push_back(std::move(message));
    std::optional<LogId> log;
    std::vector<std::pair<CheckpointName, CheckpointEntry>> found;
    for (const CheckpointName& name : checkpoints_) {
        CheckpointHeader header;
        std::span<const std::byte> body;
        const std::string file = checkpoint_name(name.kind, name.lsn);
        if (detail::read_file(directory_, file, file_header_bytes + checkpoint_bytes_max, bytes_))
            continue;
        const FormatError format = decode_checkpoint(bytes_, header, body);
        if (format == FormatError::newer_version) return newer(file);
        if (format != FormatError::ok) continue;
        log = header.log;
        found.emplace_back(name, checkpoint_entry(std::span(bytes_).first<file_header_bytes>()));
    }
    for (const std::uint64_t index : indexes_) {
        SegmentHeader header;
        if (log || detail::read_file(directory_, segment_name(index), file_header_bytes, bytes_))
            continue;
        const FormatError format = decode_segment_header(bytes_, header);
        if (format == FormatError::newer_version) return newer(segment_name(index));
        if (format == FormatError::ok) log = header.log;
    }
    if (!log) return fail(Errc::storage_damaged, "nothing tells which log this is");
    // Full before delta where both hold the same.
    std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) {
        return std::pair(a.first.lsn, a.first.kind) < std::pair(b.first.lsn, b.first.kind);
    });
    if (found.size() > manifest_checkpoints_max)
        found.erase(found.begin(), found.end() - std::ptrdiff_t{manifest_checkpoints_max});
    manifest_ = {.log = *log};
    if (!indexes_.empty()) manifest_.first_segment = indexes_.front();
    manifest_.next_segment = manifest_.first_segment;
    for (const auto& [name, entry] : found) manifest_.checkpoints.push_back(entry);
    return {};
}

/// The newest that can be read with all that it builds on.
inline error_code Recovery::choose_checkpoints() {
    auto& entries = manifest_.checkpoints;
    const bool was_empty = entries.empty();
    while (!entries.empty()) {
        std::size_t place = entries.size() - 1;
        while (place > 0 && entries[place].kind == CheckpointKind::delta) --place;
        std::string complaint;
        std::uint32_t given = 0;
        Lsn parent;
        for (; place < entries.size(); ++place) {
            const CheckpointEntry& entry = entries[place];
            if (entry.parent != parent) complaint = "what it builds on is missing";
            else if (error_code ec = give_checkpoint(entry, complaint)) return ec;
            if (!complaint.empty()) break;
            parent = entry.lsn;
            ++given;
        }
        if (complaint.empty()) {
            report_.checkpoint_record = covered().value;
            report_.checkpoints_read = given;
            return {};
        }
        visitor_.on_reset();
        report_.checkpoints_rejected.push_back(
            checkpoint_name(entries[place].kind, entries[place].lsn) + ": " + complaint);
        entries.resize(place);
    }
    const bool reaches_back =
        std::any_of(segments_.begin(), segments_.end(), [](const WalkSegment& segment) {
            return segment.state == FormatError::ok && segment.header.first == Lsn{1};
        });
    is_beginning_lost_ = !was_empty && !reaches_back;
    if (is_beginning_lost_ && unread_ && !salvages())
        return detail::storage_error(unread_, "the checkpoints", "read", diagnostics_);
    return {};
}

/// `complaint` stays empty if the visitor has taken it.
inline error_code Recovery::give_checkpoint(const CheckpointEntry& entry, std::string& complaint) {
    const std::string name = checkpoint_name(entry.kind, entry.lsn);
    if (error_code ec =
            detail::read_file(directory_, name, file_header_bytes + checkpoint_bytes_max, bytes_)) {
        complaint = ec.message();
        if (!detail::is_absent(ec)) unread_ = ec;
        return {};
    }
    CheckpointHeader header;
    std::span<const std::byte> stored, body;
    const FormatError format = decode_checkpoint(bytes_, manifest_.log, entry, header, stored);
    if (format == FormatError::newer_version) return newer(name);
    if (format == FormatError::ok && header.is_compressed && config_.compressor == nullptr)
        return lacks_compressor(name);
    if (format != FormatError::ok) complaint = name_of(format);
    else if (!bodies_.read(stored, header.is_compressed, checkpoint_bytes_max, body))
        complaint = "cannot be decompressed";
    else if (!visitor_.on_checkpoint(entry.kind, entry.lsn, body))
        complaint = "its contents make no sense";
    return {};
}

inline error_code Recovery::replay() {
    walk_.emplace(directory_, segments_, manifest_.cuts, covered(), salvages());
    LogRecord record;
    while (walk_->next(record)) {
        if (record.is_compressed && config_.compressor == nullptr)
            return lacks_compressor("record " + std::to_string(record.lsn.value));
        std::span<const std::byte> body;
        const bool is_readable = bodies_.read(record, body);
        if (is_readable && visitor_.on_record(record.lsn, body)) {
            ++report_.records_read;
            continue;
        }
        if (salvages()) {
            ++report_.records_skipped;
            continue;
        }
        if (!walk_->refuse(record, is_readable ? "its contents make no sense"
                                               : "it cannot be decompressed"))
            break;
    }
    if (walk_->error()) {
        diagnostics_ = walk_->trouble();
        return walk_->error();
    }
    end_ = walk_->end();
    report_.segments_read = walk_->segments_read();
    report_.bytes_read = walk_->bytes_read();
    report_.records_skipped += walk_->records_skipped();
    report_.last_record = end_.expected.value - 1;
    report_.ending = end_.ending;
    report_.is_durable_data_lost = end_.is_durable_data_lost;
    if (end_.ending != LogEnding::clean) {
        if (end_.segment != 0) report_.cut_file = segment_name(end_.segment);
        report_.cut_offset = end_.offset;
        report_.cut_bytes = end_.bytes_after;
        report_.cut_reason = end_.reason;
    }
    return {};
}

/// Whether the mode allows what was found.
inline error_code Recovery::check_ending() {
    const bool is_irregular = report_.records_skipped != 0 || !report_.checkpoints_rejected.empty();
    const bool is_corrupt = end_.ending == LogEnding::corruption || end_.is_durable_data_lost;
    bool is_good_enough = true;
    switch (config_.recovery) {
    case RecoveryMode::absolute:
        is_good_enough = !is_irregular && end_.ending == LogEnding::clean;
        break;
    case RecoveryMode::tolerate_corrupted_tail:
        is_good_enough = !is_irregular && !is_corrupt;
        break;
    case RecoveryMode::point_in_time: is_good_enough = !is_beginning_lost_; break;
    case RecoveryMode::salvage: break;
    }
    if (is_good_enough) return {};
    return fail(Errc::storage_damaged, "the log is not whole: " + report_.text(),
                is_beginning_lost_ ? "put back a checkpoint from a backup, or open in mode salvage"
                                   : "open it in mode point_in_time to go on without what is bad");
}

inline void Recovery::cut_log() {
    if (!indexes_.empty())
        manifest_.next_segment = std::max(manifest_.next_segment, indexes_.back() + 1);
    if (end_.ending == LogEnding::clean) return;
    auto& cuts = manifest_.cuts;
    // Where the log once went on from is cut off with the rest.
    std::erase_if(cuts, [&](const LogCut& cut) { return cut.segment >= end_.segment; });
    cuts.push_back({.segment = end_.segment,
                    .offset = end_.offset,
                    .lsn = end_.expected,
                    .next_segment = manifest_.next_segment});
    // The log goes on in the right place without the oldest, too: see ledger_walk.hpp.
    if (cuts.size() > manifest_cuts_max) cuts.erase(cuts.begin());
}

inline error_code Recovery::write_manifest() {
    Publication publication;
    publication.directory_ = &directory_;
    publication.is_recovering_ = true;
    ++manifest_.number;
    publication.manifest_ = manifest_;
    const error_code ec = publication.perform();
    if (ec) diagnostics_ = publication.trouble();
    return ec;
}

inline void Recovery::build(std::optional<Ledger>& out) {
    Ledger ledger(directory_, config_);
    ledger.manifest_ = manifest_;
    ledger.next_segment_ = manifest_.next_segment;
    for (const WalkSegment& segment : segments_)
        if (segment.state == FormatError::ok)
            ledger.segments_.push_back(
                {.index = segment.header.index, .first = segment.header.first});
    for (std::string& name : quarantine_)
        ledger.quarantined_.push_back({.name = std::move(name), .round = 0});
    // What was skipped up to the checkpoint is not needed. Another one of the same record would be
    // written over the only file that holds it.
    ledger.needs_full_checkpoint_ =
        salvages() && report_.records_skipped != 0 && end_.expected.value - 1 > covered().value;

    const UnsyncedTail& tail = walk_->tail();
    const Lsn last{end_.expected.value - 1};
    const bool is_rewritten = !ledger.needs_full_checkpoint_;
    const Lsn durable = is_rewritten ? std::min(std::max(tail.synced(), covered()), last) : last;
    ledger.appended_ = ledger.durable_ = durable;
    ledger.chain_ = tail.chain_at(durable).value_or(0);
    if (is_rewritten)
        tail.for_each(durable, last, [&](std::span<const std::byte> body, bool is_compressed) {
            ledger.frame(body, is_compressed);
        });
    ledger.written_ = last; // the system has them: they were read
    out.emplace(std::move(ledger));
}

} // namespace everpool::log
