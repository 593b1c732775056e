// Everpool facade: the body of ResourcePool. Feeds the decision core with events, one at a time,
// and performs its actions.
// SPDX-License-Identifier: BSL-1.0
//
// Everything happens on one strand. An event that arises while actions are being performed (a send
// that fails at once, a listener that submits) waits in the inbox until they are done, so the core
// sees one event at a time and the actions of one event are never interleaved with those of
// another.
//
// What is remembered (FaultToleranceOptions) is written down by the StateScribe before the actions
// of an event are performed. At level critical, operations wait for the disk in between: they are
// given to workers, and answered, when their step is durable (HeldActions). What became of them
// meanwhile is asked again then: a held dispatch whose request was cancelled is not sent, one whose
// worker has begun another life neither.
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/pool_core.hpp"
#include "everpool/resource_pool.hpp"
#include "facade/fault_drill.hpp"
#include "facade/held_actions.hpp"
#include "facade/kept_request.hpp"
#include "facade/listener_gate.hpp"
#include "facade/model_registry.hpp"
#include "facade/pool_resume.hpp"
#include "facade/recovery_desk.hpp"
#include "facade/sent_batches.hpp"
#include "facade/snapshot_board.hpp"
#include "facade/state_scribe.hpp"
#include "facade/strand_mailbox.hpp"
#include "facade/waiting_handler.hpp"
#include "facade/worker_driver.hpp"
#include "io/bridge.hpp"
#include "io/browser.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace everpool::facade {

/// Counts requests as they are made, on any thread. Their ids follow on the strand: they go on
/// above those that a previous host has used, which are known once its state has been read.
using RequestTicket = StrongId<struct RequestTicketTag, std::uint64_t>;

class PoolDriver final : public io::BridgeListener,
                         private ScribeSources,
                         private DrillGround,
                         public std::enable_shared_from_this<PoolDriver> {
public:
    using Strand = boost::asio::strand<boost::asio::any_io_executor>;

    PoolDriver(boost::asio::any_io_executor executor, ResourcePoolConfig config);
    ~PoolDriver() override;

    // From any thread.
    [[nodiscard]] const Strand& strand() const noexcept { return strand_; }
    [[nodiscard]] const boost::asio::any_io_executor& executor() const noexcept {
        return executor_;
    }
    [[nodiscard]] ResourcePoolSnapshot snapshot() const;
    [[nodiscard]] PressureSnapshot pressure() const;
    [[nodiscard]] RequestTicket next_request() noexcept { return {++last_request_}; }
    [[nodiscard]] KeptRequest kept(const Request& request, LeaseId lease) const;
    [[nodiscard]] std::shared_ptr<BrowserStateManager> state() const;
    [[nodiscard]] RecoverySnapshot recoveries() const { return recoveries_.read(); }
    [[nodiscard]] LeaseId next_lease_id() noexcept { return {++last_lease_}; }
    [[nodiscard]] WaitTicket next_wait() noexcept { return {++last_wait_}; }
    /// No listener is called any more when this returns.
    void close_listeners() noexcept {
        listener_.close();
        recovered_listener_.close();
    }

    // On the strand.
    void start(StartHandler handler);
    void run(RequestTicket ticket, LeaseId lease, Request request, KeptRequest kept,
             RunHandler handler);
    void acquire(LeaseId id, AcquireRequest request, AcquireHandler handler);
    void drain(PlainHandler handler);
    void stop(PlainHandler handler);
    void abort(); ///< the ResourcePool has been destroyed
    void cancel(RequestTicket ticket) { feed(core::Cancel{id_of(ticket)}); }
    void withdraw(LeaseId id);        ///< acquire() is cancelled
    void withdraw(WaitTicket ticket); ///< recover() or inject() is
    void release(LeaseId id);
    void crash_page(WorkerId worker);
    void recover(WaitTicket ticket, WorkerId worker, const BrowserFailure& failure,
                 RecoverHandler handler);
    void inject(WaitTicket ticket, const FaultOrder& order, InjectHandler handler);

private:
    friend struct PoolDriverProbe; ///< of the tests, which break what only a bug of ours breaks

    /// What was asked of one worker.
    struct Attempt {
        std::uint32_t number{0};
        WorkerId worker{WorkerId::none()};
        Generation generation{};
        TimePoint dispatched{}, replied{};
        bool is_held{false};         ///< given to its worker, and waits for the record of that
        std::uint32_t batch_size{1}; ///< requests that were computed with it, itself included
        std::optional<wire::RunResult> reply{};
    };

    /// A caller's operation between submission and completion.
    struct Pending {
        wire::Run run; ///< what is sent, kept for further attempts
        WaitingHandler<void(error_code, Result)> handler;
        ModelId model{ModelId::none()};
        Priority priority{Priority::normal};
        TimePoint submitted{};
        std::vector<Attempt> attempts; ///< the last one, or those that run beside each other
        std::unique_ptr<Votes> votes;  ///< null: one answer was asked for
        bool was_checked{false};
        /// To be sent only when the record of its start is durable: it must not be executed twice,
        /// or not before others of its lease.
        bool waits_for_record{true};
        bool is_concluded{false}; ///< its answer is there, and waits for the record of that
        /// As a previous host left it; null: it is a caller's of this one.
        std::unique_ptr<OperationState> recovered;
        Diagnostics diagnostics;

        /// Null if there is none.
        [[nodiscard]] Attempt* find(std::uint32_t number) noexcept;
        /// The attempt that this begins; it takes the place of those that it is not beside.
        Attempt& begin(const core::Dispatch& action);
    };
    enum class Phase : std::uint8_t { constructed, starting, running, draining, stopping, stopped };

    void feed(core::Event event);
    void work_off();
    /// What is fed meanwhile is worked off when it is done.
    template <class Step>
    void as_one_step(Step step) {
        const bool was_performing = std::exchange(performing_, true);
        step();
        if (!was_performing) work_off();
    }
    void perform_all();
    void tell_broken();
    void arm_timer();
    void refresh_counters();
    void publish_workers();
    [[nodiscard]] static TimePoint now() noexcept;

    void perform(const core::StartWorker&);
    void perform(const core::StopWorker&);
    void perform(const core::LoadModel&);
    void perform(const core::WarmUpModel&);
    void perform(const core::Dispatch&);
    void perform(const core::SendCancel&);
    void perform(const core::SendPing&);
    void perform(const core::AskControl&);
    void perform(const core::CountVotes&);
    void perform(const core::Complete&);
    void perform(const core::LeaseGranted&);
    void perform(const core::LeaseEnded&);
    void perform(const core::StartFinished&);
    void perform(const core::DrainFinished&);
    void perform(const core::StopFinished&);
    void perform(const core::Notice&);

    void on_hello(WorkerId, Generation, wire::Channel, wire::Hello) override;
    void on_message(WorkerId, Generation, wire::Channel, wire::Message) override;
    void on_closed(WorkerId, Generation, wire::Channel, error_code, std::uint16_t) override;
    [[nodiscard]] Attempt* asked(const WorkerDriver&, RequestId, std::uint32_t attempt);
    [[nodiscard]] bool is_held(RequestId id, std::uint32_t attempt) noexcept;
    /// What a page may say of an operation. The rest is for the pool to say: a caller who reads
    /// `pool_not_running` must be able to believe it.
    [[nodiscard]] static Errc answer_of_page(Errc code) noexcept;

    void on_reply(WorkerDriver&, wire::RunResult&&);
    void on_reply(WorkerDriver&, const wire::RemoteError&);
    void keep_reply(const WorkerDriver&, wire::RunResult&&, std::uint32_t batch_size);
    void keep_trouble(const WorkerDriver&, RequestId, std::uint32_t attempt,
                      const wire::RemoteError&);

    // pool_batches.cpp: several requests as one
    [[nodiscard]] bool is_of_gathered(const core::Action& action) const noexcept;
    void send_gathered();
    void send_members(WorkerDriver&, std::vector<BatchMember> members);
    void send_halves(WorkerDriver&, const std::vector<BatchMember>& members);
    void send_each(WorkerDriver&, const std::vector<BatchMember>& members);
    void answer(const WorkerDriver&, const BatchMember&, Errc code, bool was_sent);
    void on_batch_reply(WorkerDriver&, const SentBatch&, wire::RunResult&&);
    void on_batch_reply(WorkerDriver&, const SentBatch&, const wire::RemoteError&);
    void give_up_batching(WorkerDriver&, const SentBatch&, const wire::RunResult&);
    [[nodiscard]] bool has_bound_rows(ModelId model);
    void note_bound_rows(ModelId model, const std::string& why);

    // pool_votes.cpp: several answers to one request
    [[nodiscard]] Vote vote_of(const Attempt& attempt) const;
    void tell_dissent(RequestId id, const Votes& votes, Errc code);

    // pool_state.cpp: what is remembered
    error_code open_state(const std::vector<BrowserSpec>& browsers, Diagnostics& diagnostics);
    error_code resume(ResumePlan plan, Diagnostics& diagnostics);
    [[nodiscard]] StateScribe::WhenDone on_strand(StateScribe::WhenDone when_done);
    error_code commit_plan(std::vector<Change> changes, Diagnostics& diagnostics);
    void warn_of_recovery(const ResumePlan& plan);
    void make_core();
    void run_again();
    void run_again(ResumePlan::Again again);
    void tell_recovered(const Pending& pending, error_code code, Result result);
    void write_down();
    [[nodiscard]] bool is_to_be_held(const core::Action& action) const noexcept;
    void hold(const core::Action& action);
    void work_off_held();
    void perform_late(const core::Action& action, error_code storage);
    void dispatch_late(const core::Dispatch& action, error_code storage);
    void settle_held();
    void close_state();
    void on_launched(WorkerId worker);
    [[nodiscard]] static Errc storage_code(error_code ec) noexcept;
    void look_at_disk();
    void complain(const CommitResult& result, bool is_refused);
    [[nodiscard]] std::string trouble_of(WorkerId worker) const override;
    [[nodiscard]] std::string loss_text_of(const core::Notice& notice) const override;
    [[nodiscard]] BrowserType browser_of(WorkerId worker) const override;
    [[nodiscard]] std::string_view model_name_of(ModelId model) const override;
    [[nodiscard]] ModelAssignment assignment_of(WorkerId worker, ModelId model) const override;

    // fault_injector.cpp: what a drill asks for
    [[nodiscard]] std::size_t worker_count() const override { return workers_.size(); }
    [[nodiscard]] WorkerDriver& worker_at(WorkerId worker) override {
        return *workers_.at(worker.value);
    }
    [[nodiscard]] WorkerState state_of(WorkerId worker) const override;
    void run_for_drill(Request request) override;
    void cut_connections(WorkerId worker) override;

    error_code try_prepare(Diagnostics& diagnostics);
    error_code prepare(Diagnostics& diagnostics);
    error_code fill_slots(Diagnostics& diagnostics);
    void open_recoveries();
    [[nodiscard]] RequestId id_of(RequestTicket ticket) const noexcept {
        return {request_base_ + ticket.value};
    }
    void submit(RequestId id, LeaseId lease, const Request& request, KeptRequest kept,
                Pending pending);
    void finish(const core::Complete& action, error_code storage);
    Errc admit(const Request& request, wire::Run& run, ModelId& model, Diagnostics& out) const;
    core::RequestMeta meta_of(RequestId, LeaseId, const Request&, const Pending&) const;
    [[nodiscard]] std::uint32_t preferred_browsers(std::optional<BrowserType> first,
                                                   ModelId model) const;
    Errc check_against_model(Pending& pending);
    void send(const core::Dispatch& action, Pending& pending);
    Result result_of(Pending& pending, const core::Complete& done);
    void explain(Pending& pending, const core::Complete& done) const;
    bool simulate(Pending& pending, Result& result);
    // pool_pressure.cpp: who has what, and since when
    [[nodiscard]] std::string holders(Priority priority) const;
    [[nodiscard]] PressureReason pressure_now() const noexcept;
    template <class Waiting, class... Results>
    void complete(Waiting&& waiting, Results... results) {
        waiting.complete(executor_, std::move(results)...);
    }
    void tell(PoolEvent event);
    void warn(Errc code, Diagnostics diagnostics);
    void finish_start(Errc code, Diagnostics diagnostics);
    void close_doors();
    [[nodiscard]] bool is_current(const WorkerDriver& worker, Generation generation) const noexcept;

    boost::asio::any_io_executor executor_;
    Strand strand_;
    ResourcePoolConfig config_; ///< without its listeners; with the models of a previous host
    ListenerGate listener_;
    GateFor<RecoveredOperation> recovered_listener_;
    ModelRegistry models_;
    RecoveryDesk recoveries_;
    core::PoolCore core_;
    std::deque<core::Event> inbox_;
    core::Actions actions_;
    bool performing_{false};
    bool has_told_broken_{false};
    Phase phase_{Phase::constructed};

    boost::asio::steady_timer timer_;
    TimePoint timer_at_{never};

    std::unique_ptr<io::BrowserNest> nest_;
    std::unique_ptr<io::Bridge> bridge_;
    std::vector<BrowserSpec> slots_;                     ///< by worker, dormant ones aside
    std::vector<std::vector<BrowserSpec>> alternatives_; ///< of each of them
    std::unique_ptr<WorkerSurroundings> surroundings_;
    std::vector<std::unique_ptr<WorkerDriver>> workers_;
    std::unique_ptr<FaultDrill> drill_; ///< null: nobody has asked for a fault yet

    mutable std::mutex state_mutex_; ///< for state(), which any thread may ask for
    std::shared_ptr<BrowserStateManager> state_;
    std::unique_ptr<StateScribe> scribe_; ///< null: nothing is remembered
    HeldActions held_;
    std::vector<core::Dispatch> gathered_; ///< within perform_all(): to be sent as one
    SentBatches batches_;
    std::shared_ptr<StrandMailbox> mailbox_;
    std::vector<ProvidersUsed> providers_used_; ///< by a previous host, by worker
    /// Of a previous host, by priority, not submitted yet.
    std::array<std::deque<ResumePlan::Again>, priority_count> again_;
    std::uint64_t request_base_{0};

    std::unordered_map<std::uint64_t, Pending> requests_;
    std::unordered_map<std::uint64_t, WaitingHandler<void(error_code, Lease)>> waiting_leases_;
    WaitingHandler<void(error_code, StartReport)> start_handler_;
    std::vector<WaitingHandler<void(error_code)>> drain_handlers_, stop_handlers_;
    Diagnostics first_trouble_;

    std::atomic<std::uint64_t> last_request_{0}, last_lease_{0}, last_wait_{0};
    SnapshotBoard board_;
    const std::shared_ptr<io::BridgeStats> bridge_stats_{std::make_shared<io::BridgeStats>()};
};

} // namespace everpool::facade
