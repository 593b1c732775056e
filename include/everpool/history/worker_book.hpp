// Everpool history: the lives of the workers, minute by minute, for the estimate of hazard.
// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "everpool/core/decay.hpp"
#include "everpool/core/hazard.hpp"
#include "everpool/ids.hpp"
#include "everpool/performance_history.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace everpool::history {

/// The slope of recent memory over time: a line of least squares under decay.
class MemorySlope {
public:
    void add(double minutes, double mebibytes, double factor) noexcept {
        weight_ = weight_ * factor + 1;
        const double dx = minutes - mean_x_, dy = mebibytes - mean_y_;
        mean_x_ += dx / weight_;
        mean_y_ += dy / weight_;
        xx_ = xx_ * factor + dx * (minutes - mean_x_);
        xy_ = xy_ * factor + dx * (mebibytes - mean_y_);
    }
    /// MiB per minute; 0 before there is half a minute to judge by.
    [[nodiscard]] double slope() const noexcept { return xx_ > 0.1 * weight_ ? xy_ / xx_ : 0; }

private:
    double weight_{0}, mean_x_{0}, mean_y_{0}, xx_{0}, xy_{0};
};

/// Limits: worker slots below `worker_count_max`; what a worker did while it was not observed for
/// more than an hour counts as an hour.
class WorkerBook {
public:
    static constexpr std::uint32_t worker_count_max = 4096;

    /// A new life in that slot. A life that was not ended before is taken for one that ended well.
    bool start(WorkerId worker, TimePoint now) {
        if (worker.value >= worker_count_max) return false;
        if (worker.value >= lives_.size()) lives_.resize(worker.value + 1);
        lives_[worker.value] = Life{.started_at = now, .observed_until = now, .operated_at = now};
        return true;
    }

    bool operation(WorkerId worker, bool has_failed, std::uint64_t memory_bytes, TimePoint now) {
        Life* life = find(worker);
        if (life == nullptr) return false;
        observe(*life, now);
        const double factor = decay_.factor(now - life->operated_at);
        life->operated_at = std::max(life->operated_at, now);
        ++life->operations;
        life->recent = life->recent * factor + 1;
        life->errors = life->errors * factor + (has_failed ? 1 : 0);
        if (memory_bytes != 0) {
            using Minutes = std::chrono::duration<double, std::ratio<60>>;
            life->memory.add(Minutes(now - *life->started_at).count(),
                             static_cast<double>(memory_bytes) / (1 << 20), factor);
        }
        return true;
    }

    bool end(WorkerId worker, bool has_failed, TimePoint now) {
        Life* life = find(worker);
        if (life == nullptr) return false;
        observe(*life, now);
        if (has_failed) model_.observe(sample(*life, life->observed_until), true);
        *life = Life{};
        return true;
    }

    [[nodiscard]] std::optional<core::HazardEstimate> estimate(WorkerId worker, Duration horizon,
                                                               TimePoint now) const {
        if (worker.value >= lives_.size() || !lives_[worker.value].started_at) return std::nullopt;
        return model_.estimate(sample(lives_[worker.value], now), horizon);
    }
    [[nodiscard]] const core::HazardModel& model() const noexcept { return model_; }
    [[nodiscard]] core::HazardModel& model() noexcept { return model_; }

private:
    struct Life {
        std::optional<TimePoint> started_at;
        TimePoint observed_until{}, operated_at{};
        std::uint64_t operations{0};
        double recent{0}, errors{0};
        MemorySlope memory{};
    };

    Life* find(WorkerId worker) noexcept {
        if (worker.value >= lives_.size() || !lives_[worker.value].started_at) return nullptr;
        return &lives_[worker.value];
    }
    /// Every minute that has passed since was survived.
    void observe(Life& life, TimePoint now) noexcept {
        constexpr std::int64_t steps_max = 60;
        constexpr Duration step = core::HazardModel::step;
        if (now - life.observed_until > steps_max * step)
            life.observed_until = now - steps_max * step;
        for (; now - life.observed_until >= step; life.observed_until += step)
            model_.observe(sample(life, life.observed_until), false);
    }
    [[nodiscard]] static core::WorkerSample sample(const Life& life, TimePoint now) noexcept {
        return {.age = now - *life.started_at,
                .operations = life.operations,
                .memory_mib_per_minute = life.memory.slope(),
                .error_rate = life.recent > 0 ? life.errors / life.recent : 0};
    }

    core::Decay decay_{std::chrono::minutes(5)};
    core::HazardModel model_;
    std::vector<Life> lives_;
};

} // namespace everpool::history
