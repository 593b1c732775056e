// Everpool log: reading a log while it is being written.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/error.hpp"
#include "everpool/log/compressor.hpp"
#include "everpool/log/file_system.hpp"
#include "everpool/log/fragment.hpp"
#include "everpool/log/ledger_walk.hpp"
#include "everpool/log/log_id.hpp"
#include "everpool/log/manifest.hpp"
#include "everpool/log/record_body.hpp"
#include "everpool/log/segment_reader.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace everpool::log {

/// Gives a record's body as it was appended.
class BodyReader {
public:
    explicit BodyReader(const Compressor* compressor) noexcept : compressor_(compressor) {}

    /// False: it cannot be decompressed. `body` is valid until the next call, or as the record's.
    /// Throws std::bad_alloc.
    bool read(const LogRecord& record, std::span<const std::byte>& body) {
        return read(record.body, record.is_compressed, record_bytes_max, body);
    }
    bool read(std::span<const std::byte> stored, bool is_compressed, std::size_t bytes_max,
              std::span<const std::byte>& body) {
        body = stored;
        if (!is_compressed) return true;
        buffer_.clear();
        if (compressor_ == nullptr || !decompress_body(stored, bytes_max, *compressor_, buffer_))
            return false;
        body = buffer_;
        return true;
    }

private:
    const Compressor* compressor_;
    std::vector<std::byte> buffer_;
};

/// A look at the records of a ledger: those that were written when it was made (Ledger::reading()).
/// It opens the files itself and has nothing to do with the ledger any more, which may go on, on
/// another thread; the directory must outlive it.
///
///     LogReading reading = ledger.reading(Lsn{100});
///     while (reading.next(lsn, body)) ...
///     if (reading.error()) ...
class LogReading {
public:
    LogReading(Directory& directory, const Compressor* compressor, const Manifest& manifest,
               std::vector<std::uint64_t> indexes, Lsn first, Lsn last)
        : directory_(&directory),
          log_(manifest.log),
          cuts_(manifest.cuts),
          indexes_(std::move(indexes)),
          bodies_(compressor),
          first_(first),
          last_(last) {}

    /// The first record that there is: the one asked for, or the oldest that is kept.
    [[nodiscard]] Lsn first() const noexcept { return first_; }
    [[nodiscard]] Lsn last() const noexcept { return last_; }

    /// The next record; `body` is valid until the next call. False: that was the last, or error().
    [[nodiscard]] bool next(Lsn& lsn, std::span<const std::byte>& body);

    /// storage_failed: a file cannot be read; storage_damaged: a record is not there any more, or
    /// not what it was, which trouble() names.
    [[nodiscard]] error_code error() const noexcept { return error_; }
    [[nodiscard]] const Diagnostics& trouble() const noexcept { return trouble_; }

private:
    bool begin();
    bool fail(error_code error, Diagnostics trouble);

    Directory* directory_;
    LogId log_;
    std::vector<LogCut> cuts_;
    std::vector<std::uint64_t> indexes_;
    BodyReader bodies_;
    Lsn first_, last_;
    bool has_ended_{false};
    std::vector<WalkSegment> segments_;
    std::unique_ptr<LogWalk> walk_; ///< refers to what stands above, in memory of its own
    error_code error_;
    Diagnostics trouble_;
};

// -------------------------------------------------------------------------------------------------

inline bool LogReading::fail(error_code error, Diagnostics trouble) {
    has_ended_ = true;
    error_ = error;
    trouble_ = std::move(trouble);
    return false;
}

inline bool LogReading::begin() {
    if (walk_) return true;
    Diagnostics trouble;
    if (error_code ec = read_headers(*directory_, log_, indexes_, segments_, trouble))
        return fail(ec, std::move(trouble));
    walk_ = std::make_unique<LogWalk>(*directory_, segments_, cuts_, Lsn{first_.value - 1}, false);
    return true;
}

inline bool LogReading::next(Lsn& lsn, std::span<const std::byte>& body) {
    if (has_ended_ || first_ > last_ || !begin()) return false;
    LogRecord record;
    if (!walk_->next(record)) {
        if (walk_->error()) return fail(walk_->error(), walk_->trouble());
        return fail(Errc::storage_damaged, {.message = "the log cannot be read: record " +
                                                       std::to_string(walk_->end().expected.value) +
                                                       " is missing or damaged"});
    }
    if (!bodies_.read(record, body))
        return fail(
            Errc::storage_damaged,
            {.message = "record " + std::to_string(record.lsn.value) + " cannot be decompressed"});
    lsn = record.lsn;
    has_ended_ = lsn == last_;
    return true;
}

} // namespace everpool::log
