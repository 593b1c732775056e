// The log as a host has it: a ledger in a real directory, with zstd, shared by a committer. All of
// it with its defaults.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/ledger.hpp"
#include "io/linux/file_directory.hpp"
#include "io/log_committer.hpp"
#include "io/zstd_compressor.hpp"
#include "log_store.hpp"

namespace bench {

/// Looks at what is recovered, and keeps none of it.
class CountingVisitor final : public everpool::log::RecoveryVisitor {
public:
    bool on_checkpoint(everpool::log::CheckpointKind, everpool::log::Lsn,
                       std::span<const std::byte>) override {
        return true;
    }
    void on_reset() override { count = bytes = 0; }
    bool on_record(everpool::log::Lsn, std::span<const std::byte> body) override {
        ++count;
        bytes += body.size();
        return true;
    }

    std::uint64_t count{0}, bytes{0};
};

class EverpoolLog {
public:
    EverpoolLog(const std::filesystem::path& path, everpool::log::RecoveryVisitor& visitor);

    [[nodiscard]] everpool::io::LogCommitter& committer() noexcept { return *committer_; }

    everpool::RecoveryReport report;

private:
    everpool::io::ZstdCompressor zstd_;
    std::unique_ptr<everpool::io::FileDirectory> directory_;
    std::unique_ptr<everpool::io::LogCommitter> committer_; // last: it uses the rest
};

} // namespace bench
