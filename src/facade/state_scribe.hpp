// Everpool facade: writes down what a pool does, as transactions of the state.
// SPDX-License-Identifier: BSL-1.0
//
// The pool's driver shows it the actions of each step before they are performed, so that what
// anybody is told has been written down first: one step of the core is one transaction. A step that
// only gives operations to workers comes right after it was performed. What the core does not say
// (a process was launched, which provider a model got) the driver tells in between; it goes into
// the transaction that comes next.
//
// A lost worker in one transaction: what ran there is finished or queued anew first, then the
// browser is lost, then the operations are given to other workers. So the rules of the state hold
// after each change, and a step of more changes than a transaction may have (a stop with thousands
// of requests) can be cut anywhere.
//
// Copies. Of an operation that several workers have at the same time the state shows the first one;
// when that one ends, another of them takes its place. What a next host needs to know, that it was
// sent and may be repeated, is the same for all of them.
//
// Another type. By recovery a worker may become a browser of another type. It is removed and added
// anew then, in one step: what the record says and what is measured is of that browser, and only
// the worker's own history (generation, restarts, last failure) goes on.
//
// Generations: the core counts from 1 in every pool; in the state they go on above those of
// previous hosts. The scribe adds the difference.
//
// A refused transaction is a bug of ours. It is counted and told, and the pool goes on. So it does
// when the disk fails: nobody waits for most of what is written down, so one answer of the disk is
// always asked for, and what it says is told once when it begins and once when it is over.
//
// Threading: everything on the pool's strand.
#pragma once

#include "everpool/browser_state_manager.hpp"
#include "everpool/core/action.hpp"
#include "everpool/state_change.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace everpool::facade {

/// What the scribe asks of the pool while it writes.
class ScribeSources {
public:
    virtual ~ScribeSources() = default;
    /// Why this worker last failed to start, in words.
    [[nodiscard]] virtual std::string trouble_of(WorkerId worker) const = 0;
    /// What this loss of a worker was, in words.
    [[nodiscard]] virtual std::string loss_text_of(const core::Notice& notice) const = 0;
    /// Which browser the worker is, from the StartWorker on that is being written down.
    [[nodiscard]] virtual BrowserType browser_of(WorkerId worker) const = 0;
    [[nodiscard]] virtual std::string_view model_name_of(ModelId model) const = 0;
    /// What this worker's page said when it had loaded the model.
    [[nodiscard]] virtual ModelAssignment assignment_of(WorkerId worker, ModelId model) const = 0;
};

/// The browser's setting that says which provider the model got there; of "", how they all begin.
inline std::string setting_of(std::string_view model) {
    return std::string("model.").append(model);
}

/// A slot of the pool as the state has it, before the pool starts.
struct ScribeSlot {
    BrowserType browser{}; ///< the scribe's own copy follows what the worker becomes
    std::uint64_t generation_base{0};
    std::uint32_t restarts_base{0};
    StateSettings settings{}; ///< in force
};

/// A caller's operation when it comes in.
struct Submission {
    RequestId id{};
    std::string_view operation{}, model{};
    std::uint64_t inputs_digest{0};
    WallTime deadline{};
    bool is_idempotent{false};
    Payload payload{};
};

class StateScribe {
public:
    /// As BrowserStateManager::commit(), but `WhenDone` is called on the pool's strand, and only as
    /// long as the scribe is there.
    using WhenDone = std::function<void(error_code)>;
    using Commit = std::function<CommitResult(Transaction, Durability, WhenDone)>;
    /// Told of what went wrong; `is_refused`: a bug of ours, else trouble with the disk, which is
    /// over if the code is ok.
    using Complain = std::function<void(const CommitResult&, bool is_refused)>;

    StateScribe(FaultToleranceLevel level, std::vector<ScribeSlot> slots,
                const ScribeSources& sources, Commit commit, Complain complain);

    // --- between steps ---------------------------------------------------------------------------

    void submitted(const Submission& submission);
    /// An operation that the state has already, queued.
    void adopted(const OperationState& operation);
    void launched(WorkerId worker, std::string_view version, ProcessIdentity process);
    /// A worker could not be started. (The core says so only if it gives up.)
    void start_failed(const core::WorkerStartFailed& event);
    /// An operation's answer, before the core has seen it: it may be queued anew without a word.
    void answered(const core::Replied& event) { answer_ = event; }

    // --- steps -----------------------------------------------------------------------------------

    /// Must this step's operations wait until it is durable? Only at level critical.
    [[nodiscard]] bool must_wait(const core::Actions& actions) const noexcept;
    /// Writes down what is about to be done, or has just been given to workers. `when_durable` is
    /// called if it is given: with the disk's error, or invalid_transaction. Inside this very call
    /// if there is nothing to wait for.
    void write(const core::Actions& actions, TimePoint now, WhenDone when_durable = {});
    /// The pool ends without its core: all that is under way is cancelled, all browsers stopped.
    void end_all();

    [[nodiscard]] std::uint64_t transactions() const noexcept { return transactions_; }
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
    /// Why the newest of it is not on disk, as far as is known; ok if it is.
    [[nodiscard]] error_code trouble() const noexcept { return trouble_; }

    // --- now and then ----------------------------------------------------------------------------

    /// What was written down after the disk was asked last is told by nobody if nothing follows it,
    /// nor that the disk works again. Then somebody has to look.
    [[nodiscard]] bool wants_to_know() const noexcept {
        return !is_disk_asked_ && (is_disk_owing_ || trouble_);
    }
    void on_health(const StateStorageHealth& health);

private:
    /// An operation that has not finished.
    struct Beside {
        WorkerId worker{WorkerId::none()};
        Generation generation{}; ///< the core's
        std::uint32_t attempt{0};
    };
    struct Live {
        std::string operation, model;
        bool is_running{false};
        WorkerId worker{WorkerId::none()};
        Generation generation{}; ///< the core's
        std::uint32_t attempt{0};
        TimePoint dispatched{};
        std::vector<Beside> beside; ///< further copies under way, or answered
    };
    struct Slot : ScribeSlot {
        ConnectionStatus connection{ConnectionStatus::disconnected};
        Generation generation{};    ///< the core's
        std::string last_failure{}; ///< in this host
    };

    template <class What>
    void put(What&& change) {
        changes_.emplace_back(std::forward<What>(change));
    }
    BrowserChanged& change_of(WorkerId worker, ConnectionStatus connection);
    void become(WorkerId worker, BrowserType browser);

    void note(const core::StartWorker& action);
    void note(const core::StopWorker& action);
    void note(const core::Dispatch& action, TimePoint now);
    void note(const core::Notice& notice, const core::Actions& step, TimePoint now);
    void note_lost(const core::Notice& notice, const core::Actions& step, TimePoint now);
    void note_model(const core::Notice& notice);
    void note_stopped();
    void settle_answer(const core::Actions& step);
    void finish(RequestId id, Errc code, TimePoint now);
    void finish(const core::Complete& action, TimePoint now);
    void begin(RequestId id, Live& live, const Beside& copy);
    void replace(RequestId id, Live& live);
    void requeue(RequestId id, Live& live, Errc code);
    void commit_all(WhenDone when_durable);
    void commit_some(std::vector<Change> changes, WhenDone when_durable);
    void on_disk(error_code ec, const Diagnostics& diagnostics);

    const FaultToleranceLevel level_;
    const ScribeSources& sources_;
    const Commit commit_;
    const Complain complain_;
    std::vector<Slot> slots_;
    std::unordered_map<std::uint64_t, Live> live_;
    std::optional<core::Replied> answer_;
    std::vector<Change> changes_; ///< not committed yet
    std::uint64_t transactions_{0}, refused_{0};
    bool is_disk_asked_{false}; ///< somebody will tell us of it
    bool is_disk_owing_{false}; ///< but not of what came after
    error_code trouble_{};      ///< of the disk, told last
};

} // namespace everpool::facade
