// Everpool: what was found when a state was read from disk, and what was done about it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace everpool {

/// What to do when the log on disk is not whole.
enum class RecoveryMode : std::uint8_t {
    /// Everything up to the first bad record counts, nothing after it: the state is one that really
    /// was. The default.
    point_in_time,
    /// Any irregularity is an error, an unfinished last write included; nothing is changed.
    absolute,
    /// An unfinished write at the end, which a crash leaves behind, is cut off; anything else is an
    /// error, and nothing is changed.
    tolerate_corrupted_tail,
    /// Whatever can be read counts, bad records are skipped. The state may be one that never was:
    /// for rescuing data by hand.
    salvage,
};

constexpr std::string_view name_of(RecoveryMode mode) noexcept {
    switch (mode) {
    case RecoveryMode::point_in_time: return "point_in_time";
    case RecoveryMode::absolute: return "absolute";
    case RecoveryMode::tolerate_corrupted_tail: return "tolerate_corrupted_tail";
    case RecoveryMode::salvage: return "salvage";
    }
    return "unrecognised";
}

/// How a log ended.
enum class LogEnding : std::uint8_t {
    clean,      ///< after its last record there is nothing
    torn_tail,  ///< in a write that a crash interrupted; it had not been acknowledged as durable
    corruption, ///< in bytes that were written once and are not what they were
};

constexpr std::string_view name_of(LogEnding ending) noexcept {
    switch (ending) {
    case LogEnding::clean: return "clean";
    case LogEnding::torn_tail: return "torn_tail";
    case LogEnding::corruption: return "corruption";
    }
    return "unrecognised";
}

/// What recovery read, what it cut off and why.
struct RecoveryReport {
    RecoveryMode mode{};
    bool is_new{false}; ///< the directory was empty: there was nothing to recover

    std::uint64_t checkpoint_record{0};            ///< where the state began; 0: without one
    std::uint32_t checkpoints_read{0};             ///< full and delta, those that count
    std::vector<std::string> checkpoints_rejected; ///< "checkpoint-...: checksum differs"

    std::uint32_t segments_read{0};
    std::uint64_t bytes_read{0};
    std::uint64_t records_read{0};    ///< those that count, after the checkpoint
    std::uint64_t records_skipped{0}; ///< bad ones, in mode salvage
    std::uint64_t last_record{0};     ///< number of the last one that counts; 0: none

    LogEnding ending{LogEnding::clean};
    std::string cut_file;             ///< where the log was cut; empty: nowhere
    std::uint64_t cut_offset{0};      ///< bytes of that file that count
    std::uint64_t cut_bytes{0};       ///< bytes after them that held something
    std::string cut_reason;           ///< "record 12: checksum differs"
    bool is_durable_data_lost{false}; ///< a record that had been made durable is not there any more

    /// All of it in a few lines, for a person.
    [[nodiscard]] std::string text() const;

    friend bool operator==(const RecoveryReport&, const RecoveryReport&) = default;
};

// -------------------------------------------------------------------------------------------------

inline std::string RecoveryReport::text() const {
    if (is_new) return "a new log: nothing to recover";
    const auto count = [](std::uint64_t number, std::string_view what) {
        return std::to_string(number) + ' ' + std::string(what) + (number == 1 ? "" : "s");
    };
    std::string out = count(checkpoints_read, "checkpoint");
    if (checkpoint_record != 0) out += " (record " + std::to_string(checkpoint_record) + ")";
    out += ", " + count(records_read, "record") + " of " + count(segments_read, "segment") + " (" +
           count(bytes_read, "byte") + "); last record " + std::to_string(last_record);
    out += "; mode " + std::string(name_of(mode)) + ", ending " + std::string(name_of(ending));
    if (records_skipped != 0) out += "; skipped " + count(records_skipped, "bad record");
    if (!cut_file.empty())
        out += "\ncut " + cut_file + " at byte " + std::to_string(cut_offset) + ", " +
               count(cut_bytes, "byte") + " after it: " + cut_reason;
    for (const std::string& why : checkpoints_rejected) out += "\nnot used: " + why;
    if (is_durable_data_lost) out += "\nRecords that had been made durable are lost.";
    return out;
}

} // namespace everpool
