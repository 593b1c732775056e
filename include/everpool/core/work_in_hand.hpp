// Everpool core: how much has a connected worker been given, and by when must that be over?
// SPDX-License-Identifier: BSL-1.0
//
// An operation that its caller has given up (cancelled, deadline) still occupies its place, because
// the worker may still be busy with it. If nothing comes of it, and the compute thread answers
// meanwhile, it waits for the GPU in vain: an operation of a kind that is not known yet then has as
// long again as its caller gave it. While the compute thread is silent, it may be in the midst of a
// long one and has all the time there is.
//
// A batch, which is sent as one and answered as one, counts once against the limit.
#pragma once

#include "everpool/core/core_config.hpp"
#include "everpool/time.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace everpool::core {

class WorkInHand {
public:
    explicit WorkInHand(const CoreConfig& config)
        : acceptable_pause_(config.acceptable_pause),
          hung_operation_grace_(config.hung_operation_grace),
          unknown_run_time_(config.compute_ping_timeout),
          bytes_max_(config.in_flight_bytes_max) {}

    /// Nothing is in flight.
    void reset() noexcept {
        in_flight_ = abandoned_ = new_ = 0;
        bytes_ = 0;
        batches_.clear();
        hung_at_ = gpu_hung_at_ = never;
    }

    /// For one more of which there may be so many. One request alone is always allowed, however
    /// large.
    [[nodiscard]] bool has_room(std::uint64_t bytes, std::uint32_t limit) const noexcept {
        return in_flight_ == 0 || (batches_.size() < limit && has_space(bytes));
    }
    /// For one more of the batch that is being sent.
    [[nodiscard]] bool has_space(std::uint64_t bytes) const noexcept {
        return bytes <= bytes_max_ && bytes_ <= bytes_max_ - bytes;
    }

    /// `expected`: nearly all operations like it are over after this time and a pause; empty: not
    /// known yet. `allowed`: how long its caller waits for it. `batch`: those with the same number,
    /// one after the other, are sent as one; 0: alone.
    void on_sent(std::uint64_t bytes, std::optional<Duration> expected, Duration allowed,
                 std::uint64_t batch = 0) {
        if (batch == 0 || batches_.empty() || batches_.back().number != batch)
            batches_.push_back({.number = batch});
        ++batches_.back().sent;
        if (in_flight_ == 0) known_time_ = {};
        if (new_ == 0) allowed_time_ = {};
        ++in_flight_;
        bytes_ += bytes;
        if (expected) {
            known_time_ = std::max(known_time_, *expected);
        } else {
            ++new_;
            allowed_time_ = std::max(allowed_time_, std::min(allowed, unknown_run_time_));
        }
    }
    /// An operation has left. `was_new`: how long it takes was not known when it was sent.
    void on_answered(std::uint64_t bytes, bool was_new, bool was_abandoned,
                     std::uint64_t batch = 0) noexcept {
        const auto whose = std::ranges::find(batches_, batch, &Batch::number);
        if (++whose->answered == whose->sent) batches_.erase(whose);
        --in_flight_;
        bytes_ -= bytes;
        if (was_new) --new_;
        if (was_abandoned && --abandoned_ == 0) hung_at_ = gpu_hung_at_ = never;
    }
    /// Is it the first answer of its batch, which takes as long as that? To be asked of each,
    /// before on_answered().
    bool is_first_answer(std::uint64_t batch) noexcept {
        const auto whose = std::ranges::find(batches_, batch, &Batch::number);
        return batch == 0 || !std::exchange(whose->has_answer, true);
    }
    /// The compute thread has proved that it moves on. What comes next has its whole time.
    void on_sign_of_life(TimePoint now) noexcept {
        if (abandoned_ != 0) expect_end(now);
    }
    /// The caller does not wait any more; the place stays taken.
    void on_abandoned(TimePoint now) noexcept {
        if (++abandoned_ == 1) expect_end(now);
    }
    /// The host stood still for `lost` until now. That time does not count.
    void on_host_late(Duration lost) noexcept {
        hung_at_ = later(hung_at_, lost);
        gpu_hung_at_ = later(gpu_hung_at_, lost);
    }

    /// So long may those in flight take, and a pause.
    [[nodiscard]] Duration run_time() const noexcept {
        return new_ == 0 ? known_time_ : std::max(known_time_, unknown_run_time_);
    }
    /// What is abandoned must be over by then. `heard_at`: the compute thread's last sign of life.
    [[nodiscard]] TimePoint end_expected_at(TimePoint heard_at) const noexcept {
        return moves_on(heard_at) ? gpu_hung_at_ : hung_at_;
    }
    /// Has the compute thread given a sign of life since the end was expected?
    [[nodiscard]] bool moves_on(TimePoint heard_at) const noexcept {
        return heard_at > abandoned_at_;
    }

    [[nodiscard]] bool is_empty() const noexcept { return in_flight_ == 0; }
    [[nodiscard]] std::uint32_t in_flight() const noexcept { return in_flight_; }
    /// What is alone counts as a batch.
    [[nodiscard]] std::uint32_t batches() const noexcept {
        return static_cast<std::uint32_t>(batches_.size());
    }
    [[nodiscard]] std::uint32_t abandoned() const noexcept { return abandoned_; }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    /// Of an operation of a kind that is not known yet.
    [[nodiscard]] Duration unknown_run_time() const noexcept { return unknown_run_time_; }

private:
    struct Batch {
        std::uint64_t number{0};
        std::uint32_t sent{0}, answered{0};
        bool has_answer{false};
    };

    /// What nobody waits for any more must end as soon as anything like it does.
    void expect_end(TimePoint now) noexcept {
        const Duration known = known_time_ + acceptable_pause_;
        const auto end = [&](Duration unknown) {
            const Duration most = new_ == 0 ? known : std::max(known, unknown);
            return later(now, std::max(most, hung_operation_grace_));
        };
        abandoned_at_ = now;
        hung_at_ = end(unknown_run_time_);
        gpu_hung_at_ = end(allowed_time_);
    }

    Duration acceptable_pause_, hung_operation_grace_, unknown_run_time_;
    std::uint64_t bytes_max_;

    std::uint32_t in_flight_{0}, abandoned_{0};
    std::uint32_t new_{0}; ///< in flight, and nobody knows how long such take
    std::uint64_t bytes_{0};
    std::vector<Batch> batches_; ///< in flight, oldest first
    Duration known_time_{};      ///< the longest that the others are expected to take
    Duration allowed_time_{};    ///< the longest that callers wait for the new ones
    TimePoint abandoned_at_{};
    /// When it counts as hung: if its compute thread is silent since abandoned_at_, if it answers.
    TimePoint hung_at_{never}, gpu_hung_at_{never};
};

} // namespace everpool::core
