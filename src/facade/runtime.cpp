// SPDX-License-Identifier: BSL-1.0
#include "everpool/runtime.hpp"

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include <cassert>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace everpool {

struct Runtime::State {
    explicit State(unsigned thread_count)
        : context(static_cast<int>(thread_count)), work(context.get_executor()) {}

    /// Here and not in ~Runtime: it must also happen if the last of the threads cannot be started.
    ~State() {
        work.reset();
        for (std::thread& thread : threads) thread.join();
    }
    State(const State&) = delete;
    State& operator=(const State&) = delete;

    [[nodiscard]] bool is_own_thread() const {
        for (const std::thread& thread : threads)
            if (thread.get_id() == std::this_thread::get_id()) return true;
        return false;
    }

    /// Starts an asynchronous operation and waits for what it completes with.
    template <class Value, class Initiate>
    std::pair<error_code, Value> wait_for(Initiate initiate) {
        assert(!is_own_thread() && "a blocking call on the runtime's own thread never returns");
        std::mutex mutex;
        std::condition_variable arrived;
        std::optional<std::pair<error_code, Value>> answer;
        initiate([&](error_code ec, Value value) {
            // Notified under the lock: the waiter, and with it the condition, may go right after.
            const std::scoped_lock lock(mutex);
            answer.emplace(ec, std::move(value));
            arrived.notify_one();
        });
        std::unique_lock lock(mutex);
        arrived.wait(lock, [&] { return answer.has_value(); });
        return std::move(*answer);
    }

    boost::asio::io_context context;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work;
    std::vector<std::thread> threads;
};

namespace {

template <class Value>
Value value_or_throw(std::pair<error_code, Value> answer, Diagnostics diagnostics) {
    if (answer.first) throw Error(answer.first, std::move(diagnostics));
    return std::move(answer.second);
}

struct Nothing {};

} // namespace

Runtime::Runtime(unsigned thread_count) {
    if (thread_count < 1 || thread_count > 256)
        throw std::invalid_argument("Runtime: thread_count must be 1 to 256, but is " +
                                    std::to_string(thread_count));
    state_ = std::make_unique<State>(thread_count);
    for (unsigned i = 0; i < thread_count; ++i)
        state_->threads.emplace_back([state = state_.get()] { state->context.run(); });
}

Runtime::~Runtime() = default;

boost::asio::any_io_executor Runtime::get_executor() const {
    return state_->context.get_executor();
}

StartReport Runtime::start(ResourcePool& pool) {
    auto answer = state_->wait_for<StartReport>(
        [&](auto handler) { pool.async_start(std::move(handler)); });
    Diagnostics diagnostics = answer.second.diagnostics;
    return value_or_throw(std::move(answer), std::move(diagnostics));
}

Result Runtime::run(ResourcePool& pool, Request request) {
    auto answer = state_->wait_for<Result>(
        [&](auto handler) { pool.async_run(std::move(request), std::move(handler)); });
    Diagnostics diagnostics = answer.second.diagnostics;
    return value_or_throw(std::move(answer), std::move(diagnostics));
}

Result Runtime::run(Lease& lease, Request request) {
    auto answer = state_->wait_for<Result>(
        [&](auto handler) { lease.async_run(std::move(request), std::move(handler)); });
    Diagnostics diagnostics = answer.second.diagnostics;
    return value_or_throw(std::move(answer), std::move(diagnostics));
}

Lease Runtime::acquire(ResourcePool& pool, AcquireRequest request) {
    std::string what = "no worker could be borrowed";
    if (!request.model.empty())
        what += " for model '" + escape_remote_text(request.model, 128) + '\'';
    auto answer = state_->wait_for<Lease>(
        [&](auto handler) { pool.async_acquire(std::move(request), std::move(handler)); });
    return value_or_throw(std::move(answer), {what, {}, {}, answer.first});
}

void Runtime::drain(ResourcePool& pool) {
    auto answer = state_->wait_for<Nothing>([&](auto handler) {
        pool.async_drain([handler = std::move(handler)](error_code ec) mutable {
            handler(ec, Nothing{});
        });
    });
    (void)value_or_throw(std::move(answer), {"the pool did not drain", {}, {}, answer.first});
}

void Runtime::stop(ResourcePool& pool) {
    (void)state_->wait_for<Nothing>([&](auto handler) {
        pool.async_stop([handler = std::move(handler)](error_code ec) mutable {
            handler(ec, Nothing{});
        });
    });
}

} // namespace everpool
