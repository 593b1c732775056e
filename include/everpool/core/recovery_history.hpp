// Everpool core: the history of a pool's recoveries, from what the core says about its workers.
// SPDX-License-Identifier: BSL-1.0
//
// It sees the notices that anybody may see, so it cannot disturb what it writes down. The last ones
// are kept whole, all of them in counts.
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/event_text.hpp"
#include "everpool/core/ladder.hpp"
#include "everpool/model_family.hpp"
#include "everpool/recovery_record.hpp"
#include "everpool/recovery_strategy.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <utility>
#include <vector>

namespace everpool::core {

/// Whose recoveries a history is of.
struct RecoveryScope {
    std::size_t worker_count{0};
    RecoveryStrategy strategy{};
    std::vector<ModelFamily> model_families{}; ///< by ModelId; of all models that workers are given
};

class RecoveryHistory {
public:
    /// `kept`: so many recoveries that have ended are kept whole.
    explicit RecoveryHistory(RecoveryScope scope, std::size_t kept = 256)
        : scope_(std::move(scope)),
          kept_(kept),
          open_(scope_.worker_count),
          has_started_(scope_.worker_count),
          served_(scope_.worker_count, Served{.now = all_families(scope_)}) {}

    /// `browser`: what is in the worker's slot now; of worker_replaced, in its successor's.
    void on(const Notice& notice, BrowserType browser, TimePoint now) {
        if (notice.worker.value >= open_.size()) return;
        using enum RecoveryOutcome;
        switch (notice.what) {
        case Notice::What::worker_lost:
            if (is_rivals(notice)) end_rivals_step(notice, Errc::worker_lost, now);
            else begin(notice.worker, notice.cause, browser, now);
            break;
        case Notice::What::worker_starting: on_starting(notice, browser, now); break;
        case Notice::What::model_ready: note_family(notice); break;
        case Notice::What::worker_ready:
            served_[notice.worker.value].now = served_[notice.worker.value].next;
            finish(notice, recovered, Errc::ok, browser, now);
            break;
        case Notice::What::worker_replaced:
            finish(notice, recovered, Errc::ok, browser, now);
            break;
        case Notice::What::worker_failed:
            if (is_rivals(notice)) end_rivals_step(notice, notice.code, now);
            else finish(notice, given_up, notice.code, browser, now);
            break;
        case Notice::What::worker_stopped:
            finish(notice, given_up, Errc::cancelled, browser, now);
            break;
        default: break;
        }
    }

    /// That have ended, oldest first.
    [[nodiscard]] const std::deque<RecoveryRecord>& ended() const noexcept { return ended_; }
    /// Of this worker; null: none is under way. \pre worker.value < worker_count
    [[nodiscard]] const RecoveryRecord* under_way(WorkerId worker) const noexcept {
        const auto& open = open_[worker.value];
        return open ? &open->record : nullptr;
    }

    [[nodiscard]] const RecoveryCount& total() const noexcept { return total_; }
    [[nodiscard]] const RecoveryCount& of(BrowserFailureCategory category) const noexcept {
        return by_category_[static_cast<std::size_t>(category)];
    }
    /// Of the browser that failed.
    [[nodiscard]] const RecoveryCount& of(BrowserType browser) const noexcept {
        return by_browser_[static_cast<std::size_t>(browser)];
    }
    [[nodiscard]] const RecoveryCount& of(RecoveryStrategy strategy) const noexcept {
        return by_strategy_[static_cast<std::size_t>(strategy)];
    }
    /// Of the models that the worker served; a recovery counts for each of its families.
    [[nodiscard]] const RecoveryCount& of(ModelFamily family) const noexcept {
        return by_family_[static_cast<std::size_t>(family)];
    }
    /// Each try of a rung counts, not each recovery.
    [[nodiscard]] const RecoveryCount& of(RecoveryRung rung) const noexcept {
        return by_rung_[static_cast<std::size_t>(rung)];
    }

private:
    struct OpenStep {
        std::size_t at; ///< in the record's path
        TimePoint since;
        WorkerId who;
    };
    struct Open {
        RecoveryRecord record;
        std::vector<OpenStep> steps; ///< under way: the worker's own, and its rivals'
    };
    /// Families of one worker's models, each once and in order.
    struct Served {
        std::vector<ModelFamily> now{};  ///< that it serves, or served before it failed
        std::vector<ModelFamily> next{}; ///< so far, of the life that is beginning
    };

    static void insert(std::vector<ModelFamily>& families, ModelFamily family) {
        const auto at = std::ranges::lower_bound(families, family);
        if (at == families.end() || *at != family) families.insert(at, family);
    }
    static std::vector<ModelFamily> all_families(const RecoveryScope& scope) {
        std::vector<ModelFamily> out;
        for (const ModelFamily family : scope.model_families) insert(out, family);
        return out;
    }
    /// What a life rejects it does not serve: so what is ready counts, not what is registered.
    void note_family(const Notice& notice) {
        if (notice.model.value >= scope_.model_families.size()) return;
        insert(served_[notice.worker.value].next, scope_.model_families[notice.model.value]);
    }

    /// Told of a rival, which is a part of another worker's recovery.
    static bool is_rivals(const Notice& notice) noexcept { return !notice.other.is_none(); }

    void begin(WorkerId worker, LossCause cause, BrowserType browser, TimePoint now) {
        auto& open = open_[worker.value];
        if (open) { // it failed again before it was ready
            end_step(*open, worker, Errc::worker_lost, now);
            return;
        }
        open.emplace();
        open->record.worker = worker;
        open->record.browser = browser;
        open->record.families = served_[worker.value].now;
        open->record.category = category_of(cause);
        open->record.cause = name_of(cause);
        open->record.failed_at = now;
    }

    void on_starting(const Notice& notice, BrowserType browser, TimePoint now) {
        served_[notice.worker.value].next.clear();
        const bool is_rival = is_rivals(notice);
        const WorkerId whose = is_rival ? notice.other : notice.worker;
        if (whose.value >= open_.size()) return;
        auto& open = open_[whose.value];
        const bool is_first = !has_started_[notice.worker.value];
        has_started_[notice.worker.value] = true;
        if (!open) {
            if (is_first || is_rival) return; // nothing has failed yet
            begin(whose, LossCause::start_timed_out, browser, now);
        }
        if (!is_rival) { // a larger sign of the same failure may have come
            open->record.category = category_of(notice.cause);
            open->record.cause = name_of(notice.cause);
        }
        end_step(*open, notice.worker, Errc::browser_launch_failed, now);
        open->steps.push_back({open->record.path.size(), now, notice.worker});
        open->record.path.push_back(
            {.rung = notice.rung, .rival = is_rival ? notice.worker : WorkerId::none()});
    }

    void end_rivals_step(const Notice& notice, Errc code, TimePoint now) {
        if (notice.other.value >= open_.size() || !open_[notice.other.value]) return;
        end_step(*open_[notice.other.value], notice.worker, code, now);
    }

    void end_step(Open& open, WorkerId who, Errc code, TimePoint now) {
        const auto found = std::ranges::find(open.steps, who, &OpenStep::who);
        if (found == open.steps.end()) return;
        RecoveryStep& step = open.record.path[found->at];
        step.code = code;
        step.took = now - found->since;
        open.steps.erase(found);
        // One that others were faster than has neither succeeded nor failed.
        if (code != Errc::cancelled || (step.rival.is_none() && open.record.replaced_by.is_none()))
            by_rung_[static_cast<std::size_t>(step.rung)].add(code == Errc::ok, step.took);
    }

    void finish(const Notice& notice, RecoveryOutcome outcome, Errc code, BrowserType browser,
                TimePoint now) {
        auto& open = open_[notice.worker.value];
        if (!open) return;
        RecoveryRecord& record = open->record;
        if (notice.what == Notice::What::worker_replaced) record.replaced_by = notice.other;
        const bool is_own = record.replaced_by.is_none();
        end_step(*open, is_own ? notice.worker : record.replaced_by, code, now);
        while (!open->steps.empty()) end_step(*open, open->steps.front().who, Errc::cancelled, now);
        record.outcome = outcome;
        record.browser_afterwards = browser;
        record.took = now - record.failed_at;
        const bool has_succeeded = outcome == RecoveryOutcome::recovered;
        total_.add(has_succeeded, record.took);
        by_category_[static_cast<std::size_t>(record.category)].add(has_succeeded, record.took);
        by_browser_[static_cast<std::size_t>(record.browser)].add(has_succeeded, record.took);
        by_strategy_[static_cast<std::size_t>(scope_.strategy)].add(has_succeeded, record.took);
        for (const ModelFamily family : record.families)
            by_family_[static_cast<std::size_t>(family)].add(has_succeeded, record.took);
        if (kept_ != 0) {
            if (ended_.size() == kept_) ended_.pop_front();
            ended_.push_back(std::move(record));
        }
        open.reset();
    }

    RecoveryScope scope_;
    std::size_t kept_;
    std::vector<std::optional<Open>> open_; ///< by worker
    std::vector<bool> has_started_;         ///< by worker
    std::vector<Served> served_;            ///< by worker
    std::deque<RecoveryRecord> ended_;
    RecoveryCount total_;
    std::array<RecoveryCount, browser_failure_categories.size()> by_category_{};
    std::array<RecoveryCount, browser_types.size()> by_browser_{};
    std::array<RecoveryCount, recovery_strategies.size()> by_strategy_{};
    std::array<RecoveryCount, model_families.size()> by_family_{};
    std::array<RecoveryCount, recovery_rung_count> by_rung_{};
};

} // namespace everpool::core
