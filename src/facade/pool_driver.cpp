// Everpool facade: the event loop around the core, and the end of the pool.
// SPDX-License-Identifier: BSL-1.0
#include "facade/pool_driver.hpp"

#include "everpool/recovery_strategy.hpp"
#include "facade/config_check.hpp"
#include "facade/worker_alternatives.hpp"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <random>
#include <utility>
#include <variant>

namespace everpool::facade {

namespace {

/// The end of a browser and the start of another one take 30 to 50 ms of two processors each. With
/// WebKitGTK the p95 of callers' answers after a kill was 72 to 86 ms without this pause, 32 to 42
/// with it.
constexpr std::chrono::milliseconds launch_pause{50};

/// `slots`: of active workers and standbys. Without alternatives they stay what they are.
core::CoreConfig core_config(const ResourcePoolConfig& config,
                             const std::vector<BrowserSpec>& slots,
                             const std::vector<std::vector<BrowserSpec>>& alternatives = {}) {
    core::CoreConfig out;
    out.worker_browsers.clear();
    for (const BrowserSpec& browser : slots) out.worker_browsers.push_back(browser.type);
    out.standby_count = static_cast<std::uint32_t>(slots.size() - expand_browsers(config).size());
    out.rival_count = rival_count(config);
    for (std::size_t i = 0; i < alternatives.size(); ++i)
        out.worker_alternatives.push_back(core_alternatives(slots[i], alternatives[i]));
    out.model_count = static_cast<std::uint32_t>(config.models.size());
    for (std::uint32_t i = 0; i < out.model_count; ++i)
        if (const auto& warm_up = config.models[i].warm_up; !warm_up || warm_up->answer.empty())
            out.models_without_answer.push_back(ModelId{i});
    out.work_count = work_count(config);
    out.batching = batch_rules(config);
    for (const core::BatchRule& rule : out.batching) out.work_count += rule.work_count();
    std::size_t providers = 1;
    for (const ModelSpec& model : config.models)
        providers = std::max(providers, model.providers.size());
    out.provider_count_max = static_cast<std::uint8_t>(providers);
    out.family = common_family(config.models);
    const FaultToleranceOptions& tolerance = config.fault_tolerance;
    out.strategy = tolerance.recovery_strategy == RecoveryStrategy::custom
                       ? tolerance.custom_strategy
                       : make_recovery_strategy(tolerance.recovery_strategy);
    out.hedge = {config.hedge.quantile, config.hedge.delay_min, config.hedge.sample_count_min};
    out.hedge_budget = config.hedge.budget;
    out.max_in_flight_per_worker = config.max_in_flight_per_worker;
    out.in_flight_bytes_max = config.in_flight_bytes_max;
    out.queue_count_max = config.queue_count_max;
    for (const Priority one : priorities)
        out.queue_count_max_of[index_of(one)] = config.queue_policies.of(one).count_max.value_or(0);
    out.priority_aging = config.priority_aging;
    out.start_timeout = config.start_timeout;
    out.ping_interval = config.ping_interval;
    out.acceptable_pause = config.acceptable_pause;
    out.ping_timeout = config.ping_timeout;
    out.hung_operation_grace = config.hung_operation_grace;
    out.page_start_timeout = std::min(config.page_start_timeout, config.start_timeout);
    out.compute_ping_timeout = config.compute_ping_timeout;
    out.canary_interval = config.canary_interval;
    out.restart_delay_min = config.restart_delay_min;
    out.restart_delay_max = config.restart_delay_max;
    out.launch_pause = launch_pause;
    out.restart_healthy_after = config.restart_healthy_after;
    out.restart_count_max = config.restart_count_max;
    out.restart_intensity = config.restart_intensity;
    out.restart_period = config.restart_period;
    out.fleet_window = config.fleet_window;
    out.stop_timeout = config.stop_grace + std::chrono::seconds{10};
    return out;
}

std::uint64_t seed_of(const ResourcePoolConfig& config) {
    if (config.seed != 0) return config.seed;
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

ResourcePoolConfig checked(ResourcePoolConfig config) {
    check_config(config);
    return config;
}

} // namespace

PoolDriver::PoolDriver(boost::asio::any_io_executor executor, ResourcePoolConfig config)
    : executor_(executor),
      strand_(boost::asio::make_strand(executor)),
      config_(checked(std::move(config))),
      listener_(std::exchange(config_.on_event, nullptr)),
      recovered_listener_(std::exchange(config_.fault_tolerance.on_recovered, nullptr)),
      models_(config_.models),
      recoveries_(executor),
      core_(core_config(config_, expand_browsers(config_)), seed_of(config_)),
      timer_(strand_) {}

PoolDriver::~PoolDriver() {
    if (mailbox_) mailbox_->close(); // where abort() has not done it: the executor never ran again
}

/// Anew, when more has become known: models of a previous host, browsers to turn to. Nothing has
/// happened in it yet.
void PoolDriver::make_core() {
    models_ = ModelRegistry(config_.models);
    core_ = core::PoolCore(core_config(config_, slots_, alternatives_), seed_of(config_));
}

TimePoint PoolDriver::now() noexcept {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

ResourcePoolSnapshot PoolDriver::snapshot() const {
    ResourcePoolSnapshot out = board_.read();
    out.bridge = {
        .requests_malformed = bridge_stats_->requests_malformed,
        .requests_unfinished = bridge_stats_->requests_unfinished,
        .refused_token = bridge_stats_->refused_token,
        .refused_origin = bridge_stats_->refused_origin,
        .refused_host = bridge_stats_->refused_host,
        .refused_subprotocol = bridge_stats_->refused_subprotocol,
        .hellos_missing = bridge_stats_->hellos_missing,
        .frames_too_large = bridge_stats_->frames_too_large,
        .frames_malformed = bridge_stats_->frames_malformed,
        .frames_unexpected = bridge_stats_->frames_unexpected,
        .connections_replaced = bridge_stats_->connections_replaced,
        .sends_refused = bridge_stats_->sends_refused,
    };
    return out;
}

// --- the loop ------------------------------------------------------------------------------------

void PoolDriver::feed(core::Event event) {
    // Leases and cancellations may come after the doors were closed, through which any action of
    // the core would have to go. Nothing is outstanding then, so nothing can be owed to anybody.
    if (phase_ == Phase::stopped) return;
    inbox_.push_back(std::move(event));
    if (!performing_) work_off();
}

/// Gives the core one event after the other; performing its actions may make more of them.
void PoolDriver::work_off() {
    performing_ = true;
    while (!inbox_.empty()) {
        const core::Event next = std::move(inbox_.front());
        inbox_.pop_front();
        if (scribe_) {
            if (const auto* reply = std::get_if<core::Replied>(&next)) scribe_->answered(*reply);
            if (const auto* failure = std::get_if<core::WorkerStartFailed>(&next))
                scribe_->start_failed(*failure);
        }
        core_.on(next, now(), actions_);
        perform_all();
        if (inbox_.empty()) run_again();
    }
    performing_ = false;
    refresh_counters();
    arm_timer();
}

void PoolDriver::perform_all() {
    // A worker may compute while it is written down that it was asked: nobody is told anything of
    // that, and the next step, which may be its answer, comes after.
    const bool is_sent_first = scribe_ && !scribe_->must_wait(actions_) &&
                               std::ranges::all_of(actions_, [](const core::Action& action) {
                                   return std::holds_alternative<core::Dispatch>(action);
                               });
    if (scribe_ && !is_sent_first) write_down();
    for (const core::Action& action : actions_) {
        if (!gathered_.empty() && !is_of_gathered(action)) send_gathered();
        if (!held_.is_empty() && is_to_be_held(action)) hold(action);
        else std::visit([this](const auto& one) { perform(one); }, action);
    }
    if (!gathered_.empty()) send_gathered();
    if (is_sent_first) scribe_->write(actions_, now());
    actions_.clear();
    if (core_.is_broken() && !std::exchange(has_told_broken_, true)) tell_broken();
}

void PoolDriver::tell_broken() {
    // Not when their workers are stopped: the last word of one of them may never come.
    recoveries_.end_all(Errc::internal_error);
    Diagnostics why;
    why.message =
        fmt::format("the pool stops: its invariant '{}' does not hold", core_.broken_because());
    why.remedy = "this is a bug of Everpool; report it with this message";
    warn(Errc::internal_error, std::move(why));
}

void PoolDriver::arm_timer() {
    const TimePoint next = core_.next_wakeup();
    // A timer that fires too early costs one look at the core; rearming it for each operation's
    // deadline would cost two system calls an operation. So it is only ever moved forward.
    if (next >= timer_at_) return;
    timer_at_ = next;
    timer_.expires_at(next);
    timer_.async_wait([weak = weak_from_this(), next](error_code ec) {
        const auto self = weak.lock();
        if (!self || ec || self->timer_at_ != next) return;
        self->timer_at_ = never;
        self->look_at_disk();
        self->performing_ = true;
        self->core_.on_wakeup(now(), self->actions_);
        self->perform_all();
        self->work_off();
    });
}

void PoolDriver::refresh_counters() {
    auto& counters = board_.counters;
    for (const Priority one : priorities)
        counters.queued[index_of(one)].store(core_.queued(one), std::memory_order_relaxed);
    counters.pressure.store(pressure_now(), std::memory_order_relaxed);
    counters.delayed.store(core_.stats().delayed, std::memory_order_relaxed);
    counters.in_flight.store(core_.in_flight(), std::memory_order_relaxed);
    counters.redispatched.store(core_.stats().redispatched, std::memory_order_relaxed);
    counters.hedged.store(core_.stats().hedged, std::memory_order_relaxed);
    counters.hedges_won.store(core_.stats().hedges_won, std::memory_order_relaxed);
    counters.starvations.store(core_.stats().starvations, std::memory_order_relaxed);
    counters.votes.store(core_.stats().votes, std::memory_order_relaxed);
    counters.dissents.store(core_.stats().dissents, std::memory_order_relaxed);
    counters.undecided.store(core_.stats().undecided, std::memory_order_relaxed);
    counters.stale_ignored.store(core_.stats().stale_ignored, std::memory_order_relaxed);
    for (std::uint32_t i = 0; i < workers_.size(); ++i)
        counters.worker_in_flight[i].store(core_.in_flight(WorkerId{i}), std::memory_order_relaxed);
    if (!scribe_) return;
    counters.transactions.store(scribe_->transactions(), std::memory_order_relaxed);
    counters.transactions_refused.store(scribe_->refused(), std::memory_order_relaxed);
    counters.state_trouble.store(storage_code(scribe_->trouble()), std::memory_order_relaxed);
}

void PoolDriver::publish_workers() {
    std::vector<WorkerSnapshot> out;
    out.reserve(workers_.size());
    for (const auto& worker : workers_) {
        const core::WorkerView view = core_.worker(worker->id());
        WorkerSnapshot one;
        one.worker = worker->id();
        one.generation = view.generation;
        one.state = view.state;
        one.role = view.role;
        one.browser = worker->spec().type;
        one.browser_version = worker->version();
        one.process_id = worker->process_id();
        one.restarts = view.restarts;
        one.leased = view.leased;
        one.webgpu = worker->capabilities().webgpu.available;
        one.webgpu_is_fallback = worker->capabilities().webgpu.is_fallback_adapter;
        one.webnn = worker->capabilities().webnn.available;
        out.push_back(std::move(one));
    }
    board_.set_workers(std::move(out));
}

// --- drain, stop ---------------------------------------------------------------------------------

void PoolDriver::drain(PlainHandler handler) {
    WaitingHandler<void(error_code)> waiting{std::move(handler), executor_};
    if (phase_ != Phase::starting && phase_ != Phase::running && phase_ != Phase::draining) {
        return complete(waiting, error_code(Errc::pool_not_running));
    }
    drain_handlers_.push_back(std::move(waiting));
    phase_ = Phase::draining;
    feed(core::Drain{});
}

void PoolDriver::perform(const core::DrainFinished&) {
    for (auto& handler : std::exchange(drain_handlers_, {})) complete(handler, error_code{});
}

void PoolDriver::stop(PlainHandler handler) {
    WaitingHandler<void(error_code)> waiting{std::move(handler), executor_};
    if (phase_ == Phase::constructed || phase_ == Phase::stopped) {
        phase_ = Phase::stopped;
        return complete(waiting, error_code{});
    }
    stop_handlers_.push_back(std::move(waiting));
    if (phase_ == Phase::stopping) return;
    phase_ = Phase::stopping;
    feed(core::Stop{});
}

void PoolDriver::perform(const core::StopFinished&) {
    finish_start(Errc::cancelled, {"the pool was stopped while it was starting", {}, {}, {}});
    for (auto& handler : std::exchange(drain_handlers_, {}))
        complete(handler, error_code(Errc::cancelled));
    publish_workers();
    // The doors are open to the callers of this function: close them from the executor. Until then
    // the pool is not stopped, so that another async_stop waits for that too.
    boost::asio::post(strand_, [self = shared_from_this()] {
        if (self->phase_ == Phase::stopped) return; // abort() came before, and has closed all
        self->settle_held();
        self->phase_ = Phase::stopped;
        self->close_doors();
        self->recoveries_.end_all(Errc::cancelled); // of workers whose last word never came
        for (auto& handler : std::exchange(self->stop_handlers_, {}))
            self->complete(handler, error_code{});
    });
}

void PoolDriver::close_doors() {
    board_.counters.port.store(0, std::memory_order_relaxed);
    timer_.cancel();
    timer_at_ = never;
    if (drill_) drill_->end_all(Errc::cancelled);
    workers_.clear();
    bridge_.reset();
    nest_.reset();
    close_state();
}

void PoolDriver::abort() {
    phase_ = Phase::stopped;
    if (scribe_) scribe_->end_all();
    close_doors();
    held_ = {}; // nobody asks the disk any more, and the callers are answered here
    for (auto& [id, pending] : std::exchange(requests_, {})) {
        Result result;
        result.diagnostics.message = "the pool was destroyed";
        if (pending.handler)
            complete(pending.handler, error_code(Errc::cancelled), std::move(result));
    }
    for (auto& [id, waiting] : std::exchange(waiting_leases_, {}))
        complete(waiting, error_code(Errc::cancelled), Lease{});
    recoveries_.end_all(Errc::cancelled);
    if (start_handler_) complete(start_handler_, error_code(Errc::cancelled), StartReport{});
    for (auto& handler : std::exchange(drain_handlers_, {}))
        complete(handler, error_code(Errc::cancelled));
    for (auto& handler : std::exchange(stop_handlers_, {})) complete(handler, error_code{});
}

} // namespace everpool::facade
