// What one operation costs in the decision layer: pool core and session, with workers in memory and
// no sockets.
// SPDX-License-Identifier: BSL-1.0
//
// An operation is Submit -> Dispatch -> Replied -> Complete, with a deadline, and with the wakeups
// and pings that come due meanwhile. `outstanding` of them are under way: the next one is submitted
// when one completes. The floors do the least that any such thing must do: count it; or keep it in
// a queue and find it again by its id, in containers of the standard library.
//
// The counter `allocs` is allocations per operation, after everything has been used once.
#include "allocation_count.hpp"
#include "everpool/core/pool_core.hpp"

#include <benchmark/benchmark.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <variant>
#include <vector>

namespace {

using namespace everpool;
using namespace everpool::core;
using namespace std::chrono_literals;

/// Time in this program: as much as a fast machine needs per event.
constexpr Duration event_duration = 1us;
constexpr Duration request_timeout = 30s;
/// Operations before the measurement begins: every table has grown to its size.
constexpr std::uint64_t warm_up_count = 10'000;

template <class Step>
void measure(benchmark::State& state, Step step) {
    bench::measure(state, step, warm_up_count);
}

// --- floors --------------------------------------------------------------------------------------

void floor_fetch_add(benchmark::State& state) {
    std::atomic<std::uint64_t> count{0};
    measure(state,
            [&] { benchmark::DoNotOptimize(count.fetch_add(1, std::memory_order_relaxed)); });
}

void floor_queue_and_map(benchmark::State& state) {
    std::deque<std::uint64_t> queue;
    std::unordered_map<std::uint64_t, RequestMeta> table;
    std::uint64_t last_id = 0;
    const auto submit = [&] {
        const RequestMeta meta{.id = {++last_id}};
        table.emplace(meta.id.value, meta);
        queue.push_back(meta.id.value);
    };
    for (std::int64_t i = 0; i < state.range(0); ++i) submit();
    measure(state, [&] {
        const std::uint64_t id = queue.front();
        queue.pop_front();
        const auto found = table.find(id);
        benchmark::DoNotOptimize(found->second);
        table.erase(found);
        submit();
    });
}

// --- ours ----------------------------------------------------------------------------------------

/// A pool of workers that answer at once, in the order of what they were given.
class Loop {
public:
    Loop(std::uint32_t worker_count, std::uint32_t model_count, bool has_priorities)
        : core_(config(worker_count, model_count), 1),
          model_count_(model_count),
          has_priorities_(has_priorities),
          running_(worker_count * core_.config().max_in_flight_per_worker) {
        feed(Start{});
        for (std::uint32_t i = 0; i < worker_count; ++i) feed(WorkerConnected{{i}, {1}});
        now_ += 2 * core_.config().ping_interval; // so that pings have been seen as well
        wake_if_due();
    }

    void submit() {
        RequestMeta meta{.id = {++last_id_}, .deadline = now_ + request_timeout, .bytes = 64};
        if (model_count_ != 0) meta.model = {static_cast<std::uint32_t>(last_id_ % model_count_)};
        if (has_priorities_) meta.priority = priorities[last_id_ % priority_count];
        feed(Submit{meta});
    }

    /// The oldest operation is answered, and another one is submitted.
    void turn() {
        const Dispatch done = running_[first_++ % running_.size()];
        feed(Replied{done.worker, done.generation, done.request, done.attempt, Errc::ok});
        submit();
        wake_if_due();
    }

    /// Has it done what it was measured for?
    [[nodiscard]] bool has_completed(std::uint64_t count) const {
        return core_.stats().succeeded == count && completions_ == count &&
               core_.stats().failed == 0 && core_.stats().workers_lost == 0;
    }
    [[nodiscard]] std::uint64_t submitted() const noexcept { return last_id_; }

private:
    static CoreConfig config(std::uint32_t worker_count, std::uint32_t model_count) {
        CoreConfig config;
        config.worker_browsers.assign(worker_count, BrowserType::chromium);
        config.model_count = model_count;
        config.queue_count_max = 20'000;
        return config;
    }

    void feed(const Event& event) {
        now_ += event_duration;
        core_.on(event, now_, actions_);
        perform();
    }

    void wake_if_due() {
        if (core_.next_wakeup() > now_) return;
        core_.on_wakeup(now_, actions_);
        perform();
    }

    /// What the actions cause is an event of its own, as in a real driver.
    void perform() {
        for (const Action& action : actions_) {
            if (const auto* dispatch = std::get_if<Dispatch>(&action))
                running_[end_++ % running_.size()] = *dispatch;
            else if (std::holds_alternative<Complete>(action)) ++completions_;
            else if (const auto* ping = std::get_if<SendPing>(&action))
                caused_.push_back(
                    PongArrived{ping->worker, ping->generation, ping->channel, ping->sequence});
            else if (const auto* ask = std::get_if<AskControl>(&action))
                caused_.push_back(
                    ControlAnswered{ask->worker, ask->generation, ask->question, ask->sequence});
            else if (const auto* load = std::get_if<LoadModel>(&action))
                caused_.push_back(ModelLoaded{load->worker, load->generation, load->model});
            else if (const auto* warm_up = std::get_if<WarmUpModel>(&action))
                caused_.push_back(
                    ModelWarmedUp{warm_up->worker, warm_up->generation, warm_up->model});
        }
        actions_.clear();
        while (!caused_.empty()) {
            const Event event = caused_.back();
            caused_.pop_back();
            feed(event);
        }
    }

    PoolCore core_;
    std::uint32_t model_count_;
    bool has_priorities_;
    Actions actions_;
    std::vector<Event> caused_;
    std::vector<Dispatch> running_; ///< from first_ to end_, round and round: it never allocates
    std::size_t first_{0}, end_{0};
    TimePoint now_{1h};
    std::uint64_t last_id_{0}, completions_{0};
};

void operation(benchmark::State& state, std::uint32_t worker_count, std::uint32_t model_count,
               bool has_priorities = false) {
    const auto outstanding = static_cast<std::uint64_t>(state.range(0));
    Loop loop(worker_count, model_count, has_priorities);
    for (std::uint64_t i = 0; i < outstanding; ++i) loop.submit();
    measure(state, [&] { loop.turn(); });
    if (!loop.has_completed(loop.submitted() - outstanding))
        state.SkipWithError("operations were lost, failed or answered twice");
}

// One at a time; all places of the workers taken, nothing waits; most of it waits.
void outstanding(benchmark::internal::Benchmark* bench) {
    bench->ArgName("outstanding")->Arg(1)->Arg(16)->Arg(256);
}
/// And when very many do.
void outstanding_up_to_10000(benchmark::internal::Benchmark* bench) {
    bench->ArgName("outstanding")->Arg(1)->Arg(256)->Arg(10'000);
}

BENCHMARK(floor_fetch_add)->Name("floor/fetch_add");
BENCHMARK(floor_queue_and_map)->Name("floor/queue_and_map")->Apply(outstanding);
BENCHMARK_CAPTURE(operation, 4, 4, 0)->Name("everpool/operation/workers:4")->Apply(outstanding);
BENCHMARK_CAPTURE(operation, 4x8, 4, 8)
    ->Name("everpool/operation/workers:4/models:8")
    ->Apply(outstanding);
BENCHMARK_CAPTURE(operation, 4x8p, 4, 8, true)
    ->Name("everpool/operation/workers:4/models:8/priorities:3")
    ->Apply(outstanding_up_to_10000);
BENCHMARK_CAPTURE(operation, 64, 64, 0)->Name("everpool/operation/workers:64")->Apply(outstanding);

} // namespace
