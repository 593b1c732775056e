// Simulator: the core under test, or the core with a bug planted on purpose.
// SPDX-License-Identifier: BSL-1.0
//
// A simulator that finds nothing may be blind. Each of these bugs is one that a real core could
// have; all of them must be found.
#pragma once

#include "everpool/core/pool_core.hpp"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <variant>

namespace everpool::simulation {

enum class PlantedBug : std::uint8_t {
    none,
    fencing, ///< takes every answer as the answer to what was asked last
    ghosts,  ///< takes what is said of a worker's previous life as said of this one
    twice,   ///< completes one request in a thousand twice
    forget,  ///< forgets to complete one request in a thousand
    repeat,  ///< takes every request as one that may be repeated
    lend,    ///< lends a worker once more that is lent already
    deaf,    ///< does not hear that a worker answers its pings
    believe, ///< takes the last answer for what all have said
    churn,   ///< starts all workers while the fleet fails
    eager,   ///< gives a standby work that an active worker is there for
    memory,  ///< remembers an earlier run, so that no run can be repeated
    blind,   ///< does not see that a worker becomes slow
    hasty,   ///< takes a worker for slow after a hundred answers of whomever
    herd,    ///< forgets to send again what a worker had that is lost just after another one
    endless, ///< waits for a start that hangs for as long as it likes
    trust,   ///< takes a model that answers wrongly for one that is warm
    ladder,  ///< tries the first rung of a recovery again and again
    advice,  ///< asks no strategy of the host's
    clock,   ///< counts a clock that was read before another one as time gone by
    rude,    ///< lets those that are not urgent wait for as long as urgent ones come
    crowd,   ///< sends more together than may go together
    awake,   ///< lives through the time for which the host stood still as if it had been there
};

inline constexpr std::array<std::string_view, 23> planted_bug_names{
    "none",    "fencing", "ghosts", "twice",  "forget", "repeat", "lend", "deaf",
    "believe", "churn",   "eager",  "memory", "blind",  "hasty",  "herd", "endless",
    "trust",   "ladder",  "advice", "clock",  "rude",   "crowd",  "awake"};

inline std::optional<PlantedBug> planted_bug_from(std::string_view name) {
    for (std::size_t i = 0; i < planted_bug_names.size(); ++i)
        if (planted_bug_names[i] == name) return static_cast<PlantedBug>(i);
    return std::nullopt;
}

class CoreUnderTest {
public:
    /// `run`: which run of the seed this is. Only a bug may depend on it.
    CoreUnderTest(const core::CoreConfig& config, std::uint64_t seed, PlantedBug bug,
                  std::uint64_t run)
        : core_(spoilt(config, bug), bug == PlantedBug::memory ? seed + run : seed), bug_(bug) {}

    void on(core::Event event, TimePoint now, core::Actions& actions) {
        if (bug_ == PlantedBug::none) return core_.on(event, now, actions);
        now = spoil(now, actions);
        if (spoil(event, actions)) return;
        const bool is_in_herd = bug_ == PlantedBug::herd && is_lost_with_another(event, now);
        core_.on(event, now, actions);
        if (bug_ == PlantedBug::hasty) be_hasty(event, now, actions);
        if (is_in_herd)
            std::erase_if(actions, [](const core::Action& one) {
                return std::holds_alternative<core::Dispatch>(one);
            });
        spoil(actions);
    }

    void on_wakeup(TimePoint now, core::Actions& actions) {
        if (bug_ == PlantedBug::none) return core_.on_wakeup(now, actions);
        core_.on_wakeup(spoil(now, actions), actions);
        spoil(actions);
    }

    [[nodiscard]] const core::PoolCore& core() const noexcept { return core_; }

private:
    static core::CoreConfig spoilt(core::CoreConfig config, PlantedBug bug) {
        if (bug == PlantedBug::endless)
            config.start_timeout = config.page_start_timeout = std::chrono::hours{24};
        if (bug == PlantedBug::advice) config.strategy = nullptr;
        if (bug == PlantedBug::rude) config.priority_aging *= 100;
        if (bug == PlantedBug::crowd)
            for (core::BatchRule& rule : config.batching) rule.rows_max *= 2;
        if (bug == PlantedBug::blind) {
            config.work_count = unwatched_work + 1;
            config.batching.clear();
        }
        return config;
    }

    TimePoint spoil(TimePoint now, core::Actions& actions) {
        if (bug_ == PlantedBug::clock) {
            if (now < latest_) gone_by_ += latest_ - now;
            latest_ = now;
            return now + gone_by_;
        }
        if (bug_ == PlantedBug::awake)
            while (core_.next_wakeup() < now) core_.on_wakeup(core_.next_wakeup(), actions);
        return now;
    }

    bool is_lost_with_another(const core::Event& event, TimePoint now) {
        const auto* lost = std::get_if<core::WorkerLost>(&event);
        if (lost == nullptr) return false;
        const bool is_so = lost->worker != lost_ && now - lost_at_ <= std::chrono::milliseconds{20};
        lost_ = lost->worker;
        lost_at_ = now;
        return is_so;
    }

    void be_hasty(const core::Event& event, TimePoint now, core::Actions& actions) {
        const auto* reply = std::get_if<core::Replied>(&event);
        if (reply == nullptr || ++replies_ % 100 != 0) return;
        core_.on(core::WorkerLost{reply->worker, reply->generation, core::LossCause::slow}, now,
                 actions);
    }

    /// \return whether the core does not hear of the event
    bool spoil(core::Event& event, core::Actions& actions) {
        if (bug_ == PlantedBug::ghosts)
            std::visit([this](auto& one) { forget_generation(one); }, event);
        if (auto* reply = std::get_if<core::Replied>(&event); reply && bug_ == PlantedBug::fencing)
            if (const auto asked = asked_.find(reply->request.value);
                asked != asked_.end() && !asked->second.is_beside) {
                reply->worker = asked->second.worker;
                reply->generation = asked->second.generation;
                reply->attempt = asked->second.attempt;
            }
        if (auto* submit = std::get_if<core::Submit>(&event); submit && bug_ == PlantedBug::repeat)
            if (!submit->meta.idempotent) { // one at a time, but again and again
                submit->meta.copies = 1;
                submit->meta.may_hedge = false;
                submit->meta.idempotent = true;
            }
        if (auto* counted = std::get_if<core::VotesCounted>(&event);
            counted && bug_ == PlantedBug::believe)
            if (const auto votes = votes_.find(counted->request.value); votes != votes_.end()) {
                counted->verdict = VoteVerdict::agreed;
                counted->chosen = votes->second.attempts[votes->second.count - 1U];
                counted->agreeing = ~0U;
            }
        if (auto* submit = std::get_if<core::Submit>(&event); submit && bug_ == PlantedBug::blind)
            submit->meta.work = unwatched_work;
        if (const auto* rejected = std::get_if<core::ModelRejected>(&event);
            rejected && bug_ == PlantedBug::trust && warming_.count(rejected->worker.value) != 0)
            event = core::ModelWarmedUp{rejected->worker, rejected->generation, rejected->model};
        if (bug_ == PlantedBug::deaf && std::holds_alternative<core::PongArrived>(event))
            return true;
        const auto* acquire = std::get_if<core::Acquire>(&event);
        if (acquire == nullptr || bug_ != PlantedBug::lend || !granted_) return false;
        if (!core_.worker(granted_->worker).leased) return false;
        actions.emplace_back(
            core::LeaseGranted{acquire->lease, granted_->worker, granted_->generation});
        return true;
    }

    template <class Event>
    void forget_generation(Event& event) {
        if constexpr (requires { event.generation; } && !std::is_same_v<Event, core::Replied>)
            if (event.worker.value < core_.worker_count())
                event.generation = core_.worker(event.worker).generation;
    }

    void spoil(core::Actions& actions) {
        for (std::size_t i = 0; i < actions.size(); ++i) {
            if (bug_ == PlantedBug::eager) make_eager(actions[i]);
            if (bug_ == PlantedBug::ladder) keep_rung(actions[i]);
            if (const auto* load = std::get_if<core::LoadModel>(&actions[i]))
                warming_.erase(load->worker.value);
            if (const auto* warm_up = std::get_if<core::WarmUpModel>(&actions[i]))
                warming_.insert(warm_up->worker.value);
            if (const auto* asked = std::get_if<core::Dispatch>(&actions[i]))
                asked_[asked->request.value] = *asked;
            if (const auto* votes = std::get_if<core::CountVotes>(&actions[i]))
                votes_[votes->request.value] = *votes;
            if (const auto* granted = std::get_if<core::LeaseGranted>(&actions[i]))
                granted_ = *granted;
            if (const auto* said = std::get_if<core::Notice>(&actions[i]);
                said && bug_ == PlantedBug::churn &&
                said->what == core::Notice::What::fleet_failing && core_.worker_count() > 1) {
                const WorkerId last{core_.worker_count() - 1}; // the prober is the first one
                const Generation next{core_.worker(last).generation.value + 1};
                actions.push_back(core::StartWorker{.worker = last, .generation = next});
                return;
            }
            if (!std::holds_alternative<core::Complete>(actions[i])) continue;
            const bool is_hit = ++completions_ % 1000 == 0;
            if (is_hit && bug_ == PlantedBug::twice) {
                actions.push_back(core::Action(actions[i]));
                return;
            }
            if (is_hit && bug_ == PlantedBug::forget) {
                actions.erase(actions.begin() + static_cast<std::ptrdiff_t>(i));
                return;
            }
        }
    }

    void keep_rung(core::Action& action) {
        if (const auto* said = std::get_if<core::Notice>(&action);
            said && said->what == core::Notice::What::worker_ready)
            first_rungs_.erase(said->worker.value);
        if (auto* start = std::get_if<core::StartWorker>(&action))
            start->rung = first_rungs_.try_emplace(start->worker.value, start->rung).first->second;
    }

    void make_eager(core::Action& action) const {
        auto* dispatch = std::get_if<core::Dispatch>(&action);
        if (dispatch == nullptr) return;
        for (std::uint32_t i = 0; i < core_.worker_count(); ++i) {
            const core::WorkerView worker = core_.worker(WorkerId{i});
            if (worker.role == WorkerRole::active && worker.state != WorkerState::ready) return;
        }
        for (std::uint32_t i = 0; i < core_.worker_count(); ++i) {
            const core::WorkerView worker = core_.worker(WorkerId{i});
            if (worker.role != WorkerRole::standby || worker.state != WorkerState::ready) continue;
            dispatch->worker = WorkerId{i};
            dispatch->generation = worker.generation;
        }
    }

    core::PoolCore core_;
    PlantedBug bug_;
    std::unordered_map<std::uint64_t, core::Dispatch> asked_;   ///< looked up, never iterated
    std::unordered_map<std::uint64_t, core::CountVotes> votes_; ///< likewise
    std::optional<core::LeaseGranted> granted_;                 ///< the last one
    std::uint64_t completions_{0}, replies_{0};
    std::unordered_set<std::uint32_t> warming_; ///< what they were asked last is a warm-up
    std::unordered_map<std::uint32_t, RecoveryRung> first_rungs_; ///< of the recovery, by worker
    WorkerId lost_{WorkerId::none()};                             ///< the last one
    TimePoint lost_at_{}, latest_{};
    Duration gone_by_{};
    static constexpr std::uint16_t unwatched_work = core::Slowness::kinds_max;
};

} // namespace everpool::simulation
