// Tests: what a state writer tells the one who is going to kill it, over a pipe.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/browser_state_manager_config.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace everpool::tests {

enum class ReportKind : std::uint8_t {
    opening,          ///< it is about to open the directory
    opened,           ///< it has recovered, and begins to write
    announced,        ///< it is about to commit this; the transaction follows, `unnumbered`
    applied,          ///< by the listener, in order; what recovery did by itself follows, encoded
    acknowledged,     ///< this is as durable as `durability` says
    checkpoint_begun, ///< or about to be
    checkpoint_ended,
    failed, ///< a text follows; then it ends
};

/// What stands before each message's bytes.
struct Report {
    ReportKind kind{};
    Durability durability{};
    std::uint16_t thread{0};
    std::uint32_t sequence{0}; ///< of the thread's transactions, from 1
    std::uint64_t number{0};   ///< of the transaction in the log; 0: not known when it was sent
    std::uint32_t bytes{0};    ///< that follow
    std::uint32_t reserved{0};
};
static_assert(sizeof(Report) == 24);

/// In place of a number that is not known yet. (0 is none that a log may hold.)
inline constexpr std::uint64_t unnumbered = 1;

inline constexpr std::uint16_t recovery_thread = 0xffff; ///< changes that recovery made

/// Small, so that a life of a tenth of a second has many segments and checkpoints.
inline BrowserStateManagerConfig writer_config(const std::filesystem::path& directory,
                                               std::uint32_t checkpoints_kept) {
    BrowserStateManagerConfig config;
    config.directory = directory;
    config.commit_interval = std::chrono::milliseconds(2);
    config.checkpoint_interval = Duration::zero();
    config.checkpoint_count_kept = checkpoints_kept;
    config.delta_chain_max = 4;
    config.limits.operations_kept = 300;
    config.segment_bytes = 64 << 10;
    config.compressed_bytes_min = 256;
    return config;
}

} // namespace everpool::tests
