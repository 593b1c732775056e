// Tests: a state that was recovered after a kill, against the journal of what was said before it.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "component/kill_journal.hpp"
#include "everpool/browser_state_manager.hpp"
#include "everpool/core/state_codec.hpp"
#include "everpool/core/state_core.hpp"
#include "everpool/core/state_merge.hpp"
#include "facade/state_settling.hpp"

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
    std::uint64_t recovered{0};           ///< transactions of this life that are there
    std::uint64_t orphans{0};             ///< operations that were decided about
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

    /// All after the model's last one, in order: from the log, and where that does not reach back so
    /// far any more, as the listener told.
    std::vector<Transaction> collect(const BrowserStateManager& reopened, KillJournal& journal,
                                     KillFindings& out) {
        const std::uint64_t wanted = core_.version() + 1;
        const std::uint64_t last = reopened.health().committed;
        auto logged =
            reopened.last_transactions(static_cast<std::size_t>(last - core_.version()));
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
        if (transaction.actor == "recovery") {
            if (settling().transaction.changes != transaction.changes)
                out.complain(name + " is not what recovery had to do");
        } else {
            if (++out.recovered == 1 && !settling().transaction.changes.empty())
                out.complain(name + " came before what was left had been settled");
            check_announced(transaction, name, life, journal, out);
        }
        Diagnostics why;
        if (core_.replay(transaction, why) != Errc::ok)
            out.complain(name + " cannot be: " + why.text());
    }

    void check_announced(const Transaction& transaction, const std::string& name,
                         std::uint32_t life, KillJournal& journal, KillFindings& out) {
        char* end = nullptr;
        const auto told_life = std::strtoul(transaction.actor.c_str(), &end, 10);
        const auto thread = static_cast<std::uint16_t>(std::strtoul(end, &end, 10));
        const auto sequence = static_cast<std::uint32_t>(std::strtoul(end, &end, 10));
        KillJournal::Entry* entry =
            told_life == life ? journal.find({thread, sequence}) : nullptr;
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

    /// The writer is dead, and its process with it.
    [[nodiscard]] facade::Settling settling() {
        return facade::settle(core_.snapshot(), OrphanPolicy::redispatch,
                              [](const ProcessIdentity&) { return false; });
    }

    /// What this very recovery has committed, and the state that it leads to.
    void check_settled(const BrowserStateManager& reopened, std::span<const Transaction> own,
                       bool is_copy, KillFindings& out) {
        const facade::Settling due = settling();
        const bool is_due = !due.transaction.changes.empty();
        if (own.size() != (is_due ? 1 : 0) ||
            (is_due && own.front().changes != due.transaction.changes))
            out.complain("what was left was not settled as it should be");
        out.orphans += reopened.orphans().size();
        if (!std::ranges::equal(reopened.orphans(), due.orphans, {},
                                [](const OrphanedOperation& o) { return o.operation.id; }))
            out.complain("the orphans are not those that were left");
        Diagnostics why;
        core::StateCore settled(core_.limits());
        if (settled.restore(core_.snapshot(), why) != Errc::ok)
            out.complain("the model is no state: " + why.text());
        for (const Transaction& transaction : own)
            if (settled.replay(transaction, why) != Errc::ok) out.complain(why.text());
        for (const core::StateDifference& difference :
             core::difference(reopened.snapshot(), settled.snapshot(), 5))
            out.complain("state: " + difference.text() + " (recovered / expected)");
        settled.snapshot().visit_operations([&](const OperationState& operation) {
            if (operation.status == OperationStatus::running) out.complain("one still runs");
        });
        if (!is_copy) core_ = std::move(settled);
    }

    core::StateCore core_;
    std::map<std::pair<std::uint32_t, std::uint16_t>, std::uint32_t> last_of_;
};

} // namespace everpool::tests
