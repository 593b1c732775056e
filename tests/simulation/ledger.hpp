// Simulator: what was asked, what was executed, what was answered; and whether that may be so.
// SPDX-License-Identifier: BSL-1.0
//
// The ledger knows only events and actions, nothing of the core's inside. It is the judge of safety:
//   * every request and every lease is answered exactly once;
//   * an answer is delivered only if it came from the worker, generation and attempt asked last;
//   * work is given only to a life that is in force, connected, and has warmed the model up;
//   * a request that must not be repeated is executed at most once, and if it is said not to have
//     been executed, it has not;
//   * no worker is lent to two, and a lent worker works for its borrower alone;
//   * no request is kept waiting beyond its deadline.
#pragma once

#include "everpool/core/action.hpp"
#include "everpool/core/event.hpp"
#include "everpool/time.hpp"

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace everpool::simulation {

struct RequestFact {
    core::RequestMeta meta{};
    bool is_after_stop{false};
    std::uint32_t dispatches{0}, executions{0};
    core::Dispatch last{};
    bool is_cancelled{false};
    bool is_completed{false};
};

struct LeaseFact {
    enum class State : std::uint8_t { asked, held, over };
    State state{State::asked};
    bool is_released{false};
    WorkerId worker{WorkerId::none()};
};

struct WorkerFact {
    Generation generation{};          ///< of the last StartWorker
    Generation connected{};           ///< of the last WorkerConnected that was delivered
    std::set<std::uint32_t> models;   ///< warmed up in the life in force
    LeaseId lent_to{};                ///< 0: nobody
    std::set<std::uint64_t> requests; ///< dispatched in the life in force, not completed
    bool is_stopped{false};           ///< StopWorker was asked for
};

class Ledger {
public:
    Ledger(std::size_t worker_count, Duration lateness_max)
        : workers_(worker_count), requests_(1), leases_(1), lateness_max_(lateness_max) {}

    /// The first thing that may not be; empty if all is well.
    [[nodiscard]] const std::string& violation() const noexcept { return violation_; }

    // --- events, before the core sees them ---------------------------------------------------------

    void note(const core::Event& event, TimePoint now);

    /// A worker begins to compute a request.
    void note_execution(const core::Dispatch& dispatch) {
        RequestFact& fact = requests_[dispatch.request.value];
        ++fact.executions;
        if (!fact.meta.idempotent && fact.executions > 1)
            object("a request that must not be repeated was executed twice: " +
                   std::to_string(dispatch.request.value));
    }

    /// The next ids to be used, in sequence.
    [[nodiscard]] RequestId next_request() const noexcept { return {requests_.size()}; }
    [[nodiscard]] LeaseId next_lease() const noexcept { return {leases_.size()}; }

    // --- actions, after the core has asked for them ------------------------------------------------

    void note(const core::Action& action, TimePoint now);

    // --- questions ---------------------------------------------------------------------------------

    [[nodiscard]] const RequestFact& request(RequestId id) const { return requests_[id.value]; }
    [[nodiscard]] const LeaseFact& lease(LeaseId id) const { return leases_[id.value]; }
    [[nodiscard]] std::uint64_t open_requests() const noexcept { return open_requests_; }
    [[nodiscard]] std::uint64_t open_leases() const noexcept { return open_leases_; }
    [[nodiscard]] std::uint64_t request_count() const noexcept { return requests_.size() - 1; }
    [[nodiscard]] bool is_start_finished() const noexcept { return starts_ != 0; }
    [[nodiscard]] bool is_drain_finished() const noexcept { return drains_ != 0; }
    [[nodiscard]] bool is_stop_finished() const noexcept { return stops_ != 0; }
    [[nodiscard]] const std::map<Errc, std::uint64_t>& outcomes() const noexcept {
        return outcomes_;
    }

    void object(std::string what) {
        if (violation_.empty()) violation_ = std::move(what);
    }

    /// Requests past their deadline that nobody has answered. Asked now and then.
    void check_deadlines(TimePoint now);

private:
    void on(const core::StartWorker&, TimePoint);
    void on(const core::StopWorker&, TimePoint);
    void on(const core::LoadModel&, TimePoint);
    void on(const core::WarmUpModel&, TimePoint);
    void on(const core::Dispatch&, TimePoint);
    void on(const core::SendCancel&, TimePoint);
    void on(const core::SendPing&, TimePoint);
    void on(const core::Complete&, TimePoint);
    void on(const core::LeaseGranted&, TimePoint);
    void on(const core::LeaseEnded&, TimePoint);
    void on(const core::StartFinished&, TimePoint);
    void on(const core::DrainFinished&, TimePoint);
    void on(const core::StopFinished&, TimePoint);
    void on(const core::Notice&, TimePoint) {}
    void judge_code(const core::Complete&, const RequestFact&, TimePoint now);
    void judge_answer(const core::Complete&, const RequestFact&);
    bool is_in_force(WorkerId, Generation, const char* what);

    std::vector<WorkerFact> workers_;
    std::vector<RequestFact> requests_; ///< by id
    std::vector<LeaseFact> leases_;     ///< by id
    std::set<std::uint64_t> open_ids_;  ///< requests not completed
    core::Event cause_;                 ///< the event being worked on; Start for a wakeup
    bool is_stopping_{false};
    std::uint64_t open_requests_{0}, open_leases_{0};
    std::uint32_t starts_{0}, drains_{0}, stops_{0}, drains_asked_{0}, stops_asked_{0};
    std::map<Errc, std::uint64_t> outcomes_;
    Duration lateness_max_;
    std::string violation_;
};

} // namespace everpool::simulation
