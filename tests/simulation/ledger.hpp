// Simulator: what was asked, what was executed, what was answered; and whether that may be so.
// SPDX-License-Identifier: BSL-1.0
//
// The ledger knows only events and actions, nothing of the core's inside. It judges safety:
//   * every request and lease is answered exactly once, with a code that what happened allows;
//   * an answer is delivered only if it came from the worker, generation and attempt asked last,
//     and that generation is still in force;
//   * work is given only to a life that is in force, connected, not lost, with the model warm;
//   * a request that must not be repeated is executed at most once, and if it is said not to have
//     been executed, it has not; one that may be repeated is not given up before its last attempt;
//   * copies of one request are at different workers, an answer of theirs is delivered only if more
//     than half of those asked have given it, so no wrong one while at most f of 2f + 1 are wrong;
//   * no worker is lent to two, and a lent worker works for its borrower alone;
//   * a standby is given work only if an active worker is missing, or none serves the model;
//   * what is started is stopped in the end, and started again only when that is done;
//   * while the fleet fails, only the one that tries for all is started;
//   * nobody is kept waiting beyond a deadline or his patience, or served after it, or refused for
//     a full queue that is not full;
//   * nobody is served before another one who wants the same, asks for no more, is not less urgent
//     and came before, as far as the aging of priorities goes.
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/core_config.hpp"
#include "everpool/core/event.hpp"
#include "everpool/time.hpp"
#include "everpool/worker_role.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace everpool::simulation {

struct AttemptFact {
    core::Dispatch sent{};
    bool is_answered{false};
    Errc code{};
    std::uint32_t value{0}; ///< what was computed: 0 is right
};

struct RequestFact {
    core::RequestMeta meta{}; ///< max_attempts: as it counts
    TimePoint submitted{};
    std::uint32_t wanted{1};               ///< answers, at most; see least_wanted()
    std::uint32_t least{core::copies_max}; ///< so many as there were workers for it since
    std::vector<AttemptFact> attempts{};
    std::vector<std::uint32_t> counted{}; ///< attempts of the last vote
    bool is_counting{false};
    bool is_hedged{false};
    bool is_after_drain{false}, is_after_stop{false};
    std::uint32_t dispatches{0}, executions{0};
    core::Dispatch last{};
    bool was_sent{true}; ///< the last dispatch, as far as the driver knows
    bool is_cancelled{false};
    bool is_completed{false};
};

/// What is sent to a worker as one.
struct BatchFact {
    std::uint64_t number{0};
    core::Dispatch first{};
    std::uint64_t rows{0};
    std::size_t count{0};
};

struct LeaseFact {
    enum class State : std::uint8_t { asked, held, over };
    core::Acquire asked{};
    bool is_after_drain{false}, is_after_stop{false};
    State state{State::asked};
    bool is_released{false};
    WorkerId worker{WorkerId::none()};
};

struct WorkerFact {
    Generation generation{};  ///< of the last StartWorker
    bool is_connected{false}; ///< in the life in force
    bool is_lost{false};      ///< the life in force has ended
    bool is_failed{false};    ///< for good
    bool is_stopped{false};   ///< StopWorker was asked for
    bool is_gone{false};      ///< and that is done
    bool is_ready{false};     ///< takes work
    bool is_finishing{false}; ///< and after this step nothing new
    WorkerRole role{WorkerRole::active};
    std::set<std::uint32_t> models;   ///< warmed up in the life in force
    std::set<std::uint32_t> rejected; ///< models, for ever
    LeaseId lent_to{};                ///< 0: nobody
    std::set<std::uint64_t> requests; ///< dispatched in the life in force, not completed

    [[nodiscard]] bool is_usable() const noexcept { return is_connected && !is_lost; }
};

class Ledger {
public:
    /// `lateness_max`: events and wakeups come to the core at most this late, stalls aside.
    Ledger(const core::CoreConfig& config, Duration lateness_max);

    /// The first thing that may not be; empty if all is well.
    [[nodiscard]] const std::string& violation() const noexcept { return violation_; }
    void object(std::string what) {
        if (violation_.empty()) violation_ = std::move(what);
    }

    // --- what happens ----------------------------------------------------------------------------

    /// An event, before the core sees it. `now`: the core's time of it.
    void note(const core::Event& event, TimePoint now);
    /// The host stood still, and what became due meanwhile was due only afterwards.
    void note_stall(TimePoint from, TimePoint to) noexcept {
        if (from != stall_to_) stall_from_ = from; // else it goes on
        stall_to_ = to;
    }
    /// The core is woken, so nothing that it says can be due to an event.
    void note_wakeup() { cause_ = core::Start{}; }
    /// After the step, before its actions: does the worker take nothing new? No action tells it.
    /// One that has begun to by this step, and has been lost by it as well, is not ready any more.
    void note_finishing(WorkerId worker, bool is_finishing, bool is_ready) {
        workers_[worker.value].is_finishing = is_finishing || !is_ready;
    }
    /// An action, after the core has asked for it.
    void note(const core::Action& action, TimePoint now);
    /// A worker begins to compute a request; `value`: the answer will be this, 0 is right.
    void note_execution(const core::Dispatch& dispatch, std::uint32_t value);
    /// What an honest driver finds when it compares the answers.
    [[nodiscard]] core::VotesCounted count(const core::CountVotes&) const;
    /// Is anybody kept waiting beyond a deadline? Asked now and then.
    void check_deadlines(TimePoint now);

    // --- questions -------------------------------------------------------------------------------

    /// The next ids to be used, in sequence.
    [[nodiscard]] RequestId next_request() const noexcept { return {requests_.size()}; }
    [[nodiscard]] LeaseId next_lease() const noexcept { return {leases_.size()}; }
    [[nodiscard]] const RequestFact& request(RequestId id) const { return requests_[id.value]; }
    [[nodiscard]] const LeaseFact& lease(LeaseId id) const { return leases_[id.value]; }
    [[nodiscard]] std::uint64_t request_count() const noexcept { return requests_.size() - 1; }
    /// Ids of what is not answered.
    [[nodiscard]] const std::set<std::uint64_t>& open_requests() const noexcept {
        return open_requests_;
    }
    [[nodiscard]] std::uint64_t batch_count() const noexcept { return batch_count_; }
    [[nodiscard]] bool has_open_requests() const noexcept { return !open_requests_.empty(); }
    [[nodiscard]] bool has_open_leases() const noexcept { return !open_leases_.empty(); }
    [[nodiscard]] bool is_start_finished() const noexcept { return starts_ != 0; }
    [[nodiscard]] bool is_drain_finished() const noexcept { return drains_ != 0; }
    [[nodiscard]] bool is_stop_finished() const noexcept { return stops_ != 0; }
    /// How many requests completed with what.
    [[nodiscard]] const std::map<Errc, std::uint64_t>& outcomes() const noexcept {
        return outcomes_;
    }

private:
    void on(const core::Submit&);
    void on(const core::Cancel&);
    void on(const core::Acquire&);
    void on(const core::Release&);
    void on(const core::WorkerConnected&);
    void on(const core::WorkerStopped&);
    void on(const core::WorkerLost&);
    void on(const core::ModelWarmedUp&);
    void on(const core::Replied&);
    void on(const core::VotesCounted&);

    void on(const core::StartWorker&, TimePoint);
    void on(const core::StopWorker&, TimePoint);
    void on(const core::LoadModel&, TimePoint);
    void on(const core::WarmUpModel&, TimePoint);
    void on(const core::Dispatch&, TimePoint);
    void on(const core::SendCancel&, TimePoint);
    void on(const core::SendPing&, TimePoint);
    void on(const core::AskControl&, TimePoint);
    void on(const core::CountVotes&, TimePoint);
    void on(const core::Complete&, TimePoint);
    void on(const core::LeaseGranted&, TimePoint);
    void on(const core::LeaseEnded&, TimePoint);
    void on(const core::StartFinished&, TimePoint);
    void on(const core::DrainFinished&, TimePoint);
    void on(const core::StopFinished&, TimePoint);
    void on(const core::Notice&, TimePoint);

    void judge_standby(const core::Dispatch&, const RequestFact&);
    void judge_batch(const core::Dispatch&, const RequestFact&);
    [[nodiscard]] bool waits_for_company(const RequestFact&, TimePoint now) const;
    void judge_order(const RequestFact&, TimePoint now);
    [[nodiscard]] TimePoint rank_of(const RequestFact&, TimePoint now) const;
    void judge_impatience(const core::Complete&, const RequestFact&, TimePoint now);
    /// Until when it waits for its first worker.
    [[nodiscard]] static TimePoint patience_of(const RequestFact&) noexcept;
    void judge_outcome(const core::Complete&, const RequestFact&, TimePoint now);
    void judge_answer(const core::Complete&, const RequestFact&);
    void judge_copies(const core::Dispatch&, const RequestFact&);
    void judge_answer_of_copies(const core::Complete&, const RequestFact&);
    void judge_vote(const core::Complete&, const RequestFact&);
    [[nodiscard]] std::uint32_t under_way(const RequestFact&) const;
    [[nodiscard]] std::uint32_t least_wanted(const RequestFact&) const;
    [[nodiscard]] static bool has_copies(const RequestFact& fact) noexcept {
        return fact.wanted > 1 || fact.is_hedged;
    }
    void judge_giving_up(const RequestFact&, TimePoint now);
    void judge_full_queue(const RequestFact&);
    void judge_refusal(Errc code, ModelId model, bool is_after_drain, bool is_after_stop);
    [[nodiscard]] bool may_be_repeated(const RequestFact&, TimePoint now) const noexcept;
    [[nodiscard]] bool is_servable(ModelId) const;
    [[nodiscard]] bool is_overdue(TimePoint deadline, TimePoint now) const noexcept;
    [[nodiscard]] WorkerFact* in_force(WorkerId, Generation);
    bool is_in_force(WorkerId, Generation, const char* what);

    core::CoreConfig config_;
    Duration lateness_max_;
    TimePoint stall_from_{}, stall_to_{}; ///< the last one
    std::vector<WorkerFact> workers_;
    std::vector<RequestFact> requests_; ///< by id
    std::vector<LeaseFact> leases_;     ///< by id
    std::set<std::uint64_t> open_requests_, open_leases_;
    core::Event cause_;                 ///< the event being worked on; Start for a wakeup
    TimePoint now_{};                   ///< of that event
    WorkerId prober_{WorkerId::none()}; ///< of a fleet that fails
    bool is_draining_{false}, is_stopping_{false};
    std::uint32_t starts_{0}, drains_{0}, stops_{0}, drains_asked_{0}, stops_asked_{0};
    std::map<Errc, std::uint64_t> outcomes_;
    std::string violation_;
    BatchFact batch_; ///< the last one
    std::uint64_t batch_count_{0};
};

} // namespace everpool::simulation
