// A ledger on a simulated disk, with the truth beside it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/log/ledger.hpp"
#include "support/catch.hpp"
#include "support/ledger_journal.hpp"
#include "support/simulated_disk.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace everpool::tests {

using namespace everpool::log;

inline LogId rig_log() {
    LogId id;
    id.bytes.fill(7);
    return id;
}

struct LedgerRig {
    std::unique_ptr<SimulatedDisk> disk{std::make_unique<SimulatedDisk>(1)};
    LedgerConfig config{.segment_bytes = std::uint64_t{64} << 10};
    LedgerJournal journal;
    std::optional<Ledger> ledger;
    RecoveryReport report;
    Diagnostics diagnostics;
    std::uint64_t seen{0}; ///< the last record that the recovery gave

    /// Opens it, and checks that nothing came out that did not go in.
    error_code open() {
        ledger.reset();
        JournalVisitor visitor(journal);
        const error_code ec =
            Ledger::open(*disk, config, rig_log(), visitor, report, diagnostics, ledger);
        seen = visitor.last();
        if (!ec && config.recovery != RecoveryMode::salvage) {
            CHECK(visitor.complaint() == "");
            journal.truncate(seen);
        }
        return ec;
    }
    error_code open(RecoveryMode mode) {
        config.recovery = mode;
        return open();
    }

    error_code append(std::size_t bytes = 200) {
        Bytes body = bytes_of(journal.last() + 1000, bytes);
        Lsn lsn;
        const error_code ec = ledger->append(body, lsn);
        if (ec) return ec;
        journal.append(std::move(body));
        CHECK(lsn.value == journal.last());
        return {};
    }
    void append_many(int count, std::size_t bytes = 200) {
        for (int i = 0; i < count; ++i) REQUIRE_FALSE(append(bytes));
    }
    void commit(int count = 1, std::size_t bytes = 200) {
        for (int i = 0; i < count; ++i) {
            append_many(1, bytes);
            REQUIRE_FALSE(ledger->sync());
        }
    }

    CheckpointKind checkpoint(CheckpointKind wanted) {
        CheckpointPlan plan = ledger->begin_checkpoint(wanted);
        REQUIRE(plan.is_needed());
        REQUIRE_FALSE(plan.write(journal.checkpoint(plan.lsn().value, plan.parent().value)));
        REQUIRE_FALSE(ledger->finish_checkpoint(plan));
        return plan.kind();
    }

    /// The power is cut, and the disk is what is left.
    void power_cut(Loss loss = Loss::all, std::uint64_t seed = 1) {
        ledger.reset();
        disk = disk->after_power_cut(loss, seed);
    }

    /// Flips a bit of a file, durably.
    void damage(const std::string& name, std::size_t offset) {
        const Bytes* contents = disk->contents(name);
        REQUIRE(contents != nullptr);
        Bytes bytes = *contents;
        REQUIRE(offset < bytes.size());
        bytes[offset] ^= std::byte{1};
        disk->put(name, std::move(bytes));
    }

    [[nodiscard]] std::vector<std::string> files(std::string_view prefix) const {
        std::vector<std::string> found;
        for (std::string& name : disk->names())
            if (name.starts_with(prefix)) found.push_back(std::move(name));
        return found;
    }
};

} // namespace everpool::tests
