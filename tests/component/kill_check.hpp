// Tests: a state that was recovered after a kill, against the journal of what was said before it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "component/kill_journal.hpp"
#include "everpool/browser_state_manager.hpp"
#include "everpool/core/state_codec.hpp"
#include "everpool/core/state_core.hpp"
#include "everpool/core/state_merge.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace everpool::tests {

struct KillFindings {
    std::uint64_t acknowledged{0}, lost{0}, invented{0};
    std::uint64_t recovered{0};            ///< transactions of this life that are there
    std::uint64_t orphans{0};              ///< operations that were decided about
    std::vector<std::string> complaints{}; ///< lost and invented ones among them

    void complain(std::string text) {
        if (complaints.size() < 20) complaints.push_back(std::move(text));
    }
    void add(const KillFindings& other, const std::string& where) {
        acknowledged += other.acknowledged;
        lost += other.lost;
        invented += other.invented;
        recovered += other.recovered;
        orphans += other.orphans;
        for (const std::string& text : other.complaints) complain(where + text);
    }
};

/// The state as it must be on disk: what was found there after the last kill, and nothing else.
class KillModel {
public:
    explicit KillModel(const StateLimits& limits) : core_(limits) {}

    /// `reopened` was opened after the kill that ended `life`. `is_copy`: what it settled is not on
    /// the disk that the next life opens.
    void check(BrowserStateManager& reopened, std::uint32_t life, KillJournal& journal,
               bool is_copy, KillFindings& out) {
        const std::uint64_t last_found = reopened.recovery().last_record;
        if (last_found < core_.version()) {
            out.complain("the log ends before what an earlier check found: " +
                         reopened.recovery().text());
            ++out.lost;
            return;
        }
        auto transactions = collect(reopened, journal, out);
        auto own = std::ranges::find_if(
            transactions, [&](const Transaction& t) { return t.number > last_found; });
        for (auto at = transactions.begin(); at != own; ++at) advance(*at, life, journal, out);
        check_acknowledged(journal, out);
        check_settled(reopened, {own, transactions.end()}, is_copy, out);
        for (const std::string& difference : reopened.verify())
            out.complain("verify: " + difference);
    }

private:
    static std::vector<std::byte> as_announced(Transaction transaction) {
        transaction.number = unnumbered;
        std::vector<std::byte> bytes;
        core::encode_transaction(transaction, bytes);
        return bytes;
    }

    /// All after the model's last one, in order: from the log, and where that does not reach back
    /// so far any more, as the listener told.
    std::vector<Transaction> collect(const BrowserStateManager& reopened, KillJournal& journal,
                                     KillFindings& out) {
        const std::uint64_t wanted = core_.version() + 1;
        const std::uint64_t last = reopened.health().committed;
        auto logged = reopened.last_transactions(static_cast<std::size_t>(last - core_.version()));
        const std::uint64_t reaches = logged.empty() ? last + 1 : logged.front().number;
        std::vector<Transaction> all;
        for (const KillJournal::Told& told : journal.told()) {
            if (told.number < wanted || told.number >= reaches) continue;
            Transaction transaction;
            const KillJournal::Entry* entry = journal.find(told.key);
            const auto bytes = told.key.thread == recovery_thread
                                   ? journal.recovery_bytes(told.key.sequence)
                               : entry ? journal.bytes_of(*entry)
                                       : std::span<const std::byte>{};
            if (core::decode_transaction(bytes, transaction) != Errc::ok)
                out.complain("the listener told what was not announced");
            transaction.number = told.number;
            all.push_back(std::move(transaction));
        }
        all.insert(all.end(), std::make_move_iterator(logged.begin()),
                   std::make_move_iterator(logged.end()));
        std::uint64_t expected = wanted;
        for (const Transaction& transaction : all)
            if (transaction.number != expected++)
                out.complain("a gap before transaction " + std::to_string(transaction.number));
        if (expected != last + 1) out.complain("the log ends at " + std::to_string(expected - 1));
        return all;
    }

    void advance(const Transaction& transaction, std::uint32_t life, KillJournal& journal,
                 KillFindings& out) {
        const std::string name =
            "transaction " + std::to_string(transaction.number) + " (" + transaction.actor + ")";
        const bool is_recovery = transaction.actor == "recovery";
        if (!is_recovery) {
            if (++out.recovered == 1 && is_unsettled(core_.snapshot()))
                out.complain(name + " came before what was left had been settled");
            check_announced(transaction, name, life, journal, out);
        }
        const StateSnapshot before = is_recovery ? core_.snapshot() : StateSnapshot();
        Diagnostics why;
        if (core_.replay(transaction, why) != Errc::ok)
            out.complain(name + " cannot be: " + why.text());
        if (is_recovery) check_settling(before, core_.snapshot(), out);
    }

    void check_announced(const Transaction& transaction, const std::string& name,
                         std::uint32_t life, KillJournal& journal, KillFindings& out) {
        char* end = nullptr;
        const auto told_life = std::strtoul(transaction.actor.c_str(), &end, 10);
        const auto thread = static_cast<std::uint16_t>(std::strtoul(end, &end, 10));
        const auto sequence = static_cast<std::uint32_t>(std::strtoul(end, &end, 10));
        KillJournal::Entry* entry = told_life == life ? journal.find({thread, sequence}) : nullptr;
        if (entry == nullptr || entry->is_found) {
            ++out.invented;
            out.complain(name + (entry ? " is there twice" : " was never announced"));
            return;
        }
        entry->is_found = true;
        if (!std::ranges::equal(journal.bytes_of(*entry), as_announced(transaction)))
            out.complain(name + " is not what was announced");
        if (entry->number != 0 && entry->number != transaction.number)
            out.complain(name + " was acknowledged as " + std::to_string(entry->number));
        if (sequence != ++last_of_[{life, thread}])
            out.complain(name + " is out of its thread's order");
    }

    void check_acknowledged(const KillJournal& journal, KillFindings& out) {
        for (std::size_t thread = 0; thread < journal.threads().size(); ++thread) {
            const auto& entries = journal.threads()[thread];
            for (std::size_t i = 0; i < entries.size(); ++i) {
                if (!entries[i].is_acknowledged) continue;
                ++out.acknowledged;
                if (entries[i].is_found) continue;
                ++out.lost;
                out.complain("thread " + std::to_string(thread) + "'s transaction " +
                             std::to_string(i + 1) + " was acknowledged at " +
                             std::string(name_of(entries[i].durability)) + " and is lost");
            }
        }
    }

    // What OrphanPolicy::redispatch promises, said once more. The writer is dead, and its process
    // with it.
    static OperationStatus settled_status(const OperationState& left) {
        if (is_final(left.status)) return left.status;
        const bool may_run_again = left.is_idempotent || left.attempts == 0;
        return may_run_again ? OperationStatus::queued : OperationStatus::outcome_unknown;
    }
    static bool is_unsettled(const StateSnapshot& state) {
        bool is = false;
        state.visit_operations([&](const OperationState& operation) {
            is = is || operation.status != settled_status(operation);
        });
        state.visit_browsers(
            [&](const BrowserState& browser) { is = is || !is_gone(browser.connection); });
        return is;
    }
    static void check_settling(const StateSnapshot& before, const StateSnapshot& after,
                               KillFindings& out) {
        before.visit_operations([&](const OperationState& left) {
            const OperationState* now = after.find_operation(left.id);
            if (is_final(left.status) ? now != nullptr && now->status != left.status
                                      : now == nullptr || now->status != settled_status(left))
                out.complain("operation " + std::to_string(left.id.value) +
                             " was not settled as it should be");
        });
        after.visit_browsers([&](const BrowserState& browser) {
            if (browser.connection != ConnectionStatus::lost)
                out.complain("browser " + std::to_string(browser.id.value) + " is not lost");
        });
    }

    static void check_orphans(const BrowserStateManager& reopened, const StateSnapshot& left,
                              KillFindings& out) {
        std::vector<OrphanedOperation> orphans = reopened.orphans();
        out.orphans += orphans.size();
        left.visit_operations([&](const OperationState& operation) {
            if (is_final(operation.status)) return;
            const auto at = std::ranges::find(
                orphans, operation.id, [](const auto& orphan) { return orphan.operation.id; });
            const auto status = settled_status(operation);
            if (at == orphans.end() || at->operation.status != status ||
                at->may_run_again != (status == OperationStatus::queued))
                out.complain("orphan " + std::to_string(operation.id.value) +
                             " was not decided as it should be");
            if (at != orphans.end()) orphans.erase(at);
        });
        if (!orphans.empty()) out.complain("an orphan that was not left");
    }

    /// What this very recovery has committed, and the state that it leads to.
    void check_settled(const BrowserStateManager& reopened, std::span<const Transaction> own,
                       bool is_copy, KillFindings& out) {
        const StateSnapshot left = core_.snapshot();
        check_orphans(reopened, left, out);
        Diagnostics why;
        core::StateCore settled(core_.limits());
        if (settled.restore(left, why) != Errc::ok)
            out.complain("the model is no state: " + why.text());
        for (const Transaction& transaction : own)
            if (transaction.actor != "recovery" || settled.replay(transaction, why) != Errc::ok)
                out.complain("recovery's own transaction " + std::to_string(transaction.number) +
                             ": " + why.text());
        check_settling(left, settled.snapshot(), out);
        if (is_unsettled(settled.snapshot())) out.complain("not everything was settled");
        for (const core::StateDifference& difference :
             core::difference(reopened.snapshot(), settled.snapshot(), 5))
            out.complain("state: " + difference.text() + " (recovered / expected)");
        if (!is_copy) core_ = std::move(settled);
    }

    core::StateCore core_;
    std::map<std::pair<std::uint32_t, std::uint16_t>, std::uint32_t> last_of_;
};

} // namespace everpool::tests
