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
    header_ = views.header;
    browsers_ = JournalTable(views.browsers);
    models_ = JournalTable(views.models);
    operations_ = JournalTable(views.operations);
    resources_ = JournalTable(views.resources);
    metrics_ = JournalTable(views.metrics);
    loads_.clear();
    unfinished_count_ = 0;
    views.models.visit([this](auto, const ModelState& record) { account(record, true); });
    views.operations.visit([this](auto, const OperationState& record) { account(record, true); });
    views.resources.visit([this](auto, const ResourceState& record) { account(record, true); });
    rebuild_finished();
    return Errc::ok;
}

inline Errc StateCore::commit(const Transaction& transaction, Mode mode, Diagnostics& diagnostics) {
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
    Refusal refusal = run(transaction, index);
    if (refusal.empty()) refusal = check_end();
    if (!refusal.empty() || mode == Mode::trial) {
        roll_back();
        return refusal.empty() ? Errc::ok : refuse(transaction, index, refusal, diagnostics);
    }
    finish();
    return Errc::ok;
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
    header_.version = transaction.number;
    ++header_.clock;
    header_.at = transaction.at;
    has_reconciled_ = is_order_unknown_ = false;
    for (const Change& change : transaction.changes)
        if (const auto* merged = std::get_if<Reconciled>(&change)) {
            has_reconciled_ = is_order_unknown_ = true;
            header_.clock = std::max(header_.clock, merged->clock + 1);
        }
    // A single change that cannot be refused once it was made need not be noted.
    const auto is_final_word = [](const Change& change) {
        const ChangeKind kind = kind_of(change);
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

inline void StateCore::finish() {
    visit_journals([](auto& table) { table.commit(); });
    for (const WorkerId worker : stripped_now_)
        if (const Load* load = load_of(worker); load != nullptr && *load == Load{})
            loads_.erase(worker.value);
    if (is_order_unknown_) {
        rebuild_finished();
    } else {
        std::ranges::sort(finished_now_);
        for (const std::uint64_t id : finished_now_) finished_.emplace_back(header_.clock, id);
    }
    visit_journals([](auto& table) { table.begin(false); });
    forget_finished();
}

} // namespace everpool::core
