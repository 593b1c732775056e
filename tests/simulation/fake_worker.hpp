// Simulator: a browser, its page, its compute thread and the driver around them.
// SPDX-License-Identifier: BSL-1.0
//
// Honest where it matters to the core, which tests/conformance/worker_conformance_tests.cpp proves
// against real browsers: operations are computed one after the other; a compute thread
// answers a ping after all operations that were sent before it; what is broken is cured only by the
// rung that can, or a larger one; messages of one life arrive in order unless a
// fault says otherwise; the driver reports everything under the generation that it was given last,
// but what was already on its way arrives under the old one.
#pragma once

#include "everpool/core/action.hpp"
#include "surroundings.hpp"

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>

namespace everpool::simulation {

/// What may become of a worker beyond its operations.
enum class Trouble : std::uint8_t {
    compute_hangs, ///< the compute thread alone
    page_hangs,    ///< the page's main thread alone; in some engines the other one goes on
    page_stops,    ///< the whole page
    network_stops, ///< what carries the connections
    browser_stops, ///< the browser's own process
    all_stops,     ///< all processes
    page_dies,
    browser_dies,
};

class FakeWorker {
public:
    /// `highest_rung`: the largest one that the pool's strategy tries with this worker.
    FakeWorker(WorkerId id, Surroundings& with, std::set<std::uint32_t> rejected_models,
               RecoveryRung highest_rung)
        : id_(id),
          with_(with),
          rejected_models_(std::move(rejected_models)),
          highest_rung_(highest_rung) {}

    void perform(const core::StartWorker&);
    void perform(const core::StopWorker&);
    void perform(const core::LoadModel&);
    void perform(const core::WarmUpModel&);
    void perform(const core::Dispatch&);
    void perform(const core::SendCancel&);
    void perform(const core::SendPing&);
    void perform(const core::AskControl&);

    /// Now, and from now on.
    void strike(Trouble);

    /// Nothing has happened in this life that could make it look dead.
    [[nodiscard]] bool is_above_suspicion() const noexcept {
        return is_connected_ && !is_suspicious_;
    }

private:
    enum class Health : std::uint8_t {
        fine,
        silent, ///< exists, does nothing
        dead,   ///< gone
    };

    void connect();
    void storm(std::uint64_t rounds);
    void begin_next();
    void answer_ping(const core::SendPing&);
    void answer_waiting_pings();
    void compute(const core::Dispatch&);
    void answer(const core::Dispatch&, Errc);
    void breaks(RecoveryRung rung);
    void die(bool is_browser);
    void fall_silent(Trouble);
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
    std::map<std::uint32_t, Generation> warmed_up_; ///< by model: the life in which it was right
    Generation generation_{};
    std::uint64_t life_{0}; ///< counts starts, deaths and stops
    Health health_{Health::dead};
    RecoveryRung highest_rung_;
    RecoveryRung broken_{RecoveryRung::ping}; ///< the smallest rung that brings it back
    bool is_elsewhere_{false};                ///< in this life
    bool is_connected_{false};
    bool is_compute_silent_{false}; ///< with a page that answers, or the other way round
    bool is_page_silent_{false};
    bool is_page_hung_{false}; ///< its main thread; its connection may be dead for other reasons
    bool is_browser_silent_{false};
    bool is_suspicious_{false}; ///< one of its messages was lost or late, or an operation is stuck
    bool is_stuck_{false};      ///< running_ never ends, but pings are answered
    std::uint32_t wrong_{0};    ///< what it answers in this life; 0: what is right
    std::deque<std::variant<core::Dispatch, core::SendPing>> queue_; ///< of the compute thread
    std::optional<core::Dispatch> running_;
    TimePoint running_since_{};
    TimePoint last_arrival_{};
};

} // namespace everpool::simulation
