// Parts of scenario_recovery: callers that never stop asking, and an account of what they get.
// SPDX-License-Identifier: BSL-1.0
//
// Each operation's answer is compared element by element with what is expected; each completion is
// counted, so that a second one would be seen. An operation that completes with an error, or not at
// all, is lost: no fault here is one that a caller should hear of.
#pragma once

#include "support/model_samples.hpp"

#include <everpool/everpool.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
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

struct LoadOptions {
    std::size_t outstanding{8};
    /// Before a request is handed over; they are numbered from 0, and each asks for the outputs of
    /// the sample of that number, modulo their count. From any thread.
    std::function<void(std::size_t number, everpool::Request&)> prepare{};
    /// Of every completion, a second one of the same operation included; none after stop(). One at
    /// a time.
    std::function<void(std::size_t number, everpool::error_code, const everpool::Result&)> on_end{};
};

class RecoveryLoad {
public:
    RecoveryLoad(everpool::ResourcePool& pool, const everpool::tests::ModelSamples& model,
                 LoadOptions options = {})
        : callers_(std::make_shared<Callers>(pool, model, std::move(options))) {
        for (std::size_t i = 0; i < callers_->options.outstanding; ++i) callers_->ask();
    }
    ~RecoveryLoad() { stop(); }
    RecoveryLoad(const RecoveryLoad&) = delete;
    RecoveryLoad& operator=(const RecoveryLoad&) = delete;

    /// Until `count` more answers have come. False: not within a minute.
    bool wait_for(std::uint64_t count) {
        std::unique_lock lock(callers_->mutex);
        const std::uint64_t wanted = callers_->answered + count;
        return callers_->changed.wait_for(lock, std::chrono::minutes{1},
                                          [&] { return callers_->answered >= wanted; });
    }

    /// Asks nothing more until resume(), and waits for what is under way, a minute at most.
    void pause() {
        std::unique_lock lock(callers_->mutex);
        callers_->is_paused = true;
        callers_->changed.wait_for(lock, std::chrono::minutes{1},
                                   [&] { return callers_->under_way == 0; });
    }
    void resume() {
        std::uint64_t under_way = 0;
        {
            const std::scoped_lock lock(callers_->mutex);
            callers_->is_paused = false;
            under_way = callers_->under_way;
        }
        for (std::uint64_t i = under_way; i < callers_->options.outstanding; ++i) callers_->ask();
    }

    /// Asks nothing more and waits for what is under way, a minute at most; what has not come is
    /// lost, also if it still comes.
    void stop() {
        std::unique_lock lock(callers_->mutex);
        callers_->is_stopping = true;
        callers_->changed.wait_for(lock, std::chrono::minutes{1},
                                   [&] { return callers_->under_way == 0; });
        callers_->is_over = true;
        callers_->account.lost += std::exchange(callers_->under_way, 0);
    }

    [[nodiscard]] LoadAccount account() {
        const std::scoped_lock lock(callers_->mutex);
        return callers_->account;
    }

private:
    /// Each handler keeps it alive: an answer that comes after all must find it. The pool is not
    /// touched any more once this is stopping.
    struct Callers : std::enable_shared_from_this<Callers> {
        Callers(everpool::ResourcePool& whom, const everpool::tests::ModelSamples& what,
                LoadOptions how)
            : pool(whom), model(what), options(std::move(how)) {}

        void ask();
        void note(std::size_t number, everpool::TimePoint submitted, everpool::error_code ec,
                  const everpool::Result& result);

        everpool::ResourcePool& pool;
        const everpool::tests::ModelSamples model;
        const LoadOptions options;
        std::mutex mutex;
        std::condition_variable changed;
        std::deque<unsigned> completions; ///< by operation
        std::uint64_t answered{0}, under_way{0};
        bool is_paused{false}, is_stopping{false}, is_over{false};
        LoadAccount account;
    };

    const std::shared_ptr<Callers> callers_;
};

inline void RecoveryLoad::Callers::ask() {
    std::size_t number = 0;
    {
        const std::scoped_lock lock(mutex);
        if (is_stopping || is_paused) return;
        number = completions.size();
        completions.push_back(0);
        ++account.asked;
        ++under_way;
    }
    auto request = everpool::Request::inference(
        model.name, model.samples[number % model.samples.size()].inputs);
    if (options.prepare) options.prepare(number, request);
    pool.async_run(std::move(request),
                   [self = shared_from_this(), number, submitted = Clock::now()](
                       everpool::error_code ec, const everpool::Result& result) {
                       self->note(number, submitted, ec, result);
                   });
}

inline void RecoveryLoad::Callers::note(std::size_t number, everpool::TimePoint submitted,
                                        everpool::error_code ec, const everpool::Result& result) {
    const auto& sample = model.samples[number % model.samples.size()];
    const bool is_right =
        !ec && everpool::tests::largest_difference(result.outputs, sample.outputs) <= 1e-4;
    {
        const std::scoped_lock lock(mutex);
        if (is_over) return;
        if (options.on_end) options.on_end(number, ec, result);
        if (++completions[number] > 1) {
            ++account.twice;
            return;
        }
        --under_way;
        ++answered;
        if (is_right) ++account.right;
        else ++(ec ? account.lost : account.wrong);
        if (!is_right && account.trouble.empty())
            account.trouble = (ec ? ec.message() : std::string("a wrong answer")) + ": " +
                              result.diagnostics.text();
        if (is_right && result.attempts == 1)
            account.compute_ms.push_back(milliseconds(result.timing.compute));
        if (is_right && result.attempts > 1) account.moved.push_back({submitted, Clock::now()});
        changed.notify_all();
    }
    ask();
}

/// WebKit compiles what a new page runs for seconds after its start, with threads that take
/// processors from whoever is to come back next. It was over after some 15'000 answers.
/// \return false: there were no answers for a minute
inline bool let_compile(RecoveryLoad& load, everpool::BrowserType type) {
    if (type != everpool::BrowserType::webkit) return true;
    for (int i = 0; i < 15; ++i)
        if (!load.wait_for(1000)) return false;
    return true;
}

} // namespace scenario
