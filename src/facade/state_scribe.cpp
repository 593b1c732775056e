// SPDX-License-Identifier: BSL-1.0
#include "facade/state_scribe.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <iterator>
#include <string>
#include <utility>
#include <variant>

namespace everpool::facade {

namespace {

constexpr std::size_t text_bytes_max = 2048;

constexpr OperationStatus status_of(Errc code) noexcept {
    switch (code) {
    case Errc::ok: return OperationStatus::completed;
    case Errc::cancelled: return OperationStatus::cancelled;
    case Errc::outcome_unknown: return OperationStatus::outcome_unknown;
    default: return OperationStatus::failed;
    }
}

/// Does the time that it took say anything about who had it?
constexpr bool is_measure(Errc code) noexcept {
    switch (code) {
    case Errc::cancelled:
    case Errc::invalid_request:
    case Errc::invalid_input:
    case Errc::message_too_large:
    case Errc::invalid_transaction:
    case Errc::storage_full:
    case Errc::storage_not_writable:
    case Errc::storage_failed: return false;
    default: return true;
    }
}

/// Its beginning, so much of it as the state keeps: whole characters, if it is UTF-8.
std::string beginning_of(std::string text) {
    if (text.size() <= text_bytes_max) return text;
    const auto is_inside = [&](std::size_t at) {
        return (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U;
    };
    std::size_t end = text_bytes_max;
    while (end != 0 && is_inside(end)) --end;
    text.resize(end);
    return text;
}

/// The end of that operation in this step; null: it does not end.
const core::Complete* completion_of(const core::Actions& step, RequestId id) noexcept {
    for (const core::Action& action : step)
        if (const auto* const complete = std::get_if<core::Complete>(&action);
            complete != nullptr && complete->request == id)
            return complete;
    return nullptr;
}

} // namespace

StateScribe::StateScribe(FaultToleranceLevel level, std::vector<ScribeSlot> slots,
                         const ScribeSources& sources, Commit commit, Complain complain)
    : level_(level), sources_(sources), commit_(std::move(commit)), complain_(std::move(complain)) {
    for (ScribeSlot& slot : slots) slots_.push_back({std::move(slot)});
}

// --- between steps -------------------------------------------------------------------------------

void StateScribe::submitted(const Submission& submission) {
    Live& live = live_[submission.id.value];
    live.operation = submission.operation;
    live.model = submission.model;
    put(OperationSubmitted{.id = submission.id,
                           .operation = live.operation,
                           .model = live.model,
                           .inputs_digest = submission.inputs_digest,
                           .deadline = submission.deadline,
                           .is_idempotent = submission.is_idempotent,
                           .payload = submission.payload});
}

void StateScribe::adopted(const OperationState& operation) {
    Live& live = live_[operation.id.value];
    live.operation = operation.operation;
    live.model = operation.model;
}

void StateScribe::launched(WorkerId worker, std::string_view version, ProcessIdentity process) {
    put(BrowserChanged{
        .id = worker, .process = process, .browser_version = escape_remote_text(version, 256)});
    commit_all({});
}

void StateScribe::start_failed(const core::WorkerStartFailed& event) {
    Slot& slot = slots_.at(event.worker.value);
    const bool is_starting = slot.connection == ConnectionStatus::connecting ||
                             slot.connection == ConnectionStatus::connected;
    if (event.generation != slot.generation || !is_starting) return;
    BrowserChanged& change = change_of(event.worker, ConnectionStatus::lost);
    change.health = HealthStatus::unhealthy;
    change.last_failure = slot.last_failure = beginning_of(sources_.trouble_of(event.worker));
}

// --- steps ---------------------------------------------------------------------------------------

bool StateScribe::must_wait(const core::Actions& actions) const noexcept {
    return durability_of(level_) == Durability::sync &&
           std::ranges::any_of(actions, [](const core::Action& action) {
               return std::holds_alternative<core::Dispatch>(action) ||
                      std::holds_alternative<core::Complete>(action);
           });
}

void StateScribe::write(const core::Actions& actions, TimePoint now, WhenDone when_durable) {
    settle_answer(actions);
    for (const core::Action& action : actions) {
        if (const auto* dispatch = std::get_if<core::Dispatch>(&action)) note(*dispatch, now);
        else if (const auto* end = std::get_if<core::Complete>(&action)) finish(*end, now);
        else if (const auto* notice = std::get_if<core::Notice>(&action))
            note(*notice, actions, now);
        else if (const auto* start = std::get_if<core::StartWorker>(&action)) note(*start);
        else if (const auto* stop = std::get_if<core::StopWorker>(&action)) note(*stop);
        else if (std::holds_alternative<core::StopFinished>(action)) note_stopped();
    }
    commit_all(std::move(when_durable));
}

void StateScribe::end_all() {
    std::vector<RequestId> ids;
    for (const auto& [id, live] : live_) ids.push_back({id});
    std::ranges::sort(ids);
    for (const RequestId id : ids) finish(id, Errc::cancelled, {});
    note_stopped();
    commit_all({});
}

/// The core takes an operation back without saying so. It has done that if the answer was for the
/// attempt in force and did not complete it.
void StateScribe::settle_answer(const core::Actions& step) {
    const auto answer = std::exchange(answer_, std::nullopt);
    if (!answer || answer->code == Errc::ok) return;
    const auto found = live_.find(answer->request.value);
    if (found == live_.end() || completion_of(step, answer->request) != nullptr) return;
    Live& live = found->second;
    std::erase_if(live.beside, [&](const Beside& one) { return one.attempt == answer->attempt; });
    if (live.is_running && live.worker == answer->worker && live.generation == answer->generation &&
        live.attempt == answer->attempt) {
        requeue(answer->request, live, answer->code);
        replace(answer->request, live);
    }
}

// --- operations ----------------------------------------------------------------------------------

void StateScribe::note(const core::Dispatch& action, TimePoint now) {
    const auto found = live_.find(action.request.value);
    if (found == live_.end()) return;
    Live& live = found->second;
    const Beside copy{action.worker, action.generation, action.attempt};
    if (live.is_running && action.is_beside) return live.beside.push_back(copy);
    if (live.is_running) requeue(action.request, live, Errc::worker_lost);
    if (!action.is_beside) {
        live.beside.clear();
        live.dispatched = now;
    }
    begin(action.request, live, copy);
}

void StateScribe::begin(RequestId id, Live& live, const Beside& copy) {
    live.is_running = true;
    live.worker = copy.worker;
    live.generation = copy.generation;
    live.attempt = copy.attempt;
    const std::uint64_t base = slots_.at(copy.worker.value).generation_base;
    put(OperationDispatched{
        .id = id, .worker = copy.worker, .generation = {base + copy.generation.value}});
}

/// Another copy, if there is one, takes the place of the one that was shown.
void StateScribe::replace(RequestId id, Live& live) {
    std::erase_if(live.beside, [this](const Beside& one) {
        const Slot& slot = slots_.at(one.worker.value);
        return slot.generation != one.generation || slot.connection != ConnectionStatus::ready;
    });
    if (live.beside.empty()) return;
    const Beside copy = live.beside.front();
    live.beside.erase(live.beside.begin());
    begin(id, live, copy);
}

/// The state shows who has answered, if it still can.
void StateScribe::finish(const core::Complete& action, TimePoint now) {
    const auto found = live_.find(action.request.value);
    if (found != live_.end() && action.code == Errc::ok && action.attempt != 0) {
        Live& live = found->second;
        const auto winner = std::ranges::find(live.beside, action.attempt, &Beside::attempt);
        if (winner != live.beside.end() && live.attempt != action.attempt) {
            std::swap(*winner, live.beside.front());
            if (live.is_running) requeue(action.request, live, Errc::cancelled);
            replace(action.request, live);
        }
    }
    finish(action.request, action.code, now);
}

void StateScribe::requeue(RequestId id, Live& live, Errc code) {
    put(OperationRequeued{.id = id, .worker = live.worker, .code = code});
    live.is_running = false;
}

void StateScribe::finish(RequestId id, Errc code, TimePoint now) {
    const auto found = live_.find(id.value);
    if (found == live_.end()) return; // finished with the worker that was lost
    const Live live = std::move(found->second);
    live_.erase(found);
    put(OperationFinished{.id = id,
                          .worker = live.is_running ? live.worker : WorkerId::none(),
                          .status = status_of(code),
                          .code = code});
    if (!live.is_running || !is_measure(code)) return;
    const Slot& slot = slots_.at(live.worker.value);
    // What is no inference has no provider: compute is WebGPU's, the rest runs in the page itself.
    Provider provider = live.operation == "compute" ? Provider::webgpu : Provider::wasm;
    if (const auto used = slot.settings.find(setting_of(live.model)); used != slot.settings.end())
        provider = provider_from(used->second).value_or(provider);
    put(MetricRecorded{.key = {live.model, slot.browser, provider, live.operation},
                       .duration =
                           std::clamp(now - live.dispatched, Duration::zero(), metric_duration_max),
                       .is_failure = code != Errc::ok});
}

// --- browsers and models -------------------------------------------------------------------------

BrowserChanged& StateScribe::change_of(WorkerId worker, ConnectionStatus connection) {
    slots_.at(worker.value).connection = connection;
    put(BrowserChanged{.id = worker, .connection = connection});
    return std::get<BrowserChanged>(changes_.back());
}

/// No change says the type. Which providers models got in the one says nothing about the other.
void StateScribe::become(WorkerId worker, BrowserType browser) {
    Slot& slot = slots_.at(worker.value);
    if (slot.browser == browser) return;
    slot.browser = browser;
    std::erase_if(slot.settings,
                  [](const auto& one) { return one.first.starts_with(setting_of("")); });
    put(BrowserRemoved{worker});
    put(BrowserAdded{{.id = worker,
                      .type = browser,
                      .settings = slot.settings,
                      .last_failure = slot.last_failure}});
}

void StateScribe::note(const core::StartWorker& action) {
    become(action.worker, sources_.browser_of(action.worker));
    Slot& slot = slots_.at(action.worker.value);
    slot.generation = action.generation;
    BrowserChanged& change = change_of(action.worker, ConnectionStatus::connecting);
    change.health = HealthStatus::unknown;
    change.generation = Generation{slot.generation_base + action.generation.value};
    change.restarts = slot.restarts_base + static_cast<std::uint32_t>(action.generation.value - 1);
    if (replaces_browser(action.rung)) change.process = ProcessIdentity{};
}

void StateScribe::note(const core::StopWorker& action) {
    if (is_gone(slots_.at(action.worker.value).connection)) return; // its last words are said
    change_of(action.worker, ConnectionStatus::draining);
}

void StateScribe::note(const core::Notice& notice, const core::Actions& step, TimePoint now) {
    using What = core::Notice::What;
    switch (notice.what) {
    case What::worker_connected: change_of(notice.worker, ConnectionStatus::connected); break;
    case What::worker_ready:
        change_of(notice.worker, ConnectionStatus::ready).health = HealthStatus::healthy;
        break;
    case What::worker_lost: note_lost(notice, step, now); break;
    case What::worker_failed:
        change_of(notice.worker, ConnectionStatus::failed).process = ProcessIdentity{};
        break;
    case What::worker_stopped:
        change_of(notice.worker, ConnectionStatus::stopped).process = ProcessIdentity{};
        break;
    case What::model_ready: note_model(notice); break;
    case What::worker_starting:
    case What::model_rejected:
    case What::request_redispatched:
    case What::worker_replaced:
    case What::fleet_failing:
    case What::fleet_recovered: break;
    }
}

/// See the head of state_scribe.hpp for the order.
void StateScribe::note_lost(const core::Notice& notice, const core::Actions& step, TimePoint now) {
    std::vector<RequestId> ids;
    for (const auto& [id, live] : live_)
        if (live.is_running && live.worker == notice.worker) ids.push_back({id});
    std::ranges::sort(ids);
    for (const RequestId id : ids) {
        if (const auto* const end = completion_of(step, id)) finish(id, end->code, now);
        else requeue(id, live_.at(id.value), Errc::worker_lost);
    }
    Slot& slot = slots_.at(notice.worker.value);
    slot.connection = ConnectionStatus::lost;
    for (const RequestId id : ids)
        if (const auto found = live_.find(id.value); found != live_.end())
            replace(id, found->second);
    BrowserChanged& change = change_of(notice.worker, ConnectionStatus::lost);
    change.health = HealthStatus::unhealthy;
    change.last_failure = slot.last_failure = beginning_of(sources_.loss_text_of(notice));
    if (notice.cause == core::LossCause::process_exited) change.process = ProcessIdentity{};
}

void StateScribe::note_model(const core::Notice& notice) {
    const std::string name(sources_.model_name_of(notice.model));
    const ModelAssignment assignment = sources_.assignment_of(notice.worker, notice.model);
    put(ModelAssigned{.name = name, .assignment = assignment});
    // The browser remembers which provider it was, beyond the life of the assignment.
    StateSettings& settings = slots_.at(notice.worker.value).settings;
    std::string& provider = settings[setting_of(name)];
    if (provider == name_of(assignment.provider)) return;
    provider = name_of(assignment.provider);
    put(BrowserChanged{.id = notice.worker, .settings = settings});
}

/// The pool stands still: also what did not stop in time is none of its browsers any more.
void StateScribe::note_stopped() {
    for (std::uint32_t i = 0; i < slots_.size(); ++i)
        if (const ConnectionStatus now = slots_[i].connection;
            now != ConnectionStatus::stopped && now != ConnectionStatus::failed)
            change_of(WorkerId{i}, ConnectionStatus::stopped).process = ProcessIdentity{};
}

// --- transactions --------------------------------------------------------------------------------

void StateScribe::commit_all(WhenDone when_durable) {
    while (changes_.size() > transaction_changes_max) {
        const auto cut = changes_.begin() + transaction_changes_max;
        std::vector<Change> first(std::make_move_iterator(changes_.begin()),
                                  std::make_move_iterator(cut));
        changes_.erase(changes_.begin(), cut);
        commit_some(std::move(first), {});
    }
    if (!changes_.empty()) {
        commit_some(std::exchange(changes_, {}), std::move(when_durable));
    } else if (when_durable) {
        when_durable({}); // nothing is owed to the disk
    }
}

void StateScribe::commit_some(std::vector<Change> changes, WhenDone when_durable) {
    // Only what somebody waits for is worth a sync of its own; the rest is durable before it.
    const Durability usual = std::min(durability_of(level_), Durability::group);
    WhenDone when_done;
    if (when_durable) {
        when_done = [this, when_durable](error_code ec) {
            on_disk(ec, {});
            when_durable(ec);
        };
    } else if (usual != Durability::none && !is_disk_asked_) {
        is_disk_asked_ = true;
        when_done = [this](error_code ec) {
            is_disk_asked_ = false;
            on_disk(ec, {});
        };
    }
    const bool is_asking = when_done && !when_durable;
    is_disk_owing_ = usual != Durability::none && !when_done; // who asks, asks of all before
    Transaction step{.actor = "pool", .changes = std::move(changes)};
    const CommitResult result =
        commit_(std::move(step), when_durable ? Durability::sync : usual, std::move(when_done));
    if (result.number != 0) {
        ++transactions_;
        // That it is well is known when its record is on disk, and not before.
        if (result.code) on_disk(result.code, result.diagnostics);
        return;
    }
    if (is_asking) is_disk_asked_ = false;
    ++refused_;
    if (std::has_single_bit(refused_)) complain_(result, true); // one bug may make many of them
    if (when_durable) when_durable(result.code);
}

void StateScribe::on_health(const StateStorageHealth& health) {
    const bool is_all_there = health.durable >= health.committed;
    if (is_all_there) is_disk_owing_ = false;
    if (is_all_there || health.trouble) on_disk(health.trouble, {});
}

void StateScribe::on_disk(error_code ec, const Diagnostics& diagnostics) {
    if (std::exchange(trouble_, ec) != ec)
        complain_({.code = ec, .diagnostics = diagnostics}, false);
}

} // namespace everpool::facade
