// Simulator of power cuts: cuts it wherever a script changes the disk, and looks at what is left.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/prng.hpp"
#include "everpool/log/ledger.hpp"
#include "ledger_script.hpp"
#include "support/ledger_journal.hpp"
#include "support/simulated_disk.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace everpool::simulation {

using tests::Loss;
using tests::SimulatedDisk;

constexpr std::string_view name_of(Loss loss) noexcept {
    switch (loss) {
    case Loss::nothing: return "nothing lost";
    case Loss::all: return "all lost";
    case Loss::names: return "names lost";
    case Loss::bytes: return "bytes lost";
    case Loss::by_chance: return "lost by chance";
    case Loss::torn: return "torn";
    }
    return "unrecognised";
}

/// Counts, and the first violation in words.
struct PowerCutFindings {
    std::uint64_t points{0};       ///< changes of the disk at which the power was cut
    std::uint64_t cuts{0};         ///< with their patterns of loss
    std::uint64_t nested_cuts{0};  ///< again, while what was left was being recovered
    std::uint64_t torn_endings{0}; ///< of them: recoveries that had to cut something off
    std::uint64_t records{0};      ///< recovered and compared
    std::uint64_t violations{0};
    std::string first;

    void note(std::string what) {
        if (violations++ == 0) first = std::move(what);
    }
};

class PowerCuts {
public:
    struct Options {
        std::uint64_t seed{1};
        std::uint32_t chance_patterns{
            3};                 ///< of each kind of chance, per point, on top of the others
        bool is_nested{true};   ///< cuts the power during recovery, too
        std::uint32_t every{1}; ///< looks at each change, or at one of so many by chance
    };

    PowerCuts(PowerCutFindings& findings, const Options& options)
        : findings_(findings), options_(options), prng_(options.seed) {}

    /// Cuts the power here, in all ways.
    void cut(const SimulatedDisk& disk, const LedgerJournal& journal) {
        if (options_.every > 1 && !prng_.ratio(1, options_.every)) return;
        ++findings_.points;
        for (const Loss loss : {Loss::nothing, Loss::all, Loss::names, Loss::bytes})
            cut(disk, journal, loss);
        for (std::uint32_t i = 0; i < options_.chance_patterns; ++i) {
            cut(disk, journal, Loss::by_chance);
            cut(disk, journal, Loss::torn);
        }
        if (!options_.is_nested) return;
        live_on(disk.after_power_cut(Loss::by_chance, prng_.next()), journal, "twice: ");
        live_on(disk.after_kill(prng_.next()), journal, "after a kill: ");
    }

private:
    void cut(const SimulatedDisk& disk, const LedgerJournal& journal, Loss loss) {
        ++findings_.cuts;
        const std::uint64_t seed = prng_.next();
        const auto left = disk.after_power_cut(loss, seed);
        LedgerJournal truth = journal;
        const auto ledger = recover(*left, truth, loss, "");
        // It must be possible to go on from there; done for a part, since it takes as long again.
        if (ledger && prng_.ratio(1, 3)) go_on(*left, truth, loss);
    }

    /// Recovers what is left and writes on; the power is cut at every change of the disk meanwhile.
    void live_on(const std::unique_ptr<SimulatedDisk>& left, LedgerJournal truth,
                 const std::string& when) {
        left->on_change = [&] {
            for (const Loss loss : {Loss::all, Loss::by_chance}) {
                ++findings_.nested_cuts;
                const auto less = left->after_power_cut(loss, prng_.next());
                LedgerJournal nested = truth;
                recover(*less, nested, loss, when);
            }
        };
        auto ledger = recover(*left, truth, Loss::by_chance, "before " + when);
        if (!ledger) return;
        for (int i = 0; i < 2; ++i) {
            append(*ledger, truth);
            append(*ledger, truth);
            if (ledger->sync()) return findings_.note(when + "cannot be synced");
            truth.promise(ledger->durable());
        }
    }

    std::optional<log::Ledger> recover(SimulatedDisk& disk, LedgerJournal& truth, Loss loss,
                                       const std::string& when) {
        std::optional<log::Ledger> ledger;
        tests::JournalVisitor visitor(truth);
        RecoveryReport report;
        Diagnostics diagnostics;
        log::LedgerConfig config = LedgerScript::config();
        // But for torn sectors, no power cut may look like damage.
        if (loss != Loss::torn) config.recovery = RecoveryMode::tolerate_corrupted_tail;
        const error_code ec = log::Ledger::open(disk, config, LedgerScript::id(), visitor, report,
                                                diagnostics, ledger);
        const auto complain = [&](const std::string& what) {
            findings_.note(when + std::string(name_of(loss)) + ", point " +
                           std::to_string(findings_.points) + ", promised " +
                           std::to_string(truth.promised()) + ", appended " +
                           std::to_string(truth.last()) + ": " + what + "\n" + report.text());
            return std::nullopt;
        };
        if (ec) return complain("not recovered: " + diagnostics.text());
        findings_.records += visitor.last();
        if (report.ending != LogEnding::clean) ++findings_.torn_endings;
        if (!visitor.complaint().empty()) return complain(visitor.complaint());
        if (visitor.last() < truth.promised())
            return complain("lost what was durable: only " + std::to_string(visitor.last()));
        if (report.last_record != visitor.last() || ledger->appended().value != visitor.last())
            return complain("says that it recovered something else");
        if (report.is_durable_data_lost) return complain("believes that something was lost");
        truth.truncate(visitor.last());
        return ledger;
    }

    void append(log::Ledger& ledger, LedgerJournal& truth) {
        truth.append(tests::bytes_of(prng_.next(), 100 + prng_.below(900)));
        log::Lsn lsn;
        if (ledger.append(truth.body(truth.last()), lsn) || lsn.value != truth.last())
            findings_.note("a record is refused after recovery");
    }

    /// Another life, and another power cut that takes all that was not synced.
    void go_on(SimulatedDisk& disk, LedgerJournal& truth, Loss loss) {
        auto ledger = recover(disk, truth, loss, "again: ");
        if (!ledger) return;
        for (int i = 0; i < 3; ++i) append(*ledger, truth);
        if (ledger->sync()) return findings_.note("cannot be synced after recovery");
        truth.promise(ledger->durable());
        append(*ledger, truth);
        const auto left = disk.after_power_cut(Loss::all, prng_.next());
        recover(*left, truth, loss, "later: ");
    }

    PowerCutFindings& findings_;
    const Options options_;
    core::Prng prng_;
};

/// Runs the script on `directory`, which stands on `disk`, and cuts the power all along.
inline PowerCutFindings play_with_power_cuts(SimulatedDisk& disk, log::Directory& directory,
                                             const LedgerScript::Options& script_options,
                                             const PowerCuts::Options& options) {
    PowerCutFindings findings;
    PowerCuts cuts(findings, options);
    LedgerScript script(directory, script_options);
    disk.on_change = [&] { cuts.cut(disk, script.journal()); };
    if (!script.run()) findings.note("the script failed: " + script.what());
    disk.on_change = nullptr;
    cuts.cut(disk, script.journal());
    return findings;
}

} // namespace everpool::simulation
