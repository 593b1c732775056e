// A pool of real browsers for one test, on a thread of its own, with futures to wait on.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/everpool.hpp"
#include "everpool/fault_injector.hpp"
#include "support/model_samples.hpp"

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <future>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace everpool::tests {

/// What an operation completed with.
struct Answer {
    error_code ec;
    Result result;
};

/// A test model with its first sample as warm-up.
inline ModelSpec spec_of(const ModelSamples& model, ModelFamily family,
                         std::vector<Provider> providers = {Provider::wasm}) {
    ModelSpec spec;
    spec.name = model.name;
    spec.file = model.file;
    spec.family = family;
    spec.providers = std::move(providers);
    spec.warm_up = WarmUp{model.samples.at(0).inputs, model.outputs, model.samples.at(0).outputs};
    return spec;
}

class PoolUnderTest {
public:
    /// Notes every event before `config.on_event` sees it.
    explicit PoolUnderTest(ResourcePoolConfig config)
        : pool_(runtime_.get_executor(), watched(std::move(config))) {}
    /// Ends the program if a step of the pool broke a rule of its state, which no stop() has told.
    ~PoolUnderTest() {
        if (pool_.snapshot().state.refused == 0 || has_told_refused_) return;
        std::fputs("the pool's state refused a transaction\n", stderr);
        std::abort();
    }
    PoolUnderTest(const PoolUnderTest&) = delete;
    PoolUnderTest& operator=(const PoolUnderTest&) = delete;

    [[nodiscard]] ResourcePool& pool() noexcept { return pool_; }
    [[nodiscard]] Runtime& runtime() noexcept { return runtime_; }

    void start() { (void)runtime_.start(pool_); }
    /// \throws std::logic_error if a step of the pool broke a rule of its state: a bug of ours,
    /// whatever the test was about
    void stop() {
        runtime_.stop(pool_);
        if (pool_.snapshot().state.refused == 0) return;
        if (!std::exchange(has_told_refused_, true))
            throw std::logic_error("the pool's state refused a transaction");
    }

    std::future<Answer> submit(Request request) {
        auto promise = std::make_shared<std::promise<Answer>>();
        auto future = promise->get_future();
        // A second completion would throw from set_value and end the test program.
        pool_.async_run(std::move(request), [promise](error_code ec, Result result) {
            promise->set_value({ec, std::move(result)});
        });
        return future;
    }

    Answer run(Request request) { return submit(std::move(request)).get(); }

    /// Breaks something, and waits until that has been done.
    std::pair<error_code, FaultReport> inject(const FaultOrder& order) {
        auto promise = std::make_shared<std::promise<std::pair<error_code, FaultReport>>>();
        auto future = promise->get_future();
        FaultInjector injector{pool_};
        injector.async_inject(order, [promise](error_code ec, FaultReport report) {
            promise->set_value({ec, std::move(report)});
        });
        return future.get();
    }

    /// Waits until an event for which `wanted` is true has come, whether before or after the call.
    PoolEvent wait_for(const std::function<bool(const PoolEvent&)>& wanted,
                       std::chrono::seconds limit = std::chrono::seconds{60}) {
        std::unique_lock lock(mutex_);
        const PoolEvent* found = nullptr;
        const bool came = arrived_.wait_for(lock, limit, [&] {
            for (const PoolEvent& event : events_)
                if (wanted(event)) found = &event;
            return found != nullptr;
        });
        if (!came) throw std::runtime_error("the awaited event did not come");
        return *found;
    }

    /// Waits until `is_enough` is true of all events so far.
    void wait_until(const std::function<bool(const std::vector<PoolEvent>&)>& is_enough,
                    std::chrono::seconds limit = std::chrono::seconds{60}) {
        std::unique_lock lock(mutex_);
        if (!arrived_.wait_for(lock, limit, [&] { return is_enough(events_); }))
            throw std::runtime_error("the awaited events did not come");
    }

    [[nodiscard]] std::size_t count_of(PoolEvent::Kind kind) {
        const std::scoped_lock lock(mutex_);
        std::size_t count = 0;
        for (const PoolEvent& event : events_) count += event.kind == kind;
        return count;
    }
    /// What all events of a kind say of themselves, a line each: for the message of a check.
    [[nodiscard]] std::string told_by(PoolEvent::Kind kind) {
        const std::scoped_lock lock(mutex_);
        std::string text;
        for (const PoolEvent& event : events_)
            if (event.kind == kind) text += event.detail + ": " + event.diagnostics.text() + '\n';
        return text;
    }

private:
    ResourcePoolConfig watched(ResourcePoolConfig config) {
        config.on_event = [this, next = std::move(config.on_event)](const PoolEvent& event) {
            {
                const std::scoped_lock lock(mutex_);
                events_.push_back(event);
            }
            arrived_.notify_all();
            if (next) next(event);
        };
        return config;
    }

    std::mutex mutex_;
    std::condition_variable arrived_;
    std::vector<PoolEvent> events_;
    bool has_told_refused_{false};
    Runtime runtime_;
    ResourcePool pool_;
};

} // namespace everpool::tests
