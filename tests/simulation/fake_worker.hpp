// Simulator: a browser, its page, its compute thread and the driver around them.
// SPDX-License-Identifier: BSL-1.0
//
// Honest where it matters to the core: operations are computed one after the other; a busy compute
// thread does not answer pings; what is broken at one level (compute thread, page, process) is
// cured only by a restart at that level or above; messages of one life arrive in order unless a
// fault says otherwise; the driver reports everything under the generation that it was given last,
// but what was already on its way arrives under the old one.
#pragma once

#include "everpool/core/action.hpp"
#include "surroundings.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <set>

namespace everpool::simulation {

class FakeWorker {
public:
    FakeWorker(WorkerId id, Surroundings& with, std::set<std::uint32_t> rejected_models)
        : id_(id), with_(with), rejected_models_(std::move(rejected_models)) {}

    void perform(const core::StartWorker&);
    void perform(const core::StopWorker&);
    void perform(const core::LoadModel&);
    void perform(const core::WarmUpModel&);
    void perform(const core::Dispatch&);
    void perform(const core::SendCancel&);
    void perform(const core::SendPing&);

private:
    enum class Health : std::uint8_t {
        fine,
        silent, ///< exists, does nothing
        dead,   ///< gone
    };

    void connect();
    void storm(std::uint64_t rounds);
    void begin_next();
    void compute(const core::Dispatch&);
    void answer(const core::Dispatch&, Errc);
    void die();
    void fall_silent();
    /// Nothing of this life happens any more, but for what is on its way.
    void end_life();
    /// Says it to the core, after the latency and with the disturbances of a real connection.
    void report(core::Event event, Duration delay);
    /// Does it unless this life has ended by then.
    template <class Next>
    void later_in_life(Duration delay, Next next);

    WorkerId id_;
    Surroundings& with_;
    std::set<std::uint32_t> rejected_models_;
    Generation generation_{};
    std::uint64_t life_{0}; ///< counts starts, deaths and stops
    Health health_{Health::dead};
    core::RestartLevel broken_{core::RestartLevel::process}; ///< what a restart must replace
    bool is_connected_{false};
    bool is_compute_silent_{false}; ///< with a page that answers, or the other way round
    bool is_page_silent_{false};
    std::deque<core::Dispatch> queue_;
    std::optional<core::Dispatch> running_;
    TimePoint busy_until_{};
    TimePoint last_arrival_{};
};

} // namespace everpool::simulation
