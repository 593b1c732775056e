// Parts of scenario_recovery: callers that never stop asking, and an exact account of what they got.
// SPDX-License-Identifier: BSL-1.0
//
// Each operation's answer is compared element by element with what is expected; each completion is
// counted, so that a second one would be seen. An operation that completes with an error, or not at
// all, is lost: no fault here is one that a caller should hear of.
#pragma once

#include "support/model_samples.hpp"

#include <everpool/everpool.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace scenario {

using Clock = std::chrono::steady_clock;

inline double milliseconds(everpool::Duration duration) {
    return std::chrono::duration<double, std::milli>(duration).count();
}

/// One caller's operation that was lost with a worker and answered by another.
struct MovedAnswer {
    everpool::TimePoint submitted{}, answered{};
};

struct LoadAccount {
    std::uint64_t asked{0}, right{0}, lost{0}, twice{0}, wrong{0};
    std::vector<double> compute_ms; ///< of what was answered at the first attempt
    std::vector<MovedAnswer> moved;
    std::string trouble; ///< of the first that was not right
};

class RecoveryLoad {
public:
    RecoveryLoad(everpool::ResourcePool& pool, everpool::tests::ModelSamples model,
                 std::size_t outstanding = 8)
        : pool_(pool), model_(std::move(model)) {
        for (std::size_t i = 0; i < outstanding; ++i) ask();
    }
    ~RecoveryLoad() { stop(); }
    RecoveryLoad(const RecoveryLoad&) = delete;
    RecoveryLoad& operator=(const RecoveryLoad&) = delete;

    /// Until `count` more answers have come. False: not within a minute.
    bool wait_for(std::uint64_t count) {
        std::unique_lock lock(mutex_);
        const std::uint64_t wanted = answered_ + count;
        return changed_.wait_for(lock, std::chrono::minutes{1},
                                 [&] { return answered_ >= wanted; });
    }

    /// Asks nothing more and waits for what is under way, a minute at most; what has not come is lost.
    void stop() {
        std::unique_lock lock(mutex_);
        is_stopping_ = true;
        changed_.wait_for(lock, std::chrono::minutes{1}, [&] { return under_way_ == 0; });
        account_.lost += std::exchange(under_way_, 0);
    }

    [[nodiscard]] LoadAccount account() {
        const std::scoped_lock lock(mutex_);
        return account_;
    }

private:
    void ask() {
        std::size_t number = 0;
        {
            const std::scoped_lock lock(mutex_);
            if (is_stopping_) return;
            number = completions_.size();
            completions_.push_back(0);
            ++account_.asked;
            ++under_way_;
        }
        const auto& sample = model_.samples[number % model_.samples.size()];
        pool_.async_run(everpool::Request::inference(model_.name, sample.inputs),
                        [this, number, submitted = Clock::now()](everpool::error_code ec,
                                                                 const everpool::Result& result) {
                            note(number, submitted, ec, result);
                        });
    }

    void note(std::size_t number, everpool::TimePoint submitted, everpool::error_code ec,
              const everpool::Result& result) {
        const auto& sample = model_.samples[number % model_.samples.size()];
        const bool is_right =
            !ec && everpool::tests::largest_difference(result.outputs, sample.outputs) <= 1e-4;
        {
            const std::scoped_lock lock(mutex_);
            if (++completions_[number] > 1) {
                ++account_.twice;
                return;
            }
            --under_way_;
            ++answered_;
            if (is_right) ++account_.right;
            else ++(ec ? account_.lost : account_.wrong);
            if (!is_right && account_.trouble.empty())
                account_.trouble = (ec ? ec.message() : std::string("a wrong answer")) + ": " +
                                   result.diagnostics.text();
            if (is_right && result.attempts == 1)
                account_.compute_ms.push_back(milliseconds(result.timing.compute));
            if (is_right && result.attempts > 1)
                account_.moved.push_back({submitted, Clock::now()});
            // Inside, so that who stops this does not destroy it under us.
            changed_.notify_all();
            if (is_stopping_) return;
        }
        ask();
    }

    everpool::ResourcePool& pool_;
    const everpool::tests::ModelSamples model_;
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<unsigned> completions_; ///< by operation
    std::uint64_t answered_{0}, under_way_{0};
    bool is_stopping_{false};
    LoadAccount account_;
};

} // namespace scenario
