// Simulator of power cuts: what a host does with a ledger.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/prng.hpp"
#include "everpool/log/ledger.hpp"
#include "support/ledger_journal.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace everpool::simulation {

using tests::LedgerJournal;

/// Appends records of all sizes and makes them durable in every way there is: alone, in groups
/// while others are appended, only as far as the system; over full segments, with checkpoints of
/// both kinds in between, and closed and opened again now and then. It writes down what it was
/// promised.
class LedgerScript {
public:
    struct Options {
        std::uint64_t seed{1};
        std::uint32_t transactions{200};
        bool promises_early{false};       ///< a planted bug: believes what is only written
        bool goes_on_after_errors{false}; ///< as far as the ledger can
    };

    static log::LedgerConfig config() {
        return {.segment_bytes = std::uint64_t{64} << 10, .checkpoints_kept = 2, .deltas_max = 2};
    }

    LedgerScript(log::Directory& directory, const Options& options)
        : directory_(directory), options_(options), prng_(options.seed) {}

    /// True: done to the end. False: something failed; see what(). The ledger is closed then.
    bool run() {
        if (!reopen()) return false;
        for (std::uint32_t i = 0; i < options_.transactions; ++i)
            if (!step(i)) return false;
        if (!is_ok(ledger_->sync(), "sync")) return false;
        promise();
        return true;
    }

    /// The truth so far. Records that are being written are in it.
    [[nodiscard]] const LedgerJournal& journal() const noexcept { return journal_; }
    [[nodiscard]] const std::string& what() const noexcept { return what_; }

    /// Not a failure of the disk but of the ledger.
    [[nodiscard]] bool is_wrong() const noexcept { return is_wrong_; }

    static log::LogId id() {
        log::LogId id;
        for (std::size_t i = 0; i < id.bytes.size(); ++i)
            id.bytes[i] = static_cast<std::uint8_t>(i + 1);
        return id;
    }

    bool open() {
        ledger_.reset();
        tests::JournalVisitor visitor(journal_);
        RecoveryReport report;
        Diagnostics diagnostics;
        if (log::Ledger::open(directory_, config(), id(), visitor, report, diagnostics, ledger_)) {
            what_ = "open: " + diagnostics.text();
            return false;
        }
        if (!visitor.complaint().empty() || visitor.last() < journal_.promised()) {
            what_ = "opened with something else: " + visitor.complaint();
            is_wrong_ = true;
            return false;
        }
        journal_.truncate(visitor.last());
        return true;
    }

private:
    bool is_ok(error_code ec, const char* what) {
        if (!ec) return true;
        what_ = std::string(what) + ": " + ec.message();
        if (!options_.goes_on_after_errors) return false;
        return !ledger_->is_poisoned() || reopen();
    }

    bool reopen() {
        if (open()) return true;
        return options_.goes_on_after_errors && !is_wrong_ && open();
    }

    bool append() {
        const bool is_long = prng_.ratio(1, 50);
        const std::size_t bytes = is_long ? 20'000 + prng_.below(60'000) : prng_.below(2'500);
        journal_.append(tests::bytes_of(prng_.next(), bytes));
        log::Lsn lsn;
        const error_code ec = ledger_->append(journal_.body(journal_.last()), lsn);
        if (!ec && lsn.value == journal_.last()) return true;
        journal_.truncate(journal_.last() - 1);
        return is_ok(ec ? ec : Errc::internal_error, "append");
    }

    void promise() {
        if (!ledger_) return;
        journal_.promise(options_.promises_early ? ledger_->written() : ledger_->durable());
    }

    bool step(std::uint32_t number) {
        if (!append()) return false;
        bool is_fine = true;
        switch (prng_.below(8)) {
        case 0:
        case 1:
        case 2: is_fine = is_ok(ledger_->sync(), "sync"); break;
        case 3:
        case 4: is_fine = group_commit(); break;
        case 5: is_fine = is_ok(ledger_->write_out(), "write"); break;
        default: break; // later, with others
        }
        promise();
        if (is_fine && number % 12 == 11) is_fine = checkpoint();
        promise();
        if (is_fine && number % 67 == 66) {
            if (number % 2 == 0) is_fine = is_ok(ledger_->close(), "close");
            is_fine = is_fine && reopen();
        }
        return is_fine;
    }

    bool group_commit() {
        log::Batch batch = ledger_->take(log::Reach::disk);
        if (!append()) return false;
        if (prng_.ratio(1, 2) && !append()) return false;
        batch.perform();
        return is_ok(ledger_->done(std::move(batch)), "group commit");
    }

    bool checkpoint() {
        const auto wanted =
            prng_.ratio(1, 3) ? log::CheckpointKind::full : log::CheckpointKind::delta;
        log::CheckpointPlan plan = ledger_->begin_checkpoint(wanted);
        if (!plan.is_needed()) return true;
        if (!append()) return false; // others go on meanwhile
        const auto body = journal_.checkpoint(plan.lsn().value, plan.parent().value);
        if (error_code ec = plan.write(body)) return is_ok(ec, "checkpoint");
        return is_ok(ledger_->finish_checkpoint(plan), "manifest");
    }

    log::Directory& directory_;
    const Options options_;
    core::Prng prng_;
    LedgerJournal journal_;
    std::optional<log::Ledger> ledger_;
    std::string what_;
    bool is_wrong_{false};
};

} // namespace everpool::simulation
