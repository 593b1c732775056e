// Conformance: a worker as PoolCore knows it, by actions and events alone. One is the simulator's,
// the other a driver with a real browser.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/event.hpp"
#include "simulation/fake_worker.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace everpool::tests {

using namespace std::chrono_literals;
using simulation::Trouble;

class WorkerSubject {
public:
    virtual ~WorkerSubject() = default;

    /// One of those that concern a worker. A Dispatch keeps the compute thread busy for a while.
    virtual void perform(const core::Action& action) = 0;
    /// \return whether it is in force now; if not, there is nothing here that could have it
    virtual bool strike(Trouble trouble) = 0;
    /// Works until this is so. \return whether it has become so
    virtual bool wait_until(const std::function<bool()>& is_so, Duration limit) = 0;

    [[nodiscard]] const std::vector<core::Event>& events() const noexcept { return events_; }
    template <class Wanted>
    [[nodiscard]] std::vector<Wanted> all() const {
        std::vector<Wanted> out;
        for (const core::Event& event : events_)
            if (const auto* one = std::get_if<Wanted>(&event)) out.push_back(*one);
        return out;
    }
    template <class Wanted>
    [[nodiscard]] bool has(const Wanted& wanted) const {
        return std::ranges::find(events_, core::Event(wanted)) != events_.end();
    }
    template <class Wanted>
    bool comes(const Wanted& wanted, Duration limit = 60s) {
        return wait_until([&] { return has(wanted); }, limit);
    }
    /// What comes after this is to be looked at alone.
    void forget_events() { events_.clear(); }

protected:
    std::vector<core::Event> events_;
};

} // namespace everpool::tests
