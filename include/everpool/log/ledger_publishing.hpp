// Everpool log: the part of a ledger that decides of checkpoints, and of what they make
// superfluous.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/ledger.hpp"

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <utility>
#include <vector>

namespace everpool::log {

namespace detail {

inline bool is_named(const std::vector<CheckpointEntry>& entries, CheckpointKind kind,
                     Lsn lsn) noexcept {
    return std::any_of(entries.begin(), entries.end(), [&](const CheckpointEntry& entry) {
        return entry.kind == kind && entry.lsn == lsn;
    });
}

/// How many checkpoints the chain that begins at `first` has: a full one and its deltas.
inline std::size_t chain_length(const std::vector<CheckpointEntry>& entries,
                                std::size_t first) noexcept {
    std::size_t end = first + 1;
    while (end < entries.size() && entries[end].kind == CheckpointKind::delta) ++end;
    return end - first;
}

} // namespace detail

inline CheckpointPlan Ledger::begin_checkpoint(CheckpointKind wanted) const {
    const auto& entries = manifest_.checkpoints;
    const auto last_full =
        std::find_if(entries.rbegin(), entries.rend(), [](const CheckpointEntry& entry) {
            return entry.kind == CheckpointKind::full;
        });
    const std::ptrdiff_t deltas = last_full - entries.rbegin();
    const bool may_be_delta = last_full != entries.rend() && !needs_full_checkpoint_ &&
                              deltas < static_cast<std::ptrdiff_t>(config_.deltas_max);
    CheckpointPlan plan;
    plan.directory_ = directory_;
    plan.compressor_ = config_.compressor;
    plan.log_ = manifest_.log;
    plan.kind_ = may_be_delta ? wanted : CheckpointKind::full;
    plan.lsn_ = appended_;
    if (plan.kind_ == CheckpointKind::delta) plan.parent_ = entries.back().lsn;
    const bool is_there =
        !entries.empty() && entries.back().lsn == appended_ &&
        (wanted == CheckpointKind::delta || entries.back().kind == CheckpointKind::full);
    plan.is_needed_ = needs_full_checkpoint_ || (!is_there && appended_ != Lsn{});
    assert(!plan.is_needed_ ||
           !detail::is_named(entries, plan.kind_, plan.lsn_)); // it would be overwritten
    if (is_poisoned_) {
        plan.outcome_ = Errc::storage_failed;
        plan.trouble_ = trouble_;
    } else if (unpublished_ && unpublished_->kind == plan.kind_ && unpublished_->lsn == plan.lsn_ &&
               unpublished_->parent == plan.parent_) {
        plan.entry_ = *unpublished_;
        plan.is_written_ = true;
    }
    return plan;
}

inline Manifest Ledger::next_manifest(const CheckpointEntry& newest) const {
    Manifest next = manifest_;
    ++next.number;
    next.next_segment = next_segment_;
    if (needs_full_checkpoint_) { // the log before it has gaps
        next.checkpoints = {newest};
        next.first_segment = next_segment_;
        next.cuts.clear();
        return next;
    }
    next.checkpoints.push_back(newest);
    auto& entries = next.checkpoints;
    for (std::size_t oldest = detail::chain_length(entries, 0);
         entries.size() - oldest >= config_.checkpoints_kept;
         oldest = detail::chain_length(entries, 0))
        entries.erase(entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(oldest));
    // As recovery chooses where to begin: first_segment_for().
    for (const KnownSegment& segment : segments_)
        if (segment.first <= entries.front().lsn) next.first_segment = segment.index;
    std::erase_if(next.cuts,
                  [&](const LogCut& cut) { return cut.next_segment <= next.first_segment; });
    return next;
}

inline std::optional<Publication> Ledger::publish(const CheckpointPlan& plan) {
    if (!plan.is_written_ || plan.lsn_ > durable_) return std::nullopt;
    assert(plan.lsn_ >= checkpoint() &&
           (plan.kind_ == CheckpointKind::full || plan.parent_ == checkpoint()));
    Publication publication;
    publication.directory_ = directory_;
    publication.newest_ = plan.lsn_;
    if (is_poisoned_) {
        publication.outcome_ = Errc::storage_failed;
        publication.trouble_ = trouble_;
        return publication;
    }
    publication.manifest_ = next_manifest(plan.entry_);
    for (const Quarantined& file : quarantined_)
        if (file.round < round_) publication.doomed_.push_back(file.name);
    return publication;
}

inline error_code Ledger::done(Publication&& publication) {
    if (publication.is_sync_failed_) poison();
    if (publication.outcome_) {
        trouble_ = publication.trouble_;
        if (!publication.manifest_.checkpoints.empty())
            unpublished_ = publication.manifest_.checkpoints.back();
        return publication.outcome_;
    }
    unpublished_.reset();
    manifest_ = std::move(publication.manifest_);
    needs_full_checkpoint_ = false;
    forget_segments_before(manifest_.first_segment);
    note_quarantine(publication);
    return {};
}

inline void Ledger::forget_segments_before(std::uint64_t index) {
    std::erase_if(segments_, [&](const KnownSegment& known) { return known.index < index; });
}

inline void Ledger::note_quarantine(const Publication& publication) {
    ++round_;
    std::erase_if(quarantined_, [&](const Quarantined& file) {
        return std::find(publication.doomed_.begin(), publication.doomed_.end(), file.name) !=
               publication.doomed_.end();
    });
    for (const std::string& name : publication.quarantined_)
        quarantined_.push_back({.name = name, .round = round_});
}

inline error_code Ledger::finish_checkpoint(const CheckpointPlan& plan) {
    if (plan.lsn_ > durable_)
        if (error_code ec = sync()) return ec;
    std::optional<Publication> publication = publish(plan);
    if (!publication) return Errc::invalid_request; // it was not written
    publication->perform();
    return done(std::move(*publication));
}

inline LogReading Ledger::reading(Lsn from) const {
    std::vector<std::uint64_t> indexes;
    for (const KnownSegment& segment : segments_) indexes.push_back(segment.index);
    const Lsn oldest = segments_.empty() ? Lsn{written_.value + 1} : segments_.front().first;
    return {*directory_,        config_.compressor,     manifest_,
            std::move(indexes), std::max(from, oldest), written_};
}

} // namespace everpool::log
