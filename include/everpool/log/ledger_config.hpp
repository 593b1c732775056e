// Everpool log: the knobs of a ledger.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/compressor.hpp"
#include "everpool/recovery_report.hpp"

#include <cstddef>
#include <cstdint>
#include <stdexcept>

namespace everpool::log {

/// Every member has a default that suits most hosts.
struct LedgerConfig {
    /// What to do when the log is not whole. Default: everything up to the first bad record counts.
    RecoveryMode recovery{RecoveryMode::point_in_time};

    /// Length of a segment, all of which is allocated when it is begun; a record that is longer
    /// gets a longer one. 64 KiB to 1 GiB; default 16 MiB. Small ones cost three syncs each time
    /// one is full, large ones disk space.
    std::uint64_t segment_bytes{std::uint64_t{16} << 20};

    /// How many checkpoints recovery can go back to, should the newest be damaged; the segments
    /// that the oldest needs are kept, too. 1 to 100; default 5. Those that a kept delta builds on
    /// are kept on top of it.
    std::uint32_t checkpoints_kept{5};

    /// How many deltas are built on a full checkpoint before the next one is full: the longest
    /// chain that recovery has to read is one longer. 0 (always full) to 100; default 8.
    std::uint32_t deltas_max{8};

    /// How much may wait in memory to be written. Beyond it append() refuses: a disk that is full
    /// or stands still must not take all memory with it. At least 64 KiB; default 64 MiB. A single
    /// record is always taken while nothing waits.
    std::uint64_t unwritten_bytes_max{std::uint64_t{64} << 20};

    /// Makes long bodies smaller; must outlive the ledger. Null: bodies are stored as they are, and
    /// a log with compressed ones is not opened.
    const Compressor* compressor{nullptr};
    /// Shorter record bodies are never compressed. Default 1 KiB.
    std::size_t compressed_from_bytes{1024};
};

/// Throws std::invalid_argument that names the member.
inline void check_config(const LedgerConfig& config) {
    const auto check = [](bool is_right, const char* what) {
        if (!is_right) throw std::invalid_argument(what);
    };
    check(config.segment_bytes >= (std::uint64_t{64} << 10) &&
              config.segment_bytes <= (std::uint64_t{1} << 30),
          "LedgerConfig::segment_bytes must be 64 KiB to 1 GiB");
    check(config.checkpoints_kept >= 1 && config.checkpoints_kept <= 100,
          "LedgerConfig::checkpoints_kept must be 1 to 100");
    check(config.deltas_max <= 100, "LedgerConfig::deltas_max must be 0 to 100");
    check(config.unwritten_bytes_max >= (std::uint64_t{64} << 10),
          "LedgerConfig::unwritten_bytes_max must be at least 64 KiB");
}

} // namespace everpool::log
