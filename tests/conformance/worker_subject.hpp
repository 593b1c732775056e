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
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace everpool::tests {

using namespace std::chrono_literals;
using simulation::Trouble;

/// What every subject is asked to load.
constexpr ModelId good_model{0};
constexpr ModelId broken_model{1};    ///< its file is no model
constexpr ModelId misjudged_model{2}; ///< good, but its warm-up's answer is not the known one
constexpr ModelId gpu_model{3};       ///< good, and on WebGPU

/// What a Dispatch has the worker do.
enum class Work : std::uint8_t {
    computes,   ///< keeps the compute thread busy for a while
    infers,     ///< runs gpu_model
    never_ends, ///< and does not heed its cancellation; but its thread answers
    loops,      ///< never ends, and its thread answers nobody
};

/// What is to befall a worker. It shows when the part that it concerns is used.
enum class Mishap : std::uint8_t {
    device_lost,   ///< at one of the next runs of gpu_model
    wrong_answers, ///< from one of the next runs of a model on
    no_browser,    ///< the next start of a browser finds none
    failed_start,  ///< the next browser to be started dies of it
    hung_start,    ///< the next browser to be started never answers
};

class WorkerSubject {
public:
    virtual ~WorkerSubject() = default;

    /// One of those that concern a worker.
    virtual void perform(const core::Action& action) = 0;
    /// What is dispatched from now on.
    virtual void set_work(Work work) = 0;
    /// Now: it is in force on return. \pre it can_have() it
    virtual void strike(Trouble trouble) = 0;
    /// \pre it can_have() it
    virtual void prepare(Mishap mishap) = 0;
    /// What it has once it has connected. can_have() goes by it.
    [[nodiscard]] virtual bool has_webgpu() const = 0;
    [[nodiscard]] virtual bool has_network_process() const = 0;
    /// How far its last start came, and why it failed, as far as that is known.
    [[nodiscard]] virtual std::string trouble() const { return {}; }
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
