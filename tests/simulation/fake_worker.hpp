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
#include "start_failure.hpp"
#include "surroundings.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <variant>
#include <vector>

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
    memory_ends,   ///< the page dies for want of memory, and its engine says so
    device_goes,   ///< the GPU device: the compute thread can do nothing, and says so
    context_goes,  ///< the WebNN context: its sessions are dead, and the page says so
    software_only, ///< the GPU device, and there is none for another compute thread
    slows_down,    ///< it answers rightly and late
};

inline constexpr std::size_t trouble_count = 13;

class FakeWorker {
public:
    /// `rejected_models` cannot be loaded; the warm-ups of `misjudged_models` give something else
    /// than what is known. `highest_rung`: the largest one that the pool's strategy tries with this
    /// worker.
    FakeWorker(WorkerId id, Surroundings& with, std::set<std::uint32_t> rejected_models,
               RecoveryRung highest_rung, std::set<std::uint32_t> misjudged_models = {})
        : id_(id),
          with_(with),
          rejected_models_(std::move(rejected_models)),
          misjudged_models_(std::move(misjudged_models)),
          highest_rung_(highest_rung) {}

    void perform(const core::StartWorker&);
    void perform(const core::StopWorker&);
    void perform(const core::LoadModel&);
    void perform(const core::WarmUpModel&);
    void perform(const core::Dispatch&);
    void perform(const core::SendCancel&);
    void perform(const core::SendPing&);
    void perform(const core::AskControl&);

    /// Now, and from now on. Nothing happens to what is not there.
    void strike(Trouble);
    /// From its next start on.
    void fail(const FailingStarts& starts) { failing_starts_ = starts; }

    /// Somebody says that it has failed, right or wrong.
    void be_suspected() noexcept { is_suspicious_ = true; }
    /// Nothing has happened in this life that could make it look dead.
    [[nodiscard]] bool is_above_suspicion() const noexcept {
        return is_connected_ && !is_suspicious_;
    }
    /// Its operations take so many times as long from now on. \pre times > 0
    void slow_down(std::uint32_t times);

private:
    enum class Health : std::uint8_t {
        fine,
        silent, ///< exists, does nothing
        dead,   ///< gone
    };

    // fake_worker_start.cpp
    [[nodiscard]] bool starts_in_vain(const core::StartWorker&, Duration usual);
    void begin_life(const core::StartWorker&, Duration usual);
    [[nodiscard]] std::optional<StartFailure> draw_failure(RecoveryRung rung);
    [[nodiscard]] std::optional<StartFailure> take_failure(StartStep step);
    void fail_before_connection(Duration usual);
    void hang_launch();
    void fail_start(Duration delay, Errc code);
    void connect();
    void reconnect(std::uint64_t rounds);
    void fail_model(ModelId model, bool is_refused);

    /// Its compute thread answers, and has a device to load models with.
    [[nodiscard]] bool has_device() const noexcept {
        return is_connected_ && !is_compute_silent_ && !has_lost_device_;
    }
    void begin_next();
    void answer_ping(const core::SendPing&);
    void answer_waiting_pings();
    void compute(const core::Dispatch&);
    void answer(const core::Dispatch&, Errc);

    // fake_worker_trouble.cpp
    void breaks(RecoveryRung rung);
    void die(Trouble);
    void fall_silent(Trouble);
    void lose_device();
    void lose_context();
    [[nodiscard]] std::vector<core::Dispatch> let_go_of_work();
    /// Nothing of this life happens any more, but for what is on its way.
    void end_life();
    /// Says it to the core, after the latency and with the disturbances of a real connection.
    void report(core::Event event, Duration delay);
    /// Does it unless this life has ended by then.
    template <class Next>
    void later_in_life(Duration delay, Next next) {
        with_.world.after(delay, [this, life = life_, next] {
            if (life == life_) next();
        });
    }

    WorkerId id_;
    Surroundings& with_;
    std::set<std::uint32_t> rejected_models_, misjudged_models_;
    std::map<std::uint32_t, Generation> warmed_up_; ///< by model: the life in which it was right
    std::optional<FailingStarts> failing_starts_;
    Generation generation_{};
    RecoveryRung rung_{};                 ///< by which this life began
    std::optional<StartFailure> failure_; ///< of this life's start, as long as it has not failed
    std::uint64_t connection_{0};         ///< counts them; recreate_device keeps the one there is
    std::uint64_t life_{0};               ///< counts starts, deaths and stops
    Health health_{Health::dead};
    RecoveryRung highest_rung_;
    RecoveryRung broken_{RecoveryRung::ping}; ///< the smallest rung that brings it back
    bool is_elsewhere_{false};                ///< in this life
    bool is_launching_{false};                ///< a browser, which has not told whether it can
    bool is_connected_{false};
    bool is_compute_silent_{false}; ///< with a page that answers, or the other way round
    bool is_page_silent_{false};
    bool is_page_hung_{false}; ///< its main thread; its connection may be dead for other reasons
    bool is_browser_silent_{false};
    bool is_suspicious_{false}; ///< one of its messages was lost or late, or an operation is stuck
    bool is_stuck_{false};      ///< running_ never ends, but pings are answered
    bool is_gpu_gone_{false};   ///< for a compute thread that looks for one anew
    bool has_lost_device_{false}; ///< pings are answered, and operations with device_lost
    bool is_context_gone_{false}; ///< likewise, and the page has said so
    std::uint32_t slowdown_{1};
    std::uint32_t wrong_{0}; ///< what it answers in this life; 0: what is right
    std::deque<std::variant<core::Dispatch, core::SendPing>> queue_; ///< of the compute thread
    std::optional<core::Dispatch> running_;
    TimePoint running_since_{};
    TimePoint last_arrival_{};
};

} // namespace everpool::simulation
