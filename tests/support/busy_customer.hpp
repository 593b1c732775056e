// Tests: a caller who never stops asking, and checks every answer, while something else happens.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/model_samples.hpp"
#include "support/pool_under_test.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <future>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

namespace everpool::tests {

class BusyCustomer {
public:
    /// Keeps `outstanding` inferences of `model` under way from now on.
    BusyCustomer(PoolUnderTest& test, ModelSamples model, std::size_t outstanding = 4)
        : test_(test),
          model_(std::move(model)),
          outstanding_(outstanding),
          thread_([this] { work(); }) {}
    ~BusyCustomer() { stop(); }
    BusyCustomer(const BusyCustomer&) = delete;
    BusyCustomer& operator=(const BusyCustomer&) = delete;

    /// Waits for `count` right answers to questions that were asked after this call. False if
    /// there is a wrong one, or they do not come within half a minute.
    bool is_served(std::uint64_t count = 5) {
        std::unique_lock lock(mutex_);
        // What is under way was asked before.
        const std::uint64_t wanted = right_ + outstanding_ + count;
        changed_.wait_for(lock, std::chrono::seconds{30},
                          [&] { return right_ >= wanted || !trouble_.empty(); });
        return right_ >= wanted && trouble_.empty();
    }

    /// The first answer that was not right, in words; empty if there is none.
    [[nodiscard]] std::string trouble() {
        const std::scoped_lock lock(mutex_);
        return trouble_;
    }

    /// Waits for what is under way.
    void stop() {
        {
            const std::scoped_lock lock(mutex_);
            is_stopping_ = true;
        }
        if (thread_.joinable()) thread_.join();
    }

private:
    void work() {
        std::deque<std::pair<std::size_t, std::future<Answer>>> asked;
        std::size_t next = 0;
        for (;;) {
            const bool is_stopping = [&] {
                const std::scoped_lock lock(mutex_);
                return is_stopping_;
            }();
            while (!is_stopping && asked.size() < outstanding_) {
                const std::size_t sample = next++ % model_.samples.size();
                asked.emplace_back(sample, test_.submit(Request::inference(
                                               model_.name, model_.samples[sample].inputs)));
            }
            if (asked.empty()) return;
            judge(asked.front().first, asked.front().second.get());
            asked.pop_front();
        }
    }

    void judge(std::size_t sample, const Answer& answer) {
        const bool is_right =
            !answer.ec &&
            largest_difference(answer.result.outputs, model_.samples[sample].outputs) <= 1e-4;
        {
            const std::scoped_lock lock(mutex_);
            if (is_right) ++right_;
            else if (trouble_.empty())
                trouble_ = "sample " + std::to_string(sample) + ": " +
                           (answer.ec ? answer.ec.message() + ": " : "wrong: ") +
                           answer.result.diagnostics.text();
        }
        changed_.notify_all();
    }

    PoolUnderTest& test_;
    const ModelSamples model_;
    const std::size_t outstanding_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::uint64_t right_{0};
    std::string trouble_;
    bool is_stopping_{false};
    std::thread thread_;
};

} // namespace everpool::tests
