// Everpool core: what the operating system says of a silent browser's threads, in one look at it.
// SPDX-License-Identifier: BSL-1.0
//
// A thread that is ready to run and gets no processor is as silent as one that hangs. But a loop
// waits for its next turn as well. What tells them apart is how long the compute thread has run
// since its oldest unanswered ping: a loop takes all that it gets, and answers with none of it.
#pragma once

#include "everpool/core/event.hpp"
#include "everpool/core/run_times.hpp"
#include "everpool/core/work_in_hand.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace everpool::core {

class StarvationAnswer {
public:
    /// A compute thread that has run for so long since its oldest unanswered ping, and for as long
    /// as its work takes, loops. One that answers takes a fiftieth of it; a loop was seen to get
    /// 60 ms in a second, on a machine whose processors others wanted as well.
    static constexpr Duration run_to_answer = std::chrono::milliseconds{25};

    /// \return whether it has not been asked yet
    bool ask() noexcept { return !std::exchange(is_asked_, true); }

    /// \return whether that had been asked
    bool on_answer(const ThreadsSeen& seen, const WorkInHand& work, TimePoint now) noexcept {
        if (!is_asked_ || answered_at_) return false;
        answered_at_ = now;
        // What a busy machine adds to run times is time for which nothing runs.
        const Duration one = std::max(work.run_time() - RunTimes::allowance, Duration::zero());
        does_compute_loop_ = seen.compute_ran >= one * work.batches() + run_to_answer;
        seen_ = seen;
        return true;
    }

    [[nodiscard]] bool is_answered() const noexcept { return answered_at_.has_value(); }
    /// Is silence that would have this cause no fault of the browser's? The wait of other threads
    /// is no excuse for a compute thread that is silent alone.
    [[nodiscard]] bool excuses(LossCause cause) const noexcept {
        return cause == LossCause::compute_hung ? seen_.does_compute_wait && !does_compute_loop_
                                                : seen_.does_any_wait;
    }
    /// When it was known that the compute thread loops, if it is not to answer soon; empty: it is
    /// not known.
    [[nodiscard]] std::optional<TimePoint> loop_known_at() const noexcept {
        return does_compute_loop_ ? answered_at_ : std::nullopt;
    }

private:
    bool is_asked_{false};
    std::optional<TimePoint> answered_at_;
    ThreadsSeen seen_{};
    bool does_compute_loop_{false};
};

} // namespace everpool::core
