// Everpool core: how a transaction is made, or refused. Bodies of StateCore.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/state_core.hpp"
#include "everpool/core/state_invariants.hpp"
#include "everpool/core/state_ranges.hpp"

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>

namespace everpool::core {

inline StateSnapshot StateCore::snapshot() {
    if (is_torn_) take_back();
    return StateSnapshot(StateViews{.header = header_,
                                    .browsers = browsers_.freeze(),
                                    .models = models_.freeze(),
                                    .operations = operations_.freeze(),
                                    .resources = resources_.freeze(),
                                    .metrics = metrics_.freeze()});
}

inline Errc StateCore::restore(const StateSnapshot& snapshot, Diagnostics& diagnostics) {
    std::optional<std::string_view> broken = check_state(snapshot);
    const StateHeader& counts = snapshot.views().header;
    if (std::max({counts.clock, counts.version, counts.metrics_ignored}) >= state_count_max)
        broken = "a state's counts have room to go on";
    if (broken) {
        diagnostics.message = "not a consistent state: " + std::string(*broken);
        return Errc::storage_damaged;
    }
    const StateViews& views = snapshot.views();
    StateCore restored(limits_);
    restored.header_ = views.header;
    restored.browsers_ = JournalTable(views.browsers);
    restored.models_ = JournalTable(views.models);
    restored.operations_ = JournalTable(views.operations);
    restored.resources_ = JournalTable(views.resources);
    restored.metrics_ = JournalTable(views.metrics);
    restored.count_loads();
    restored.finished_ = restored.find_finished();
    *this = std::move(restored);
    return Errc::ok;
}

inline void StateCore::count_loads() {
    loads_.clear();
    unfinished_count_ = 0;
    const auto add = [this](std::uint64_t, const auto& record) { account(record, true); };
    models_.visit(add);
    operations_.visit(add);
    resources_.visit(add);
}

inline Errc StateCore::commit(const Transaction& transaction, Mode mode, Diagnostics& diagnostics) {
    if (is_torn_) take_back();
    mode_ = mode;
    if (transaction.number == 0)
        return refuse(transaction, 0, "a transaction has a number", diagnostics);
    if (transaction.number >= state_count_max)
        return refuse(transaction, transaction.changes.size(),
                      "a transaction's number has room to go on", diagnostics);
    if (transaction.number <= header_.version) return Errc::ok;
    if (mode != Mode::replay)
        if (const Refusal refusal = check_ranges(transaction); !refusal.empty())
            return refuse(transaction, transaction.changes.size(), refusal, diagnostics);
    begin(transaction);
    std::size_t index = 0;
    Refusal refusal;
    try {
        refusal = make_all(transaction, index);
    } catch (...) {
        is_torn_ = true;
        try {
            take_back();
        } catch (...) { // later, then: what is told is why it began
        }
        throw;
    }
    return refusal.empty() ? Errc::ok : refuse(transaction, index, refusal, diagnostics);
}

/// \return why not; then, and in a trial, nothing has changed
inline StateCore::Refusal StateCore::make_all(const Transaction& transaction, std::size_t& index) {
    Refusal refusal = run(transaction, index);
    if (refusal.empty()) refusal = check_end();
    if (!refusal.empty() || mode_ == Mode::trial) roll_back();
    else finish();
    return refusal;
}

inline Errc StateCore::refuse(const Transaction& transaction, std::size_t index, Refusal refusal,
                              Diagnostics& diagnostics) const {
    std::string& message = diagnostics.message;
    message = "transaction " + std::to_string(transaction.number);
    if (index < transaction.changes.size()) {
        const Change& change = transaction.changes[index];
        message += ", change " + std::to_string(index + 1) + " (";
        message += name_of(kind_of(change));
        message += subject_of(change) + ")";
    }
    message += ": it does not hold that ";
    message += refusal;
    return Errc::invalid_transaction;
}

inline void StateCore::begin(const Transaction& transaction) {
    header_before_ = header_;
    finished_before_ = finished_.size();
    header_.version = transaction.number;
    ++header_.clock;
    header_.at = transaction.at;
    has_reconciled_ = is_order_unknown_ = false;
    for (const Change& change : transaction.changes)
        if (const auto* merged = std::get_if<Reconciled>(&change)) {
            has_reconciled_ = is_order_unknown_ = true;
            header_.clock = std::max(header_.clock, merged->clock + 1);
        }
    // A single change that cannot be refused once it was made need not be noted, if it changes one
    // record, and that in one step: then there is nothing to take back either if memory runs out.
    const auto is_final_word = [this](const Change& change) {
        const ChangeKind kind = kind_of(change);
        if (kind == ChangeKind::operation_submitted && mode_ == Mode::replay) return false;
        return kind != ChangeKind::browser_changed && kind != ChangeKind::browser_removed &&
               kind != ChangeKind::reconciled;
    };
    const bool is_noting = mode_ == Mode::trial || transaction.changes.size() > 1 ||
                           !std::ranges::all_of(transaction.changes, is_final_word);
    visit_journals([is_noting](auto& table) { table.begin(is_noting); });
    finished_now_.clear();
    stripped_now_.clear();
}

inline StateCore::Refusal StateCore::run(const Transaction& transaction, std::size_t& index) {
    for (index = 0; index < transaction.changes.size(); ++index) {
        const Refusal refusal = std::visit([this](const auto& change) { return make(change); },
                                           transaction.changes[index]);
        if (!refusal.empty()) return refusal;
    }
    return {};
}

/// What must hold when all changes were made, and need not in between.
inline StateCore::Refusal StateCore::check_end() {
    for (const WorkerId worker : stripped_now_)
        if (const Load* load = load_of(worker); load != nullptr && load->running != 0)
            if (!is_live(worker) || has_operation_of_another_life(worker))
                return "what ran on a browser that is gone was finished or queued anew";
    if (has_reconciled_)
        if (const auto broken = check_state(snapshot())) return *broken;
    return {};
}

/// \pre the worker is in the state
inline bool StateCore::has_operation_of_another_life(WorkerId worker) const {
    const Generation generation = find_browser(worker)->generation;
    bool is_found = false;
    operations_.visit([&](std::uint64_t, const OperationState& operation) {
        is_found |= operation.status == OperationStatus::running && operation.worker == worker &&
                    operation.generation != generation;
    });
    return is_found;
}

inline void StateCore::roll_back() {
    visit_journals([this](auto& table) {
        table.roll_back([this](const auto* now, const auto* then) {
            if (now != nullptr) this->account(*now, false);
            if (then != nullptr) this->account(*then, true);
        });
    });
    header_ = header_before_;
}

/// As roll_back(), of a transaction in the midst of which memory ran out: what hangs on workers is
/// counted anew, as nobody knows how far that had come.
inline void StateCore::take_back() {
    visit_journals([](auto& table) { table.roll_back([](const auto*, const auto*) {}); });
    header_ = header_before_;
    if (is_order_unknown_) finished_ = find_finished();
    while (finished_.size() > finished_before_) finished_.pop_back();
    count_loads();
    is_torn_ = false;
}

/// First all that needs memory, then all that changes something for good.
inline void StateCore::finish() {
    if (is_order_unknown_) {
        finished_ = find_finished();
    } else {
        std::ranges::sort(finished_now_);
        for (const std::uint64_t id : finished_now_) finished_.emplace_back(header_.clock, id);
    }
    const std::size_t forgotten =
        finished_.size() - std::min<std::size_t>(finished_.size(), limits_.operations_kept);
    for (std::size_t i = 0; i < forgotten; ++i) operations_.prepare_erase(finished_[i].second);

    visit_journals([](auto& table) {
        table.commit();
        table.begin(false);
    });
    for (const WorkerId worker : stripped_now_)
        if (const Load* load = load_of(worker); load != nullptr && *load == Load{})
            loads_.erase(worker.value);
    for (std::size_t i = 0; i < forgotten; ++i) {
        operations_.erase(finished_.front().second);
        finished_.pop_front();
    }
}

} // namespace everpool::core
