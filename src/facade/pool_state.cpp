// Everpool facade: what the pool remembers. Opening the state and going on from it, writing down
// each step, and at level critical waiting for the disk.
// SPDX-License-Identifier: BSL-1.0
#include "facade/own_code.hpp"
#include "facade/pool_driver.hpp"
#include "io/linux/process_identity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

namespace everpool::facade {

namespace {

BrowserStateManagerConfig manager_config(const ResourcePoolConfig& config,
                                         std::uint32_t request_count) {
    const FaultToleranceOptions& options = config.fault_tolerance;
    BrowserStateManagerConfig out;
    out.directory = options.state_directory;
    out.fault_tolerance = options.level;
    out.commit_interval = options.commit_interval;
    out.recovery = options.recovery;
    out.orphans = options.orphans;
    out.checkpoint_interval = options.checkpoint_interval;
    // As many as the core may have, and as many again that a previous host has left.
    const std::uint32_t most = std::min(2 * request_count, 10'000'000U); // as may be kept
    out.limits.operations_max = std::max(out.limits.operations_max, most);
    // Ids go on above the highest one that is in the state. If the newest operation is the first to
    // end, all the others end after it: it is forgotten only when there is a newer one.
    out.limits.operations_kept = std::max(out.limits.operations_kept, most);
    return out;
}

} // namespace

/// What belongs to a lease is not repeated elsewhere, so neither by another host.
KeptRequest PoolDriver::kept(const Request& request, LeaseId lease) const {
    const FaultToleranceOptions& options = config_.fault_tolerance;
    if (!measures_of(options.level).keeps_state) return {};
    const bool is_of_use = !options.state_directory.empty() && lease == LeaseId{};
    const std::size_t bytes_max = is_of_use ? options.request_bytes_kept : 0;
    return {digest_of(request.inputs), keep(request, bytes_max)};
}

std::shared_ptr<BrowserStateManager> PoolDriver::state() const {
    const std::scoped_lock lock(state_mutex_);
    return state_;
}

// --- going on where the previous host was --------------------------------------------------------

error_code PoolDriver::open_state(const std::vector<BrowserSpec>& browsers,
                                  Diagnostics& diagnostics) {
    if (!measures_of(config_.fault_tolerance.level).keeps_state) return {};
    core::CoreConfig core = core_.config(); // made before the standbys were known
    core.worker_browsers.resize(browsers.size());
    auto state =
        std::make_shared<BrowserStateManager>(manager_config(config_, request_count_max(core)));
    {
        const std::scoped_lock lock(state_mutex_);
        state_ = std::move(state);
    }
    ResumePlan plan;
    const Errc refused =
        plan_resume(state_->snapshot(), state_->orphans(), config_, browsers, plan, diagnostics);
    if (refused != Errc::ok) return refused;
    warn_of_recovery(plan);
    mailbox_ = std::make_shared<StrandMailbox>(strand_);
    return resume(std::move(plan), diagnostics);
}

error_code PoolDriver::resume(ResumePlan plan, Diagnostics& diagnostics) {
    if (const error_code ec = commit_plan(std::move(plan.changes), diagnostics)) return ec;
    request_base_ = plan.request_base;
    providers_used_ = std::move(plan.providers);
    if (!plan.models.empty()) {
        std::ranges::move(plan.models, std::back_inserter(config_.models));
        make_core();
        if (const error_code ec = models_.check_files(diagnostics)) return ec;
    }
    const ScribeSources& sources = *this;
    scribe_ = std::make_unique<StateScribe>(
        config_.fault_tolerance.level, std::move(plan.slots), sources,
        [this](Transaction step, Durability durability, StateScribe::WhenDone when_done) {
            if (!when_done) return state_->commit(std::move(step), durability);
            return state_->commit(std::move(step), durability, on_strand(std::move(when_done)));
        },
        [this](const CommitResult& result, bool is_refused) { complain(result, is_refused); });
    for (RecoveredOperation& one : plan.settled) recovered_listener_.tell(one);
    for (ResumePlan::Again& one : plan.again)
        again_[index_of(one.request.priority)].push_back(std::move(one));
    return {};
}

/// From the log's thread, or inside a commit, to the strand. Not after the scribe has gone.
StateScribe::WhenDone PoolDriver::on_strand(StateScribe::WhenDone when_done) {
    return [mailbox = mailbox_, weak = weak_from_this(),
            when_done = std::move(when_done)](error_code ec) {
        mailbox->post([weak, when_done, ec] {
            if (const auto self = weak.lock(); self && self->scribe_) when_done(ec);
        });
    };
}

error_code PoolDriver::commit_plan(std::vector<Change> changes, Diagnostics& diagnostics) {
    for (std::size_t at = 0; at < changes.size(); at += transaction_changes_max) {
        const auto first = changes.begin() + static_cast<std::ptrdiff_t>(at);
        const auto count = std::min(transaction_changes_max, changes.size() - at);
        const auto last = first + static_cast<std::ptrdiff_t>(count);
        Transaction step{
            .actor = "pool",
            .changes = {std::make_move_iterator(first), std::make_move_iterator(last)}};
        const bool is_last = at + count == changes.size();
        CommitResult result =
            state_->commit(std::move(step), is_last ? Durability::sync : Durability::group);
        if (!result.code) continue;
        diagnostics = std::move(result.diagnostics);
        return result.code;
    }
    return {};
}

void PoolDriver::warn_of_recovery(const ResumePlan& plan) {
    const RecoveryReport& report = state_->recovery();
    if (report.is_durable_data_lost || report.ending == LogEnding::corruption)
        warn(Errc::storage_damaged, {"the kept state was not whole: " + report.text(), {}, {}, {}});
    for (const Diagnostics& one : plan.warnings) warn(Errc::model_rejected, one);
}

/// Operations of a previous host go before those of this one, but not more at a time than may wait.
/// Those that are left when the pool is drained or stopped wait in the state for the next host.
void PoolDriver::run_again() {
    const bool is_open = phase_ == Phase::starting || phase_ == Phase::running;
    for (const Priority priority : priorities) {
        auto& waiting = again_[index_of(priority)];
        while (is_open && !waiting.empty() && inbox_.empty() &&
               core_.queued(priority) < core_.config().queue_limit(priority)) {
            ResumePlan::Again next = std::move(waiting.front());
            waiting.pop_front();
            run_again(std::move(next));
        }
    }
}

void PoolDriver::run_again(ResumePlan::Again again) {
    Pending pending;
    pending.submitted = now();
    const RequestId id = again.operation.id;
    const WallTime deadline = again.operation.deadline;
    pending.recovered = std::make_unique<OperationState>(std::move(again.operation));
    Request& request = again.request;
    pending.priority = request.priority;
    Errc refused = admit(request, pending.run, pending.model, pending.diagnostics);
    const auto wall_now = std::chrono::system_clock::now().time_since_epoch();
    if (deadline != WallTime{}) {
        request.timeout = deadline - WallTime(wall_now);
        if (*request.timeout <= Duration::zero()) refused = Errc::deadline_exceeded;
    } else {
        request.timeout = Duration::max();
    }
    if (refused != Errc::ok) {
        scribe_->adopted(*pending.recovered);
        requests_.emplace(id.value, std::move(pending));
        actions_.push_back(core::Complete{id, refused, 0, WorkerId::none()});
        return perform_all();
    }
    pending.run.tensors = std::move(request.inputs);
    pending.run.parameters = std::move(request.parameters);
    submit(id, LeaseId{}, request, {}, std::move(pending));
}

void PoolDriver::tell_recovered(const Pending& pending, error_code code, Result result) {
    recovered_listener_.tell({.operation = *pending.recovered,
                              .was_executed_again = !pending.attempts.empty(),
                              .code = code,
                              .result = std::move(result)});
}

// --- writing down --------------------------------------------------------------------------------

void PoolDriver::on_launched(WorkerId id) {
    if (!scribe_) return;
    const WorkerDriver& worker = *workers_.at(id.value);
    scribe_->launched(id, worker.version(), io::identity_of(worker.process_id()));
}

/// Before the actions are performed, unless all of them are dispatches. At level critical the step
/// may have to wait for the disk.
void PoolDriver::write_down() {
    if (!scribe_->must_wait(actions_)) return scribe_->write(actions_, now());
    const std::uint64_t ticket = held_.open();
    scribe_->write(actions_, now(), [this, ticket](error_code ec) {
        held_.settle(ticket, ec);
        if (!performing_) return work_off_held();
        // There was nothing to wait for; but what is to be done then is not held yet.
        on_strand([this](error_code) { work_off_held(); })(ec);
    });
}

/// What can be seen from outside: an operation is answered, known to be over, or sent. What may be
/// executed twice is sent at once, while the disk writes that it begins: a host that dies before
/// that has told nobody of it.
bool PoolDriver::is_to_be_held(const core::Action& action) const noexcept {
    if (const auto* dispatch = std::get_if<core::Dispatch>(&action)) {
        const auto found = requests_.find(dispatch->request.value);
        return found == requests_.end() || found->second.waits_for_record;
    }
    return std::holds_alternative<core::Complete>(action) ||
           std::holds_alternative<core::DrainFinished>(action);
}

void PoolDriver::hold(const core::Action& action) {
    if (const auto* dispatch = std::get_if<core::Dispatch>(&action)) {
        const auto found = requests_.find(dispatch->request.value);
        if (found == requests_.end()) return;
        Pending& pending = found->second;
        pending.begin(*dispatch).is_held = true;
    } else if (const auto* end = std::get_if<core::Complete>(&action)) {
        const auto found = requests_.find(end->request.value);
        if (found != requests_.end()) found->second.is_concluded = true;
    }
    held_.hold(action);
}

/// Does what is durable by now. Never from inside an action: who calls was posted.
void PoolDriver::work_off_held() {
    performing_ = true;
    while (const auto step = held_.take())
        for (const core::Action& action : step->actions) perform_late(action, step->ec);
    work_off();
}

void PoolDriver::perform_late(const core::Action& action, error_code storage) {
    if (const auto* dispatch = std::get_if<core::Dispatch>(&action))
        return dispatch_late(*dispatch, storage);
    if (const auto* end = std::get_if<core::Complete>(&action)) return finish(*end, storage);
    std::visit([this](const auto& one) { perform(one); }, action);
}

void PoolDriver::dispatch_late(const core::Dispatch& action, error_code storage) {
    const auto answer = [&](Errc code) {
        feed(core::Replied{action.worker, action.generation, action.request, action.attempt, code,
                           false});
    };
    const auto found = requests_.find(action.request.value);
    // Cancelled or overdue meanwhile. The core keeps its place at the worker until it is answered.
    if (found == requests_.end() || found->second.is_concluded) return answer(Errc::cancelled);
    Pending& pending = found->second;
    Attempt* const attempt = pending.find(action.attempt);
    if (attempt == nullptr || phase_ == Phase::stopped)
        return; // its worker was lost, and it goes elsewhere
    attempt->is_held = false;
    if (!is_current(*workers_.at(action.worker.value), action.generation)) return;
    if (!storage) return perform(action);
    pending.diagnostics.message =
        fmt::format("operation '{}' was not executed: the record of its start could not be made "
                    "durable: {}",
                    pending.run.operation, storage.message());
    pending.diagnostics.remedy = "see ResourcePool::state()->health(); free space on the disk, or "
                                 "start again with a disk that works";
    pending.diagnostics.last_cause = storage;
    answer(storage_code(storage));
}

/// The pool has stopped: what is held does not wait any longer than the disk takes now.
void PoolDriver::settle_held() {
    if (held_.is_empty()) return;
    held_.settle_all(state_->flush());
    work_off_held();
}

void PoolDriver::close_state() {
    if (scribe_) {
        refresh_counters();
        // The host may hold on to it, and be killed before it lets go.
        const error_code ec = state_->flush();
        if (ec && !scribe_->trouble()) complain({.code = ec}, false);
    }
    scribe_.reset();
    if (mailbox_) mailbox_->close();
    std::shared_ptr<BrowserStateManager> last;
    const std::scoped_lock lock(state_mutex_);
    last.swap(state_);
}

/// When the core wakes up, which it does for its pings, if not for anything else.
void PoolDriver::look_at_disk() {
    if (scribe_ && scribe_->wants_to_know()) scribe_->on_health(state_->health());
}

Errc PoolDriver::storage_code(error_code ec) noexcept {
    return ec ? own_code(ec, Errc::storage_failed) : Errc::ok;
}

void PoolDriver::complain(const CommitResult& result, bool is_refused) {
    PoolEvent event;
    event.kind = PoolEvent::Kind::warning;
    event.code = storage_code(result.code);
    event.diagnostics = result.diagnostics;
    std::string& message = event.diagnostics.message;
    std::string& remedy = event.diagnostics.remedy;
    if (is_refused) {
        message = "a step of the pool was not written down: " + message;
        remedy = "this is a bug of Everpool; report it with this message";
    } else if (result.code) {
        message = "what the pool writes down does not reach the disk: " +
                  (message.empty() ? result.code.message() : message);
        if (remedy.empty())
            remedy = "free space on the disk; ResourcePool::state()->health() says whether that "
                     "helps, or the pool has to be started again";
    } else {
        message = "what the pool writes down is on disk again";
    }
    refresh_counters(); // who hears of it finds it in the snapshot
    tell(std::move(event));
}

std::string PoolDriver::trouble_of(WorkerId worker) const {
    return workers_.at(worker.value)->trouble().text();
}

std::string PoolDriver::loss_text_of(const core::Notice& notice) const {
    return workers_.at(notice.worker.value)->failure_of(notice).message;
}

/// Its driver does not know yet: the step is written down before it is performed.
BrowserType PoolDriver::browser_of(WorkerId worker) const { return core_.worker(worker).browser; }

std::string_view PoolDriver::model_name_of(ModelId model) const {
    return models_.at(model).spec.name;
}

ModelAssignment PoolDriver::assignment_of(WorkerId worker, ModelId model) const {
    return {.worker = worker,
            .provider = workers_.at(worker.value)->provider_of(model).value_or(Provider::wasm),
            .memory_bytes = models_.at(model).file_bytes};
}

} // namespace everpool::facade
