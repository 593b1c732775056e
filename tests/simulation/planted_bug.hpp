// Simulator: the core under test, or the core with a bug planted on purpose.
// SPDX-License-Identifier: BSL-1.0
//
// A simulator that finds nothing may be blind. Each of these bugs is one that a real core could
// have; all of them must be found.
#pragma once

#include "everpool/core/pool_core.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <unordered_map>
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
};

inline constexpr std::array<std::string_view, 12> planted_bug_names{
    "none", "fencing", "ghosts",  "twice", "forget", "repeat",
    "lend", "deaf",    "believe", "churn", "eager",  "memory"};

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
        : core_(config, bug == PlantedBug::memory ? seed + run : seed), bug_(bug) {}

    void on(core::Event event, TimePoint now, core::Actions& actions) {
        if (bug_ != PlantedBug::none && spoil(event, actions)) return;
        core_.on(event, now, actions);
        if (bug_ != PlantedBug::none) spoil(actions);
    }

    void on_wakeup(TimePoint now, core::Actions& actions) {
        core_.on_wakeup(now, actions);
        if (bug_ != PlantedBug::none) spoil(actions);
    }

    [[nodiscard]] const core::PoolCore& core() const noexcept { return core_; }

private:
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
    std::uint64_t completions_{0};
};

} // namespace everpool::simulation
