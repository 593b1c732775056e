// Everpool core: bodies of PoolCore that concern the pool as a whole.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/pool_core.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>
#include <variant>

namespace everpool::core {

namespace detail {
inline CoreConfig checked(CoreConfig config) {
    check_core_config(config);
    return config;
}
} // namespace detail

inline PoolCore::PoolCore(CoreConfig config, std::uint64_t seed)
    : config_(detail::checked(std::move(config))),
      prng_(seed),
      rung_statistics_(std::make_unique<RungStatistics>()),
      fleet_(config_.worker_browsers.size() + config_.rival_count, config_.fleet_window),
      requests_(request_count_max(config_)),
      run_times_(config_.work_count, config_.hedge.quantile, config_.loop_pause()),
      slowness_(config_.worker_browsers.size() + config_.rival_count, config_.work_count),
      work_of_model_(config_.model_count),
      models_known_(config_.model_count),
      queue_(config_.model_count, config_.batching),
      leases_(config_.lease_count_max),
      hedge_budget_(std::make_unique<RetryBudget>(config_.hedge_budget)) {
    for (std::uint32_t i = 0; i < config_.model_count; ++i) models_known_.insert(ModelId{i});
    for (const ModelId model : config_.models_without_answer) models_known_.erase(model);
    if (!config_.strategy) config_.strategy = std::make_shared<ProgressiveRecoveryManager>();
    const std::size_t count = config_.worker_browsers.size();
    workers_.reserve(count + config_.rival_count);
    for (std::size_t i = 0; i < count + config_.rival_count; ++i) {
        const std::size_t like = i < count ? i : 0; // what a rival is, its contest says
        workers_.push_back({.fsm = WorkerFsm(config_, like, *config_.strategy, *rung_statistics_),
                            .session = SessionFsm(config_),
                            .canary = Canary(config_.canary_interval, config_.compute_ping_timeout,
                                             config_.model_count),
                            .browser = config_.worker_browsers[like],
                            .served = ModelSet(config_.model_count)});
        if (i >= count - config_.standby_count) workers_.back().role = WorkerRole::standby;
        if (i >= count) workers_.back().role = WorkerRole::dormant;
    }
    trusts_.assign(workers_.size(), Trust(config_.trust));
    worker_deadlines_.grow(worker_count());
    batch_deadlines_.grow(config_.model_count);
    returned_.reserve(worker_count() * config_.max_in_flight_per_worker);
}

inline PoolCore::Turn PoolCore::begin(TimePoint now, Actions& actions) {
    now_ = std::max(now_, now);
    const TimePoint due = worker_deadlines_.next();
    if (due < now_ && now_ - due > config_.ping_interval / 4) on_host_late(now_ - due);
    return {now_, actions};
}

inline void PoolCore::on_host_late(Duration lost) {
    ++stats_.host_stalls;
    for (std::uint32_t i = 0; i < worker_count(); ++i) {
        workers_[i].fsm.on_host_late(lost, now_);
        workers_[i].session.on_host_late(lost, now_);
        workers_[i].canary.on_host_late(lost);
        arm(WorkerId{i});
    }
}

inline void PoolCore::on(const Event& event, TimePoint now, Actions& actions) {
    Turn turn = begin(now, actions);
    const bool was_meaningful =
        std::visit([&](const auto& one) { return handle(one, turn); }, event);
    if (!was_meaningful) {
        ++stats_.stale_ignored;
        ++stats_.ignored[event.index()];
    }
    finish(turn);
}

inline void PoolCore::on_wakeup(TimePoint now, Actions& actions) {
    Turn turn = begin(now, actions);
    // Callers first: a request whose time is over is not to be given to a worker in this very call.
    while (request_deadlines_.next() <= turn.now)
        on_request_deadline(request_deadlines_.next_key(), turn);
    while (late_deadlines_.next() <= turn.now) on_late(late_deadlines_.next_key(), turn);
    while (lease_deadlines_.next() <= turn.now)
        end_lease(lease_deadlines_.next_key(), Errc::deadline_exceeded, turn);
    while (worker_deadlines_.next() <= turn.now)
        on_worker_time(WorkerId{worker_deadlines_.next_key()}, turn);
    finish(turn);
}

inline TimePoint PoolCore::next_wakeup() const noexcept {
    return std::min({request_deadlines_.next(), late_deadlines_.next(), lease_deadlines_.next(),
                     batch_deadlines_.next(), worker_deadlines_.next(), stop_deadline_});
}

inline WorkerView PoolCore::worker(WorkerId id) const noexcept {
    const WorkerSlot& slot = workers_[id.value];
    WorkerView view;
    switch (slot.fsm.state()) {
    case WorkerFsm::State::idle: view.state = WorkerState::idle; break;
    case WorkerFsm::State::launching:
    case WorkerFsm::State::preparing: view.state = WorkerState::starting; break;
    case WorkerFsm::State::ready: view.state = WorkerState::ready; break;
    case WorkerFsm::State::waiting: view.state = WorkerState::waiting; break;
    case WorkerFsm::State::stopping: view.state = WorkerState::stopping; break;
    case WorkerFsm::State::stopped: view.state = WorkerState::stopped; break;
    case WorkerFsm::State::failed: view.state = WorkerState::failed; break;
    }
    view.browser = slot.browser;
    view.generation = slot.fsm.generation();
    view.in_flight = slot.session.in_flight();
    if (view.generation.value > 0)
        view.restarts = static_cast<std::uint32_t>(view.generation.value - 1);
    for (Slot one = slot.operations.front(); one != no_slot; one = requests_[one].next)
        view.busy_since = std::min(view.busy_since, requests_[one].dispatched_at);
    view.leased = slot.lease != no_slot;
    view.is_finishing = slot.is_finishing();
    view.role = slot.role;
    view.last_cause = slot.fsm.last_cause();
    view.last_start_error = slot.fsm.last_start_error();
    return view;
}

// --- start, drain, stop --------------------------------------------------------------------------

inline bool PoolCore::handle(const Start&, Turn& turn) {
    if (phase_ != PoolPhase::idle) return false;
    phase_ = PoolPhase::running;
    is_start_pending_ = true;
    for (std::uint32_t i = 0; i < worker_count(); ++i)
        if (workers_[i].role != WorkerRole::dormant)
            follow(WorkerId{i}, workers_[i].fsm.start(turn.now), turn);
    return true;
}

inline bool PoolCore::handle(const Drain&, Turn& turn) {
    if (!is_open() && phase_ != PoolPhase::draining) {
        say(turn, DrainFinished{}); // nothing has been accepted that could be waited for
        return true;
    }
    phase_ = PoolPhase::draining;
    is_drain_pending_ = true;
    // A lease granted from now on could not be used: its requests would be refused.
    end_waiting_leases(Errc::pool_draining, turn);
    for (BatchRule& rule : config_.batching) rule.delay_max = {};
    queue_.end_delays();
    while (batch_deadlines_.next() != never) batch_deadlines_.clear(batch_deadlines_.next_key());
    use_all_workers(turn);
    return true;
}

inline bool PoolCore::handle(const Stop&, Turn& turn) {
    is_stop_pending_ = true;
    if (phase_ == PoolPhase::stopping) return true;
    if (phase_ == PoolPhase::stopped) {
        finish_stop(turn);
        return true;
    }
    end_everything(Errc::cancelled, true, turn);
    return true;
}

/// What is outstanding completes with `code`; all workers are closed.
inline void PoolCore::end_everything(Errc code, bool is_graceful, Turn& turn) {
    phase_ = PoolPhase::stopping;
    is_drain_pending_ = false; // who drains hears of the stop
    stop_deadline_ = later(turn.now, config_.stop_timeout);
    std::vector<std::pair<RequestId, Slot>> all; // a rare event may allocate
    for (Slot slot = 0; slot < requests_.slot_count(); ++slot)
        if (requests_[slot].state != RequestState::free)
            all.push_back({requests_[slot].meta.id, slot});
    std::sort(all.begin(), all.end());
    for (const auto& [id, slot] : all) {
        const RequestState state = requests_[slot].state;
        if (state == RequestState::free) continue; // it has gone with its request
        if (requests_.has_copies(slot)) {
            const Slot first = requests_.first_of(slot);
            for (const Slot one : requests_.copies_of(first)) detach(one);
            if (!requests_.set_of(first).is_over)
                conclude_copies(first, code, 0, requests_[first].worker, turn);
            else
                for (const Slot one : requests_.copies_of(first)) requests_.release(one);
            continue;
        }
        detach(slot);
        if (state != RequestState::abandoned) conclude(slot, code, turn);
        else requests_.release(slot);
    }
    touched_.clear();
    quarantined_count_ = 0;
    for (Slot slot = 0; slot < leases_.slot_count(); ++slot) {
        if (leases_[slot].state == LeaseState::free) continue;
        if (leases_[slot].state != LeaseState::releasing)
            say(turn, LeaseEnded{leases_[slot].id, code});
        lease_deadlines_.clear(slot);
        leases_.erase(slot);
    }
    if (std::exchange(is_start_pending_, false)) say(turn, StartFinished{code});
    for (std::uint32_t i = 0; i < worker_count(); ++i) {
        WorkerSlot& worker = workers_[i];
        worker.lease = worker.reserved_for = no_slot;
        worker.is_quarantined = worker.is_retiring = false;
        worker.session.reset();
        worker.canary.stop();
        follow(WorkerId{i}, worker.fsm.stop(), turn);
        if (worker.fsm.state() == WorkerFsm::State::stopping)
            say(turn, StopWorker{WorkerId{i}, worker.fsm.generation(), is_graceful});
        arm(WorkerId{i});
    }
}

/// What was waited for may have come true by this event.
inline void PoolCore::finish(Turn& turn) {
    if (is_broken() && phase_ != PoolPhase::stopping && phase_ != PoolPhase::stopped)
        end_everything(Errc::internal_error, false, turn);
    while (batch_deadlines_.next() <= turn.now) {
        const ModelId model{batch_deadlines_.next_key()};
        batch_deadlines_.clear(model.value);
        arm_batches(model);
        use_all_workers(turn);
    }
    if (!touched_.empty()) judge_touched(turn);
    if (quarantined_count_ != 0) restart_quarantined(turn);
    if (is_start_pending_) finish_start(turn);
    if (is_drain_pending_ && queued() == 0 && in_flight_count_ == 0 && counting_count_ == 0) {
        is_drain_pending_ = false;
        say(turn, DrainFinished{});
    }
    if (phase_ == PoolPhase::stopping) finish_stop(turn);
}

inline void PoolCore::finish_start(Turn& turn) {
    bool is_any_usable = false;
    Errc code = Errc::no_worker_available;
    for (const WorkerSlot& worker : workers_) {
        if (worker.role == WorkerRole::dormant || worker.role == WorkerRole::rival) continue;
        if (!worker.is_settled) return;
        if (worker.fsm.is_hopeful()) is_any_usable = true;
        if (worker.fsm.last_start_error() != Errc::ok) code = worker.fsm.last_start_error();
    }
    is_start_pending_ = false;
    say(turn, StartFinished{is_any_usable ? Errc::ok : code});
}

inline void PoolCore::finish_stop(Turn& turn) {
    const bool is_late = turn.now >= stop_deadline_;
    for (std::uint32_t i = 0; i < worker_count(); ++i) {
        WorkerSlot& worker = workers_[i];
        const bool is_stopping = worker.fsm.state() == WorkerFsm::State::stopping;
        if (!is_stopping && !worker.is_closing) continue;
        if (!is_late) return;
        // A close that is stuck must not hold up the host: kill it, and wait no longer.
        say(turn, StopWorker{WorkerId{i}, worker.fsm.generation(), false});
        worker.is_closing = false;
        if (is_stopping) (void)worker.fsm.on_stopped();
    }
    stop_deadline_ = never;
    phase_ = PoolPhase::stopped;
    if (std::exchange(is_stop_pending_, false)) say(turn, StopFinished{});
}

inline bool PoolCore::is_open() const noexcept { return phase_ == PoolPhase::running; }

/// Why nothing new is taken; ok if it is.
inline Errc PoolCore::refusal() const noexcept {
    if (is_broken()) return Errc::internal_error;
    if (phase_ == PoolPhase::draining) return Errc::pool_draining;
    return is_open() ? Errc::ok : Errc::pool_not_running;
}

// --- broken invariants ---------------------------------------------------------------------------

inline void PoolCore::require(bool is_fine, std::string_view what) noexcept {
    if (!is_fine && broken_because_.empty()) broken_because_ = what;
}

inline void PoolCore::on_broken(std::string_view why, TimePoint now, Actions& actions) {
    require(false, why);
    Turn turn = begin(now, actions);
    finish(turn);
}

} // namespace everpool::core
