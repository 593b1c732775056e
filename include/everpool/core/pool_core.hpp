// Everpool core: every decision of a pool. Which worker gets a request, what becomes of it if the
// worker dies, when a worker is restarted and at which level, who may borrow one.
// SPDX-License-Identifier: BSL-1.0
//
//     PoolCore core{CoreConfig{.worker_browsers = {BrowserType::chromium}}, seed};
//     Actions actions;
//     core.on(Start{}, now, actions);      // -> StartWorker{0, 1, process}, Notice
//     ... perform the actions in order, clear them, feed what comes of them back in ...
//     core.on_wakeup(now, actions);        // at core.next_wakeup()
//
// Life cycle: idle -> running (Start) -> draining (Drain, optional) -> stopping (Stop) -> stopped.
//
// Grammar: one call is one event, run to completion. No call throws for the sake of an event, none
// may be made from within another (a driver queues what its actions cause). Every event is legal in
// every state: what means nothing is ignored and counted (stats().ignored). Time never runs
// backwards inside: an earlier `now` than before counts as the latest one.
//
// What it promises, whatever the events:
//   * each Submit of a fresh id is answered by exactly one Complete, each Acquire by exactly one
//     LeaseGranted or LeaseEnded, Start by one StartFinished, Drain and Stop by DrainFinished and
//     StopFinished (if asked again meanwhile: once for all); a Drain that is overtaken by a Stop is
//     answered by StopFinished;
//   * what is outstanding when the pool is stopped completes with cancelled, a start that is not
//     finished included; what is asked afterwards is refused with pool_not_running;
//   * an answer counts only if worker, generation and attempt are those asked last;
//   * a request that must not be repeated is dispatched a second time only if the driver said that
//     it had not been sent;
//   * copies of one request are at different workers, and a vote's answer is one that more than
//     half of the workers asked have given;
//   * a worker with a lease has nothing of anybody else's in flight;
//   * no worker is left idle while a request waits that it could take, reservations, standbys and
//     batches that wait for more aside; a standby has work only while an active worker is missing
//     or cannot serve the model;
//   * the number of active workers stays as configured; under the strategy parallel their ids may
//     change, as the first of several that try becomes the active one.
//
// A host that stands still (suspended, in a debugger, busy in a handler) is noticed by a wakeup or
// event that comes late. The time lost does not count against a worker: not as its silence, nor as
// part of its start. It does count for the deadlines of requests and leases, which are promises to
// callers, and for the stop's timeout.
//
// Order and fairness
//   Requests: first come, first served among those of one priority that a worker can serve. One of
//   a lower priority comes before those of the next higher one that are submitted priority_aging
//   after it. The first one is not overtaken because it is large: a worker that has no room for it
//   takes nothing until it has. Requests that may be run as one go to a worker together, those
//   that stand behind each other in the queue (batch_rule.hpp).
//   Leases: before requests. A waiting lease reserves a worker (an idle one if there is one), which
//   then takes nothing new and so becomes idle after what it has in flight; leases among themselves
//   in order of their ids.
//
// Cost: one operation is a few hundred nanoseconds and allocates nothing once the tables have seen
// as many requests before; placement is O(workers), deadlines are O(log requests).
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/canary.hpp"
#include "everpool/core/core_config.hpp"
#include "everpool/core/core_stats.hpp"
#include "everpool/core/deadline_heap.hpp"
#include "everpool/core/fleet.hpp"
#include "everpool/core/lease_table.hpp"
#include "everpool/core/model_set.hpp"
#include "everpool/core/placement.hpp"
#include "everpool/core/prng.hpp"
#include "everpool/core/request_table.hpp"
#include "everpool/core/run_queue.hpp"
#include "everpool/core/run_times.hpp"
#include "everpool/core/session_fsm.hpp"
#include "everpool/core/slowness.hpp"
#include "everpool/core/trust.hpp"
#include "everpool/core/worker_fsm.hpp"
#include "everpool/resource_pool_snapshot.hpp"
#include "everpool/retry_budget.hpp"
#include "everpool/worker_role.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace everpool::core {

/// One worker as seen from outside.
struct WorkerView {
    WorkerState state{WorkerState::idle};
    BrowserType browser{}; ///< as which it was started last
    Generation generation{};
    std::uint32_t in_flight{0}; ///< including what nobody waits for any more
    std::uint32_t restarts{0};
    TimePoint busy_since{never}; ///< when the first of what it has was sent
    bool leased{false};
    bool is_finishing{false}; ///< slow or outvoted: it gets nothing new, and is recovered when idle
    WorkerRole role{WorkerRole::active};
    std::optional<LossCause> last_cause;
    Errc last_start_error{Errc::ok};
};

/// Where a pool is in its life.
///     idle -- Start --> running -- Drain --> draining
///       |                  |                    |
///       +------ Stop ------+------- Stop -------+--> stopping -- all workers stopped --> stopped
///                                                                (or stop_timeout)
///   idle                 no worker has been started, no request or lease is here
///   running              requests and leases are taken
///   draining             what was accepted runs; nothing new is taken; no lease waits
///   stopping, stopped    no request or lease is here; no worker is alive
enum class PoolPhase : std::uint8_t { idle, running, draining, stopping, stopped };

class PoolCore {
public:
    /// \throws std::invalid_argument naming the member of `config` that is out of range.
    PoolCore(CoreConfig config, std::uint64_t seed);

    /// Something has happened. Appends to `actions`; what is in there already stays.
    void on(const Event& event, TimePoint now, Actions& actions);

    /// The time asked for by next_wakeup() has come. Harmless if it has not.
    void on_wakeup(TimePoint now, Actions& actions);

    /// When to call on_wakeup() at the latest; `never` if only events matter.
    [[nodiscard]] TimePoint next_wakeup() const noexcept;

    // --- what a snapshot shows -------------------------------------------------------------------

    [[nodiscard]] PoolPhase phase() const noexcept { return phase_; }
    /// Requests that wait for a worker; each copy counts.
    [[nodiscard]] std::uint32_t queued() const noexcept {
        return std::accumulate(waiting_counts_.begin(), waiting_counts_.end(), 0U);
    }
    [[nodiscard]] std::uint32_t queued(Priority priority) const noexcept {
        return waiting_counts_[index_of(priority)];
    }
    /// When the first of those in line for any worker was submitted, delayed ones aside; `never` if
    /// there is none.
    [[nodiscard]] TimePoint waiting_since(Priority) const noexcept;
    /// Is there a worker that serves, or may serve later?
    [[nodiscard]] bool has_hope() const noexcept { return is_servable(ModelId::none()); }
    /// At workers, and somebody waits for them.
    [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_count_; }
    [[nodiscard]] std::uint32_t in_flight(WorkerId worker) const noexcept {
        return workers_[worker.value].session.in_flight();
    }
    [[nodiscard]] std::uint32_t worker_count() const noexcept {
        return static_cast<std::uint32_t>(workers_.size());
    }
    /// \pre worker.value < worker_count()
    [[nodiscard]] WorkerView worker(WorkerId worker) const noexcept;
    [[nodiscard]] const CoreStats& stats() const noexcept { return stats_; }
    /// What recovery has learned; see rung_statistics.hpp.
    [[nodiscard]] const RungStatistics& rung_statistics() const noexcept {
        return *rung_statistics_;
    }
    /// What has been tried in the recovery that is under way, oldest first.
    /// \pre worker.value < worker_count()
    [[nodiscard]] std::span<const RecoveryStep> recovery_path(WorkerId worker) const noexcept {
        return workers_[worker.value].fsm.ladder().tried();
    }
    /// Do others try to be ready in its place?
    [[nodiscard]] bool has_rivals(WorkerId worker) const noexcept;
    /// Empty: there are workers that start.
    [[nodiscard]] const std::optional<Fleet::Trouble>& fleet_trouble() const noexcept {
        return fleet_.trouble();
    }
    [[nodiscard]] const CoreConfig& config() const noexcept { return config_; }
    // --- broken invariants -----------------------------------------------------------------------

    /// True after a contradiction was found inside: a bug of ours. Everything outstanding has been
    /// completed with internal_error, the workers are being killed, and whatever is asked further
    /// is refused with internal_error; the host goes on. Stop works as ever.
    [[nodiscard]] bool is_broken() const noexcept { return !broken_because_.empty(); }
    /// What was contradicted; empty if nothing.
    [[nodiscard]] std::string_view broken_because() const noexcept { return broken_because_; }
    /// For a driver that runs check_invariants() itself and found one broken.
    /// \pre `why` lives as long as this object
    void on_broken(std::string_view why, TimePoint now, Actions& actions);

private:
    friend struct InvariantCheck;

    struct WorkerSlot {
        WorkerFsm fsm;
        SessionFsm session;
        Canary canary;
        BrowserType browser{};   ///< at present
        RequestList operations;  ///< at the worker: in flight and abandoned
        RequestList lease_queue; ///< wait for this worker, of the lease that holds it
        Slot lease{no_slot};     ///< held or releasing
        Slot reserved_for{no_slot};
        bool is_quarantined{false}; ///< gets nothing new, and is started anew when it is idle
        bool is_retiring{false};    ///< it is slow: likewise
        bool is_settled{false};     ///< was ready once, or has failed: Start need not wait for it
        TimePoint answered_at{};    ///< the last operation, or when it became ready
        bool is_closing{false};     ///< failed, and its StopWorker is not answered
        WorkerRole role{WorkerRole::active};
        WorkerId rival_of{WorkerId::none()}; ///< of a rival: whose place it may take
        bool is_contest_due{false};          ///< rivals begin with its own next start
        ModelSet served;                     ///< when it was lost; kept if there may be rivals

        [[nodiscard]] bool is_finishing() const noexcept { return is_retiring || is_quarantined; }
    };

    /// One call from outside.
    struct Turn {
        TimePoint now;
        Actions& actions;
    };

    // pool_core_life.hpp: the pool as a whole
    bool handle(const Start&, Turn&);
    bool handle(const Drain&, Turn&);
    bool handle(const Stop&, Turn&);
    Turn begin(TimePoint now, Actions& actions);
    void on_host_late(Duration lost);
    void finish(Turn&);
    void finish_start(Turn&);
    void finish_stop(Turn&);
    void end_everything(Errc code, bool is_graceful, Turn&);
    void require(bool is_fine, std::string_view what) noexcept;
    [[nodiscard]] Errc refusal() const noexcept;
    [[nodiscard]] bool is_open() const noexcept;

    // pool_core_requests.hpp: requests
    bool handle(const Submit&, Turn&);
    bool handle(const Cancel&, Turn&);
    bool handle(const Replied&, Turn&);
    [[nodiscard]] Errc refusal_of(const RequestMeta&, TimePoint now) const noexcept;
    [[nodiscard]] Errc refusal_of_waiting(const RequestMeta&) const noexcept;
    void refuse(RequestId, Errc, Turn&);
    void note_answer(const Replied&, const RequestRecord&, bool is_timed, Turn&);
    [[nodiscard]] bool is_behind_another(const RequestRecord&) const noexcept;
    void on_request_deadline(Slot, Turn&);
    void expire(Slot, Turn&);
    void delay(Slot first);
    [[nodiscard]] std::uint32_t& waiting_count_of(Slot) noexcept;
    [[nodiscard]] TimePoint rank_time(const RequestMeta&, TimePoint now) const noexcept;
    [[nodiscard]] bool may_retry(const RequestRecord&, Errc, bool was_sent,
                                 TimePoint now) const noexcept;
    void take_back(Slot);
    void conclude(Slot, Errc, Turn&);
    void abandon(Slot, Errc, Turn&);
    void leave_queue(Slot);
    void leave_worker(Slot);
    void await_worker(Slot);
    [[nodiscard]] std::uint32_t attempts_of(Slot) const noexcept;
    [[nodiscard]] static bool may_become_able(const WorkerSlot&, ModelId) noexcept;
    [[nodiscard]] bool is_servable(ModelId) const noexcept;
    [[nodiscard]] Errc unservable_code() const noexcept;
    void flush_unservable(Turn&);

    // pool_core_placement.hpp: who is given which
    [[nodiscard]] WorkerId find_worker(const RequestMeta&, WorkerId avoid,
                                       Slot slot = no_slot) const noexcept;
    [[nodiscard]] bool has_room(const WorkerSlot&, const RequestMeta&) const noexcept;
    [[nodiscard]] bool may_join(const RequestMeta&, TimePoint now) const noexcept;
    [[nodiscard]] bool has_company_to_wait_for(const RequestMeta&) const noexcept;
    void arm_batches(ModelId);
    void dispatch(Slot, WorkerId, Turn&);
    void dispatch_batch(std::span<const Slot>, WorkerId, Turn&);
    void send(Slot, WorkerId, std::uint64_t batch, std::uint32_t rows, Turn&);
    void give(Slot, WorkerId, Turn&);
    void stop_waiting(Slot first);
    void place_returned(Turn&);
    void use_worker(WorkerId, Turn&);
    void use_all_workers(Turn&);
    bool take_one(WorkerSlot&, WorkerId, Turn&);

    // pool_core_watch.hpp: workers that answer wrongly or slowly
    void ask_canary(WorkerId, Turn&);
    bool on_canary_answer(WorkerId, ModelId, bool is_right, Turn&);
    void note_speed(WorkerId, std::uint32_t work, Duration took, Turn&);
    bool retire_if_idle(WorkerId, Turn&);

    // pool_core_copies.hpp: several workers for one request
    bool handle(const VotesCounted&, Turn&);
    [[nodiscard]] std::uint8_t copies_for(const RequestMeta&) const noexcept;
    void submit_copies(Slot first, Turn&);
    void on_copy_ended(Slot, Errc code, Errc outcome, bool was_sent, Turn&);
    void on_copies_deadline(Slot first, Turn&);
    void touch(Slot first) { touched_.push_back(requests_[first].meta.id); }
    void judge_touched(Turn&);
    void judge(Slot first, Turn&);
    void count_votes(Slot first, Turn&);
    void believe(const CopySet&, const VotesCounted&, TimePoint now);
    void conclude_copies(Slot first, Errc, std::uint32_t attempt, WorkerId, Turn&);
    void detach(Slot);
    void drop_copy(Slot, Errc);
    void flush_barred();
    void watch_lateness(Slot);
    [[nodiscard]] std::optional<Duration> lateness(const RequestRecord&) const noexcept;
    void on_late(Slot first, Turn&);
    [[nodiscard]] WorkerId find_idle_worker(Slot) const noexcept;
    [[nodiscard]] bool has_sibling_engine(Slot, BrowserType) const noexcept;
    void restart_quarantined(Turn&);

    // pool_core_leases.hpp: leases
    bool handle(const Acquire&, Turn&);
    bool handle(const Release&, Turn&);
    void find_worker_for_lease(Slot, Turn&);
    void reserve_for_oldest(WorkerId, Turn&);
    void grant(WorkerId, Turn&);
    void grant_in_time(WorkerId, Turn&);
    void end_lease(Slot, Errc, Turn&);
    void end_waiting_leases(Errc, Turn&);
    bool serve_lease(WorkerSlot&, WorkerId, Turn&);
    void lose_lease(WorkerId, Turn&);

    // pool_core_workers.hpp: workers
    bool handle(const WorkerConnected&, Turn&);
    bool handle(const WorkerStartFailed&, Turn&);
    bool handle(const WorkerLost&, Turn&);
    bool handle(const WorkerStopped&, Turn&);
    bool handle(const ModelLoaded&, Turn&);
    bool handle(const ModelWarmedUp&, Turn&);
    bool handle(const ModelRejected&, Turn&);
    bool handle(const PongArrived&, Turn&);
    bool handle(const ControlAnswered&, Turn&);
    template <class WorkerEvent>
    [[nodiscard]] bool is_current(const WorkerEvent&) const noexcept;
    void on_worker_time(WorkerId, Turn&);
    bool lose(WorkerId, LossCause, Turn&, std::optional<WrongAnswerFinder> found_by = {});
    void end_launch_pauses(Turn&);
    void return_operations(WorkerId, Turn&);
    bool follow(WorkerId, NextWorkerStep, Turn&);
    void give_up(WorkerId, Turn&);
    void arm(WorkerId);

    // pool_core_supervision.hpp: several workers at once
    void note_start_failure(WorkerId, RecoveryRung, StartFailure, Turn&);
    void tell_prober(Turn&) const;
    void release_fleet(WorkerId ready, Turn&);
    void end_probing(WorkerId, Turn&);
    [[nodiscard]] bool is_standby_wanted(ModelId) const noexcept;
    [[nodiscard]] bool may_take(const WorkerSlot&, ModelId, bool is_vote = false) const noexcept;
    [[nodiscard]] bool may_ever_take(WorkerId, ModelId) const noexcept;
    [[nodiscard]] Slot first_for(WorkerId) const noexcept;
    void begin_contest(WorkerId, Turn&);
    bool start_rival(WorkerId, RecoveryRung, Turn&);
    bool wins(WorkerId rival, Turn&);
    void dismiss(WorkerId, Turn&);
    void dismiss_rivals_of(WorkerId, Turn&);
    void leave_contest(WorkerId failed, Turn&);

    template <class What>
    static void say(Turn& turn, What&& what) {
        turn.actions.emplace_back(std::forward<What>(what));
    }

    CoreConfig config_;
    Prng prng_;
    std::unique_ptr<RungStatistics> rung_statistics_; ///< the workers' ladders keep its address
    std::vector<WorkerSlot> workers_;
    std::vector<Trust> trusts_; ///< by worker, in its present life
    Fleet fleet_;
    RequestTable requests_;
    RunTimes run_times_; ///< by RequestMeta::work
    Slowness slowness_;
    std::vector<std::uint16_t> work_of_model_; ///< that was done with it last
    ModelSet models_known_;                    ///< whose warm-up has a known answer
    RunQueue queue_;
    LeaseTable leases_;
    DeadlineHeap request_deadlines_, lease_deadlines_, worker_deadlines_;
    DeadlineHeap late_deadlines_; ///< of requests: when to ask another worker, or to wait no longer
    DeadlineHeap batch_deadlines_; ///< of models: when a batch waits for no more
    std::unique_ptr<RetryBudget> hedge_budget_;
    TimePoint stop_deadline_{never};
    /// Within a call: came back from a worker, to be placed.
    std::vector<std::pair<Rank, Slot>> returned_;
    std::vector<RequestId> touched_; ///< within a call: one of their copies has ended
    std::vector<Slot> batch_;        ///< within a call: what is being sent as one

    TimePoint now_{TimePoint::min()};
    PoolPhase phase_{PoolPhase::idle};
    bool is_start_pending_{false}, is_drain_pending_{false}, is_stop_pending_{false};
    std::array<std::uint32_t, priority_count> waiting_counts_{}; ///< copies, by priority
    std::uint32_t in_flight_count_{0}, counting_count_{0};
    std::uint64_t dispatch_count_{0};
    std::uint32_t quarantined_count_{0};
    std::string_view broken_because_;
    CoreStats stats_;
};

} // namespace everpool::core

#include "everpool/core/pool_core_copies.hpp"
#include "everpool/core/pool_core_leases.hpp"
#include "everpool/core/pool_core_life.hpp"
#include "everpool/core/pool_core_placement.hpp"
#include "everpool/core/pool_core_requests.hpp"
#include "everpool/core/pool_core_supervision.hpp"
#include "everpool/core/pool_core_watch.hpp"
#include "everpool/core/pool_core_workers.hpp"
