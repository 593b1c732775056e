// Everpool log: a checkpoint on its way to the disk, and into the manifest.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"
#include "everpool/log/checkpoint_file.hpp"
#include "everpool/log/compressor.hpp"
#include "everpool/log/file_system.hpp"
#include "everpool/log/ledger_files.hpp"
#include "everpool/log/log_id.hpp"
#include "everpool/log/manifest.hpp"
#include "everpool/log/record_body.hpp"
#include "everpool/log/segment.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::log {

namespace detail {

/// Whether a ledger has cleared it away. Whatever else begins so is somebody else's.
inline bool is_quarantined(std::string_view name) noexcept {
    if (!name.starts_with(quarantine_prefix)) return false;
    name.remove_prefix(quarantine_prefix.size());
    return segment_index_of(name).has_value() || parse_checkpoint_name(name).has_value();
}

} // namespace detail

/// What Ledger::begin_checkpoint() decided. write() touches nothing of the ledger: encode and write
/// the checkpoint anywhere, while the ledger goes on.
class CheckpointPlan {
public:
    /// False: there is one already that holds all there is.
    [[nodiscard]] bool is_needed() const noexcept { return is_needed_; }
    [[nodiscard]] CheckpointKind kind() const noexcept { return kind_; }
    /// The last record that has to be in it.
    [[nodiscard]] Lsn lsn() const noexcept { return lsn_; }
    /// A delta holds what changed after this record.
    [[nodiscard]] Lsn parent() const noexcept { return parent_; }

    /// Writes the file and syncs it. It does not count until it is published. `body` has at most
    /// checkpoint_bytes_max. Does nothing if an earlier plan wrote the same one, which could not be
    /// published; and fails if the ledger is poisoned: the manifest on disk may name that file.
    error_code write(std::span<const std::byte> body);

    [[nodiscard]] bool is_written() const noexcept { return is_written_; }
    [[nodiscard]] const Diagnostics& trouble() const noexcept { return trouble_; }

private:
    friend class Ledger;

    Directory* directory_{nullptr};
    const Compressor* compressor_{nullptr};
    LogId log_;
    CheckpointKind kind_{CheckpointKind::full};
    Lsn lsn_, parent_;
    bool is_needed_{false};
    bool is_written_{false};
    CheckpointEntry entry_;
    error_code outcome_; ///< known beforehand
    Diagnostics trouble_;
};

/// A manifest that is to replace the one in force, and what is to be cleared away after that. Made
/// by Ledger::publish(); perform() touches nothing of the ledger; Ledger::done() takes it back.
class Publication {
public:
    /// Makes names durable, replaces the manifest, then quarantines what it does not need and
    /// removes what has been in quarantine for long enough. What cannot be cleared away now will be
    /// next time: that is no error.
    error_code perform();

    [[nodiscard]] const Diagnostics& trouble() const noexcept { return trouble_; }

private:
    friend class Ledger;
    friend class Recovery;

    error_code replace_manifest();
    void clear_away();
    [[nodiscard]] bool is_covered(std::string_view name) const;
    error_code sync_names();
    error_code fail(error_code cause, std::string_view what) {
        return detail::storage_error(cause, detail::manifest_name, what, trouble_);
    }

    Directory* directory_{nullptr};
    Manifest manifest_;
    Lsn newest_; ///< checkpoints above it are not ours to clear away: they are being written
    std::vector<std::string> doomed_;      ///< in quarantine, to be removed
    std::vector<std::string> quarantined_; ///< by this one
    error_code outcome_;
    Diagnostics trouble_;
    bool is_sync_failed_{false};
    bool is_recovering_{false}; ///< nothing is cleared away
};

// -------------------------------------------------------------------------------------------------

inline error_code CheckpointPlan::write(std::span<const std::byte> body) {
    if (outcome_ || is_written_) return outcome_;
    std::vector<std::byte> compressed;
    const bool is_compressed =
        compressor_ != nullptr && compress_body(body, *compressor_, compressed);
    if (is_compressed) body = compressed;
    const auto header = encode_checkpoint_header({.log = log_,
                                                  .kind = kind_,
                                                  .is_compressed = is_compressed,
                                                  .lsn = lsn_,
                                                  .parent = parent_},
                                                 body);
    const std::string name = checkpoint_name(kind_, lsn_);
    if (error_code ec = detail::write_file(*directory_, name, header, body))
        return detail::storage_error(ec, name, "write", trouble_);
    entry_ = checkpoint_entry(header);
    is_written_ = true;
    return {};
}

inline error_code Publication::perform() {
    if (outcome_) return outcome_;
    outcome_ = replace_manifest();
    if (!outcome_ && !is_recovering_) clear_away();
    return outcome_;
}

inline error_code Publication::sync_names() {
    constexpr std::string_view what = "sync of the directory";
    const error_code ec = directory_->sync();
    if (!ec) return {};
    if (is_recovering_) return fail(ec, what); // no ledger is there yet: it can be tried again
    is_sync_failed_ = true;
    return detail::sync_error(ec, detail::manifest_name, what, trouble_);
}

inline error_code Publication::replace_manifest() {
    // First, so that no manifest speaks of a checkpoint whose name a power cut takes away.
    if (!is_recovering_)
        if (error_code ec = sync_names()) return ec;
    const auto bytes = encode_manifest(manifest_);
    const auto give_up = [&](error_code ec, std::string_view what) {
        (void)directory_->remove(detail::manifest_draft_name); // nothing is to be changed
        return fail(ec, what);
    };
    if (error_code ec = detail::write_file(*directory_, detail::manifest_draft_name, bytes, {}))
        return give_up(ec, "write");
    if (error_code ec = directory_->rename(detail::manifest_draft_name, detail::manifest_name))
        return give_up(ec, "rename");
    return sync_names();
}

inline bool Publication::is_covered(std::string_view name) const {
    if (const auto index = segment_index_of(name)) return *index < manifest_.first_segment;
    const auto checkpoint = parse_checkpoint_name(name);
    if (!checkpoint || checkpoint->lsn > newest_) return false;
    return std::none_of(manifest_.checkpoints.begin(), manifest_.checkpoints.end(),
                        [&](const CheckpointEntry& entry) {
                            return entry.kind == checkpoint->kind && entry.lsn == checkpoint->lsn;
                        });
}

inline void Publication::clear_away() {
    for (const std::string& name : doomed_) (void)directory_->remove(name);
    std::vector<std::string> names;
    if (directory_->list(names)) return;
    for (const std::string& name : names) {
        if (!is_covered(name)) continue;
        std::string quarantine = std::string(detail::quarantine_prefix) + name;
        if (!directory_->rename(name, quarantine)) quarantined_.push_back(std::move(quarantine));
    }
}

} // namespace everpool::log
