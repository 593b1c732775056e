// Everpool facade: breaks workers on order; the body of FaultInjector.
// SPDX-License-Identifier: BSL-1.0
//
// What is done once is done in begin(). What takes several steps (the next fault when the worker is
// ready again, a process that runs a part of the time) goes on by a timer on the pool's strand,
// looks at the pool, and never acts upon a process that it has not chosen itself and seen alive
// just before.
//
// Threading: everything on the pool's strand.
#pragma once

#include "everpool/browser_state.hpp"
#include "everpool/fault_injector.hpp"
#include "everpool/request.hpp"
#include "everpool/resource_pool_snapshot.hpp"
#include "facade/waiting_handler.hpp"
#include "facade/worker_driver.hpp"
#include "io/linux/process_group.hpp"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace everpool::facade {

/// What a drill needs of its pool.
class DrillGround {
public:
    virtual ~DrillGround() = default;
    [[nodiscard]] virtual std::size_t worker_count() const = 0;
    [[nodiscard]] virtual WorkerDriver& worker_at(WorkerId worker) = 0;
    [[nodiscard]] virtual WorkerState state_of(WorkerId worker) const = 0;
    /// As any caller would; the answer is nobody's.
    virtual void run_for_drill(Request request) = 0;
    /// Both connections of that worker, from one moment to the next.
    virtual void cut_connections(WorkerId worker) = 0;
};

class FaultDrill {
public:
    using Waiting = WaitingHandler<void(error_code, FaultReport)>;

    /// Handlers are completed on `executor`.
    FaultDrill(boost::asio::any_io_executor strand, boost::asio::any_io_executor executor,
               DrillGround& ground)
        : strand_(std::move(strand)), executor_(std::move(executor)), ground_(ground) {}

    void begin(FaultOrder order, WaitTicket ticket, Waiting waiting);
    /// What has not been done of it is not done any more, and its caller is told.
    void withdraw(WaitTicket ticket);
    /// Nothing goes on, and nobody waits any longer.
    void end_all(error_code ec);

private:
    struct Exercise;
    using ExercisePointer = std::shared_ptr<Exercise>;
    using Step = void (FaultDrill::*)(const ExercisePointer&);

    [[nodiscard]] error_code refusal_of(const FaultOrder& order, Diagnostics& why);
    [[nodiscard]] error_code missing(WorkerId worker, Diagnostics& why, std::string_view what);
    void carry_out(const ExercisePointer& exercise);

    void hit(Exercise& exercise, WorkerId worker, io::BrowserPart part, io::ProcessSignal signal);
    void report_hits(const ExercisePointer& exercise);
    void stop(const ExercisePointer& exercise, io::BrowserPart part);
    void run_script(const ExercisePointer& exercise);
    void hang_gpu(const Exercise& exercise);
    void fail_launches(Exercise& exercise);

    void begin_gpu_kills(const ExercisePointer& exercise);
    void kill_gpu_again(const ExercisePointer& exercise);
    void begin_cascade(const ExercisePointer& exercise);
    void go_on_with_cascade(const ExercisePointer& exercise);
    void begin_slowness(const ExercisePointer& exercise);
    void pause_again(const ExercisePointer& exercise);
    void run_a_while(const ExercisePointer& exercise);
    void let_go_on(const ExercisePointer& exercise);

    void after(const ExercisePointer& exercise, Duration delay, Step step);
    void done(const ExercisePointer& exercise, error_code ec = {});
    void forget(const ExercisePointer& exercise);

    boost::asio::any_io_executor strand_, executor_;
    DrillGround& ground_;
    std::vector<ExercisePointer> under_way_;
};

} // namespace everpool::facade
