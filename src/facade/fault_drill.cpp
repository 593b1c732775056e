// SPDX-License-Identifier: BSL-1.0
#include "facade/fault_drill.hpp"

#include "facade/fault_parts.hpp"
#include "facade/fault_scripts.hpp"
#include "io/linux/process_identity.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace everpool::facade {

using io::BrowserPart;
using io::ProcessSignal;
using namespace std::chrono_literals;

namespace {

/// How often the pool is looked at by what waits for a step of its recovery.
constexpr Duration look_interval = 2ms;
/// And for how long: a browser that is started again and again needs less.
constexpr Duration look_limit = 60s;
/// A page that computes on the GPU notices the loss within milliseconds; after this time it does
/// not.
constexpr Duration notice_limit = 3s;
/// A page that is alive takes a script within milliseconds.
constexpr Duration script_limit = 10s;
constexpr Duration slow_period = 100ms;

TimePoint now() noexcept {
    return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now());
}

} // namespace

struct FaultDrill::Exercise {
    Exercise(FaultOrder what, WaitTicket call, Waiting who,
             const boost::asio::any_io_executor& strand)
        : order(what), ticket(call), waiting(std::move(who)), timer(strand), limit(strand) {}

    FaultOrder order;
    WaitTicket ticket;
    Waiting waiting;
    FaultReport report;
    boost::asio::steady_timer timer, limit;
    std::vector<ProcessIdentity> chosen; ///< that got the last signal
    std::size_t hits{0};
    bool is_noticed{false}; ///< the pool has seen the last one
    TimePoint hit_at{};     ///< the last one
    TimePoint until{never};
};

// --- begin and end -------------------------------------------------------------------------------

void FaultDrill::begin(FaultOrder order, WaitTicket ticket, Waiting waiting) {
    const auto exercise = std::make_shared<Exercise>(order, ticket, std::move(waiting), strand_);
    under_way_.push_back(exercise);
    exercise->report.at = now();
    if (const error_code ec = refusal_of(order, exercise->report.diagnostics)) {
        exercise->report.diagnostics.last_cause = ec;
        done(exercise, ec);
        return forget(exercise);
    }
    carry_out(exercise);
}

void FaultDrill::withdraw(WaitTicket ticket) {
    const auto found = std::ranges::find(
        under_way_, ticket, [](const ExercisePointer& exercise) { return exercise->ticket; });
    // One that has been completed is not cancelled: what it has stopped is to go on again.
    if (found == under_way_.end() || !(*found)->waiting) return;
    const ExercisePointer exercise = *found;
    done(exercise, Errc::cancelled);
    forget(exercise);
}

void FaultDrill::end_all(error_code ec) {
    for (const ExercisePointer& exercise : std::exchange(under_way_, {})) done(exercise, ec);
}

error_code FaultDrill::missing(WorkerId worker, Diagnostics& why, std::string_view what) {
    why.message = fmt::format("worker {} is a {}, which has no {}", worker.value,
                              everpool::name_of(ground_.worker_at(worker).spec().type), what);
    return Errc::invalid_request;
}

error_code FaultDrill::refusal_of(const FaultOrder& order, Diagnostics& why) {
    const auto refuse = [&](Errc code, std::string message, std::string remedy = {}) -> error_code {
        why.message = std::move(message);
        why.remedy = std::move(remedy);
        return code;
    };
    if (order.fault == Fault::host_kill)
        return refuse(Errc::invalid_request, "a host that kills itself has nobody left to recover",
                      "kill a child process that has a pool, as scenario_recovery does");
    if (order.fault == Fault::all_browsers_kill) return {};
    if (order.worker.value >= ground_.worker_count())
        return refuse(Errc::invalid_request,
                      fmt::format("there is no worker {}; there are {}", order.worker.value,
                                  ground_.worker_count()));
    WorkerDriver& worker = ground_.worker_at(order.worker);
    const bool is_remote = !worker.spec().webdriver.endpoint.empty();
    if (is_remote && needs_process(order.fault))
        return refuse(Errc::invalid_request,
                      fmt::format("worker {}'s browser runs at a WebDriver endpoint, and its "
                                  "processes are not this host's",
                                  order.worker.value));
    if (!is_remote && worker.process_id() == 0)
        return refuse(Errc::no_worker_available,
                      fmt::format("worker {} has no browser now", order.worker.value),
                      "wait until it is ready");
    const bool needs_gpu = order.fault == Fault::device_destroy || order.fault == Fault::gpu_hang;
    if (needs_gpu && !worker.capabilities().webgpu.available)
        return missing(order.worker, why, "WebGPU here");
    if (order.fault == Fault::context_lost && !worker.capabilities().webnn.available)
        return missing(order.worker, why, "WebNN here");
    const BrowserPart part = part_of(order.fault);
    if (!has_part(worker.spec().type, part))
        return missing(order.worker, why,
                       fmt::format("{} process of its own", facade::name_of(part)));
    if (needs_process(order.fault) && worker.processes(part).empty())
        return refuse(Errc::no_worker_available,
                      fmt::format("worker {} has no {} process now", order.worker.value,
                                  facade::name_of(part)),
                      "wait until it is ready");
    return {};
}

/// What was asked for has been done, or has failed; what goes on by itself still may.
void FaultDrill::done(const ExercisePointer& exercise, error_code ec) {
    exercise->limit.cancel();
    if (!exercise->waiting) return;
    FaultReport& report = exercise->report;
    if (!ec && report.text.empty())
        report.text =
            fmt::format("{} ({}) on worker {}", everpool::name_of(exercise->order.fault),
                        everpool::name_of(exercise->order.intensity), exercise->order.worker.value);
    exercise->waiting.complete(executor_, ec, report);
}

void FaultDrill::forget(const ExercisePointer& exercise) { std::erase(under_way_, exercise); }

/// Not called if everything has been ended meanwhile.
void FaultDrill::after(const ExercisePointer& exercise, Duration delay, Step step) {
    exercise->timer.expires_after(std::chrono::duration_cast<std::chrono::nanoseconds>(delay));
    exercise->timer.async_wait([this, weak = std::weak_ptr(exercise), step](error_code ec) {
        // Who still holds it is under_way_, so this lives.
        if (const auto alive = weak.lock(); alive && !ec) (this->*step)(alive);
    });
}

// --- what is done --------------------------------------------------------------------------------

void FaultDrill::carry_out(const ExercisePointer& exercise) {
    const FaultOrder order = exercise->order;
    const auto finish = [&] {
        done(exercise);
        forget(exercise);
    };
    const auto finish_hits = [&] {
        report_hits(exercise);
        forget(exercise);
    };
    if (is_by_script(order.fault)) return run_script(exercise);
    switch (order.fault) {
    case Fault::browser_kill:
    case Fault::renderer_kill:
    case Fault::gpu_kill:
    case Fault::network_service_kill:
        hit(*exercise, order.worker, part_of(order.fault), ProcessSignal::kill);
        return finish_hits();
    case Fault::all_browsers_kill:
        for (std::uint32_t i = 0; i < ground_.worker_count(); ++i)
            hit(*exercise, WorkerId{i}, BrowserPart::browser, ProcessSignal::kill);
        return finish_hits();
    case Fault::browser_stop:
    case Fault::renderer_stop:
    case Fault::network_service_stop: return stop(exercise, part_of(order.fault));
    case Fault::page_crash: ground_.worker_at(order.worker).crash_page(); return finish();
    case Fault::socket_drop: ground_.cut_connections(order.worker); return finish();
    case Fault::gpu_hang: hang_gpu(*exercise); return finish();
    case Fault::launch_failure: fail_launches(*exercise); return finish_hits();
    case Fault::gpu_kill_repeated: return begin_gpu_kills(exercise);
    case Fault::cascade: return begin_cascade(exercise);
    case Fault::slow: return begin_slowness(exercise);
    default: break;
    }
    exercise->report.diagnostics.message = "there is no such fault";
    done(exercise, Errc::invalid_request);
    forget(exercise);
}

void FaultDrill::hit(Exercise& exercise, WorkerId worker, BrowserPart part, ProcessSignal signal) {
    exercise.chosen.clear();
    for (const int process : ground_.worker_at(worker).processes(part)) {
        const ProcessIdentity identity = io::identity_of(process);
        if (!io::send_signal(process, signal)) continue;
        exercise.chosen.push_back(identity);
        exercise.report.processes.push_back(process);
        exercise.report.text += fmt::format(
            "{}{} process {} ({})", exercise.report.text.empty() ? "" : ", ",
            signal == ProcessSignal::kill ? "killed" : "stopped", process, facade::name_of(part));
    }
    ++exercise.hits;
}

/// A process may have ended by itself since it was looked for.
void FaultDrill::report_hits(const ExercisePointer& exercise) {
    if (!exercise->report.processes.empty()) return done(exercise);
    exercise->report.diagnostics.message = "there was no process left to strike";
    exercise->report.diagnostics.remedy = "wait until a worker is ready";
    done(exercise, Errc::no_worker_available);
}

void FaultDrill::stop(const ExercisePointer& exercise, BrowserPart part) {
    hit(*exercise, exercise->order.worker, part, ProcessSignal::stop);
    report_hits(exercise);
    switch (exercise->order.intensity) {
    case FaultIntensity::mild: return after(exercise, 500ms, &FaultDrill::let_go_on);
    case FaultIntensity::moderate: return after(exercise, 5s, &FaultDrill::let_go_on);
    case FaultIntensity::severe: break;
    }
    forget(exercise);
}

void FaultDrill::let_go_on(const ExercisePointer& exercise) {
    for (const ProcessIdentity& process : exercise->chosen)
        if (io::exists(process)) io::send_signal(process.pid, ProcessSignal::go_on);
    forget(exercise);
}

void FaultDrill::run_script(const ExercisePointer& exercise) {
    const FaultOrder& order = exercise->order;
    const auto ended = [this, weak = std::weak_ptr(exercise)](error_code ec, Diagnostics why) {
        const auto alive = weak.lock();
        if (!alive) return;
        if (ec) alive->report.diagnostics = std::move(why);
        else alive->report.at = now(); // the thread has answered, and the script is on its way
        done(alive, ec);
        forget(alive);
    };
    exercise->limit.expires_after(script_limit);
    exercise->limit.async_wait([ended](error_code ec) {
        if (!ec) ended(Errc::worker_unresponsive, {"the page does not take a script", {}, {}, {}});
    });
    ground_.worker_at(order.worker).execute(script_of(order.fault, order.intensity), ended);
}

/// By an ordinary operation: what has a deadline can be found by it.
void FaultDrill::hang_gpu(const Exercise& exercise) {
    Request request;
    request.operation = "compute";
    request.parameters = fmt::format(
        R"({{"wgsl": "{}", "outputs": [{{"name": "y", "dtype": "uint32", "shape": [4]}}]}})",
        endless_shader(exercise.order.intensity));
    request.timeout = 1s;
    request.max_attempts = 1;
    request.idempotent = false;
    request.browser = ground_.worker_at(exercise.order.worker).spec().type;
    ground_.run_for_drill(std::move(request));
}

void FaultDrill::fail_launches(Exercise& exercise) {
    const std::size_t count = exercise.order.intensity == FaultIntensity::mild       ? 1
                              : exercise.order.intensity == FaultIntensity::moderate ? 2
                                                                                     : 3;
    ground_.worker_at(exercise.order.worker)
        .fail_next_launches(count, exercise.order.launch_failure);
    hit(exercise, exercise.order.worker, BrowserPart::browser, ProcessSignal::kill);
}

// --- one after another ---------------------------------------------------------------------------

void FaultDrill::begin_gpu_kills(const ExercisePointer& exercise) {
    hit(*exercise, exercise->order.worker, BrowserPart::gpu, ProcessSignal::kill);
    exercise->is_noticed = false;
    exercise->hit_at = now();
    exercise->until = later(exercise->hit_at, look_limit);
    after(exercise, look_interval, &FaultDrill::kill_gpu_again);
}

void FaultDrill::kill_gpu_again(const ExercisePointer& exercise) {
    const std::size_t count = exercise->order.intensity == FaultIntensity::mild       ? 3
                              : exercise->order.intensity == FaultIntensity::moderate ? 6
                                                                                      : 12;
    if (exercise->hits == count) {
        done(exercise);
        return forget(exercise);
    }
    const WorkerId worker = exercise->order.worker;
    const bool is_dead = std::ranges::none_of(exercise->chosen, io::exists);
    const bool is_ready = ground_.state_of(worker) == WorkerState::ready;
    // The browser starts another GPU process at once. One that is killed before the pool has seen
    // the loss of the one before it would be the same loss.
    exercise->is_noticed |= !is_ready || now() - exercise->hit_at > notice_limit;
    const bool is_back = is_dead && exercise->is_noticed && is_ready &&
                         !ground_.worker_at(worker).processes(BrowserPart::gpu).empty();
    if (is_back) return begin_gpu_kills(exercise);
    if (now() < exercise->until) return after(exercise, look_interval, &FaultDrill::kill_gpu_again);
    exercise->report.diagnostics.message =
        fmt::format("worker {} has not come back after kill {}", worker.value, exercise->hits);
    done(exercise, Errc::no_worker_available);
    forget(exercise);
}

void FaultDrill::begin_cascade(const ExercisePointer& exercise) {
    hit(*exercise, exercise->order.worker, BrowserPart::page, ProcessSignal::kill);
    exercise->until = later(now(), look_limit);
    after(exercise, look_interval, &FaultDrill::go_on_with_cascade);
}

void FaultDrill::go_on_with_cascade(const ExercisePointer& exercise) {
    const WorkerId worker = exercise->order.worker;
    const std::size_t count = exercise->order.intensity == FaultIntensity::severe ? 3 : 2;
    // The pool has seen the last fault; and what is to be struck next is there, and another one.
    const std::vector<int> browser = ground_.worker_at(worker).processes(BrowserPart::browser);
    const bool is_next_there =
        !browser.empty() &&
        std::ranges::none_of(exercise->chosen, [&](const ProcessIdentity& struck) {
            return struck.pid == browser.front();
        });
    if (ground_.state_of(worker) != WorkerState::ready && is_next_there)
        hit(*exercise, worker, BrowserPart::browser, ProcessSignal::kill);
    if (exercise->hits == count) {
        done(exercise);
        return forget(exercise);
    }
    if (now() < exercise->until)
        return after(exercise, look_interval, &FaultDrill::go_on_with_cascade);
    exercise->report.diagnostics.message = fmt::format(
        "worker {} began no recovery that fault {} could strike", worker.value, exercise->hits + 1);
    done(exercise, Errc::no_worker_available);
    forget(exercise);
}

void FaultDrill::begin_slowness(const ExercisePointer& exercise) {
    switch (exercise->order.intensity) {
    case FaultIntensity::mild: exercise->until = later(now(), 5s); break;
    case FaultIntensity::moderate: exercise->until = later(now(), 30s); break;
    case FaultIntensity::severe: break;
    }
    hit(*exercise, exercise->order.worker, BrowserPart::page, ProcessSignal::stop);
    exercise->report.text = fmt::format("slowed {} processes of worker {} down",
                                        exercise->chosen.size(), exercise->order.worker.value);
    done(exercise);
    pause_again(exercise);
}

void FaultDrill::pause_again(const ExercisePointer& exercise) {
    std::erase_if(exercise->chosen,
                  [](const ProcessIdentity& process) { return !io::exists(process); });
    if (exercise->chosen.empty() || now() >= exercise->until) return let_go_on(exercise);
    for (const ProcessIdentity& process : exercise->chosen)
        io::send_signal(process.pid, ProcessSignal::stop);
    const Duration pause = exercise->order.intensity == FaultIntensity::mild ? slow_period / 2
                           : exercise->order.intensity == FaultIntensity::moderate
                               ? slow_period * 4 / 5
                               : slow_period * 19 / 20;
    after(exercise, pause, &FaultDrill::run_a_while);
}

void FaultDrill::run_a_while(const ExercisePointer& exercise) {
    for (const ProcessIdentity& process : exercise->chosen)
        if (io::exists(process)) io::send_signal(process.pid, ProcessSignal::go_on);
    const Duration run = exercise->order.intensity == FaultIntensity::mild       ? slow_period / 2
                         : exercise->order.intensity == FaultIntensity::moderate ? slow_period / 5
                                                                                 : slow_period / 20;
    after(exercise, run, &FaultDrill::pause_again);
}

} // namespace everpool::facade
