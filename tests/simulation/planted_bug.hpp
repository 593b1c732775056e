// Simulator: the core under test, or the core with a bug planted on purpose.
// SPDX-License-Identifier: BSL-1.0
//
// A simulator that finds nothing may be blind. Each of these bugs is one that a real core could have;
// all of them must be found.
#pragma once

#include "everpool/core/pool_core.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <variant>

namespace everpool::simulation {

enum class PlantedBug : std::uint8_t {
    none,
    fencing, ///< takes every event as one of the life in force, every answer as the one asked last
    twice,   ///< completes one request in a thousand twice
    repeat,  ///< takes every request as one that may be repeated
    forget,  ///< forgets to complete one request in a thousand
};

inline constexpr std::array<std::string_view, 5> planted_bug_names{"none", "fencing", "twice",
                                                                   "repeat", "forget"};

inline std::optional<PlantedBug> planted_bug_from(std::string_view name) {
    for (std::size_t i = 0; i < planted_bug_names.size(); ++i)
        if (planted_bug_names[i] == name) return static_cast<PlantedBug>(i);
    return std::nullopt;
}

class CoreUnderTest {
public:
    CoreUnderTest(const core::CoreConfig& config, std::uint64_t seed, PlantedBug bug)
        : core_(config, seed), bug_(bug) {}

    void on(core::Event event, TimePoint now, core::Actions& actions) {
        if (bug_ == PlantedBug::fencing)
            std::visit([this](auto& one) { forget_generation(one); }, event);
        if (auto* submit = std::get_if<core::Submit>(&event); submit && bug_ == PlantedBug::repeat)
            submit->meta.idempotent = true;
        core_.on(event, now, actions);
        spoil(actions);
    }

    void on_wakeup(TimePoint now, core::Actions& actions) {
        core_.on_wakeup(now, actions);
        spoil(actions);
    }

    [[nodiscard]] const core::PoolCore& core() const noexcept { return core_; }

private:
    template <class Event>
    void forget_generation(Event& event) {
        if constexpr (requires { event.generation; })
            if (event.worker.value < core_.worker_count())
                event.generation = core_.worker(event.worker).generation;
        if constexpr (std::is_same_v<Event, core::Replied>)
            if (const auto asked = asked_.find(event.request.value); asked != asked_.end()) {
                event.worker = asked->second.worker;
                event.generation = asked->second.generation;
                event.attempt = asked->second.attempt;
            }
    }

    void spoil(core::Actions& actions) {
        if (bug_ == PlantedBug::none) return;
        for (std::size_t i = 0; i < actions.size(); ++i) {
            if (const auto* asked = std::get_if<core::Dispatch>(&actions[i]))
                asked_[asked->request.value] = *asked;
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

    core::PoolCore core_;
    PlantedBug bug_;
    std::unordered_map<std::uint64_t, core::Dispatch> asked_; ///< looked up, never iterated
    std::uint64_t completions_{0};
};

} // namespace everpool::simulation
