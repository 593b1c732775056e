// Everpool log: bodies of Ledger that concern batches on their way to the disk, and back.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/ledger.hpp"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <utility>
#include <vector>

namespace everpool::log {

inline error_code Ledger::complete(Reach reach) {
    Batch batch = take(reach);
    batch.perform();
    return done(std::move(batch));
}

inline Batch Ledger::take(Reach reach) {
    assert(!is_batch_out_);
    is_batch_out_ = true;
    Batch batch;
    batch.directory_ = directory_;
    batch.current_ = current_;
    batch.reach_ = reach;
    batch.last_ = appended_;
    if (is_poisoned_) {
        batch.outcome_ = Errc::storage_failed;
        batch.trouble_ = trouble_;
    } else {
        batch.pieces_ = std::move(pieces_);
        pieces_ = std::move(spare_pieces_);
        pieces_.clear();
    }
    return batch;
}

inline error_code Ledger::done(Batch&& batch) {
    is_batch_out_ = false;
    if (batch.is_sync_failed_) poison();
    if (is_poisoned_ && !batch.outcome_) {
        // Another sync failed meanwhile. It may have taken with it a name that this batch relies
        // on.
        batch.outcome_ = Errc::storage_failed;
        batch.trouble_ = trouble_;
    }
    if (batch.outcome_) trouble_ = std::move(batch.trouble_);
    last_error_ = batch.outcome_;
    if (is_poisoned_) return last_error_;
    for (const detail::Piece& piece : batch.pieces_) {
        if (!piece.is_written) break;
        written_ = std::max(written_, piece.last);
        stored_ = piece.last;
        unwritten_bytes_ -= piece.bytes.size();
    }
    if (batch.current_) current_ = batch.current_;
    durable_ = std::max(durable_, batch.sealed_);
    if (batch.is_synced_) durable_ = written_;
    try {
        take_back(batch.pieces_);
    } catch (...) { // some are gone: what is written behind them would be lost to every recovery
        poison();
        throw;
    }
    return last_error_;
}

inline WrittenSync Ledger::take_sync() const {
    WrittenSync sync;
    sync.last_ = durable_;
    if (is_poisoned_) sync.outcome_ = Errc::storage_failed;
    if (is_poisoned_ || !current_ || stored_ <= durable_) return sync;
    // Those in segments before it are durable: it was begun.
    sync.segment_ = current_;
    sync.last_ = stored_;
    return sync;
}

inline error_code Ledger::done(WrittenSync&& sync) {
    if (is_poisoned_) return Errc::storage_failed;
    if (!sync.is_performed_) return {};
    if (sync.outcome_) {
        poison();
        return detail::sync_error(sync.outcome_, segment_name(sync.segment_->header.index), "sync",
                                  trouble_);
    }
    durable_ = std::max(durable_, sync.last_);
    return {};
}

inline bool Ledger::begins_segment() const noexcept {
    return std::any_of(pieces_.begin(), pieces_.end(),
                       [](const detail::Piece& piece) { return !piece.segment->is_ready; });
}

/// What was not written comes before what was appended meanwhile.
inline void Ledger::take_back(std::vector<detail::Piece>& pieces) {
    auto rest = pieces.begin();
    for (; rest != pieces.end() && rest->is_written; ++rest) recycle(std::move(rest->bytes));
    pieces.erase(pieces.begin(), rest);
    if (!pieces.empty()) {
        auto next = pieces_.begin();
        if (next != pieces_.end() && next->segment == pieces.back().segment) {
            detail::Piece& last = pieces.back();
            last.bytes.insert(last.bytes.end(), next->bytes.begin(), next->bytes.end());
            last.last = next->last;
            recycle(std::move(next->bytes));
            ++next;
        }
        pieces.insert(pieces.end(), std::make_move_iterator(next),
                      std::make_move_iterator(pieces_.end()));
        std::swap(pieces, pieces_);
    }
    pieces.clear();
    spare_pieces_ = std::move(pieces);
}

} // namespace everpool::log
